"""Feedback (Wang et al., 2024, section III-E): what a receiver reports, and what telling it more brings.

Receiver B starts with general knowledge alone. In each round it draws a picture of each of the thirty subjects from
labels and boxes. It may report some that it could not draw; of these the sender shares the stored picture, and from
the next round on they are drawn with it (scheme HA in place of NA). Only so many can be shared a round.

Who says what could not be drawn?

- ``receiver``: its own judge, which looks for the labels at the boxes, the one thing that B can check by itself;
- ``sender``: the sender compares what B drew (the vector of the object, sent back) with the source;
- ``chance``: anyone, as many;
- ``oracle``: whoever gains most.

``nobody`` shares nothing; ``again`` does not either, but draws three times and keeps what its own judge likes best;
``all at once`` shares everything before the first round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils import toyworld
from semcom_utils.checks import checked, finite_array, numpy_generator, one_of, positive_integer
from semcom_utils.studies import Study

__all__ = ["MEASURES", "POLICIES", "REPORT_BITS", "ROUNDS", "STUDIES", "own_score", "rounds", "run", "tasks"]

#: How subjects are chosen for sharing.
POLICIES = ("nobody", "again", "chance", "receiver", "sender", "oracle", "all at once")
#: Rounds, subjects that can be shared after each, and views of a subject, which come in turn.
ROUNDS, SHARED, VIEWS = 6, 5, (12, 13, 14)
#: Steps of the sampler; drawings without history.
STEPS, TRIES = 8, 3
#: Bits of a report: the number of a subject. The sender's way needs the object's vector, 64 numbers of 8 bits.
REPORT_BITS = {"receiver": 8, "sender": 8 * 64}
#: What is measured of a drawing: the receiver's own score, and what only the source can tell.
MEASURES = ("own", "identity", "object")
#: Resamplings of the subjects behind each interval.
RESAMPLED = 200


@checked
def own_score(found: Sequence[Any], labels: Sequence[str], boxes: ArrayLike) -> float:
    """What the receiver itself can check: overlap of each box that was sent with what is found under its label.

    Parameters
    ----------
    found : sequence of Detection
        On the drawing.
    labels : sequence of str
        As they were sent.
    boxes : array_like
        ``[things, 4]``, pixels, as they were sent.

    Returns
    -------
    float
        Mean over the boxes, in [0, 1]; 0 for one under whose label nothing is found.

    Raises
    ------
    ValueError
        If there are not as many labels as boxes, or none, or what was found is none.
    """
    from semcom_utils.generation.judging import Detection, box_overlap

    places = finite_array("boxes", boxes, last=4).tolist()
    if np.ndim(places) != 2 or len(places) != len(labels) or not len(labels):
        raise ValueError(f"boxes must be as many as labels, at least one, got {len(places)} and {len(labels)}")
    if not all(isinstance(one, Detection) for one in found):
        raise ValueError(f"found must hold detections, got {found!r:.80}")
    best = [
        max((box_overlap(one.box, box) for one in found if one.label == label), default=0.0)
        for label, box in zip(labels, places, strict=True)
    ]
    return float(np.mean(best))


@checked
def rounds(
    policy: str,
    unknown: ArrayLike,
    known: ArrayLike,
    reported: ArrayLike,
    rng: np.random.Generator,
    *,
    shared: int = SHARED,
    count: int = ROUNDS,
) -> tuple[np.ndarray, np.ndarray]:
    """Alignment over rounds of feedback.

    Parameters
    ----------
    policy : str
        One of :data:`POLICIES`.
    unknown, known : array_like
        ``[subjects, views]``: alignment of a drawing without and with the subject's picture.
    reported : array_like
        ``[subjects, views]``: the score by which the policy reports, of a drawing without it; the lowest come first.
    rng : numpy.random.Generator
        Chooses where chance does, and breaks ties.
    shared : int
        Subjects a round.
    count : int
        Rounds; views come in turn.

    Returns
    -------
    alignment : numpy.ndarray
        ``[count]``, mean over the subjects.
    told : numpy.ndarray
        Int ``[count]``, subjects shared before each round.

    Raises
    ------
    ValueError
        If an argument is none of these, or shapes differ.
    """
    one_of("policy", policy, POLICIES)
    numpy_generator("rng", rng)
    positive_integer("shared", shared), positive_integer("count", count)
    without, having = finite_array("unknown", unknown), finite_array("known", known)
    scores = finite_array("reported", reported)
    if without.ndim != 2 or not without.size or not without.shape == having.shape == scores.shape:
        raise ValueError(
            "unknown, known and reported must be [subjects, views], all alike, got shapes "
            f"{without.shape}, {having.shape} and {scores.shape}"
        )
    told = np.full(len(without), policy == "all at once")
    alignment, numbers = [], []
    for k in range(count):
        view = k % without.shape[1]
        alignment.append(np.where(told, having[:, view], without[:, view]).mean())
        numbers.append(int(told.sum()))
        if policy in ("nobody", "again", "all at once"):
            continue
        if policy == "chance":
            key = rng.random(len(told))
        elif policy == "oracle":
            key = (without - having).mean(1)
        else:
            key = scores[:, view]
        order = np.lexsort((rng.random(len(told)), key, told))
        told = told.copy()
        told[[i for i in order[:shared] if not told[i]]] = True
    return np.array(alignment), np.array(numbers)


# --- the study -------------------------------------------------------------------------------------------------------


def tasks() -> list[dict]:
    """Blocks of subjects.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [
        {"subjects": list(range(first, first + 10)), "views": list(VIEWS), "steps": STEPS}
        for first in range(0, toyworld.SUBJECTS, 10)
    ]


@lru_cache(maxsize=1)
def _models() -> dict[str, Any]:
    from .schemes import models

    return models()


