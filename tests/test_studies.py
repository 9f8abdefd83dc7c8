"""Long runs: resumed after a kill with nothing lost or counted twice, with provenance; statistics over seeds."""

import ast
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import joblib
import numpy as np
import pytest

from semcom_utils.statistics import highest, iqm, iqm_interval, lowest
from semcom_utils.studies import Study, catalogue, find, load_result, provenance, run_study, runner, task_key
from semcom_utils.studies.__main__ import main
from semcom_utils.studies.provenance import _canonical, checkout_state, code_hash
from semcom_utils.studies.runner import summarise_again
from semcom_utils.studies.tasks import with_seeds, with_small_tasks

PACKAGE = Path(provenance.__file__).parents[1]

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


def logged(task):
    with open(task["log"], "a") as log:
        log.write(f"{task['seed']}\n")
    return {"value": task["seed"] ** 2, "text": "x" * task.get("length", 0)}


def deadly(task):
    """Takes its worker along: the first time, or always."""
    logged(task)
    grave = Path(task["grave"])
    if task["seed"] == 2 and (task["always"] or not grave.exists()):
        grave.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": task["seed"] ** 2}


def with_log(log, n=4, **task):
    return Study(lambda: [{"seed": s, "log": str(log), **task} for s in range(n)], logged, total, name="logged")


def seeds_in(log):
    return [int(line) for line in log.read_text().split()] if log.exists() else []


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


@pytest.mark.slow
def test_killed_worker_costs_its_task_another_attempt(tmp_path, capsys):
    tasks = [
        {"seed": s, "log": str(tmp_path / "log"), "grave": str(tmp_path / "grave"), "always": False} for s in range(6)
    ]
    killed = Study(lambda: tasks, deadly, total, name="killed")
    result = run_study(killed, jobs=2, folder=tmp_path / "out", progress=False)
    assert result["summary"]["total"] == sum(s**2 for s in range(6))
    assert [r["task"]["seed"] for r in result["records"]] == list(range(6))
    assert seeds_in(tmp_path / "log").count(2) == 2, "the killed task ran twice, the second time to its end"
    assert "a worker died" in capsys.readouterr().err


@pytest.mark.slow
def test_task_that_always_kills_its_worker_ends_the_run_and_keeps_the_others(tmp_path):
    tasks = [
        {"seed": s, "log": str(tmp_path / "log"), "grave": str(tmp_path / "grave"), "always": True} for s in range(4)
    ]
    killer = Study(lambda: tasks, deadly, total, name="killer")
    with pytest.raises(Exception, match="terminated|died|abruptly") as raised:
        run_study(killer, jobs=2, folder=tmp_path / "out", progress=False)
    assert any("1 tasks of killer are left" in note for note in raised.value.__notes__)
    assert len(list((tmp_path / "out" / ".partial" / "killer").glob("*.json"))) == 3


def test_second_driver_is_refused(tmp_path):
    script, folder = tmp_path / "slow.py", tmp_path / "results"
    script.write_text(SLOW_STUDY)
    first = subprocess.Popen([sys.executable, str(script), str(folder), str(tmp_path / "log")])
    try:
        deadline = time.monotonic() + 60
        while not list((folder / ".partial" / "slow").glob("*.json")):
            assert time.monotonic() < deadline, "no record within a minute"
            time.sleep(0.05)
        again = Study(study().tasks, square, total, name="slow")
        with pytest.raises(RuntimeError, match="another process runs slow into this folder"):
            run_study(again, jobs=1, folder=folder, progress=False)
    finally:
        first.kill()
        first.wait()
    # ... and the lock of a killed driver is no lock
    assert run_study(again, jobs=1, folder=folder, progress=False)["summary"]["total"] == 14


