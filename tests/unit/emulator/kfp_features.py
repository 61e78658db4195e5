"""A small pipeline for each feature of kfp's DSL that no other pipeline of these tests shows by itself.

It reads annotations as objects: do not postpone them.

    python kfp_features.py FOLDER    compiles each pipeline to FOLDER/<name>.yaml, runs those of LOCAL by kfp's local
                                     runner, and writes their output to FOLDER/local.json

Of kfp's local runner everything is used as it is but for the check of container components: see ``kfp_dsl.py``.
"""

# kfp reads the annotations and the defaults: they are in the forms that it knows.
# ruff: noqa: RUF013, UP006, UP035

import json
import sys
from pathlib import Path
from typing import List

from kfp import compiler, dsl, local
from kfp.dsl import Dataset, Input, Output
from kfp.local.subprocess_task_handler import SubprocessTaskHandler

IMAGE = "python:3.11"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def say(text: str) -> str:
    return text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fail(text: str) -> str:
    raise ValueError(text)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def read_variable(name: str) -> str:
    import os

    return os.environ.get(name, "none")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def optional(text: str = None, number: int = 5) -> str:
    return f"{text} {number}"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def write(text: str, out: Output[Dataset]):
    with open(out.path, "w") as file:
        file.write(text)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def read(data: Input[Dataset]) -> str:
    with open(data.path) as file:
        return file.read()


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def state_of(status: dsl.PipelineTaskFinalStatus) -> str:
    return str(status.state)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def keep(folder: str, text: str) -> str:
    import os

    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "kept"), "a") as file:
        file.write(text)
    with open(os.path.join(folder, "kept")) as file:
        return file.read()


@dsl.container_component
def echo(text: str, told: dsl.OutputPath(str)):
    program = 'mkdir -p "$(dirname "$1")" && printf "%s" "$0" > "$1"'
    return dsl.ContainerSpec(image=IMAGE, command=["sh", "-c", program], args=[text, told])


@dsl.pipeline(name="environment-variables")
def environment_variables() -> str:
    return read_variable(name="COLOUR").set_env_variable("COLOUR", "green").output


@dsl.pipeline(name="order-and-names")
def order_and_names() -> str:
    first = say(text="first").set_display_name("The first one")
    return say(text="second").after(first).set_caching_options(False).output


@dsl.pipeline(name="ignore-upstream-failure")
def ignore_upstream_failure():
    failed = fail(text="on purpose")
    say(text="went on").after(failed).ignore_upstream_failure()


@dsl.pipeline(name="final-status")
def final_status():
    with dsl.ExitHandler(state_of()):
        say(text="well")


@dsl.pipeline
def with_defaults(text: str = None, greeting: str = "hello") -> str:
    optional(text=text)
    return say(text=greeting).output


@dsl.pipeline(name="optional-inputs")
def optional_inputs() -> str:
    return with_defaults().output


@dsl.pipeline(name="container-component")
def container_component(text: str = "a 'b' $(c) é") -> str:
    return echo(text=text).outputs["told"]


@dsl.pipeline(name="run-placeholders")
def run_placeholders() -> str:
    text = f"{dsl.PIPELINE_JOB_NAME_PLACEHOLDER}|{dsl.PIPELINE_ROOT_PLACEHOLDER}|{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}"
    return say(text=text).output


@dsl.pipeline(name="collected-in-dag")
def collected_in_dag() -> List[str]:
    with dsl.ParallelFor(["a", "b"], parallelism=1) as item:
        said = say(text=item)
    return dsl.Collected(said.output)


@dsl.pipeline
def inner_read(data: Input[Dataset]) -> str:
    return read(data=data).output


@dsl.pipeline(name="artifacts-through-pipelines")
def artifacts_through_pipelines() -> str:
    return inner_read(data=write(text="kept").outputs["out"]).output


@dsl.pipeline(name="accelerators")
def accelerators():
    say(text="x").set_accelerator_type("NVIDIA_TESLA_T4").set_accelerator_limit(1).set_cpu_request("1")


@dsl.pipeline(name="workspace", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def workspace() -> str:
    first = keep(folder=dsl.WORKSPACE_PATH_PLACEHOLDER, text="a")
    return keep(folder=dsl.WORKSPACE_PATH_PLACEHOLDER, text="b").after(first).output


@dsl.pipeline(
    name="download-to-workspace", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi"))
)
def download_to_workspace():
    read(data=dsl.importer(artifact_uri="gs://bucket/x", artifact_class=Dataset, download_to_workspace=True).output)


PIPELINES = (
    environment_variables, order_and_names, ignore_upstream_failure, final_status, optional_inputs,
    container_component, run_placeholders, collected_in_dag, artifacts_through_pipelines, accelerators, workspace,
    download_to_workspace,
)  # fmt: skip

LOCAL = (order_and_names, container_component, collected_in_dag, artifacts_through_pipelines, workspace)
"""Those that kfp's local runner runs to the same end (2.16). It leaves out variables, and has no exit handlers."""


def run_locally(folder: Path) -> dict[str, object]:
    SubprocessTaskHandler.validate_not_container_component = lambda self, full_command: None
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "local"))
    return {pipeline.name: pipeline().output for pipeline in LOCAL}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for pipeline in PIPELINES:
        compiler.Compiler().compile(pipeline, str(target / f"{pipeline.name}.yaml"))
    (target / "local.json").write_text(json.dumps(run_locally(target)))