def run(task: dict) -> dict:
    """Draw each scene several times without history, and once with it.

    Parameters
    ----------
    task : dict
        ``subjects``, ``views``, ``steps``.

    Returns
    -------
    dict
        ``without``: for each try measure -> ``[subjects, views]`` in thousandths; ``with``: likewise, once. ``bits``:
        of the stored pictures.
    """
    from .alignment import Seen, measure, subject_place
    from .case_study import case_scene
    from .knowledge import picture_bits, receiver_b
    from .message import Prompt
    from .schemes import reconstruct, with_identifier

    named = _models()
    numbers = [number for number in task["subjects"] for _ in task["views"]]
    scenes = [case_scene(number, view) for number in task["subjects"] for view in task["views"]]
    images = np.stack([scene.image for scene in scenes]).astype(np.float32)
    receiver = receiver_b()
    for number in task["subjects"]:
        receiver = receiver.told(number, "picture")
    prompts = []
    for attempt in range(TRIES):
        for k, (number, scene) in enumerate(zip(numbers, scenes, strict=True)):
            seed = 40_000 + 1000 * attempt + 10 * number + k % 10
            prompts.append(Prompt.placed(scene.labels, scene.boxes / toyworld.SIZE, seed=seed))
    for k, (number, scene) in enumerate(zip(numbers, scenes, strict=True)):
        prompts.append(with_identifier(prompts[k], number, scene.boxes[subject_place(scene)]))
    made = np.clip(reconstruct(prompts, receiver, named, steps=task["steps"]), 0, 1)
    sources, seen = Seen.of(images, named), Seen.of(made, named)
    n, times = len(scenes), TRIES + 1
    plain = [prompts[k] for k in range(n)]
    values = measure(scenes * times, sources[list(range(n)) * times], plain * times, seen, numbers * times, named)
    values["own"] = np.array(
        [own_score(part, scene.labels, scene.boxes) for part, scene in zip(seen.found, scenes * times, strict=True)]
    )
    shape = (times, len(task["subjects"]), len(task["views"]))
    columns = {name: np.round(1000 * values[name]).astype(int).reshape(shape).tolist() for name in MEASURES}
    return {
        "without": [{name: columns[name][attempt] for name in MEASURES} for attempt in range(TRIES)],
        "with": {name: columns[name][TRIES] for name in MEASURES},
        "bits": [picture_bits(number) for number in task["subjects"]],
    }


def _stacked(records: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Measure -> ``[tries, subjects, views]`` without, ``[subjects, views]`` with (``name +``)."""
    found: dict[str, np.ndarray] = {}
    for name in MEASURES:
        tries = [[row for r in records for row in r["without"][k][name]] for k in range(len(records[0]["without"]))]
        found[name] = np.array(tries) / 1000
        found[f"{name} +"] = np.array([row for r in records for row in r["with"][name]]) / 1000
    return found


def _kept(found: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Of the tries without history, the one that the receiver's own judge likes best."""
    best = found["own"].argmax(0)
    return np.take_along_axis(found[name], best[None], 0)[0]


def _lines(found: Mapping[str, np.ndarray], name: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Alignment over rounds by each policy."""
    first, known = found[name][0], found[f"{name} +"]
    lines = {}
    for policy in POLICIES:
        unknown = _kept(found, name) if policy == "again" else first
        reported = found["object"][0] if policy == "sender" else found["own"][0]
        several = 20 if policy == "chance" else 1
        lines[policy] = np.mean([rounds(policy, unknown, known, reported, rng)[0] for _ in range(several)], axis=0)
    return lines


def _rank(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return rankdata(values)


def _interval(estimate: Any, drawn: Sequence[Any]) -> dict[str, Any]:
    low, high = np.quantile(np.asarray(drawn, float), [0.025, 0.975], axis=0)
    return {
        "estimate": np.asarray(estimate, float).tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "n": len(drawn),
    }


def _summary(records: Sequence[Mapping]) -> dict:
    found, rng = _stacked(records), np.random.default_rng(0)
    subjects = found["own"].shape[1]
    bits = [one for r in records for one in r["bits"]]
    samples = [rng.integers(subjects, size=subjects) for _ in range(RESAMPLED)]
    again = [
        {key: (value[:, rows] if value.ndim == 3 else value[rows]) for key, value in found.items()} for rows in samples
    ]
    summary: dict[str, Any] = {"rounds": {}, "midway_over_chance": {}, "finds": {}, "gain": {}}
    for name in ("identity", "object"):
        lines, drawn = _lines(found, name, rng), [_lines(one, name, rng) for one in again]
        summary["rounds"][name] = {p: _interval(lines[p], [one[p] for one in drawn]) for p in POLICIES}
        middle = ROUNDS // 2
        summary["midway_over_chance"][name] = {
            p: _interval(
                lines[p][middle] - lines["chance"][middle], [one[p][middle] - one["chance"][middle] for one in drawn]
            )
            for p in POLICIES
        }
        gains = (found[f"{name} +"] - found[name][0]).mean(1)
        summary["gain"][name] = _interval(gains.mean(), [gains[rows].mean() for rows in samples])
        for who, key in (("receiver", "own"), ("sender", "object")):
            low = -found[key][0].mean(1)
            summary["finds"][f"{who}, {name}"] = _interval(
                _correlation(low, gains), [_correlation(low[rows], gains[rows]) for rows in samples]
            )
    summary["bits"] = {"picture": float(np.mean(bits)), "reports": {k: SHARED * v for k, v in REPORT_BITS.items()}}
    return summary


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of ranks (Spearman); 0 where one does not vary."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(_rank(one), _rank(other))[0, 1])


STUDIES = {"feedback": Study(tasks, run, _summary, small={"views": [12], "steps": 1, "subjects": [0, 15]})}