def test_full_disk_leaves_the_old_result_whole(tmp_path):
    """RLIMIT_FSIZE: files of more than 8 kB can't be written; records are smaller, the result is larger."""
    log, out = tmp_path / "log", tmp_path / "out"
    old = run_study(with_log(log, 3, length=1000), jobs=1, folder=out, progress=False)
    before = (out / "logged.json").read_text()
    code = f"""
        import resource, sys
        from pathlib import Path
        from test_studies import run_study, with_log
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
        run_study(with_log({str(log)!r}, 12, length=1000), jobs=1, folder=Path({str(out)!r}), progress=False)
    """
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 1 and "logged.json could not be written" in done.stderr, done.stderr
    assert (out / "logged.json").read_text() == before and load_result("logged", out) == old
    assert not list(out.rglob("*.tmp"))
    whole = run_study(with_log(log, 12, length=1000), jobs=1, folder=out, progress=False)
    assert whole["summary"]["total"] == sum(s**2 for s in range(12))
    assert seeds_in(log) == list(range(12)), "with room again, no task had to be repeated"


def test_broken_records_are_named_and_their_tasks_repeated(tmp_path, capsys):
    log, out = tmp_path / "log", tmp_path / "out"
    run_study(with_log(log, 6), jobs=1, folder=out, progress=False)
    at = {r.stem: json.loads(r.read_text()) for r in (out / ".partial" / "logged").glob("*.json")}
    key = {record["task"]["seed"]: name for name, record in at.items()}
    partial = out / ".partial" / "logged"
    broken = {
        0: "",
        1: (partial / f"{key[1]}.json").read_text()[:-40],
        2: json.dumps({**at[key[2]], "task": at[key[3]]["task"]}),
        4: json.dumps({"task": at[key[4]]["task"], "values": {}, "meta": {}}),
    }
    for seed, text in broken.items():
        (partial / f"{key[seed]}.json").write_text(text)
    (partial / "0.json.123.tmp").write_text("{")  # a driver was killed while it wrote
    result = run_study(with_log(log, 6), jobs=1, folder=out, progress=False)
    assert result["summary"]["total"] == sum(s**2 for s in range(6))
    assert seeds_in(log) == [*range(6), *broken]
    said = capsys.readouterr().err
    assert all(f"{key[seed]}.json: an empty or broken record" in said for seed in broken)
    assert not list(partial.glob("*.tmp"))


def test_record_of_older_code_is_named_and_set_aside(tmp_path):
    script, log, folder = tmp_path / "slow.py", tmp_path / "log", tmp_path / "results"
    source = SLOW_STUDY.replace("time.sleep(0.4)", "time.sleep(0)")
    command = [sys.executable, str(script), str(folder), str(log)]

    def run(text):
        script.write_text(text)
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return json.loads((folder / "slow.json").read_text()), said

    first, _ = run(source)
    same, said = run("# a comment\n" + source.replace("def run(task):", 'def run(task):\n    """A docstring."""'))
    assert len(seeds_in(log)) == 6 and said == "" and same["records"] == first["records"]
    other, said = run(source.replace("** 2", "** 3"))
    assert len(seeds_in(log)) == 12 and said.count("made by other code") == 6
    assert other["summary"]["total"] == sum(s**3 for s in range(6))
    assert {r["meta"]["code"] for r in other["records"]} == {other["provenance"]["code"]}
    assert len(list((folder / ".partial" / "slow" / "older").glob("*.json"))) == 6


