from kedro.pipeline import Pipeline, node
from kedro_mlflow.pipeline import pipeline_ml_factory

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
        "apart": Pipeline([node(nodes.log_apart, "params:size", "apart", name="log_apart")]),
        "ml": pipeline_ml_factory(
            training=Pipeline(
                [
                    node(nodes.numbers, "params:size", "instances", name="instances"),
                    node(nodes.fit, "instances", "fitted", name="fit"),
                ]
            ),
            inference=Pipeline([node(nodes.predict, ["fitted", "instances"], "predictions", name="predict")]),
            input_name="instances",
            log_model_kwargs={"name": "tracked_model"},
        ),
        "untracked": Pipeline([node(nodes.numbers, "params:size", "untracked", name="untracked")]),
    }
