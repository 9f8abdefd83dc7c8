"""The study ``conversation``: what history costs, and when it is paid for (Wang et al., 2024, section IV-A).

Transmitter A sends one scene after another. Now and then a new subject appears, of which the receiver knows nothing;
from then on it may come again. Several ways to deal with that are counted in channel uses of the paper's link, with
everything that is shared. Prompts are those of a perfect extractor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.semantic.codecs import decoded, jpeg
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

from .alignment import subject_place
from .case_study import case_scene
from .channel import JPEG_QUALITY, file_size, psnr_db, smallest_file, uses
from .knowledge import adapter_bits, break_even, general_bits, picture_bits, views_bits
from .message import CODINGS, Prompt
from .schemes import with_identifier

__all__ = ["STUDIES", "WAYS", "costs", "run", "tasks"]

#: Ways through a conversation: pixels each time; words or boxes without history; with it, shared at first sight as
#: a stored picture (HA), as the first frame itself, from which the receiver cuts the subject out (HA), as an adapter
#: (HI) or as views from which the receiver trains one (HI).
WAYS = ("JPEG", "WebP", "NI", "NA", "HA picture", "HA first frame", "HI adapter", "HI views")
#: How likely the next picture shows a subject that was never shown.
NEW = 0.1
#: After how many pictures the sum is kept.
EVERY = 10


@checked
@lru_cache(maxsize=64)
def costs(number: int, view: int, coding: str) -> dict[str, int]:
    """Channel uses of one scene in every way, sharing not counted.

    Parameters
    ----------
    number, view : int
        Of the scene (:func:`.case_study.case_scene`).
    coding : str
        Of the prompts.

    Returns
    -------
    dict of str to int
        ``jpeg``, ``webp`` at the PSNR of JPEG, and the four schemes.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    scene = case_scene(number, view)
    rows = scene.image.transpose(1, 2, 0)
    file = jpeg(rows, JPEG_QUALITY)
    words = Prompt(scene.caption, coding=coding)
    boxes = Prompt.placed(scene.labels, scene.boxes / toyworld.SIZE, coding=coding)
    place = subject_place(scene)
    others = np.delete(scene.boxes, place, axis=0)
    personal = [with_identifier(one, number, scene.boxes[place], others) for one in (words, boxes)]
    better = smallest_file(scene.image, "webp", psnr_db(decoded(file), rows))
    return {
        "jpeg": uses(8 * len(file)),
        "webp": uses(8 * file_size(better, "webp")),
        **{one.scheme: uses(one.bits) for one in (words, boxes, *personal)},
    }


@lru_cache(maxsize=32)
def _shared(number: int) -> dict[str, int]:
    """Channel uses of what can be shared of a subject."""
    return {
        "HA picture": uses(picture_bits(number)),
        "HI adapter": uses(adapter_bits(number)),
        "HI views": uses(views_bits(number)),
    }


def tasks() -> list[dict]:
    """Ten conversations, and each subject alone.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [{"coding": coding, "pictures": 300, "seed": seed} for coding in CODINGS for seed in range(10)]


def run(task: dict) -> dict:
    """One conversation.

    Parameters
    ----------
    task : dict
        ``coding`` of the prompts, number of ``pictures``, ``seed``.

    Returns
    -------
    dict
        ``sums``: way -> channel uses after every tenth picture. ``subjects``: how many were shown. ``pays``: way ->
        pictures after which what was shared of a subject is paid for, against JPEG and against WebP, mean over the
        subjects shown, and the most.
    """
    rng, known = np.random.default_rng([13_2026, task["seed"]]), list[int]()
    order = rng.permutation(toyworld.SUBJECTS).tolist()
    steps: dict[str, list[int]] = {way: [] for way in WAYS}
    spent: dict[int, list[dict]] = {}
    for _ in range(task["pictures"]):
        fresh = not known or (len(known) < len(order) and rng.random() < NEW)
        number = order[len(known)] if fresh else int(rng.choice(known))
        if fresh:
            known.append(number)
        cost = costs(number, int(rng.integers(2)), task["coding"])
        spent.setdefault(number, []).append(cost)
        steps["JPEG"].append(cost["jpeg"])
        steps["WebP"].append(cost["webp"])
        steps["NI"].append(cost["NI"])
        steps["NA"].append(cost["NA"])
        steps["HA first frame"].append(cost["HA"] + fresh * cost["jpeg"])
        for way, shared in _shared(number).items():
            steps[way].append(cost[way[:2]] + fresh * shared)
    sums = {way: np.cumsum(part)[EVERY - 1 :: EVERY].tolist() for way, part in steps.items()}
    return {"sums": sums, "subjects": len(known), "pays": _pays(spent)}


def _pays(spent: Mapping[int, Sequence[Mapping]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for against in ("jpeg", "webp"):
        for way in ("HA picture", "HI adapter", "HI views"):
            counts = [
                break_even(_shared(number)[way], float(np.mean([one[against] - one[way[:2]] for one in part])))
                for number, part in spent.items()
            ]
            found[f"{way.replace(' ', '-')}-{against}"] = {"mean": float(np.mean(counts)), "most": float(max(counts))}
    saving = float(np.mean([one["jpeg"] - one["HA"] for part in spent.values() for one in part]))
    found["general-jpeg"] = break_even(uses(general_bits()), saving)
    return found


def _summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {"every": EVERY, "subjects": float(np.mean([r["subjects"] for r in records]))}
    for coding in dict.fromkeys(r["task"]["coding"] for r in records):
        part = [r for r in records if r["task"]["coding"] == coding]
        last = {way: [r["sums"][way][-1] / r["task"]["pictures"] for r in part] for way in WAYS}
        summary[coding] = {
            "mean_uses": {way: student_interval(values) for way, values in last.items()},
            "sums": {way: np.mean([r["sums"][way] for r in part], axis=0).round(1).tolist() for way in WAYS},
            "pays": {
                name: {
                    "mean": float(np.mean([r["pays"][name]["mean"] for r in part])),
                    "most": float(max(r["pays"][name]["most"] for r in part)),
                }
                for name in part[0]["pays"]
                if name != "general-jpeg"
            },
            "general": float(np.mean([r["pays"]["general-jpeg"] for r in part])),
        }
    return summary


STUDIES = {"conversation": Study(tasks, run, _summary, small={"pictures": 10})}
