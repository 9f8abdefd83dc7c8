"""A study's tasks as data: their keys, more seeds, and the small version that a test can afford."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from semcom_utils.checks import positive_integer

__all__ = ["task_key", "with_seeds", "with_small_tasks"]


def task_key(task: Mapping, reads: Mapping[str, str] | None = None) -> str:
    """Name of a task's record: the same parameters, in whatever order, give the same key.

    Parameters
    ----------
    task : mapping
        What JSON can hold.
    reads : mapping of str to str, optional
        Results of other studies that the task reads, each with its hash: another input is another task.

    Returns
    -------
    str
        Twenty hexadecimal digits.

    Raises
    ------
    ValueError
        If the task holds a number that is not finite.
    """
    known = dict(task) if not reads else {"task": dict(task), "reads": dict(reads)}
    text = json.dumps(known, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def with_seeds(tasks: Sequence[Mapping], n: int) -> list[dict]:
    """The same study with ``n`` seeds for each setting.

    Settings are what tasks have in common but for their ``seed``. The first seeds are the study's own. Where every
    setting has the same seeds, as in a paired comparison, so has every setting here; elsewhere each gets its own.

    Parameters
    ----------
    tasks : sequence of mapping
        A study's tasks, each with a whole number ``seed``.
    n : int
        Seeds for each setting.

    Raises
    ------
    ValueError
        If a task has no seed, or ``n`` is not a positive whole number.
    """
    positive_integer("n", n)
    seeds: dict[str, list[int]] = {}
    settings: dict[str, dict] = {}
    for task in tasks:
        if not isinstance(task.get("seed"), int):
            raise ValueError(f"tasks must have a whole number as seed, got {task.get('seed')!r} in {dict(task)}")
        setting = {name: value for name, value in task.items() if name != "seed"}
        key = task_key(setting)
        settings[key] = setting
        seeds.setdefault(key, []).append(task["seed"])
    following = max(seed for own in seeds.values() for seed in own) + 1
    paired = len({tuple(sorted(own)) for own in seeds.values()}) == 1
    out: list[list[dict]] = []
    for j, (key, own) in enumerate(seeds.items()):
        begin = following if paired else following + j * n
        more = [*own, *range(begin, begin + n)][:n]
        out.append([{**settings[key], "seed": seed} for seed in more])
    return [task for round_of in zip(*out, strict=True) for task in round_of]  # seed by seed, as the studies do


def with_small_tasks(tasks: Sequence[Mapping], small: Mapping[str, object]) -> list[dict]:
    """Every task with the parameters of ``small`` where it has such a parameter; what becomes equal is merged.

    A key with dots, ``settings.copies``, reaches into a mapping of the task.
    """
    out: dict[str, dict] = {}
    for task in tasks:
        changed = json.loads(json.dumps(task))
        for name, value in small.items():
            *path, last = name.split(".")
            here = changed
            for step in path:
                here = here.get(step, {}) if isinstance(here, dict) else {}
            if isinstance(here, dict) and last in here:
                here[last] = value
        out.setdefault(task_key(changed), changed)
    return list(out.values())
