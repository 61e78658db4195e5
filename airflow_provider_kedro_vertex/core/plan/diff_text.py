"""The difference between two manifests, as text for a terminal and as Markdown for a pull request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from airflow_provider_kedro_vertex.core.plan.diff import Change, Container, ContainerDiff, Diff, NodeDiff, PipelineDiff
from airflow_provider_kedro_vertex.core.settings.machine_prices import AS_OF, PRICED_REGION

_FATES = {"+": "added", "-": "removed", "~": "changed"}

_RENAMED = "was named"

#: Names that are told; of more, how many more there are.
_FEW = 3
#: Characters of one value.
_LONG = 120

_PRICES = f"Prices are estimates for {PRICED_REGION} of {AS_OF}: an hour of all containers at once."


def to_text(diff: Diff) -> str:
    """Write a difference as lines; with + what came, with - what went, with ~ what is another."""
    if diff.is_empty:
        return f"Project {diff.project!r}: nothing changed ({diff.new[:19]}).\n"
    lines = [f"Project {diff.project!r}: {_digests(diff)}"]
    for pipeline in diff.pipelines:
        lines.append(f"{_sign(pipeline.old, pipeline.new)} pipeline {pipeline.name!r}: {_sides(pipeline)}")
        if pipeline.old and pipeline.new:
            lines += [f"  {sign} node {name!r}{what and ': ' + what}" for sign, name, what in _nodes(pipeline)]
            lines += [f"  {_container(each)}" for each in pipeline.containers]
        lines += [f"  {problem}" for problem in _problems(pipeline)]
    lines += [f"{_sign(each.old, each.new)} {each.what}: {_was(each)}" for each in diff.settings]
    if diff.pipelines:
        lines.append(_PRICES)
    return "\n".join(lines) + "\n"


def to_markdown(diff: Diff) -> str:
    """Write a difference as Markdown: a section for each pipeline that is not the same, and one for the settings."""
    title = f"## {_plain(diff.project)} on Vertex AI"
    if diff.is_empty:
        return f"{title}\n\nNothing changed (`{diff.new[:19]}`).\n"
    parts = [title, _digests(diff, "`")]
    for pipeline in diff.pipelines:
        kind = "added" if pipeline.old is None else "removed" if pipeline.new is None else "changed"
        parts += [f"### Pipeline {_code(pipeline.name)} {kind}", _plain(_sides(pipeline))]
        if pipeline.old and pipeline.new:
            rows = [
                ("renamed" if what.startswith(_RENAMED) else _FATES[sign], _code(name), _plain(what))
                for sign, name, what in _nodes(pipeline)
            ]
            parts += _table(("", "node", "what"), rows)
            parts += _table(("", "container", "machine", "an hour"), map(_container_cells, pipeline.containers))
        parts += map(_plain, _problems(pipeline))
    if diff.settings:
        parts.append("### Settings")
        parts += _table(
            ("setting", "before", "now"),
            [(_code(each.what), _code(_short(each.old)), _code(_short(each.new))) for each in diff.settings],
        )
    if diff.pipelines:
        parts.append(_PRICES)
    return "\n\n".join(parts) + "\n"


def _digests(diff: Diff, quote: str = "") -> str:
    new = f"{quote}{diff.new[:19]}{quote}"
    return f"manifest {quote}{diff.old[:19]}{quote} -> {new}" if diff.old else f"manifest {new}, the first one"


def _sign(old: object, new: object) -> str:
    return "+" if old is None else "-" if new is None else "~"


def _sides(pipeline: PipelineDiff) -> str:
    sides = [side for side in (pipeline.old, pipeline.new) if side]
    told = (
        [str(side.nodes) for side in sides],
        [_dollars(side.dollars_an_hour) for side in sides],
        [side.schedule or "none" for side in sides],
    )
    nodes, dollars, schedule = map(_arrow, told)
    return f"{nodes} {'node' if nodes == '1' else 'nodes'}, {dollars} an hour, schedule: {schedule}"


def _problems(pipeline: PipelineDiff) -> Iterator[str]:
    for side, words in ((pipeline.old, "Before"), (pipeline.new, "Now")):
        if side and side.problem:
            yield f"{words} it cannot be planned, so its containers are not compared: {side.problem}"


def _nodes(pipeline: PipelineDiff) -> Iterator[tuple[str, str, str]]:
    yield from (("+", name, "") for name in pipeline.added)
    yield from (("-", name, "") for name in pipeline.removed)
    yield from (("~", node.name, _what(node)) for node in pipeline.changed)


def _what(node: NodeDiff) -> str:
    renamed = [f"{_RENAMED} {node.before!r}"] if node.before != node.name else []
    return "; ".join([*renamed, *(f"{each.what} {_was(each)}" for each in node.changes)])


def _was(change: Change) -> str:
    old, new = change.old, change.new
    if isinstance(old, list) and isinstance(new, list):
        gone, come = ([item for item in each if item not in other] for each, other in ((old, new), (new, old)))
        if gone or come:
            return ", ".join([*(f"-{_short(item)}" for item in gone), *(f"+{_short(item)}" for item in come)])
    if old is None:
        return _short(new)
    return f"{_short(old)} -> {_short(new)}"


def _container(each: ContainerDiff) -> str:
    sign = {"added": "+", "removed": "-"}.get(each.fate, "~")
    return f"{sign} container {_name(each)!r}: {_machines(each)}, {_prices(each)} an hour{_origin(each)}"


def _name(each: ContainerDiff) -> str:
    return (each.after or each.before[0]).name


def _container_cells(each: ContainerDiff) -> Sequence[str]:
    return each.fate, _code(_name(each)) + _plain(_origin(each)), _plain(_machines(each)), _prices(each)


def _origin(each: ContainerDiff) -> str:
    if each.fate != "regrouped" or each.after is None:
        return ""
    if all(len(container.nodes) == 1 for container in each.before):
        return f"; runs {_some(each.after.nodes)}, each in a container of its own before"
    return f"; runs {_some(each.after.nodes)}, before in {_some([container.name for container in each.before])}"


def _some(names: Sequence[str]) -> str:
    more = [f"{len(names) - _FEW} more"] if len(names) > _FEW + 1 else []
    told = [*map(repr, names[: _FEW if more else None]), *more]
    return " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else told[0]


def _machines(each: ContainerDiff) -> str:
    return _arrow(" and ".join(sorted({container.machine for container in containers})) for containers in _sets(each))


def _prices(each: ContainerDiff) -> str:
    return _arrow(_dollars(_sum([container.dollars_an_hour for container in containers])) for containers in _sets(each))


def _sets(each: ContainerDiff) -> list[tuple[Container, ...]]:
    """The containers before, and the one now, as far as there are any."""
    return [containers for containers in (each.before, (each.after,) if each.after else ()) if containers]


def _arrow(values: Iterable[str]) -> str:
    return " -> ".join(dict.fromkeys(values))


def _sum(prices: Sequence[float | None]) -> float | None:
    known = [price for price in prices if price is not None]
    return sum(known) if len(known) == len(prices) else None


def _dollars(amount: float | None) -> str:
    return "$?" if amount is None else f"${amount:.2f}"


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _LONG else f"{text[:_LONG]}.."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = list(rows)
    if not cells:
        return []
    return ["\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *cells))]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, also in a table."""
    for sign in "\\`*_[]<|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _code(text: str) -> str:
    """Text in Markdown's code style, also in a table."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`".replace("|", "\\|")
