"""What running a study costs beside its tasks: overhead a task on each backend, and time against tasks and workers.

The tasks of the second table wait and compute nothing, so that workers beyond this machine's cores stand for those of
a cluster: what is more than the ideal is the engine's. ``--store`` keeps the figures, and the table that the page on
long runs shows, under data/results/foundations. On a busy machine figures are noise; ratios suffer less than times.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import joblib

from semcom_utils.paths import RESULTS
from semcom_utils.studies import Study, run_study
from semcom_utils.studies.backends import where
from semcom_utils.studies.provenance import provenance

STORED = RESULTS / "foundations" / "engine.json"
EMPTY = 100  # tasks that do nothing
WAIT_S = 0.5  # of a task that waits
WORKERS, TASKS = (1, 2, 4, 8), (8, 16, 32)
#: Backend -> how a reader names it, and the module that it needs.
BACKENDS = {
    "sequence": ("one after the other, in the driver", "joblib"),
    "local": ("two processes here", "joblib"),
    "dask": ("Dask, two workers started here", "distributed"),
    "ray": ("Ray, two workers started here", "ray"),
}


def wait(task: dict) -> dict:
    """A task that takes its time and no processor."""
    time.sleep(task["seconds"])
    return {}


def seconds(tasks: int, waiting: float, jobs: int) -> float:
    """Seconds of the clock that a study of such tasks takes, from its start to the written result."""
    study = Study(
        lambda: [{"seed": i, "seconds": waiting} for i in range(tasks)], wait, lambda records: {}, name="bench"
    )
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run_study(study, jobs=jobs, folder=Path(folder), progress=False)
        return time.perf_counter() - start


def measure() -> dict:
    """All figures of one run."""
    overhead, waiting, load = {}, [], os.getloadavg()[0]
    for name, (_, module) in BACKENDS.items():
        if find_spec(module) is None:
            continue
        start = time.perf_counter()
        with where("local" if name == "sequence" else name, workers=2):
            jobs = 1 if name == "sequence" else 2
            seconds(2, 0.0, jobs)
            overhead[name] = {"start_s": time.perf_counter() - start}
            # of more tasks than few, so that what a run costs once cancels
            few, many = (min(seconds(n, 0.0, jobs) for _ in range(3)) for n in (EMPTY // 10, EMPTY))
            overhead[name]["ms_a_task"] = 1e3 * (many - few) / (EMPTY - EMPTY // 10)
    with where("local"):
        for workers in WORKERS:
            seconds(workers, 0.0, workers)  # start the processes
            for tasks in TASKS:
                ideal = WAIT_S * -(-tasks // workers)
                took = min(seconds(tasks, WAIT_S, workers) for _ in range(2))
                waiting.append({"workers": workers, "tasks": tasks, "ideal_s": ideal, "s": took})
    return {"provenance": provenance(), "load": load, "wait_s": WAIT_S, "overhead": overhead, "waiting": waiting}


def table(result: dict) -> str:
    """Both tables in Markdown, as the page on long runs includes them."""
    origin = result["provenance"]
    lines = ["| Where tasks run | Start, s | Overhead a task, ms | ... over the driver's own |", "|---|---:|---:|---:|"]
    own = result["overhead"]["sequence"]["ms_a_task"]
    for name, row in result["overhead"].items():
        ratio = row["ms_a_task"] / own
        lines.append(f"| {BACKENDS[name][0]} | {row['start_s']:.1f} | {row['ms_a_task']:.1f} | {ratio:.1f} |")
    tasks = sorted({row["tasks"] for row in result["waiting"]})
    at = {(row["workers"], row["tasks"]): row["s"] / row["ideal_s"] for row in result["waiting"]}
    lines += [
        "",
        f"| Workers | {' | '.join(f'{n} tasks' for n in tasks)} |",
        f"|---:|{'---:|' * len(tasks)}",
        *(f"| {w} | {' | '.join(f'{at[w, n]:.2f}' for n in tasks)} |" for w in sorted({w for w, _ in at})),
        "",
        f"Second table: time of the run over the ideal, tasks that wait {result['wait_s']} s each, the better of two "
        f"runs. Measured on {origin['date']} with {origin['cores']} cores ({origin['processor']}), joblib "
        f"{origin['packages']['joblib']}, Python {origin['python']}, by `benchmarks/bench_studies.py --store`, while "
        f"other programs kept {result['load']:.1f} processes ready to run: the more, the less a time says.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    result = measure()
    print(table(result), end="")
    if "--store" in sys.argv[1:]:
        STORED.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        STORED.with_suffix(".md").write_text(table(result), encoding="utf-8")
    joblib.externals.loky.get_reusable_executor().shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
