"""A protected MLflow server: the headers that vertexai.yml asks for are there, and renewed while a node runs."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from tests.mlflow.google import ACCOUNT, AUDIENCE, gate, google
from tests.mlflow.servers import Mlflow
from tests.unit.runtime.containers import Project, Result

PEER = "kedro_vertexai.auth.gcp"


def run(project: Project, node: str, cls: str, **params: Any) -> Result:
    provider = {"mlflow": {"request_header_provider": {"cls": cls, "params": params}}}
    return project.command(*project.arguments(node), "--settings", json.dumps(provider))


def test_a_token_that_expires_while_a_node_runs_is_renewed(server: Mlflow, tracked: Project) -> None:
    tracked.store("numbers", [1, 2, 3])
    (tracked.path / "requests").write_text("120")  # one each tenth of a second
    # A tenth of this time is left when a token is renewed: a slow machine may take as long for one request.
    seconds = 6
    with google(seconds) as tokens, gate(server.url) as protected:
        behind = tracked.with_variables(
            MLFLOW_TRACKING_URI=protected.url, GCE_METADATA_HOST=tokens.address, GCE_METADATA_IP=tokens.address
        )
        result = run(behind, "train", f"{PEER}.MLFlowGoogleOauthRequestHeaderProvider", client_id=AUDIENCE)
    assert result.code == 0, result.log
    assert protected.refused == 0
    assert protected.passed > 120
    # Renewed as often as they expire, and not at each request.
    assert len(tokens.given) >= 3
    assert all(after - before > seconds / 2 for before, after in pairwise(tokens.times))
    (made,) = server.runs(tracked.context.run_key)
    assert made.params == {"rate": "0.25"}


def test_the_token_of_another_account_comes_from_the_iam_credentials_api(server: Mlflow, tracked: Project) -> None:
    with google() as tokens, gate(server.url) as protected:
        behind = tracked.with_variables(MLFLOW_TRACKING_URI=protected.url)
        result = run(
            behind,
            "numbers",
            f"{PEER}.MLFlowGoogleIAMRequestHeaderProvider",
            client_id=AUDIENCE,
            service_account=ACCOUNT,
            endpoint=f"http://{tokens.address}",
        )
        assert result.code == 0, result.log
        assert tokens.given == [ACCOUNT]
        assert protected.refused == 0

        refused = run(behind, "numbers", f"{PEER}.MLFlowGoogleIAMRequestHeaderProvider", client_id=AUDIENCE)
        assert refused.code == 2
        assert "needs service_account" in refused.last["error"]
        bare = behind.run("numbers")
    assert bare.code == 2, bare.log
    assert "refuses the credentials of this container" in bare.last["error"]


def test_the_projects_own_provider_imports_its_base_from_kedro_vertexai(server: Mlflow, tracked: Project) -> None:
    (tracked.path / "src/tracked/auth.py").write_text(
        "from kedro_vertexai.auth.mlflow_request_header_provider import RequestHeaderProviderWithKedroContext\n"
        "class Mine(RequestHeaderProviderWithKedroContext):\n"
        "    def in_context(self):\n"
        "        return bool(self.params)\n"
        "    def request_headers(self):\n"
        "        return {'X-Mine': self.params['my_auth_info'] + self.kedro_context.project_path.name}\n"
    )
    with gate(server.url, "X-Mine") as protected:
        behind = tracked.with_variables(MLFLOW_TRACKING_URI=protected.url)
        result = run(behind, "numbers", "tracked.auth.Mine", my_auth_info="secret-")
    assert result.code == 0, result.log
    assert protected.values == {"secret-tracked"}
    assert protected.refused == 0


def test_kedro_vertexais_hook_in_settings_py_gets_its_params_from_vertexai_yml(
    server: Mlflow, tracked: Project
) -> None:
    # As kedro-vertexai's documents write it, and without that package.
    (tracked.path / "src/tracked/settings.py").write_text(
        'DISABLE_HOOKS_FOR_PLUGINS = ("kedro-mlflow",)\n'
        "from kedro_vertexai.auth.mlflow_request_header_provider_hook import MLFlowRequestHeaderProviderHook\n"
        "from kedro_vertexai.auth.gcp import MLFlowGoogleOAuthCredentialsProvider\n"
        "from kedro_mlflow.framework.hooks import MlflowHook\n"
        "HOOKS = (MlflowHook(), MLFlowRequestHeaderProviderHook(MLFlowGoogleOAuthCredentialsProvider))\n"
    )
    (tracked.path / "conf/base/vertexai.yml").write_text(
        f"run_config: {{mlflow: {{request_header_provider_params: {{client_id: {AUDIENCE}}}}}}}\n"
    )
    with google() as tokens, gate(server.url) as protected:
        behind = tracked.with_variables(
            MLFLOW_TRACKING_URI=protected.url, GCE_METADATA_HOST=tokens.address, GCE_METADATA_IP=tokens.address
        )
        result = behind.run("numbers")
    assert result.code == 0, result.log
    assert (tokens.given, protected.refused) == (["job"], 0)
