"""The study ``receivers``: one prompt for a receiver with history and one without (Wang et al., 2024, footnote 3).

Receiver B knows no subject. Where the identifier has a field of its own, B leaves it aside, and draws exactly what it
would have drawn without. Where the identifier is a word of the caption, as in DreamBooth's prompts, B's model reads
it: a word that means nothing to it, or, as the control, a word that means something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

from .alignment import MEASURES, Seen, measure, subject_place
from .case_study import COSINES, case_scene
from .knowledge import receiver_b
from .message import Prompt
from .schemes import STEPS, extract_all, models, reconstruct, with_identifier

__all__ = ["COMMON", "READINGS", "STUDIES", "VIEWS", "run", "tasks", "with_word"]

#: Scenes of each subject.
VIEWS = (10, 11, 12)
#: What receiver B reads: no identifier, one in a field of its own, a word without meaning, a word of the grammar.
READINGS = ("without", "field", "word", "common")
#: The control's identifier.
COMMON = "dog"


@checked
def with_word(prompt: Prompt, word: str) -> str:
    """The caption with an identifier as a word before what it identifies.

    Parameters
    ----------
    prompt : Prompt
        Of words, with an identifier.
    word : str

    Returns
    -------
    str
        The word stands behind the article; before all else if the caption is none of the grammar.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> with_word(Prompt("a red ball and a blue cube on sand", identifier=3, which=1), "sks")
    'a red ball and a sks blue cube on sand'
    """
    try:
        said = prompt.meaning
    except ValueError:
        return f"{word} {prompt.caption}"
    name = said.things[prompt.which].text()
    _, _, rest = name.partition(" ")
    places = [k for k in range(len(prompt.caption)) if prompt.caption.startswith(name, k)]
    nth = sum(thing.text() == name for thing in said.things[: prompt.which])
    start = places[min(nth, len(places) - 1)] if places else 0
    if not places:
        return f"{word} {prompt.caption}"
    return f"{prompt.caption[:start]}a {word} {rest}{prompt.caption[start + len(name) :]}"


def tasks() -> list[dict]:
    """One task for five subjects, whose pictures are drawn together.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [
        {"subjects": list(range(first, first + 5)), "views": list(VIEWS), "steps": STEPS}
        for first in range(0, toyworld.SUBJECTS, 5)
    ]


def run(task: dict) -> dict:
    """What receiver B draws of captions with and without identifier.

    Parameters
    ----------
    task : dict
        ``subjects``; ``views``, numbers of their scenes; ``steps`` of the sampler.

    Returns
    -------
    dict
        Reading -> for each subject the mean over its scenes of the three alignments, in ten-thousandths. ``moved``: the
        largest difference that the identifier's field makes to a picture's numbers.
    """
    from semcom_utils.generation.training.tokens import SPARE_WORD

    named = models()
    keys = [(number, view) for number in task["subjects"] for view in task["views"]]
    scenes = [case_scene(*key) for key in keys]
    images = np.stack([scene.image for scene in scenes]).astype(np.float32)
    seeds = [100 * number + view for number, view in keys]
    plain = extract_all(images, "NI", named, seeds=seeds)
    # Of boxes nothing is kept here; the true ones are there even where the detector finds nothing.
    boxes = [Prompt.placed(scene.labels, scene.boxes / toyworld.SIZE) for scene in scenes]
    told = []
    for prompt, scene, (number, _) in zip(plain, scenes, keys, strict=True):
        place = subject_place(scene)
        told.append(with_identifier(prompt, number, scene.boxes[place], np.delete(scene.boxes, place, axis=0)))
    draw: dict[str, np.ndarray] = {
        "without": reconstruct(plain, receiver_b(), named, steps=task["steps"]),
        "field": reconstruct(told, receiver_b(), named, steps=task["steps"]),
    }
    for name, word in (("word", SPARE_WORD), ("common", COMMON)):
        draw[name] = reconstruct(told, receiver_b(), named, steps=task["steps"], words=partial(with_word, word=word))
    sources = Seen.of(images, named)
    record: dict[str, Any] = {"moved": float(np.abs(draw["field"] - draw["without"]).max())}
    for name, made in draw.items():
        seen = Seen.of(made, named)
        values = measure(scenes, sources, boxes, seen, [number for number, _ in keys], named)
        rows = np.stack([values[m] for m in COSINES], axis=1).reshape(len(task["subjects"]), len(task["views"]), -1)
        record[name] = np.round(10_000 * rows.mean(1)).astype(int).tolist()
    return record


def _column(records: Sequence[Mapping], name: str, measure: str) -> np.ndarray:
    return np.array([row[MEASURES.index(measure)] / 10_000 for r in records for row in r[name]])


def _summary(records: list[dict]) -> dict:
    reached = {name: {m: student_interval(_column(records, name, m)) for m in COSINES} for name in READINGS}
    change = {
        name: {m: student_interval(_column(records, name, m) - _column(records, "without", m)) for m in COSINES}
        for name in READINGS[1:]
    }

    def ends(name: str) -> dict[str, float | None]:
        lows, highs = ([part[end] for part in change[name].values()] for end in ("low", "high"))
        known = all(one is not None for one in lows)
        return {"low": min(lows) if known else None, "high": max(highs) if known else None}

    return {
        "reached": reached,
        "change": change,
        "widest": {name: ends(name) for name in READINGS[1:]},
        "moved": max(r["moved"] for r in records),
    }


STUDIES = {"receivers": Study(tasks, run, _summary, small={"subjects": [0], "views": [11], "steps": 2})}
