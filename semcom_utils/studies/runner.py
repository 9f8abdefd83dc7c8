"""Run a study's tasks on all cores or on a cluster, keep each record the moment it is there, sum up.

A study is a list of small tasks (one seed of one method, one point of a curve). A task's record comes back to the
driver, which puts it under ``.partial`` by a rename, which either happens or does not: after ``kill -9`` a second call
finds every finished record, repeats only the tasks that were under way, and counts nothing twice. A record is known by
its task and by what the task reads of other studies; one that older code made is named and set aside, not mixed in.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import joblib
from tqdm import tqdm

from semcom_utils.checks import checked, positive_integer
from semcom_utils.paths import RESULTS
from semcom_utils.studies.entry import Entry
from semcom_utils.studies.provenance import checkout_state, code_hash, is_ours, provenance
from semcom_utils.studies.tasks import task_key, with_seeds, with_small_tasks

__all__ = ["PAPERS", "Study", "catalogue", "file_hash", "find", "load_result", "run_study", "summarise_again"]

#: The package whose packages list studies.
PAPERS = "semcom_utils.papers"
#: A crashed worker costs its tasks a further attempt; after so many in a row without a record the run gives up.
ATTEMPTS = 3
#: Results that may be read at the moment: those that the running study declares, or any (None).
_DECLARED: ContextVar[tuple[str, tuple[str, ...]] | None] = ContextVar("declared", default=None)


@dataclass(frozen=True)
class Study:
    """What :func:`run_study` needs to know.

    Attributes
    ----------
    tasks : callable
        Returns the list of tasks: dicts that JSON can hold, all different, seeds included.
    run : callable
        Module-level function that maps one task to its values (a dict that JSON can hold, without the keys ``task``
        and ``meta``).
    summarise : callable
        Maps the records, in the order of the tasks, to the summary that pages quote. A record is the values with
        ``task`` and ``meta`` (``wall_time_s``, ``commit``, ``uncommitted_changes``, ``code``). It copes with a single
        seed, which has no interval.
    reads : tuple of str
        Studies whose stored results tasks or ``run`` read, such as ``"isgc/tuning"``: with another of these results
        every task runs again.
    compares : tuple of str
        Studies whose stored results only ``summarise`` reads: the summary alone depends on them.
    small : dict
        Values of the tasks' parameters with which a test runs all of it in seconds (:func:`with_small_tasks`).
    name, about : str
        ``<paper>/<study>`` and one sentence; :func:`find` fills them in.
    """

    tasks: Callable[[], list[dict]]
    run: Callable[[dict], dict]
    summarise: Callable[[list[dict]], dict]
    reads: tuple[str, ...] = ()
    compares: tuple[str, ...] = ()
    small: dict | None = None
    name: str = ""
    about: str = ""


def catalogue() -> dict[str, Entry]:
    """Every study by its name, ``<paper>/<study>``; none of their modules is imported.

    Returns
    -------
    dict
        Name -> :class:`Entry`, paper by paper.
    """
    found: dict[str, Entry] = {}
    for module in iter_modules(import_module(PAPERS).__path__):
        entries = getattr(import_module(f"{PAPERS}.{module.name}"), "STUDIES", {})
        found |= {f"{module.name}/{name}": entry for name, entry in entries.items()}
    return found


@checked
def find(name: str) -> Study:
    """The study of that name.

    Parameters
    ----------
    name : str
        ``<paper>/<study>``.

    Returns
    -------
    Study

    Raises
    ------
    ValueError
        If there is none; the message lists the names.
    """
    known = catalogue()
    if name not in known:
        raise ValueError(f"name must be that of a study, got {name!r}; there are {', '.join(known)}")
    paper, _, short = name.partition("/")
    module = import_module(f"{PAPERS}.{paper}.{known[name].module}")
    return replace(module.STUDIES[short], name=name, about=known[name].about)


def _result_path(name: str, folder: Path | None) -> Path:
    return (RESULTS if folder is None else Path(folder)) / f"{name}.json"


@checked
def file_hash(name: str, folder: Path | None = None) -> str:
    """Hash of what a study's result says, its summary and its records' values, whatever its layout or provenance.

    Parameters
    ----------
    name : str
        ``<paper>/<study>``.
    folder : Path, optional
        Instead of ``data/results``.

    Returns
    -------
    str
        Twenty hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        As :func:`load_result`.
    ValueError
        As :func:`load_result`.
    """
    result = load_result(name, folder)
    said = [{key: value for key, value in record.items() if key != "meta"} for record in result["records"]]
    return task_key({"summary": result["summary"], "records": said})


@contextmanager
def _may_read(study: str, names: tuple[str, ...]) -> Iterator[None]:
    """Inside, :func:`load_result` refuses a result that the study does not declare."""
    token = _DECLARED.set((study, names))
    try:
        yield
    finally:
        _DECLARED.reset(token)


def _json(value: object, **layout: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, **layout)


def _laid_out(result: dict) -> str:
    """A result as JSON: what people read in lines of its own, each record in one line: nobody reads thousands."""
    parts = []
    for key, value in result.items():
        if key == "records":
            rows = ",\n".join(_json(record, separators=(",", ":")) for record in value)
            parts.append(f' "records": [\n{rows}\n ]')
        else:
            plain = _json(value, indent=1)
            text = _INNERMOST.sub(lambda found: _in_a_line(found[0]), plain)
            text = text if json.loads(text) == value else plain  # brackets within a text
            parts.append(f" {_json(key)}: " + text.replace("\n", "\n "))
    return "{\n" + ",\n".join(parts) + "\n}\n"


#: A list or a mapping that holds no other.
_INNERMOST = re.compile(r"[\[{][^\[\]{}]*[\]}]")


def _in_a_line(text: str) -> str:
    """An innermost list or mapping without its line breaks; what is none stays as it is."""
    try:
        return _json(json.loads(text), separators=(",", ":"))
    except ValueError:
        return text


def _write(path: Path, value: object) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    text = _laid_out(value) if isinstance(value, dict) and "records" in value else _json(value)
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power failure after the rename could leave an empty file
        os.replace(draft, path)
    except OSError as error:  # a full disk: the old file stays as it was
        draft.unlink(missing_ok=True)
        error.add_note(f"{path.name} could not be written; what was there before is whole")
        raise


@lru_cache(maxsize=64)
def _origin(module: str, code: str) -> dict:
    """Commit and code of this process. Once a process: what it imported stays as it was, whatever is committed since.

    A module outside the package (a test's) travels to the worker with its ``code``; one of ours is the worker's own.
    """
    return {**checkout_state(), "code": code_hash(module) if is_ours(module) else code}


def _run_one(
    run: Callable[[dict], dict], task: dict, key: str, code: str, study: str, reads: Mapping[str, str]
) -> tuple[str, dict]:
    """One task's record, made where a worker runs."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the worker's cores belong to its other tasks
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    meta = dict(_origin(run.__module__, code))  # taken before the task starts
    if meta["code"] != code:
        raise RuntimeError(
            f"a worker's code is not the driver's ({meta['code']}, at {meta['commit'][:10]}, against {code}): bring "
            f"every machine to the same commit and start its workers again"
        )
    for name, expected in reads.items():
        if _hash_here(name) != expected:
            raise RuntimeError(f"a worker's {name}.json is not the driver's: bring every machine to the same commit")
    start = time.perf_counter()
    with _may_read(study, tuple(reads)):
        values = run(task)
    if clash := {"task", "meta"} & set(values):
        raise ValueError(f"run must return values under other names than {sorted(clash)}")
    meta["wall_time_s"] = round(time.perf_counter() - start, 2)
    return key, {"task": task, "meta": meta, "values": values}


@lru_cache(maxsize=64)
def _hash_here(name: str) -> str:
    return file_hash(name)


def _stored(path: Path, task: dict, code: str) -> dict | None:
    """A finished record, or None with a word on what is wrong with it."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        meta, values = record["meta"], record["values"]
        whole = record["task"] == json.loads(json.dumps(task)) and isinstance(values, dict)
        whole = whole and {"commit", "uncommitted_changes", "code", "wall_time_s"} <= set(meta)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        print(f"{path.name}: an empty or broken record; its task runs again", file=sys.stderr)
        return None
    if meta["code"] != code:
        print(
            f"{path.name}: made by other code, at {str(meta['commit'])[:10]}; set aside under older/, its task runs "
            f"again",
            file=sys.stderr,
        )
        aside = path.parent / "older" / f"{path.stem}.{meta['code']}.json"
        aside.parent.mkdir(exist_ok=True)
        os.replace(path, aside)
        return None
    return record


def _rounds(parallel: joblib.Parallel, calls: Sequence, workers: int) -> Iterator[tuple[str, dict]]:
    """Records as they come, or a few at a time where the backend can only return lists."""
    if parallel.return_generator:
        yield from parallel(calls)
        return
    with parallel:  # the same workers in every round
        for begin in range(0, len(calls), workers):
            yield from parallel(calls[begin : begin + workers])


def _records(
    study: Study, left: dict[str, dict], jobs: int, code: str, reads: Mapping[str, str]
) -> Iterator[tuple[str, dict]]:
    """Run tasks wherever joblib's backend runs them; a worker that dies costs its tasks another attempt."""
    left, failures = dict(left), 0
    while left:
        backend, _ = joblib.parallel.get_active_backend()
        as_they_come = getattr(backend, "supports_return_generator", False)
        # a cluster gets all tasks at once: workers that join later find theirs
        ahead = {} if type(backend).__module__.startswith("joblib._parallel") else {"pre_dispatch": "all"}
        parallel = joblib.Parallel(
            n_jobs=jobs, batch_size=1, return_as="generator_unordered" if as_they_come else "list", **ahead
        )
        calls = [joblib.delayed(_run_one)(study.run, t, key, code, study.name, reads) for key, t in left.items()]
        try:
            for key, record in _rounds(parallel, calls, max(1, backend.effective_n_jobs(jobs))):
                failures = 0
                del left[key]
                yield key, record
        except Exception as error:
            failures += 1
            if not _worker_died(error):
                raise
            if failures >= ATTEMPTS:
                error.add_note(f"workers died {ATTEMPTS} times in a row; {len(left)} tasks of {study.name} are left")
                raise
            print(f"a worker died ({type(error).__name__}); {len(left)} tasks run again", file=sys.stderr)


def _worker_died(error: Exception) -> bool:
    """Whether an exception tells of a lost worker, not of a task that raised."""
    names = {"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker", "WorkerCrashedError", "ActorDiedError",
             "RayActorError"}  # fmt: skip
    return any(kind.__name__ in names for kind in type(error).__mro__)


@contextmanager
def _alone(study: Study, folder: Path) -> Iterator[Path]:
    """Hold the lock of a study in a folder; gives the folder of its records."""
    from filelock import FileLock, Timeout

    partial = folder / ".partial" / study.name
    partial.mkdir(parents=True, exist_ok=True)
    lock = FileLock(partial / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RuntimeError(f"another process runs {study.name} into this folder: wait for it, or stop it") from None
    try:
        # drafts of a driver that was killed while it wrote
        path = _result_path(study.name, folder)
        for draft in [*partial.glob("*.tmp"), *path.parent.glob(f"{path.name}.*.tmp")]:
            draft.unlink(missing_ok=True)
        yield partial
    finally:
        lock.release()


def _tasks(study: Study, seeds: int | None, small: bool) -> list[dict]:
    with _may_read(study.name, study.reads):
        tasks = study.tasks()
    tasks = with_small_tasks(tasks, study.small or {}) if small else tasks
    return tasks if seeds is None else with_seeds(tasks, positive_integer("seeds", seeds))


def _summary(study: Study, records: list[dict]) -> dict:
    """The summary of records in three parts, as JSON will hold it."""
    with _may_read(study.name, (*study.reads, *study.compares)):
        return json.loads(json.dumps(study.summarise([_flat(record) for record in records]), allow_nan=False))


def _summed_up(study: Study, module: str) -> dict:
    """Where a summary came from: it may be younger than its records."""
    now = provenance()
    return {
        **{key: now[key] for key in ("commit", "uncommitted_changes", "date")},
        "code": code_hash(module),
        "compares": {name: file_hash(name) for name in study.compares},
    }


@checked
def run_study(
    study: Study,
    *,
    jobs: int = -1,
    seeds: int | None = None,
    small: bool = False,
    folder: Path | None = None,
    progress: bool = True,
) -> dict:
    """Run what is left of a study, then write and return ``<name>.json``.

    Tasks go through joblib, so that a caller chooses where they run with ``joblib.parallel_config``, as
    :mod:`semcom_utils.studies.backends` does. Its own default is one process a core, one thread each.

    Parameters
    ----------
    study : Study
        With a name (:func:`find`).
    jobs : int
        Tasks at a time; -1 is one a core, or all that a cluster has.
    seeds : int, optional
        So many seeds for each setting in place of the study's own (:func:`with_seeds`).
    small : bool
        Whether to run the small tasks that tests run.
    folder : Path, optional
        Instead of ``data/results``; needed with ``seeds`` and ``small``, which are not the stored study.
    progress : bool
        Whether to draw a bar on standard error.

    Returns
    -------
    dict
        As :func:`load_result`.

    Raises
    ------
    ValueError
        If two tasks are the same, if there is none, if a reduced study would replace the stored result, or if the
        study reads a result that it does not declare.
    RuntimeError
        If another process runs the study into the same folder, or a worker has other code than the driver.
    FileNotFoundError
        If a result that the study reads is not there.
    OSError
        If the disk is full; what was written before stays whole.
    Exception
        Whatever a task raised; the records of the finished ones stay.
    """
    if (seeds is not None or small) and folder is None:
        raise ValueError("folder must be given with seeds or small: they are not the study whose result is stored")
    folder = RESULTS if folder is None else Path(folder)
    with _alone(study, folder) as partial:
        return _run_locked(study, jobs, seeds, small, folder, partial, progress)


def _run_locked(
    study: Study, jobs: int, seeds: int | None, small: bool, folder: Path, partial: Path, progress: bool
) -> dict:
    origin = provenance()  # of the start, as the records' own
    tasks = _tasks(study, seeds, small)
    reads = {name: file_hash(name) for name in study.reads}
    keys = [task_key(task, reads) for task in tasks]
    if not tasks or len(set(keys)) != len(keys):
        raise ValueError(
            f"study.tasks must return at least one task and no task twice, got {len(tasks)} tasks with "
            f"{len(set(keys))} different keys"
        )
    module = study.run.__module__
    code = code_hash(module)
    of = dict(zip(keys, tasks, strict=True))
    records = {key: r for key, task in of.items() if (r := _stored(partial / f"{key}.json", task, code)) is not None}
    left = {key: task for key, task in of.items() if key not in records}
    bar = tqdm(total=len(tasks), initial=len(records), desc=study.name, disable=not progress, unit="task")
    with bar:
        for key, record in _records(study, left, jobs, code, reads):
            _write(partial / f"{key}.json", record)
            records[key] = json.loads(json.dumps(record))  # as a later call will read it
            bar.update()
    ordered = [records[key] for key in keys]
    metas = [record["meta"] for record in ordered]
    result = {
        "study": study.name,
        "about": study.about,
        "command": " ".join(
            ["python -m semcom_utils.studies", study.name, *(["--small"] if small else []),
             *([] if seeds is None else [f"--seeds {seeds}"])]
        ),
        "parameters": {"tasks": len(tasks), "seeds": sorted({task["seed"] for task in tasks if "seed" in task})},
        "provenance": {
            **origin,
            # a resumed study may hold records of several commits: each says its own, this lists them
            "commits_of_records": sorted({meta["commit"] for meta in metas}),
            "uncommitted_changes_in_records": sum(bool(meta["uncommitted_changes"]) for meta in metas),
            "code": code,
            "reads": reads,
            "wall_time_s": round(sum(meta["wall_time_s"] for meta in metas), 1),
            "summary": _summed_up(study, module),
        },
        "summary": _summary(study, ordered),
        "records": ordered,
    }  # fmt: skip
    _write(folder / f"{study.name}.json", result)
    return load_result(study.name, folder)


@checked
def summarise_again(study: Study, *, seeds: int | None = None, small: bool = False, folder: Path | None = None) -> dict:
    """Sum up the stored records anew, with today's code, and write the result; no task runs.

    The records keep their provenance. ``provenance.summary`` says which commit and code summed up, and when.

    Parameters
    ----------
    study : Study
        With a name (:func:`find`).
    seeds, small, folder
        As they were when the study ran (:func:`run_study`).

    Returns
    -------
    dict
        As :func:`load_result`.

    Raises
    ------
    FileNotFoundError
        If the study has no stored result.
    ValueError
        As :func:`load_result`; and if the records are not those of the study's tasks.
    RuntimeError
        If another process runs the study into the same folder.
    """
    folder = RESULTS if folder is None else Path(folder)
    load_result(study.name, folder)  # says what is wrong where there is none
    with _alone(study, folder):
        result = json.loads(_result_path(study.name, folder).read_text(encoding="utf-8"))
        has, wants = [task_key(r["task"]) for r in result["records"]], map(task_key, _tasks(study, seeds, small))
        if has != list(wants):
            raise ValueError(f"the records of {study.name}.json must be those of the study's tasks: run it again")
        result["summary"] = _summary(study, result["records"])
        result["provenance"]["summary"] = _summed_up(study, study.run.__module__)
        _write(_result_path(study.name, folder), result)
    return load_result(study.name, folder)


def _flat(record: dict) -> dict:
    """A record as summaries and chapters read it: its values, with ``task`` and ``meta``."""
    return {**record["values"], "task": record["task"], "meta": record["meta"]}


@checked
def load_result(name: str, folder: Path | None = None) -> dict:
    """The stored result of a study.

    Parameters
    ----------
    name : str
        ``<paper>/<study>``, such as ``"isgc/training"``.
    folder : Path, optional
        Instead of ``data/results``.

    Returns
    -------
    dict
        ``summary``, ``provenance``, ``parameters``, ``about`` and ``records``; each record is its values with ``task``
        and ``meta``.

    Raises
    ------
    FileNotFoundError
        With the command that makes it, if it has not been run.
    ValueError
        If the file is no result, or if a study that runs reads it without declaring it.
    """
    if (declared := _DECLARED.get()) is not None and name not in declared[1]:
        raise ValueError(f"study {declared[0]} must declare in `reads` or `compares` what it reads, got {name}")
    path = _result_path(name, folder)
    if not path.exists():
        raise FileNotFoundError(
            f"name must be of a result that is there, {name}.json is not: run `python -m semcom_utils.studies {name}`"
        )
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return {**result, "records": [_flat(record) for record in result["records"]]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name}.json is no result of a study: {error}") from None
