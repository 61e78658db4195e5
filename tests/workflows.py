"""Runs the steps of a workflow in order, as a runner of GitHub or GitLab would, in a fresh clone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.fresh_project import run

#: What a runner does for an action: nothing here, since the clone, the Python and the credentials are at hand.
ACTIONS = ("actions/checkout@v4", "actions/setup-python@v5", "google-github-actions/auth@v2")
VARIABLES = {
    "vars.WORKLOAD_IDENTITY_PROVIDER": "projects/1/locations/global/workloadIdentityPools/ci/providers/github",
    "vars.SERVICE_ACCOUNT": "kedro-ci@my-project.iam.gserviceaccount.com",
    "vars.DAGS_FOLDER": "gs://my-project-kedro/dags",
}
GITLAB_VARIABLES = {
    "WORKLOAD_IDENTITY_PROVIDER": "projects/1/locations/global/workloadIdentityPools/ci/providers/gitlab",
    "SERVICE_ACCOUNT": "kedro-ci@my-project.iam.gserviceaccount.com",
    "DAGS_FOLDER": "gs://my-project-kedro/dags",
    "GOOGLE_TOKEN": "a-token-of-gitlab",
}
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.test")


def commit_all(project: Path) -> str:
    """Commit all files of a project, whose repository is made if need be.

    :return: the commit.
    """
    if not (project / ".git").exists():
        run(project, "git", "init", "--quiet", "--initial-branch", "main")
    run(project, "git", "add", ".")
    run(project, *GIT, "commit", "--quiet", "--message", "All of it")
    return run(project, "git", "rev-parse", "HEAD").strip()


def clone(project: Path, folder: Path) -> Path:
    """Clone a project's repository into a folder that is not there yet."""
    run(project, "git", "clone", "--quiet", str(project), str(folder))
    return folder


def run_workflow(clone: Path, name: str, env: Mapping[str, str]) -> str:
    """Run each step of a workflow's job, in order; each must succeed.

    :param name: the file's name below ``.github/workflows``, without its ending.
    :param env: the runner's environment.
    :return: what the steps wrote.
    """
    workflow = yaml.safe_load((clone / f".github/workflows/{name}.yml").read_text())
    values = {**VARIABLES, "github.sha": run(clone, "git", "rev-parse", "HEAD").strip()}
    (job,) = workflow["jobs"].values()
    env = {**env, **{key: filled(value, values) for key, value in workflow["env"].items()}}
    return "".join(_run_step(clone, step, values, env) for step in job["steps"])


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of GitHub's expressions; one without a value fails."""
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda match: values[match[1]], text)


def _run_step(clone: Path, step: Mapping[str, Any], values: Mapping[str, str], env: Mapping[str, str]) -> str:
    if "uses" in step:
        assert step["uses"] in ACTIONS
        for value in step.get("with", {}).values():
            filled(value, values)
        if "auth" in step["uses"]:
            (clone / "gha-creds-0123456789abcdef.json").write_text("{}")
        return ""
    command = ["bash", "-e", "-c", filled(step["run"], values)]
    done = subprocess.run(command, cwd=clone, env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{step['run']}: {done.stdout}{done.stderr}"
    return f"$ {step['run']}\n{done.stdout}{done.stderr}"


def run_gitlab_job(clone: Path, name: str, env: Mapping[str, str]) -> str:
    """Run a job of ``.gitlab-ci.yml``: all its lines in one shell, each of which must succeed.

    :param env: the runner's environment; ``HOME`` is a folder that the job may write to.
    :return: what the lines wrote.
    """
    jobs = yaml.safe_load((clone / ".gitlab-ci.yml").read_text())
    job = {**jobs[jobs[name]["extends"]], **jobs[name]}
    commit = run(clone, "git", "rev-parse", "HEAD").strip()
    values = {**GITLAB_VARIABLES, "CI_COMMIT_SHA": commit, "CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BRANCH": "main"}
    assert set(job["id_tokens"]) == {"GOOGLE_TOKEN"}
    own = {key: re.sub(r"\$(\w+)", lambda match: values[match[1]], text) for key, text in job["variables"].items()}
    script = "\n".join([*job["before_script"], *job["script"]])
    done = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=clone,
        env={**env, **values, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
