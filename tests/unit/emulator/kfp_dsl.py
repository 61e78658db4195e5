"""Pipelines in kfp's DSL, and kfp's own local runner for them. It reads annotations as objects: do not postpone them.

    python kfp_dsl.py FOLDER    compiles each pipeline to FOLDER/<name>.yaml, runs `plain` locally, and writes what came
                                out to FOLDER/local.json

Of kfp's local runner everything is used as it is but for one check: SubprocessRunner takes Python components alone and
leaves container components to Docker. Here it runs their command as a process too, with kfp's own placeholders filled
and their outputs read by kfp. What it does not do (kfp 2.16): exit handlers, ``dsl.OneOf``, and conditions, which it
always takes as not met. So `guarded` has the tasks of `plain` inside an exit handler and a condition. A whole number in
an f-string is "9.0" there and "9" on Vertex AI, so none is in one here.
"""

# kfp reads the annotations and the defaults: they are in the forms that it knows.
# ruff: noqa: B006, RUF013, UP014

import json
import sys
from pathlib import Path
from typing import NamedTuple

from kfp import compiler, dsl, local
from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output, OutputPath
from kfp.local.subprocess_task_handler import SubprocessTaskHandler

IMAGE = "python:3.11"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def make(rows: Output[Dataset], text: str = "abc", times: int = 2):
    with open(rows.path, "w") as file:
        file.write(text * times)
    rows.metadata["made by"] = text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def describe(
    rows: Input[Dataset], model: Output[Model], metrics: Output[Metrics], note: OutputPath(str), rate: float,
    flag: bool = True, names: list = ["x", "\u00e9"], options: dict = {"a": [1, "b"]}, label: str = None,
) -> NamedTuple("Described", size=int, share=float, good=bool, every=list, found=dict, text=str):  # fmt: skip
    with open(rows.path) as file:
        content = file.read()
    with open(model.path, "w") as file:
        file.write(content.upper())
    metrics.log_metric("rate", rate)
    with open(note, "w") as file:
        file.write(f"{label} {rows.metadata}")
    described = NamedTuple("Described", size=int, share=float, good=bool, every=list, found=dict, text=str)
    return described(len(content), rate / 2, not flag, [*names, content], {**options, "n": 1}, f"{rate} {flag}")


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def say(text: str) -> str:
    return text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def keep(rows: Input[Dataset]) -> Dataset:
    kept = Dataset(uri=dsl.get_uri("of my own"), metadata=rows.metadata)
    with open(rows.path) as source, open(kept.path, "w") as target:
        target.write(source.read()[::-1])
    return kept


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fail(text: str) -> str:
    raise ValueError(text)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def notify(status: dsl.PipelineTaskFinalStatus, told: OutputPath(str)):
    with open(told, "w") as file:
        file.write(f"{status.pipeline_task_name} {status.state} {status.error_code} {status.error_message}")


PROGRAM = """import json, pathlib, sys
rows, size, sizes, copy, uri, output, *words = sys.argv[1:]
text = pathlib.Path(rows).read_text()
made = {"artifacts": {"copy": {"artifacts": [{"uri": uri, "metadata": {"words": len(words)}}]}}}
for path, content in ((size, len(text)), (sizes, [len(text)]), (copy, words), (output, made)):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(json.dumps(content))
"""


@dsl.container_component
def measure(
    rows: Input[Dataset], size: OutputPath(int), sizes: OutputPath(list), copy: Output[Artifact], prefix: str = None,
    missing: str = None,
):  # fmt: skip
    return dsl.ContainerSpec(
        image=IMAGE,
        command=["python3", "-c", PROGRAM],
        args=[
            rows.path, size, sizes, copy.path, copy.uri, dsl.PIPELINE_TASK_EXECUTOR_OUTPUT_PATH_PLACEHOLDER,
            dsl.IfPresentPlaceholder("prefix", then=["--prefix", dsl.ConcatPlaceholder(["<", prefix, ">"])]),
            dsl.IfPresentPlaceholder("missing", then=["--missing", missing], else_=["--none"]),
            rows.metadata["made by"],
        ],
    )  # fmt: skip


class Inner(NamedTuple):
    rows: Dataset
    said: str


@dsl.pipeline
def inner(text: str) -> Inner:
    made = make(text=text, times=3)
    return Inner(made.outputs["rows"], say(text=f"{text} and more").output)


OUTPUTS = {
    "size": int, "share": float, "good": bool, "every": list, "found": dict, "text": str, "note": str, "said": str,
    "measured": int, "sizes": list, "loud": str, "rows": Dataset, "model": Model, "metrics": Metrics, "copy": Artifact,
    "kept": Dataset,
}  # fmt: skip
All = NamedTuple("All", **OUTPUTS)


@dsl.pipeline(name="plain")
def plain(text: str = "abc", rate: float = 1.0) -> All:
    part = inner(text=text)
    described = describe(rows=part.outputs["rows"], rate=rate)
    measured = measure(rows=part.outputs["rows"], prefix=part.outputs["said"])
    loud = say(text=f"{described.outputs['share']} {described.outputs['good']} {text}")
    of_describe = {name: described.outputs[name] for name in list(OUTPUTS)[:7]}
    return All(
        **of_describe, said=part.outputs["said"], measured=measured.outputs["size"], sizes=measured.outputs["sizes"],
        loud=loud.output, rows=part.outputs["rows"], model=described.outputs["model"],
        metrics=described.outputs["metrics"], copy=measured.outputs["copy"],
        kept=keep(rows=part.outputs["rows"]).output,
    )  # fmt: skip


@dsl.pipeline(name="guarded")
def guarded(text: str = "abc", rate: float = 1.0):
    """The tasks of `plain` in an exit handler, and the last one only if enough was measured."""
    with dsl.ExitHandler(notify()):
        part = inner(text=text)
        described = describe(rows=part.outputs["rows"], rate=rate)
        measured = measure(rows=part.outputs["rows"], prefix=part.outputs["said"])
        keep(rows=part.outputs["rows"])
        with dsl.If(measured.outputs["size"] > 8):
            say(text=f"{described.outputs['share']} {described.outputs['good']} {text}")


@dsl.pipeline(name="branches")
def branches(n: int, text: str) -> str:
    """One of three branches, a condition in a condition, and what comes after one that was not met."""
    first = say(text=text)
    with dsl.If(first.output == "heads"):
        heads = say(text="it was heads")
    with dsl.Elif(n > 4):
        high = say(text=f"{n} is high")
        with dsl.If(n != 5):
            say(text="not five")
    with dsl.Else():
        low = say(text=f"{n} is low, {first.output}")
    return say(text=dsl.OneOf(heads.output, high.output, low.output)).output


@dsl.pipeline(name="failing")
def failing(text: str = "no"):
    with dsl.ExitHandler(notify()):
        say(text=fail(text=text).output)


def run_locally(folder: Path) -> dict[str, object]:
    """What kfp's local runner gives for `plain`: parameters, and artifacts as type, content and metadata."""
    SubprocessTaskHandler.validate_not_container_component = lambda self, full_command: None
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "local"))
    outputs = plain(text="xyz", rate=0.5).outputs
    return {
        name: {
            "type": value.schema_title,
            "content": Path(value.path).read_text() if Path(value.path).exists() else None,
            "metadata": value.metadata,
        }
        if isinstance(value, Artifact)
        else value
        for name, value in outputs.items()
    }


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for pipeline in (plain, guarded, branches, failing):
        compiler.Compiler().compile(pipeline, str(target / f"{pipeline.name}.yaml"))
    (target / "local.json").write_text(json.dumps(run_locally(target)))