def test_worker_with_other_code_is_refused():
    with pytest.raises(RuntimeError, match="a worker's code is not the driver's"):
        runner._run_one(with_seeds, {}, "key", "0" * 20, "squares", {})


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_commit_is_that_of_the_start_of_the_task(tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(PACKAGE, checkout / "semcom_utils", ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "init", "-q", str(checkout))
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "first")
    first = git(checkout, "rev-parse", "HEAD")
    script = tmp_path / "commits.py"
    script.write_text(
        textwrap.dedent("""
        import subprocess, sys
        from pathlib import Path
        from semcom_utils.studies import Study, run_study

        def run(task):
            who = ["-c", "user.name=a", "-c", "user.email=a@b"]
            subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "x"], cwd=sys.argv[1], check=True)
            return {"value": 1}

        study = Study(lambda: [{"seed": int(sys.argv[2])}], run, lambda records: {}, name="commits")
        run_study(study, jobs=1, folder=Path(sys.argv[1]) / "out", progress=False)
        """)
    )

    def once(seed):
        subprocess.run(
            [sys.executable, str(script), str(checkout), str(seed)],
            check=True, env={**os.environ, "PYTHONPATH": str(checkout)},
        )  # fmt: skip
        result = json.loads((checkout / "out" / "commits.json").read_text())
        return result["records"][0]["meta"], result["provenance"]

    meta, origin = once(0)
    second = git(checkout, "rev-parse", "HEAD")
    assert second != first, "the task committed"
    assert meta["commit"] == origin["commit"] == first and meta["uncommitted_changes"] is False
    assert origin["uncommitted_changes_in_records"] == 0
    (checkout / "semcom_utils" / "new.py").write_text("x = 1\n")
    meta, origin = once(1)
    assert meta["commit"] == second and meta["uncommitted_changes"] is True
    assert origin["uncommitted_changes_in_records"] == 1 and origin["commits_of_records"] == [second]


