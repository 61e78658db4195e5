"""Compile a project with kedro-vertexai, in its own environment; bench_kedro_vertexai.py runs this.

Its command first asks Vertex AI for an experiment, which needs a network and credentials, so its generator and kfp's
compiler are called as its client calls them. ``python compile_with_kedro_vertexai.py PROJECT SPEC`` prints the
seconds of processor time that they took, everything being imported and loaded before.
"""

import sys
import time
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro_vertexai.config import PluginConfig
from kedro_vertexai.generator import PipelineGenerator
from kfp.compiler import Compiler


def main(project: Path, spec: str) -> None:
    """Compile the default pipeline."""
    metadata = bootstrap_project(project)
    with KedroSession.create(project) as session:
        context = session.load_context()
        loader = context.config_loader
        loader.config_patterns["vertexai"] = ["vertexai*"]
        config = PluginConfig.model_validate(loader["vertexai"])
        begin = time.process_time()
        generator = PipelineGenerator(config, metadata.project_name, context, "run")
        pipeline = generator.generate_pipeline("__default__", config.run_config.image, "")
        Compiler().compile(pipeline, spec)
        print(time.process_time() - begin)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
