"""Kedro's settings of this project."""

import warnings

# Without --env the run is on the bucket: conf/base alone.
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "base"}

# This project does not use MLflow. The plugin would start it all the same wherever it is installed.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)

# Kedro 1.7 calls a function by the name it had before OmegaConf 2.4; each process would log that twice.
warnings.filterwarnings("ignore", message="register_new_resolver", category=UserWarning)
