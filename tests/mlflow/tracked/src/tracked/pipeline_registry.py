from kedro.pipeline import Pipeline, node

from tracked import nodes


def register_pipelines():
    return {
        "__default__": Pipeline(
            [
                node(nodes.numbers, "params:size", "numbers", name="numbers"),
                node(nodes.train, ["numbers", "params:rate"], ["model", "accuracy"], name="train"),
                node(nodes.judge, ["numbers", "params:threshold"], "verdict", name="judge.strict"),
                node(nodes.report, ["model", "verdict"], "report", name="report"),
            ]
        ),
        "on_exit": Pipeline([node(nodes.outcome, "params:run_outcome", "end", name="tell")]),
        "untracked": Pipeline([node(nodes.numbers, "params:size", "untracked", name="untracked")]),
    }
