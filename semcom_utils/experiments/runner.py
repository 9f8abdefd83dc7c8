"""Run a study's tasks on all cores, keep each record the moment it is there, sum up, and say where it all came from.

A study is a list of small tasks (one seed of one method, one point of a curve). Each finished task leaves one file
under ``.partial``, put in place by a rename, which either happens or does not: after ``kill -9`` a second call finds
every finished record, repeats only the tasks that were under way, and counts nothing twice. A record is known by its
task alone: after a change of the code that matters, delete ``.partial/NAME`` to run everything again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import joblib
from tqdm import tqdm

__all__ = ["RESULTS", "Study", "load_result", "provenance", "run_study", "task_key"]

#: Where results live: ``data/results`` of the checkout that the package was imported from.
RESULTS = Path(__file__).resolve().parents[2] / "data" / "results"

_PACKAGES = (
    "numpy", "scipy", "torch", "gymnasium", "stable-baselines3", "sionna-no-rt", "scikit-image", "diffusers",
    "transformers", "semcom-utils",
)


@dataclass(frozen=True)
class Study:
    """What :func:`run_study` needs to know.

    Attributes
    ----------
    name : str
        Name of the results file, without its suffix.
    tasks : callable
        Returns the list of tasks: dicts that JSON can hold, all different, seeds included.
    run : callable
        Module-level function that maps one task to its record (a dict that JSON can hold).
    summarise : callable
        Maps the records, in the order of the tasks, to the summary that pages quote.
    about : str
        One sentence for the listing and the results file.
    """

    name: str
    tasks: Callable[[], list[dict]]
    run: Callable[[dict], dict]
    summarise: Callable[[list[dict]], dict]
    about: str


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)


def task_key(task: dict) -> str:
    """Name of a task's record: the same parameters, in whatever order, give the same key."""
    return hashlib.sha256(_canonical(task).encode()).hexdigest()[:20]


def _write(path: Path, value: object, **style) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps(value, allow_nan=False, ensure_ascii=False, **style) + "\n", encoding="utf-8")
    os.replace(draft, path)


def _run_one(run: Callable[[dict], dict], task: dict, path: Path) -> None:
    start = time.perf_counter()
    record = run(task)
    seconds = round(time.perf_counter() - start, 2)
    _write(path, {"task": task, "wall_time_s": seconds, "commit": _git("rev-parse", "HEAD") or "unknown", **record})


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def provenance() -> dict:
    """What a reader needs to judge or repeat a run: commit, versions, processor, date. No host name, no path."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "uncommitted_changes": bool(_git("status", "--porcelain", "--", "..")),
        "python": platform.python_version(),
        "packages": versions,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def run_study(study: Study, *, jobs: int = -1, folder: Path | None = None, progress: bool = True) -> dict:
    """Run what is left of a study, then write and return ``NAME.json``.

    Tasks go through joblib, so that a caller chooses where they run with ``joblib.parallel_config``. Its own default is
    one process a core, with the core's share of threads each.

    Parameters
    ----------
    study : Study
    jobs : int
        Processes; -1 is one a core.
    folder : Path, optional
        Instead of ``data/results``.
    progress : bool
        Whether to draw a bar on standard error.

    Raises
    ------
    ValueError
        If two tasks are the same or there is none.
    Exception
        Whatever a task raised; the records of the finished ones stay.
    """
    folder = RESULTS if folder is None else Path(folder)
    tasks = study.tasks()
    keys = [task_key(task) for task in tasks]
    if not tasks or len(set(keys)) != len(keys):
        raise ValueError(f"study.tasks must return at least one task and no task twice, got {len(tasks)} tasks with "
                         f"{len(set(keys))} different keys")
    paths = [folder / ".partial" / study.name / f"{key}.json" for key in keys]
    left = [(task, path) for task, path in zip(tasks, paths, strict=True) if not path.exists()]
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    done = parallel(joblib.delayed(_run_one)(study.run, task, path) for task, path in left)
    for _ in tqdm(done, study.name, len(tasks), initial=len(tasks) - len(left), disable=not progress, unit="task"):
        pass
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    result = {
        "study": study.name,
        "about": study.about,
        "command": f"python -m semcom_utils.experiments {study.name}",
        "parameters": {"tasks": len(tasks), "seeds": sorted({task["seed"] for task in tasks if "seed" in task})},
        "provenance": {
            **provenance(),
            # a resumed study may hold records of older commits: each says its own, this lists them
            "commits_of_records": sorted({r.get("commit", "unknown") for r in records}),
            "wall_time_s": round(sum(r["wall_time_s"] for r in records), 1),
        },
        "summary": study.summarise(records),
        "records": records,
    }
    _write(folder / f"{study.name}.json", result, indent=1)
    return result


def load_result(name: str, folder: Path | None = None) -> dict:
    """The stored result of a study.

    Raises
    ------
    FileNotFoundError
        With the command that makes it, if it has not been run.
    """
    path = (RESULTS if folder is None else Path(folder)) / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path.name} is not there: run `python -m semcom_utils.experiments {name}`")
    return json.loads(path.read_text(encoding="utf-8"))
