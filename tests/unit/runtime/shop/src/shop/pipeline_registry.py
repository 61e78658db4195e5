from functools import partial

from kedro.pipeline import Pipeline, node, pipeline

from shop import nodes


def register_pipelines():
    work = Pipeline(
        [
            node(nodes.numbers, "params:size", "numbers", name="numbers"),
            node(nodes.double, ["numbers", "params:factor"], "doubled", name="double"),
            node(nodes.total, "doubled", "total", name="total"),
            node(nodes.report, ["total", "numbers"], "report", name="report"),
        ]
    )
    kinds = Pipeline(
        [
            node(nodes.numbers, "params:size", name, name=f"make_{name.partition('@')[0]}")
            for name in ("memo", "cached", "cached_memo", "pattern_file", "hooked", "table@memory")
        ]
        + [
            node(nodes.keep, name, f"{name.partition('@')[0]}_copy", name=f"use_{name.partition('@')[0]}")
            for name in ("memo", "cached", "cached_memo", "pattern_file", "hooked", "table@memory")
        ]
    )
    wrong = Pipeline(
        [node(nodes.numbers, "params:size", "numbers", name="numbers")]
        + [node(function, "numbers", f"from_{function.__name__}", name=function.__name__) for function in nodes.WRONG]
        + [node(nodes.keep, "from_slow", "kept", name="keep")]
    )
    return {
        "__default__": work,
        "kinds": kinds,
        "wrong": wrong,
        "spoiled": Pipeline(
            [
                node(nodes.numbers, "params:size", "numbers", name="numbers"),
                node(nodes.not_json, "numbers", "total", name="total"),
            ]
        ),
        "look": Pipeline([node(nodes.keep, "parameters", "seen", name="look")]),
        "dashed": Pipeline([node(nodes.keep, "params:size", "--given", name="--node")]),
        "told": Pipeline([node(nodes.told, "parameters", "seen", name="look")]),
        "environment": Pipeline([node(nodes.environment, None, "seen", name="environment")]),
        "meeting": Pipeline(
            [
                node(partial(nodes.meet, "here", "there"), None, "met", name="meet"),
                node(partial(nodes.meet, "there", "here"), None, "met_too", name="meet_too"),
            ]
        ),
        "threads": Pipeline(
            [
                node(nodes.fail_beside, "params:size", "failed", name="fail"),
                node(nodes.go_on, "params:size", "went_on", name="go_on"),
                node(nodes.rest_in_thread, "params:size", "rested", name="rest"),
            ]
        ),
        "prices": Pipeline([node(nodes.keep, "prices", "seen", name="prices")]),
        "undeclared": Pipeline([node(nodes.keep, "nowhere", "seen", name="undeclared")]),
        "namespaced": pipeline(work, namespace="today", parameters={"params:size", "params:factor"}),
    }
