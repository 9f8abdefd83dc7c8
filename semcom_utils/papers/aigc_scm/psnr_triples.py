"""The study ``psnr_triples``: does PSNR tell pictures of one meaning from pictures of two (Wang et al., 2024, II-B)?

Of three scenes the first is the question, the second means the same (same words, other places), and the third does
not. A measure picks the one that it finds more like the question. Chance is one half.

Who the third is decides what is asked. ``any`` is a scene of the toy world as it comes. ``near`` differs from the
question in a single word and in no place: the pixels agree, the meaning does not. ``alike`` means the same as well, so
that there is nothing to pick: the control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.statistics import share_interval
from semcom_utils.studies import Study

from .channel import psnr_db

__all__ = ["JUDGES", "STUDIES", "THIRDS", "redrawn", "run", "tasks", "triple"]

#: What the third scene may be.
THIRDS = ("any", "near", "alike")
#: What picks: two measures of pixels, and the cosine of CLIP's vectors.
JUDGES = ("psnr", "ssim", "clip")
#: Middles of things, how far they scatter, and the rows on which they stand, by their number (as in the toy world).
_PLACES = {1: ((32,), 14, (46, 60)), 2: ((17, 47), 4, (46, 60)), 3: ((11, 32, 53), 2, (44, 52))}


@checked
def redrawn(description: toyworld.Description, rng: np.random.Generator) -> toyworld.Description:
    """A scene of the same meaning with its things elsewhere.

    Parameters
    ----------
    description : Description
    rng : numpy.random.Generator
        Draws the places as the toy world does.

    Returns
    -------
    Description
        With the same canonical caption.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    if description.inside:
        x, y = float(rng.uniform(20, 44)), float(rng.uniform(50, 60))
        return replace(description, things=tuple(replace(one, x=x, y=y) for one in description.things))
    middles, spread, rows = _PLACES[len(description.things)]
    moved = tuple(
        replace(one, x=float(middle + rng.uniform(-spread, spread)), y=float(rng.uniform(*rows)))
        for one, middle in zip(description.things, middles, strict=True)
    )
    return replace(description, things=moved)


@checked
def triple(seed: int, third: str) -> tuple[toyworld.Scene, toyworld.Scene, toyworld.Scene]:
    """Question, scene of the same meaning, and the third.

    Parameters
    ----------
    seed : int
        At least 0.
    third : str
        One of :data:`THIRDS`.

    Returns
    -------
    tuple of Scene

    Raises
    ------
    ValueError
        If ``third`` is none of these, or ``seed`` negative.
    """
    positive_integer("seed", seed, low=0)
    rng = np.random.default_rng([12_2026, THIRDS.index(one_of("third", third, THIRDS)), seed])
    question = toyworld.random_description(rng, None, textured=0.0)
    same = redrawn(question, rng)
    if third == "alike":
        other = redrawn(question, rng)
    elif third == "any":
        while True:
            other = toyworld.random_description(rng, None, textured=0.0)
            if toyworld.caption(other) != toyworld.caption(question):
                break
    else:
        place = int(rng.integers(len(question.things)))
        thing = question.things[place]
        colours = [colour for colour in toyworld.COLOURS if colour != thing.colour]
        changed = replace(thing, colour=str(rng.choice(colours)))
        other = replace(question, things=(*question.things[:place], changed, *question.things[place + 1 :]))
    return toyworld.render(question), toyworld.render(same), toyworld.render(other)


def tasks() -> list[dict]:
    """Blocks of triples of each kind.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [{"third": third, "first": first, "triples": 100} for third in THIRDS for first in (0, 100, 200, 300)]


@lru_cache(maxsize=1)
def _clip() -> Any:
    from semcom_utils.generation import load

    return load("clip", device="cpu")


def run(task: dict) -> dict:
    """What each measure picks.

    Parameters
    ----------
    task : dict
        ``third``; ``first`` seed and number of ``triples``.

    Returns
    -------
    dict
        For each of :data:`JUDGES`, a letter a triple: 1 where it picks the second scene.
    """
    from skimage.metrics import structural_similarity

    scenes = [triple(task["first"] + k, task["third"]) for k in range(task["triples"])]
    images = np.stack([[scene.image for scene in part] for part in scenes])
    vectors = np.asarray(_clip().images(images.reshape(-1, *images.shape[2:]))).reshape(len(images), 3, -1)
    cosines = np.einsum("nd,nkd->nk", vectors[:, 0], vectors[:, 1:])

    def picks(of: Any) -> list[bool]:
        return [of(part[0], part[1]) > of(part[0], part[2]) for part in images]

    found = {
        "psnr": picks(psnr_db),
        "ssim": picks(lambda one, other: structural_similarity(one, other, channel_axis=0, data_range=1.0)),
        "clip": (cosines[:, 0] > cosines[:, 1]).tolist(),
    }
    return {name: "".join("01"[bool(one)] for one in part) for name, part in found.items()}


def _summary(records: Sequence[Mapping]) -> dict:
    shares: dict[str, dict] = {}
    for third in dict.fromkeys(r["task"]["third"] for r in records):
        shares[third] = {}
        for name in JUDGES:
            letters = "".join(r[name] for r in records if r["task"]["third"] == third)
            shares[third][name] = share_interval(letters.count("1"), len(letters))
    return {"picks": shares}


STUDIES = {"psnr_triples": Study(tasks, run, _summary, small={"first": 0, "triples": 4})}
