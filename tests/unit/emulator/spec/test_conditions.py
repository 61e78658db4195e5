from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.spec.conditions import ConditionError, parse

VALUES = {"x": "heads", "n": 3, "rate": 0.5, "flag": True, "list": [1], "it's": "y"}


def x(name: str) -> str:
    return f"inputs.parameter_values['{name}']"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (f"{x('x')} == 'heads'", True),
        (f"{x('x')} != 'heads'", False),
        (f"'tails' == {x('x')}", False),
        (f"int({x('n')}) > 2", True),
        (f"int({x('n')}) >= 3 && int({x('n')}) <= 3", True),
        (f"{x('rate')} < 0.9", True),
        (f"{x('rate')} == double(1)", False),
        (f"double(int({x('n')})) == 3.0", True),
        (f"{x('flag')} == true", True),
        (f"{x('flag')} == false", False),
        (f"{x('flag')}", True),
        (f"!({x('x')} == 'heads') && int({x('n')}) > 4", False),
        (f"!({x('x')} == 'tails') && !(int({x('n')}) > 4)", True),
        (f"{x('x')} == 'tails' || {x('n')} == 3", True),
        ("true || false && false", True),
        ("(true || false) && false", False),
        ("!!true", True),
        ("1 == 1.0 && -2 < -1.5e0", True),
        # Different kinds are never equal; Python's own rules would say otherwise.
        ("true == 1", False),
        ("'1' != 1", True),
        (f"string({x('n')}) == '3'", True),
        (f"string({x('flag')}) == 'true'", True),
        ("string(0.5) == '0.5'", True),
        ("int('5') == 5 && int(5.9) == 5 && bool('true')", True),
        (r"'a\'b\\\n' == " + r'"a\'b\\\n"', True),
        ('inputs.parameter_values["it\'s"] == "y"', True),
        ("'b' > 'a'", True),
    ],
)
def test_what_a_condition_says(text: str, holds: bool) -> None:
    assert parse(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "too early"),
        ("'it's' == 'x'", "cannot be read|not expected"),
        ("1 == 2 == 3", "not expected"),
        ("(true", "too early"),
        ("true)", "not expected"),
        ("x == 1", '"x" is not run'),
        ("inputs.parameters['x'] == 1", "cannot be read"),
        ("size('a') == 1", '"size" is not run'),
        (r"'\x41' == 'A'", "escape"),
        ("true ? 1 : 2", "cannot be read"),
        ("(" * 200 + "true" + ")" * 200, "nested"),
        ("!" * 5000 + "true", "nested"),
        ("1" * 5000 + " == 1", "cannot convert"),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(ConditionError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{x('nothing')} == 1", 'the input "nothing" has no value'),
        (f"{x('x')} > 3", "no order"),
        (f"{x('list')} < {x('list')}", "no order"),
        (f"{x('n')}", "needs true or false"),
        (f"{x('n')} && true", "needs true or false"),
        (f"int({x('x')}) == 1", "cannot convert"),
        ("bool(5)", "cannot convert"),
    ],
)
def test_what_has_no_value(text: str, said: str) -> None:
    with pytest.raises(ConditionError, match=said):
        parse(text).holds(VALUES)


def test_inputs_are_known_before_it_runs() -> None:
    assert parse(f"{x('a')} == 1 || {x('b')} == {x('a')}").inputs == ("a", "b")


@given(st.text(max_size=50) | st.text("()!&|=<>'\"0123456789. truefals", max_size=50))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConditionError):
        parse(text).holds({})
