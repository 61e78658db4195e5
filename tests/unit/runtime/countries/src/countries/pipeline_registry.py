import os
from pathlib import Path

from kedro.pipeline import node, pipeline


def load(country):
    return {"country": country, "seen": ["load"]}


def clean(rows):
    return {**rows, "seen": [*rows["seen"], "clean"]}


def report(cleaned, totals, country):
    fails = Path(os.environ.get("FAILING", "nothing")) / country
    if fails.exists():  # as often as it says
        left = int(fails.read_text()) - 1
        fails.write_text(str(left)) if left else fails.unlink()
        raise ValueError("not yet")
    return {"asked": country, "got": cleaned["country"], "totals": totals["country"], "seen": cleaned["seen"]}


def total(rows):
    return {"country": rows["country"]}


def register_pipelines():
    making = [
        node(load, "params:country", "rows", name="load"),
        node(clean, "rows", "cleaned", name="clean"),
        node(total, "rows", "totals", name="total"),
    ]
    using = [node(report, ["cleaned", "totals", "params:country"], "answer", name="report")]
    return {"__default__": pipeline([*making, *using]), "make": pipeline(making), "use": pipeline(using)}
