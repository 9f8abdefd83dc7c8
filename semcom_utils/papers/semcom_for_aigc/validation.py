"""Generation entropy (Liu et al., 2023, section III-C): the fewest bits from which the content can be made again.

For each scene every representation (part of the caption, kind of map, factor) is generated as the receiver would, and
validated. The chapter ``notebooks/11_semcom_for_aigc`` explains what the summary says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, real_number
from semcom_utils.semantic.extractors import extract
from semcom_utils.statistics import mean_interval, share_interval
from semcom_utils.studies import Study
from semcom_utils.toyworld.maps import MAPS

from .measures import jpeg_bits, meaning_bits, meaning_entropy, overlap, structure
from .message import Message, encode_words
from .transceiver import ALIKE, generate, models, prompt, validate

__all__ = [
    "AGREED_BITS",
    "SHARE",
    "STUDIES",
    "THRESHOLDS",
    "best_fixed",
    "entropy_run",
    "fixed_and_validated",
    "study_scene",
]

#: Similarities from which a content counts as alike, from "of the same meaning" to "all in its place".
THRESHOLDS = (0.9, 0.95, 0.97, ALIKE, 0.99)
#: Bits of the header that a fixed format does without: factor, seed, steps and guidance are agreed once.
AGREED_BITS = 8 * (1 + 2 + 1 + 1)
#: Share of the scenes on which a fixed representation has to pass.
SHARE = 0.9


@checked
def study_scene(seed: int) -> toyworld.Scene:
    """A held-out scene of the system's studies: one to three things, no textures, none inside another.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    toyworld.Scene

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    return toyworld.scene(7000 + seed, "combinations", textured=0.0, inside=0.0)


def entropy_run(task: dict) -> dict:
    """All representations of one scene: bits, and what validation measures.

    Parameters
    ----------
    task : dict
        ``seed``, of the scene and of the generation; ``kinds``; ``caption_factors`` and ``things_factors``, the factors
        of the maps that go with the caption and with its things alone; ``regenerations``, further seeds for the caption
        alone.

    Returns
    -------
    dict
        ``meaning_bits``, ``caption_bits`` and ``text_bits`` of the caption; ``tried``: for each representation the part
        of the caption, kind, factor, bits, whether the judge found what was asked for, and in thousandths similarity,
        SSIM and overlap of the things' boxes; then bits of the content as a JPEG. ``regenerated``: right and similarity
        of the caption alone with further seeds.
    """
    from semcom_utils.generation import one_thread

    one_thread()
    scene, seed = study_scene(task["seed"]), task["seed"]
    names: list[tuple[str, str | None, int]] = []
    messages = []
    for words in ("caption", "things"):
        said = prompt(scene.caption, words)
        names.append((words, None, 1))
        messages.append(Message.of(said, seed=seed))
        for kind in task["kinds"]:
            full = extract(kind, scene)
            for factor in task[f"{words}_factors"]:
                names.append((words, kind, factor))
                messages.append(Message.of(said, full.downscaled(factor), seed=seed))
    again = [replace(messages[0], seed=1000 * k + seed) for k in range(1, task["regenerations"] + 1)]
    contents = generate([*messages, *again])
    pictures = np.repeat(scene.image[None], len(contents), 0)
    verdicts = validate(contents, [scene.caption] * len(contents), pictures)
    found = models()["judge"](contents)
    tried = []
    for name, message, content, verdict, detections in zip(names, messages, contents, verdicts, found, strict=False):
        alike = structure(content, scene.image)["whole"]
        places = overlap(detections, scene.labels, scene.boxes)
        measured = [round(1000 * value) for value in (verdict.similarity, alike, places)]
        tried.append([*name, message.bits, int(verdict.right), *measured, jpeg_bits(content)])
    return {
        "caption": scene.caption,
        "meaning_bits": round(meaning_bits(toyworld.meaning(scene.description)), 3),
        "caption_bits": 8 * len(encode_words(scene.caption)),
        "text_bits": 8 * len(scene.caption),
        "tried": tried,
        "regenerated": [[int(v.right), round(1000 * v.similarity)] for v in verdicts[len(messages) :]],
    }


def _passes(row: Sequence[Any], threshold: float = ALIKE) -> bool:
    """Whether a tried representation passes validation."""
    return bool(row[4]) and row[5] >= 1000 * threshold


