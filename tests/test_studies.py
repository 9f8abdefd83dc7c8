"""Long runs: resumed after a kill with nothing lost or counted twice, with provenance; statistics over seeds."""

import json
import os
import signal
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest

from semcom_utils.statistics import iqm, iqm_interval
from semcom_utils.studies import Study, load_result, run_study
from semcom_utils.studies.runner import task_key

SLOW_STUDY = """
import os, sys, time
from pathlib import Path
from semcom_utils.studies import Study, run_study

def run(task):
    with open(task["log"], "a") as log:
        log.write(f"{task['seed']}\\n")
    time.sleep(0.4)
    return {"value": task["seed"] ** 2}

def tasks():
    return [{"seed": s, "log": sys.argv[2]} for s in range(6)]

study = Study(tasks, run, lambda rs: {"total": sum(r["value"] for r in rs)}, name="slow", about="a slow study")
if __name__ == "__main__":
    run_study(study, jobs=1, folder=Path(sys.argv[1]), progress=False)
"""


def square(task):
    if task.get("fail"):
        raise RuntimeError("this task fails")
    return {"value": task["seed"] ** 2}


def total(records):
    return {"total": sum(r["value"] for r in records)}


def study(n=4, **task):
    return Study(
        lambda: [{"seed": s, **task} for s in range(n)], square, total, name="squares", about="squares of seeds"
    )


def test_killed_run_goes_on_and_counts_nothing_twice(tmp_path):
    script, log, folder = tmp_path / "slow.py", tmp_path / "log", tmp_path / "results"
    script.write_text(SLOW_STUDY)
    command = [sys.executable, str(script), str(folder), str(log)]
    first = subprocess.Popen(command)
    partial = folder / ".partial" / "slow"
    deadline = time.monotonic() + 60
    while len(list(partial.glob("*.json"))) < 2:
        assert time.monotonic() < deadline, "no record within a minute"
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    finished = len(list(partial.glob("*.json")))
    assert 2 <= finished < 6 and not (folder / "slow.json").exists()
    subprocess.run(command, check=True)
    result = json.loads((folder / "slow.json").read_text())
    assert result["summary"]["total"] == sum(s**2 for s in range(6))
    assert [r["task"]["seed"] for r in result["records"]] == list(range(6))
    runs = [int(line) for line in log.read_text().split()]
    assert sorted(set(runs)) == list(range(6)) and len(runs) <= 7  # only the task under way was begun again


def test_result_says_where_it_came_from(tmp_path):
    result = run_study(study(), jobs=1, folder=tmp_path, progress=False)
    assert result == load_result("squares", tmp_path)
    assert result["parameters"] == {"tasks": 4, "seeds": [0, 1, 2, 3]}
    origin = result["provenance"]
    assert {"commit", "packages", "processor", "date", "wall_time_s", "python"} <= set(origin)
    assert "numpy" in origin["packages"]
    assert origin["commits_of_records"] == sorted({r["meta"]["commit"] for r in result["records"]})
    text = json.dumps(origin)
    assert os.uname().nodename not in text and str(tmp_path) not in text


def test_finished_study_is_not_run_again(tmp_path):
    run_study(study(), jobs=1, folder=tmp_path, progress=False)
    never = Study(study().tasks, lambda task: 1 / 0, total, name="squares")
    assert run_study(never, jobs=1, folder=tmp_path, progress=False)["summary"]["total"] == 14


def test_more_tasks_extend_a_study(tmp_path):
    run_study(study(3), jobs=1, folder=tmp_path, progress=False)
    assert run_study(study(5), jobs=1, folder=tmp_path, progress=False)["summary"]["total"] == 30


def test_failing_task_keeps_the_finished_ones(tmp_path):
    tasks = [{"seed": 0}, {"seed": 1}, {"seed": 2, "fail": True}]
    with pytest.raises(RuntimeError, match="this task fails"):
        run_study(Study(lambda: tasks, square, total, name="part"), jobs=1, folder=tmp_path, progress=False)
    assert len(list((tmp_path / ".partial" / "part").glob("*.json"))) == 2
    assert not (tmp_path / "part.json").exists()


def test_tasks_must_differ(tmp_path):
    with pytest.raises(ValueError, match="no task twice"):
        run_study(Study(lambda: [{"seed": 1}] * 2, square, total, name="same"), folder=tmp_path, progress=False)
    with pytest.raises(ValueError, match="at least one task"):
        run_study(Study(list, square, total, name="none"), folder=tmp_path, progress=False)


def test_key_ignores_the_order_of_parameters_and_nothing_else():
    assert task_key({"a": 1, "b": [1, 2]}) == task_key({"b": [1, 2], "a": 1})
    assert task_key({"a": 1}) != task_key({"a": 2})
    with pytest.raises(ValueError):
        task_key({"a": float("nan")})


def test_callers_joblib_backend_is_used(tmp_path):
    with joblib.parallel_config(backend="threading"):
        assert run_study(study(6), jobs=2, folder=tmp_path, progress=False)["summary"]["total"] == 55


def test_missing_result_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m semcom_utils.studies isgc/training"):
        load_result("isgc/training", tmp_path)


def test_every_listed_study_has_its_tasks():
    out = subprocess.run([sys.executable, "-m", "semcom_utils.studies"], capture_output=True, text=True, check=True)
    assert "isgc/training" in out.stdout and "digital_link" in out.stdout
    wrong = subprocess.run([sys.executable, "-m", "semcom_utils.studies", "isgc"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "no study named isgc" in wrong.stderr


def test_interquartile_mean_ignores_the_outer_quarters():
    assert iqm([0, 0, 1, 2, 3, 4, 100, 1000]) == pytest.approx(2.5)
    assert iqm(np.array([[1.0] * 4, [0.0, 1.0, 3.0, 99.0]])) == pytest.approx([1.0, 2.0])


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(60):
        interval = iqm_interval(rng.normal(3.0, 1.0, 20), rng)
        inside += interval["low"] <= 3.0 <= interval["high"]
    assert 48 <= inside <= 60  # a percentile bootstrap of 20 values covers a little less than 95%


def test_interval_of_equal_values_is_a_point():
    assert iqm_interval([0.5] * 10, np.random.default_rng(0)) == {"estimate": 0.5, "low": 0.5, "high": 0.5, "n": 10}


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, np.nan]])
def test_bad_values_are_named(values):
    with pytest.raises(ValueError, match="values"):
        iqm_interval(values, np.random.default_rng(0))
