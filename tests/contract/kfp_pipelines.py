"""Pipelines in kfp's DSL, which reads annotations as objects: this file must not postpone them."""

from kfp import dsl

from .conftest import IMAGE


@dsl.container_component
def say(text: str, times: int):
    check = "import sys; print(sys.argv[1] * int(sys.argv[2])); assert sys.argv[1:] == ['hello world', '2']"
    return dsl.ContainerSpec(image=IMAGE, command=["python", "-c", check], args=[text, times])


@dsl.pipeline(name="two-greetings")
def greetings(who: str, times: int = 2) -> None:
    first = say(text=f"hello {who}", times=times)
    first.set_retry(1, backoff_duration="1s")
    say(text="hello world", times=times).after(first)