def _fewest(record: dict, threshold: float) -> int | None:
    """Fewest bits of a scene's representations that pass; None where none does."""
    return min((row[3] for row in record["tried"] if _passes(row, threshold)), default=None)


def _name(row: Sequence[Any]) -> tuple:
    return (row[0], row[1], row[2])


@checked
def best_fixed(records: Sequence[dict], share: float = SHARE) -> tuple:
    """The representation that a sender without validation would take for every scene.

    It is chosen on the scenes on which it is judged, which can only favour it.

    Parameters
    ----------
    records : sequence of dict
        Of :func:`entropy_run`.
    share : float
        Of the scenes on which it has to pass, in [0, 1].

    Returns
    -------
    tuple
        Part of the caption, kind and factor of the cheapest that passes so often; of the one that passes most often
        where none does.

    Raises
    ------
    ValueError
        If ``share`` is out of its range.
    """
    real_number("share", share, low=0, high=1)
    table = _rates(records)
    good = [name for name, (rate, _) in table.items() if rate >= share]
    if good:
        return min(good, key=lambda name: table[name][1])
    return max(table, key=lambda name: (table[name][0], -table[name][1]))


def _rates(records: Sequence[dict]) -> dict[tuple, tuple[float, float]]:
    """Representation -> rate of passing, mean bits."""
    cells: dict[tuple, list] = {}
    for row in (row for r in records for row in r["tried"]):
        cells.setdefault(_name(row), []).append((_passes(row), row[3]))
    return {name: (float(np.mean(cell, 0)[0]), float(np.mean(cell, 0)[1])) for name, cell in cells.items()}


