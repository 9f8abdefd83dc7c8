"""A study's tasks as data: their keys, more seeds, and the small version that a test can afford."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from semcom_utils.checks import checked, positive_integer

__all__ = ["task_key", "with_seeds", "with_small_tasks"]


@checked
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


@checked
def with_seeds(tasks: Sequence[Mapping], n: int) -> list[dict]:
    """The same study with ``n`` seeds for each setting.

    Settings are what tasks have in common but for their ``seed``. The first seeds are the study's own, and those of a
    smaller ``n`` are among those of a larger one, so that a study can be extended. Where every setting has the same
    seeds, as in a paired comparison, so has every setting here; elsewhere each gets its own. A task without a seed,
    which chance has no part in, stays as it is.

    Parameters
    ----------
    tasks : sequence of mapping
        A study's tasks; ``seed`` is a whole number.
    n : int
        Seeds for each setting.

    Returns
    -------
    list of dict
        Tasks without a seed, then seed by seed each setting.

    Raises
    ------
    ValueError
        If no task has a seed, one has a seed that is no whole number, or ``n`` is not a positive whole number.
    """
    positive_integer("n", n)
    fixed = [dict(task) for task in tasks if "seed" not in task]
    if len(fixed) == len(tasks):
        raise ValueError("tasks must have seeds, got none that has one")
    seeds: dict[str, list[int]] = {}
    settings: dict[str, dict] = {}
    for task in tasks:
        if "seed" not in task:
            continue
        if not isinstance(task["seed"], int) or isinstance(task["seed"], bool):
            raise ValueError(f"seed must be a whole number in every task, got {task['seed']!r} in {dict(task)}")
        setting = {name: value for name, value in task.items() if name != "seed"}
        key = task_key(setting)
        settings[key] = setting
        seeds.setdefault(key, []).append(task["seed"])
    following = max(seed for own in seeds.values() for seed in own) + 1
    paired = len({tuple(sorted(own)) for own in seeds.values()}) == 1
    out: list[list[dict]] = []
    for j, (key, own) in enumerate(seeds.items()):
        # the settings' further seeds interleave: none meets another's, and a larger n moves none
        more = (following + k if paired else following + j + k * len(seeds) for k in range(n))
        out.append([{**settings[key], "seed": seed} for seed in [*own, *more][:n]])
    return fixed + [task for round_of in zip(*out, strict=True) for task in round_of]


@checked
def with_small_tasks(tasks: Sequence[Mapping], small: Mapping[str, object]) -> list[dict]:
    """Every task with the parameters of ``small``; what becomes equal is merged.

    Parameters
    ----------
    tasks : sequence of mapping
        A study's tasks.
    small : mapping
        Value of each parameter. ``steps`` replaces that parameter in the tasks that have it, ``settings.copies``
        reaches into a mapping of the task, ``+samples`` is added to every task: a parameter that the study's tasks
        leave to its default.

    Returns
    -------
    list of dict

    Raises
    ------
    ValueError
        If no task has such a parameter: a misspelt name would leave the study at its full size.
    """
    out: dict[str, dict] = {}
    unused = {name for name in small if not name.startswith("+")}
    for task in tasks:
        changed = json.loads(json.dumps(task))
        for name, value in small.items():
            if name.startswith("+"):
                changed[name[1:]] = value
                continue
            *path, last = name.split(".")
            here = changed
            for step in path:
                here = here.get(step, {}) if isinstance(here, dict) else {}
            if isinstance(here, dict) and last in here:
                here[last] = value
                unused.discard(name)
        out.setdefault(task_key(changed), changed)
    if unused:
        raise ValueError(f"small must name parameters of the tasks, got {', '.join(sorted(unused))}")
    return list(out.values())
