"""Node functions that a test can make fail, wait, or log by themselves: files in the project's folder say so."""

import subprocess
import sys
import time
from pathlib import Path

import mlflow


def numbers(size):
    return list(range(size))


def train(values, rate):
    with mlflow.start_run(run_name="fold", nested=True):
        mlflow.log_metric("loss", 1 - rate)
    mlflow.log_metric("own", rate)
    for _ in range(int(_said("requests"))):
        mlflow.set_tag("still", "here")
        time.sleep(0.1)
    return {"rate": rate, "size": len(values)}, 0.75


def judge(values, threshold):
    _wait_while("hold")
    if Path("broken").exists():
        raise ValueError("this node is broken")
    return max(values) > threshold


def report(model, verdict):
    return {"model": model, "verdict": verdict}


def log_apart(size):
    with mlflow.start_run(run_name="inside", nested=True) as run:
        inside = run.info.run_id
    subprocess.run([sys.executable, "-c", f"import mlflow; mlflow.log_metric('apart', {size})"], check=True)
    return inside


def fit(values):
    return sum(values)


def predict(fitted, values):
    return [fitted + value for value in values]


def outcome(run_outcome):
    return {"state": run_outcome["state"]}


def _said(name):
    path = Path(name)
    return path.read_text() if path.exists() else "0"


def _wait_while(name):
    if Path(name).exists():
        Path("waiting").touch()
    while Path(name).exists():
        time.sleep(0.02)
