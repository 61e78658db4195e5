"""Pipelines in kfp's DSL for what kfp's local runner does not run: loops, importers, retries, machines from parameters.

It reads annotations as objects: do not postpone them.

    python kfp_control_flow.py FOLDER    compiles each pipeline to FOLDER/<name>.yaml
"""

# kfp reads the annotations and the defaults: they are in the forms that it knows.
# ruff: noqa: B006, UP006, UP035

import sys
from pathlib import Path
from typing import List

from kfp import compiler, dsl
from kfp.dsl import Artifact, Dataset, Input, Output

IMAGE = "python:3.11"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def double(x: int) -> int:
    return 2 * x


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def add(xs: List[int]) -> int:
    return sum(xs)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def flatten(rows: List[List[int]]) -> List[int]:
    return [x for row in rows for x in row]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def people(n: int) -> List[dict]:
    return [{"who": f"n{i}", "age": i} for i in range(n)]


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def write(text: str, out: Output[Dataset], age: int = 0):
    with open(out.path, "w") as file:
        file.write(f"{text}{age}")
    out.metadata["age"] = age


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def read(data: Input[Dataset]) -> str:
    with open(data.path) as file:
        return file.read()


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def join(data: Input[List[Dataset]]) -> str:
    return " ".join(f"{open(one.path).read()}:{one.metadata.get('age')}" for one in data)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def concat(texts: List[str]) -> str:
    return ",".join(texts)


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def say(text: str) -> str:
    return text


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def describe(data: Input[Artifact]) -> str:
    return f"{data.uri.rpartition('/gcs/')[2].removeprefix('gs://')} {sorted(data.metadata.items())}"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fail_twice(folder: str) -> int:
    """Fails until it has been called three times."""
    import os

    os.makedirs(folder, exist_ok=True)
    tries = len(os.listdir(folder))
    open(os.path.join(folder, str(tries)), "w").close()
    assert tries == 2, f"try {tries}"
    return tries


@dsl.pipeline(name="parameter-loops")
def parameter_loops(xs: List[int] = [1, 2, 3], limit: int = 2) -> int:
    """Over a static list with a limit, over a parameter, nested, over an output's parts; collected by what follows."""
    with dsl.ParallelFor(items=[5, 7, 9], parallelism=2) as x:
        doubled = double(x=x)
    total = add(xs=dsl.Collected(doubled.output))
    with dsl.ParallelFor(items=xs) as y, dsl.ParallelFor(items=["10", "20"]) as z:
        nested = double(x=y)
        say(text=z)
    rows = flatten(rows=dsl.Collected(nested.output))
    with dsl.ParallelFor(items=people(n=3).output) as person:
        said = say(text=person.who)
        with dsl.If(person.age > 1):
            double(x=person.age)
    concat(texts=dsl.Collected(said.output))
    with dsl.ParallelFor(items=people(n=0).output) as none:
        never = say(text=none.who)
    concat(texts=dsl.Collected(never.output))
    add(xs=rows.output)
    return total.output


@dsl.pipeline
def write_all(n: int) -> List[Dataset]:
    with dsl.ParallelFor(items=people(n=n).output) as item:
        written = write(text=item.who, age=item.age)
    return dsl.Collected(written.outputs["out"])


@dsl.pipeline(name="artifact-loops")
def artifact_loops():
    """Artifacts that are collected, looped over, and collected again from a loop in a loop."""
    written = write_all(n=2)
    join(data=written.output)
    with dsl.ParallelFor(items=written.output) as one:
        text = read(data=one)
    concat(texts=dsl.Collected(text.output))
    with dsl.ParallelFor(items=["x", "y"]) as x, dsl.ParallelFor(items=[1, 2]) as n:
        inner = write(text=x, age=n)
    join(data=dsl.Collected(inner.outputs["out"]))


@dsl.pipeline(name="imports")
def imports(uri: str = "gs://bucket/given.txt", n: int = 3):
    """Importers: of a constant and of a parameter, with metadata from both."""
    constant = dsl.importer(
        artifact_uri="gs://bucket/constant.txt", artifact_class=Dataset, metadata={"kind": "constant", "n": n}
    )
    given = dsl.importer(artifact_uri=uri, artifact_class=Dataset, reimport=True)
    describe(data=constant.output)
    describe(data=given.output)


@dsl.pipeline(name="given-artifacts")
def given_artifacts(data: Input[Dataset]) -> str:
    return read(data=data).output


@dsl.pipeline
def flaky(folder: str) -> int:
    return fail_twice(folder=folder).output


@dsl.pipeline(name="retries")
def retries(folder: str) -> int:
    """A nested pipeline that is tried again as a whole."""
    return flaky(folder=folder).set_retry(3, backoff_duration="0s").output


@dsl.pipeline(name="machines")
def machines(cpu: str = "1", memory: str = "1G", image: str = IMAGE):
    """Limits, an accelerator and an image that a parameter or another task gives."""
    limited = say(text="limited")
    limited.set_cpu_limit(cpu).set_memory_limit(memory)
    made = say(text="2")
    say(text="made").set_cpu_limit(made.output)
    say(text="image").set_container_image(image)


PIPELINES = (parameter_loops, artifact_loops, imports, given_artifacts, retries, machines)

if __name__ == "__main__":
    for pipeline in PIPELINES:
        compiler.Compiler().compile(pipeline, str(Path(sys.argv[1]) / f"{pipeline.name}.yaml"))