def test_commit_is_known_of_a_checkout_of_its_own_only(tmp_path, monkeypatch):
    unknown = {"commit": "unknown", "uncommitted_changes": None}
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    assert checkout_state(inner) == unknown, "an unpacked archive"
    git(tmp_path, "init", "-q", "outer")
    git(inner.parent, "commit", "-q", "--allow-empty", "-m", "x")
    head = git(inner.parent, "rev-parse", "HEAD")
    assert checkout_state(inner) == unknown, "inside of another repository"
    assert checkout_state(inner.parent) == {"commit": head, "uncommitted_changes": False}
    monkeypatch.setenv("GIT_DIR", str(inner.parent / ".git"))  # as in a hook
    assert checkout_state(inner) == unknown


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A package in place of ours whose study imports at the top, in a function, and through a lazy package."""
    root = tmp_path / "semcom_utils"
    files = {
        "__init__.py": "VERSION = 1\n",
        "study.py": "from semcom_utils.top import f\n\ndef run(task):\n    from .inside import g\n    return f, g\n",
        "top.py": '"""About."""\nfrom semcom_utils import lazy, figures\nx = 1\n',
        "inside.py": "x = 1\n",
        "lazy/__init__.py": "NAMES = {'h': '.hidden'}\n",
        "lazy/hidden.py": "x = 1\n",
        "figures.py": "x = 1\n",
        "unrelated.py": "x = 1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(provenance, "_PACKAGE", root)
    provenance._stripped.cache_clear()
    yield root
    provenance._stripped.cache_clear()


@pytest.mark.parametrize(
    "file, old, new, changes",
    [
        ("top.py", "x = 1", "x = 2", True),
        ("inside.py", "x = 1", "x = 2", True),
        ("lazy/hidden.py", "x = 1", "x = 2", True),
        ("study.py", "return f, g", "return g, f", True),
        ("top.py", '"""About."""', '"""Other."""', False),
        ("inside.py", "x = 1", "# why\nx   =   1  # because", False),
        ("figures.py", "x = 1", "x = 2", False),
        ("unrelated.py", "x = 1", "x = 2", False),
        ("__init__.py", "VERSION = 1", "VERSION = 2", False),
    ],
)
def test_code_hash_sees_what_may_change_a_number_and_nothing_else(tree, file, old, new, changes):
    before = code_hash("semcom_utils.study")
    assert old in (tree / file).read_text()
    (tree / file).write_text((tree / file).read_text().replace(old, new))
    provenance._stripped.cache_clear()
    assert (code_hash("semcom_utils.study") != before) == changes


def test_code_hash_is_of_no_version_of_python(monkeypatch):
    # Later versions add fields, which are empty in older code, and write the same string with other quotes.
    before = _canonical(ast.parse("f'{a[\"b\"]}'\ndef f(x): pass"))
    assert before == _canonical(ast.parse("f\"{a['b']}\"\n\ndef f(x):\n    pass"))
    monkeypatch.setattr(ast.FunctionDef, "_fields", (*ast.FunctionDef._fields, "type_params"))
    later = ast.parse("f'{a[\"b\"]}'\ndef f(x): pass")
    later.body[1].type_params = []
    assert before == _canonical(later)
    assert before != _canonical(ast.parse("f'{a[\"c\"]}'\ndef f(x): pass"))


def test_code_without_a_file_is_refused():
    with pytest.raises(ValueError, match="module must be one with a source file, got 'nowhere'"):
        code_hash("nowhere")


def test_another_input_is_another_task(tmp_path, monkeypatch):
    assert task_key({"a": 1}, {"x": "1"}) != task_key({"a": 1}, {"x": "2"}) != task_key({"a": 1})
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    log = tmp_path / "log"
    readers = Study(with_log(log).tasks, logged, total, reads=("squares",), name="reader")

    def again(n):
        run_study(study(n), jobs=1, progress=False)  # into RESULTS
        runner._hash_here.cache_clear()  # as a new process
        return run_study(readers, jobs=1, folder=tmp_path / "out", progress=False)

    first = again(3)
    assert first["provenance"]["reads"] == {"squares": runner.file_hash("squares")}
    assert again(3)["records"] == first["records"] and len(seeds_in(log)) == 4
    again(4)
    assert len(seeds_in(log)) == 8


def reads_in_secret(task):
    return {"value": load_result("squares")["summary"]["total"]}


def test_undeclared_reading_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    run_study(study(), jobs=1, progress=False)
    tasks = study(1).tasks
    how = {"jobs": 1, "folder": tmp_path / "out", "progress": False}
    with pytest.raises(ValueError, match="study secret must declare in `reads` or `compares` what it reads"):
        run_study(Study(tasks, reads_in_secret, total, name="secret"), **how)
    open_ = Study(tasks, reads_in_secret, total, reads=("squares",), name="open")
    assert run_study(open_, **how)["summary"]["total"] == 14
    compared = Study(tasks, square, lambda _: load_result("squares")["summary"], compares=("squares",), name="compared")
    origin = run_study(compared, **how)["provenance"]
    assert origin["reads"] == {} and list(origin["summary"]["compares"]) == ["squares"]


def test_summary_can_be_made_anew_without_running(tmp_path):
    before = run_study(study(), jobs=1, folder=tmp_path, progress=False)
    other = Study(study().tasks, square, lambda records: {"n": len(records)}, name="squares")
    after = summarise_again(other, folder=tmp_path)
    assert after["summary"] == {"n": 4} and after["records"] == before["records"]
    assert after["provenance"]["commit"] == before["provenance"]["commit"]
    assert {"commit", "uncommitted_changes", "code", "date"} <= set(after["provenance"]["summary"])
    with pytest.raises(ValueError, match="must be those of the study's tasks: run it again"):
        summarise_again(study(5), folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="python -m semcom_utils.studies never"):
        summarise_again(Study(study().tasks, square, total, name="never"), folder=tmp_path)


def test_command_line_runs_extends_and_sums_up(tmp_path, capsys):
    name, out = "gai_semcom_networks/versions", ["--out", str(tmp_path)]
    assert main([name, "--small", "--seeds", "2", "--jobs", "1", *out]) == 0
    assert "2 records" in capsys.readouterr().out
    two = load_result(name, tmp_path)
    assert main([name, "--small", "--seeds", "3", "--jobs", "1", *out]) == 0
    three = load_result(name, tmp_path)
    assert three["records"][:2] == two["records"] and three["command"].endswith(f"{name} --small --seeds 3")
    assert main([name, "--small", "--seeds", "3", "--summary", *out]) == 0
    assert load_result(name, tmp_path)["summary"] == three["summary"]
    for wrong in (["--seeds", "0"], ["--address", "tcp://127.0.0.1:1"], ["--backend", "moon"]):
        with pytest.raises(SystemExit):
            main([name, *wrong])


def test_more_seeds_keep_the_fewer_and_never_meet():
    own = [{"seed": 10 * i + s, "x": i} for i in range(3) for s in range(2)] + [{"x": "fixed"}]
    few, many = with_seeds(own, 4), with_seeds(own, 9)
    assert all(task in many for task in few) and {"x": "fixed"} in few
    seeds = [task["seed"] for task in many if "seed" in task]
    assert len(seeds) == len(set(seeds)) == 27
    assert all(task in few for task in own)
    assert with_seeds(own, 1) == [{"x": "fixed"}, *({"seed": 10 * i, "x": i} for i in range(3))]
    paired = with_seeds([{"seed": s, "x": i} for i in range(2) for s in (5, 6)], 4)
    assert [sorted(t["seed"] for t in paired if t["x"] == i) for i in range(2)] == [[5, 6, 7, 8]] * 2
    with pytest.raises(ValueError, match="n must be"):
        with_seeds(own, 0)
    with pytest.raises(ValueError, match="seed must be a whole number"):
        with_seeds([{"seed": 0.5}], 1)
    with pytest.raises(ValueError, match="tasks must have seeds"):
        with_seeds([{"x": 1}], 1)


def test_small_tasks():
    tasks = [{"seed": s, "steps": 100, "settings": {"copies": 64}} for s in range(2)] + [{"seed": 0, "other": 1}]
    small = with_small_tasks(tasks, {"steps": 1, "settings.copies": 2, "+samples": 3, "seed": 0})
    assert small == [
        {"seed": 0, "steps": 1, "settings": {"copies": 2}, "samples": 3},
        {"seed": 0, "other": 1, "samples": 3},
    ]
    assert tasks[0]["settings"]["copies"] == 64, "the tasks themselves stay"
    with pytest.raises(ValueError, match="small must name parameters of the tasks, got settings.copy"):
        with_small_tasks(tasks, {"settings.copy": 1})


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


def test_a_stored_result_has_a_record_a_line(tmp_path):
    run_study(study(), jobs=1, folder=tmp_path, progress=False)
    text = (tmp_path / "squares.json").read_text(encoding="utf-8")
    result = json.loads(text)
    rows = text.split('"records": [\n')[1].split("\n ]\n}")[0].splitlines()
    assert [json.loads(row.rstrip(",")) for row in rows] == result["records"]
    assert (
        len(rows) == 4 and text.startswith('{\n "study": ') and '\n  "commit": ' in text
    )  # what people read has lines of its own


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


def test_page_shows_the_measured_cost():
    """Nobody types a figure: the table that book/studies.md includes is drawn from the stored measurement."""
    root = Path(__file__).parents[1]
    spec = importlib.util.spec_from_file_location("bench_studies", root / "benchmarks" / "bench_studies.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    stored = root / "data" / "results" / "foundations" / "engine"
    shown = stored.with_suffix(".md").read_text(encoding="utf-8")
    assert shown == bench.table(json.loads(stored.with_suffix(".json").read_text(encoding="utf-8")))
    page = (root / "book" / "studies.md").read_text(encoding="utf-8")
    assert "```{include} ../data/results/foundations/engine.md" in page


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


def test_single_value_has_no_interval_and_counts_with_its_estimate():
    one, two = iqm_interval([0.2]), iqm_interval([0.1, 0.5, 0.9])
    assert one == {"estimate": 0.2, "low": None, "high": None, "n": 1}
    assert lowest([one, two]) is two and highest([one, two]) is two and lowest([one]) is one


def test_every_studys_code_has_a_hash_in_little_time():
    """A package's strings may name modules; one that ends in a dot must not name the package again, and again."""
    began = time.process_time()
    hashes = {find(name).run.__module__: code_hash(find(name).run.__module__) for name in catalogue()}
    same: dict[str, set[str]] = {}
    for module, code in hashes.items():
        same.setdefault(code, set()).add(module)
    # modules of one topic that import each other in a ring are one piece of code; all others differ
    assert {frozenset(name.rpartition("_")[0] for name in group) for group in same.values() if len(group) > 1} <= {
        frozenset({"semcom_utils.papers.gai_semcom_networks.transceiver"})
    }
    assert time.process_time() - began < 60
    assert provenance._source("semcom_utils.physical.") is None
