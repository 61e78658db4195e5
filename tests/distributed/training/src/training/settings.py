# Installed beside Kedro for other tests, and not used by this project.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)