@checked
def fixed_and_validated(
    records: Sequence[dict], accepted: float | None = None, fixed: tuple | None = None
) -> list[dict]:
    """Each scene by one representation for all, and by a validated one.

    Messages of the fixed one leave out what is agreed once (:data:`AGREED_BITS`). The validated sender tries what is
    no longer than the fixed message, the shortest first, sends the first that passes, and the fixed representation if
    none does. So its content is accepted wherever the fixed one's is.

    Parameters
    ----------
    records : sequence of dict
        Of :func:`entropy_run`.
    accepted : float, optional
        A validator that accepts at random with this probability, instead of the criterion; what comes back is the
        expectation.
    fixed : tuple, optional
        The representation; :func:`best_fixed` by default.

    Returns
    -------
    list of dict
        A scene each: ``fixed_bits``, ``validated_bits``; whether (or how probably) the content passes the criterion:
        ``fixed_passes``, ``validated_passes``; ``tried``, contents made to validate; ``conveyed_bits``, theirs as JPEG
        files; and the overlap of the things' boxes, ``fixed_overlap`` and ``validated_overlap``.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    name, rows = best_fixed(records) if fixed is None else fixed, []
    for record in records:
        own = next(row for row in record["tried"] if _name(row) == name)
        ladder = sorted((row for row in record["tried"] if row[3] <= own[3]), key=lambda row: row[3])
        left, expected = 1.0, dict.fromkeys(("bits", "passes", "tried", "conveyed", "overlap"), 0.0)
        for row in ladder:
            expected["tried"] += left
            expected["conveyed"] += left * row[8]
            chance = left * (float(_passes(row)) if accepted is None else accepted)
            for key, value in (("bits", row[3]), ("passes", _passes(row)), ("overlap", row[7] / 1000)):
                expected[key] += chance * value
            left -= chance
        for key, value in (("bits", own[3]), ("passes", _passes(own)), ("overlap", own[7] / 1000)):
            expected[key] += left * value
        rows.append(
            {
                "fixed_bits": own[3] - AGREED_BITS,
                "validated_bits": expected["bits"],
                "fixed_passes": float(_passes(own)),
                "validated_passes": expected["passes"],
                "tried": expected["tried"],
                "conveyed_bits": expected["conveyed"],
                "fixed_overlap": own[7] / 1000,
                "validated_overlap": expected["overlap"],
            }
        )
    return rows


def _compared(rows: list[dict]) -> dict:
    """Means with intervals of what :func:`fixed_and_validated` says, and of the differences."""

    def of(key: str) -> np.ndarray:
        return np.array([row[key] for row in rows], float)

    saved = of("fixed_bits") - of("validated_bits")
    values = {key: mean_interval(of(key)) for key in rows[0]}
    return values | {
        "saved_bits": mean_interval(saved),
        "saved_less_conveyed_bits": mean_interval(saved - of("conveyed_bits")),
        "more_accepted": mean_interval(of("validated_passes") - of("fixed_passes")),
        "more_overlap": mean_interval(of("validated_overlap") - of("fixed_overlap")),
    }


def _rivals(records: Sequence[dict]) -> list[dict]:
    """Every fixed representation that no other beats in bits and rate, and what validation saves against it."""
    table, rivals = _rates(records), []
    for name, (rate, bits) in sorted(table.items(), key=lambda item: item[1][1]):
        if any(r >= rate and b <= bits and (r, b) != (rate, bits) for r, b in table.values()):
            continue
        rows = fixed_and_validated(records, fixed=name)
        means = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
        keep = ("fixed_bits", "fixed_passes", "validated_bits", "validated_passes")
        saved = mean_interval([row["fixed_bits"] - row["validated_bits"] for row in rows])
        rivals.append(
            {"words": name[0], "kind": name[1], "factor": name[2], "saved_bits": saved} | {k: means[k] for k in keep}
        )
    return rivals


def _entropy_summary(records: list[dict]) -> dict:
    curve, reached = {}, {}
    for threshold in THRESHOLDS:
        fewest = [_fewest(r, threshold) for r in records]
        passed = sorted(bits for bits in fewest if bits is not None)
        curve[f"{threshold:g}"] = passed
        reached[f"{threshold:g}"] = share_interval(len(passed), len(records))
    names = list(dict.fromkeys(_name(row) for r in records for row in r["tried"]))
    representations = []
    for name in names:
        cells = [row for r in records for row in r["tried"] if _name(row) == name]
        representations.append(
            {
                "words": name[0],
                "kind": name[1],
                "factor": name[2],
                "bits": float(np.mean([row[3] for row in cells])),
                "right": float(np.mean([row[4] for row in cells])),
                "similarity": float(np.mean([row[5] for row in cells])) / 1000,
                "ssim": float(np.mean([row[6] for row in cells])) / 1000,
                "overlap": float(np.mean([row[7] for row in cells])) / 1000,
                "passes": {f"{t:g}": float(np.mean([_passes(row, t) for row in cells])) for t in THRESHOLDS},
            }
        )
    validated = fixed_and_validated(records)
    tried = [row for r in records for row in r["tried"]]
    at_random = float(np.mean([_passes(row) for row in tried]))
    by_seed = [
        [_passes(r["tried"][0]), *(bool(right) and value >= 1000 * ALIKE for right, value in r["regenerated"])]
        for r in records
    ]
    return {
        "scenes": len(records),
        "semantic_entropy": {
            "exact": meaning_entropy(),
            "of_the_scenes": mean_interval([r["meaning_bits"] for r in records]),
            "caption_code": mean_interval([r["caption_bits"] for r in records]),
            "caption_text": mean_interval([r["text_bits"] for r in records]),
        },
        "fewest_bits": curve,
        "reached": reached,
        "generation_entropy": {name: mean_interval(bits) if bits else None for name, bits in curve.items()},
        "representations": representations,
        "regeneration": [
            share_interval(sum(any(row[: k + 1]) for row in by_seed), len(by_seed)) for k in range(len(by_seed[0]))
        ],
        "fixed": list(best_fixed(records)),
        "rivals": _rivals(records),
        "validated": _compared(validated),
        "at_random": _compared(fixed_and_validated(records, at_random)) | {"accepts": at_random},
    }


def _entropy_tasks() -> list[dict]:
    return [
        {
            "seed": seed,
            "kinds": list(MAPS),
            "caption_factors": [1, 4, 8, 16],
            "things_factors": [1, 8],
            "regenerations": 3,
        }
        for seed in range(30)
    ]


STUDIES = {
    "entropy": Study(
        _entropy_tasks,
        entropy_run,
        _entropy_summary,
        small={"kinds": ["segmentation"], "caption_factors": [8], "things_factors": [], "regenerations": 1},
    )
}
