from kedro.pipeline import node, pipeline


def load(country):
    return {"country": country, "seen": ["load"]}


def clean(rows):
    return {**rows, "seen": [*rows["seen"], "clean"]}


def report(cleaned, totals, country):
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
