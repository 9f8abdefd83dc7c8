"""A study for the tests on clusters: workers import it, so it needs nothing but NumPy."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from semcom_utils.studies import Study

#: Whether tasks may run in the test's own process; a worker's copy of this module says False.
AT_HOME = False


def node() -> str:
    """Which node of a Ray cluster, or which process, this is."""
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        return sys.modules["ray"].get_runtime_context().get_node_id()
    return str(os.getpid())


def run(task: dict) -> dict:
    """A sum whose last digit depends on the order of its terms; logs where it ran; may kill its worker once."""
    if os.getpid() == task["driver"] and not AT_HOME:
        raise AssertionError("a task of a cluster ran in the driver")
    with open(task["log"], "a", encoding="utf-8") as log:
        log.write(f"{task['seed']} {node()}\n")
    if task["seed"] == task.get("kills") and not AT_HOME:
        grave = Path(task["log"] + ".grave")
        if not grave.exists():
            grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(task.get("seconds", 0.0))
    x = np.random.default_rng(task["seed"]).normal(size=(60, 60))
    return {"trace": float(np.trace(x @ x.T @ x)), "mean": float(x.mean())}


def study(log: Path, n: int = 6, **task: object) -> Study:
    """``n`` seeds of it."""
    return Study(
        lambda: [{"seed": s, "log": str(log), "driver": os.getpid(), **task} for s in range(n)],
        run,
        lambda records: {"traces": [r["trace"] for r in records], "total": float(np.sum([r["mean"] for r in records]))},
        name="cluster",
        about="a study for the tests on clusters",
    )
