"""The study ``alignment``: the four schemes and JPEG on scenes with a subject (Wang et al., 2024, Fig. 6).

Every scene shows one of the toy world's thirty subjects, alone or beside another thing. The same picture goes through
every scheme, with the same noise at the receiver, so that schemes are compared in pairs. What a scheme reaches is
measured twice: against the scene that was sent, and against another one, which is what a wrong prompt reaches.

Subjects, not pictures, are the units of all intervals: pictures of one subject are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.semantic.codecs import decoded, jpeg
from semcom_utils.statistics import highest, lowest, student_interval
from semcom_utils.studies import Study

from .alignment import ATTRIBUTES, MEASURES, NAMED, Seen, measure, subject_place
from .channel import (
    CODECS,
    JPEG_QUALITY,
    WITT_USES,
    file_size,
    psnr_db,
    ratio,
    smallest_file,
    squeezed,
    uses,
)
from .knowledge import receiver_b
from .message import CODINGS, Prompt
from .schemes import SCHEMES, STEPS, extract_all, models, reconstruct, with_identifier

__all__ = ["COSINES", "DRAWN", "STUDIES", "VIEWS", "another", "by_subject", "case_scene", "partner", "run", "tasks"]

#: Views of each subject: the first alone, the second beside another thing.
VIEWS = (0, 1)
#: The paper's three alignments.
COSINES = MEASURES[:3]
#: What is drawn: the schemes; with the history of another subject; with the boxes of another scene; from what a
#: perfect extractor would send.
DRAWN = (
    *SCHEMES,
    "HI-other",
    "HA-other",
    "NA-shuffled",
    "NI-exact",
    "NA-exact",
)
UNITS = {"psnr": 0.01}  # of a stored whole number; others are thousandths


def case_scene(number: int, view: int) -> toyworld.Scene:
    """A scene of the case study.

    Parameters
    ----------
    number : int
        Of the subject, 0 to 29.
    view : int
        At least 0; even ones show it alone, odd ones beside a thing of another kind without a pattern.

    Returns
    -------
    Scene
        The same for the same numbers; none of those that a model was taught.
    """
    kind, colour, texture = toyworld.subject(number)
    rng = np.random.default_rng([11_2026, number, view])
    ground = str(rng.choice(list(toyworld.GROUNDS)))

    def thing(kind: str, colour: str, x: float, texture: Any) -> toyworld.Thing:
        pose = str(rng.choice(toyworld.POSES)) if kind == "robot" else None
        return toyworld.Thing(kind, colour, x, float(rng.uniform(47, 60)), pose, texture)

    if view % 2 == 0:
        return toyworld.render(toyworld.Description(ground, (thing(kind, colour, rng.uniform(20, 44), texture),)))
    pairs = [(k, c) for k in toyworld.KINDS for c in toyworld.COLOURS if k != kind and (c, k) not in toyworld.UNSEEN]
    other_kind, other_colour = pairs[rng.integers(len(pairs))]
    left, right = 17 + rng.uniform(-4, 4), 47 + rng.uniform(-4, 4)
    places = [left, right] if rng.random() < 0.5 else [right, left]
    both = [thing(kind, colour, places[0], texture), thing(other_kind, other_colour, places[1], None)]
    return toyworld.render(toyworld.Description(ground, tuple(sorted(both, key=lambda one: one.x))))


def partner(number: int) -> int:
    """The subject whose scenes stand for a random other picture.

    Parameters
    ----------
    number : int

    Returns
    -------
    int
    """
    return (number + 11) % toyworld.SUBJECTS


def another(number: int) -> int:
    """The next subject of the same kind that looks different: whose history is told in place of the right one.

    Parameters
    ----------
    number : int

    Returns
    -------
    int
    """
    own = toyworld.subject(number)
    ring = [(number + step) % toyworld.SUBJECTS for step in range(1, toyworld.SUBJECTS)]
    return next(k for k in ring if toyworld.subject(k)[0] == own[0] and toyworld.subject(k)[1:] != own[1:])


def tasks() -> list[dict]:
    """One task a subject.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [{"subject": number, "views": list(VIEWS), "steps": STEPS} for number in range(toyworld.SUBJECTS)]


def _exact(scene: toyworld.Scene, scheme: str, seed: int) -> Prompt:
    """What a perfect extractor would send of a scene."""
    if SCHEMES[scheme].extractor == "captioner":
        prompt = Prompt(scene.caption, seed=seed)
    else:
        prompt = Prompt.placed(scene.labels, scene.boxes / toyworld.SIZE, seed=seed)
    return prompt


def _identified(prompt: Prompt, scene: toyworld.Scene, number: int) -> Prompt:
    place = subject_place(scene)
    others = np.delete(scene.boxes, place, axis=0)
    return with_identifier(prompt, number, scene.boxes[place], others)


def _costs(prompts: Mapping[str, Sequence[Prompt]], images: np.ndarray) -> dict[str, Any]:
    """Bytes of everything: prompts as text and by the grammar, and files of JPEG's quality."""
    costs: dict[str, Any] = {
        coding: {scheme: [_written(prompt, coding).bits // 8 for prompt in part] for scheme, part in prompts.items()}
        for coding in CODINGS
    }
    for codec in CODECS:
        costs[codec] = []
    for image in images:
        rows = image.transpose(1, 2, 0)
        reached = psnr_db(_as_jpeg(image), image)
        for codec in CODECS:
            plain = codec in ("jpeg", "scan")
            file = jpeg(rows, JPEG_QUALITY, codec == "jpeg") if plain else smallest_file(image, codec, reached)
            costs[codec].append(file_size(file, codec))
    return costs


def _as_jpeg(image: np.ndarray) -> np.ndarray:
    return decoded(jpeg(image.transpose(1, 2, 0), JPEG_QUALITY)).transpose(2, 0, 1).astype(np.float32)


def _written(prompt: Prompt, coding: str) -> Prompt:
    try:
        return replace(prompt, coding=coding)
    except ValueError:  # a caption that is none of the grammar travels as text
        return prompt


def run(task: dict) -> dict:
    """All schemes on the scenes of one subject.

    Parameters
    ----------
    task : dict
        ``subject``; ``views``, numbers of its scenes; ``steps`` of the sampler.

    Returns
    -------
    dict
        ``own`` and ``other``: condition -> a row a scene, of :data:`.alignment.MEASURES` in thousandths (PSNR in
        hundredths of dB), against the scene that was sent and against another one. ``has`` and ``has_other``:
        condition -> the attributes of each scene, one letter each. Beside what was drawn there are ``JPEG``, and
        ``JPEG-small``, a thumbnail in the bytes of the longest prompt. ``costs``: bytes of prompts and files.
    """
    named, number = models(), task["subject"]
    scenes = [case_scene(number, view) for view in task["views"]]
    others = [case_scene(partner(number), view) for view in task["views"]]
    images = np.stack([scene.image for scene in scenes]).astype(np.float32)
    seeds = [100 * number + view for view in task["views"]]
    prompts: dict[str, list[Prompt]] = {}
    for scheme in SCHEMES:
        made = extract_all(images, scheme, named, seeds=seeds)
        if SCHEMES[scheme].history:
            made = [_identified(one, scene, number) for one, scene in zip(made, scenes, strict=True)]
        prompts[scheme] = made
    for scheme in ("NI", "NA"):
        prompts[f"{scheme}-exact"] = [_exact(scene, scheme, seed) for scene, seed in zip(scenes, seeds, strict=True)]
    wrong = another(number)
    for scheme in ("HI", "HA"):
        prompts[f"{scheme}-other"] = [replace(prompt, identifier=wrong) for prompt in prompts[scheme]]
    theirs = extract_all(np.stack([scene.image for scene in others]), "NA", named, seeds=seeds)
    prompts["NA-shuffled"] = [_at_boxes_of(own, other) for own, other in zip(prompts["NA"], theirs, strict=True)]
    receiver = receiver_b()
    for whom in (number, wrong):
        receiver = receiver.told(whom, "picture", bits=0).told(whom, "adapter", bits=0)
    drawn = reconstruct([one for name in DRAWN for one in prompts[name]], receiver, named, steps=task["steps"])
    pictures = dict(zip(DRAWN, drawn.reshape(len(DRAWN), len(scenes), *images.shape[1:]), strict=True))
    # On this link a file arrives whole at 10 dB (the study "link" says how surely), so nothing is drawn for noise here.
    pictures["JPEG"] = np.stack([_as_jpeg(image) for image in images])
    costs = _costs({scheme: prompts[scheme] for scheme in SCHEMES}, images)
    longest = [max(costs["text"][scheme][k] for scheme in SCHEMES) for k in range(len(images))]
    pictures["JPEG-small"] = np.stack([squeezed(image, n)[0] for image, n in zip(images, longest, strict=True)])

    n, rounds = len(scenes), len(pictures)
    sources = Seen.of(np.concatenate([images, np.stack([scene.image for scene in others])]), named)
    seen = Seen.of(np.clip(np.concatenate(list(pictures.values())), 0, 1), named)
    record: dict[str, Any] = {"costs": costs}
    for told, which, first, sent, whose in (
        ("own", "has", 0, prompts["NA"], number),
        ("other", "has_other", n, theirs, partner(number)),
    ):
        part = sources[list(range(first, first + n)) * rounds]
        values = measure((scenes if told == "own" else others) * rounds, part, sent * rounds, seen,
                         [whose] * (n * rounds), named)  # fmt: skip
        rows = [[round(float(values[m][k]) / UNITS.get(m, 1e-3)) for m in MEASURES] for k in range(n * rounds)]
        letters = ["".join("01"[bool(v)] for v in row) for row in values["attributes"]]
        record[told] = {name: rows[k * n : (k + 1) * n] for k, name in enumerate(pictures)}
        record[which] = {name: letters[k * n : (k + 1) * n] for k, name in enumerate(pictures)}
    record["captions"] = {
        "sent": [prompt.caption for prompt in prompts["NI"]],
        "exact": [scene.caption for scene in scenes],
    }
    return record


def _at_boxes_of(prompt: Prompt, other: Prompt) -> Prompt:
    """A prompt's labels at the boxes of another one, mirrored where that has too few."""
    boxes = list(other.boxes) + [(64 - right, top, 64 - left, bottom) for left, top, right, bottom in other.boxes]
    boxes += boxes
    return replace(prompt, boxes=tuple(boxes[: len(prompt.labels)]))


# --- summary ---------------------------------------------------------------------------------------------------------


def by_subject(records: Sequence[Mapping], condition: str, name: str, against: str = "own") -> np.ndarray:
    """Mean of a measure over the scenes of each subject.

    Parameters
    ----------
    records : sequence of mapping
        Of the study.
    condition, name : str
        What was drawn, and which of the measures.
    against : {"own", "other"}
        The scene that was sent, or another one.

    Returns
    -------
    numpy.ndarray
        ``[subjects]``.
    """
    column, unit = MEASURES.index(name), UNITS.get(name, 1e-3)
    return np.array([np.mean([row[column] for row in r[against][condition]]) * unit for r in records])


def _excess(records: Sequence[Mapping], condition: str) -> dict[str, np.ndarray]:
    """For each attribute, how much oftener it is right than against another scene, ``[subjects]``."""
    found = {}
    for k, attribute in enumerate(ATTRIBUTES):
        own, other = (
            np.array([np.mean([row[k] == "1" for row in r[which][condition]]) for r in records])
            for which in ("has", "has_other")
        )
        found[attribute] = own - other
    return found


def _detail(records: Sequence[Mapping], condition: str) -> dict[str, Any]:
    excess = _excess(records, condition)
    told = np.mean([excess[name] for name in NAMED], axis=0)
    untold = np.mean([excess[name] for name in ATTRIBUTES if name not in NAMED], axis=0)
    return {
        "by_attribute": {name: student_interval(value) for name, value in excess.items()},
        "named": student_interval(told),
        "unnamed": student_interval(untold),
        "named_minus_twice_unnamed": student_interval(told - 2 * untold),
    }


def _uses(records: Sequence[Mapping]) -> dict[str, np.ndarray]:
    """Complex channel uses on the paper's link, a number a picture."""
    columns = {
        f"{scheme} {coding}": [n for r in records for n in r["costs"][coding][scheme]]
        for coding in CODINGS
        for scheme in SCHEMES
    }
    columns |= {codec: [n for r in records for n in r["costs"][codec]] for codec in CODECS}
    return {name: np.array([uses(8 * n) for n in column]) for name, column in columns.items()}


def _order(values: Mapping[str, float]) -> list[str]:
    return sorted(values, key=lambda name: values[name])


def _ratios(mean: Mapping[str, float]) -> dict[str, Any]:
    """Ratios per bit and per sample, and whether they rank all schemes alike."""
    everything = {
        **{name: float(v) for name, v in mean.items()},
        **{f"WITT {k}": float(v) for k, v in WITT_USES.items()},
    }
    per = {what: {name: ratio(value, what) for name, value in everything.items()} for what in ("bit", "sample")}
    mixed = {name: per["sample" if name.startswith("WITT") else "bit"][name] for name in everything}
    return {
        "per": per,
        "moved": sum(a != b for a, b in zip(_order(per["bit"]), _order(per["sample"]), strict=True)),
        "moved_if_mixed": sum(a != b for a, b in zip(_order(per["bit"]), _order(mixed), strict=True)),
    }


def _apart(records: Sequence[Mapping], one: str, other: str, name: str) -> dict:
    return student_interval(by_subject(records, one, name) - by_subject(records, other, name))


def _summary(records: list[dict]) -> dict:
    known = len(records) > 1  # one subject has no interval
    conditions = list(records[0]["own"])
    reached = {c: {m: student_interval(by_subject(records, c, m)) for m in MEASURES} for c in conditions}
    floor = {c: {m: student_interval(by_subject(records, c, m, "other")) for m in MEASURES} for c in conditions}
    used = _uses(records)
    mean = {name: float(value.mean()) for name, value in used.items()}
    prompts = {coding: np.array([used[f"{scheme} {coding}"] for scheme in SCHEMES]) for coding in CODINGS}
    half: dict[str, dict] = {scheme: {} for scheme in SCHEMES}
    gap: dict[str, dict] = {}
    for scheme in SCHEMES:
        for m in ("object", "text"):
            best, own = by_subject(records, "JPEG", m), by_subject(records, scheme, m)
            wrong = by_subject(records, scheme, m, "other")
            half[scheme][m] = student_interval(own - wrong - 0.5 * (best - wrong))
        gap[scheme] = {
            other: student_interval(by_subject(records, scheme, "text") - by_subject(records, scheme, other))
            for other in ("image", "object")
        }
        gap[scheme]["rescaled"] = {
            m: (reached[scheme][m]["estimate"] - floor[scheme][m]["estimate"]) / (1 - floor[scheme][m]["estimate"])
            for m in COSINES
        }
    history = {
        f"{one} over {two}": {m: _apart(records, one, two, m) for m in COSINES}
        for one, two in (("HI", "NI"), ("HA", "NA"), ("HI-other", "NI"), ("HA-other", "NA"))
    }
    boxes = {
        f"{one} over {two}": _apart(records, one, two, "box")
        for one, two in (("NA", "NI"), ("HA", "HI"), ("NA-shuffled", "NI"))
    }

    def low(part: Mapping) -> float | None:
        return part["low"] if known else None

    shannon = [_apart(records, "JPEG", scheme, m) for scheme in SCHEMES for m in COSINES]
    small = {m: highest([_apart(records, scheme, "JPEG-small", m) for scheme in SCHEMES]) for m in COSINES}
    identity = {c: reached[c]["identity"] for c in conditions}
    apart = {
        scheme: identity[scheme]["low"] - highest([identity["NI"], identity["NA"]])["high"] if known else None
        for scheme in ("HI", "HA", "HI-other", "HA-other")
    }
    text_apart = {
        c: reached[c]["text"]["low"] - max(reached[c][m]["high"] for m in ("image", "object")) if known else None
        for c in (*SCHEMES, "JPEG")
    }
    return {
        "pictures": sum(len(r["own"]["NI"]) for r in records),
        "reached": reached,
        "wrong_prompt": floor,
        "uses": {name: {"mean": mean[name], "least": int(v.min()), "most": int(v.max())} for name, v in used.items()},
        "bandwidth": {
            "share_of_jpeg": {coding: float((prompts[coding] / used["jpeg"]).max()) for coding in CODINGS},
            "share_of_scan": {coding: float((prompts[coding] / used["scan"]).max()) for coding in CODINGS},
            "share_of_webp": {coding: float((prompts[coding] / used["webp"]).max()) for coding in CODINGS},
            "most": {coding: int(prompts[coding].max()) for coding in CODINGS},
            "witt_low": WITT_USES["low"],
        },
        "ratio": _ratios(mean),
        "identifiers": {
            coding: {
                one: float(
                    sum(sum(r["costs"][coding][one]) for r in records)
                    / sum(sum(r["costs"][coding][two]) for r in records)
                    - 1
                )
                for one, two in (("HI", "NI"), ("HA", "NA"))
            }
            for coding in CODINGS
        },
        "history": history,
        "history_least": {
            "right": low(lowest([history[p][m] for p in ("HI over NI", "HA over NA") for m in ("image", "object")])),
            "other": low(
                lowest([history[p][m] for p in ("HI-other over NI", "HA-other over NA") for m in ("image", "object")])
            ),
        },
        "boxes": boxes | {"least": low(lowest([boxes["NA over NI"], boxes["HA over HI"]]))},
        "identity_apart": apart | {"least": min(apart["HI"], apart["HA"]) if known else None},
        "jpeg_over_schemes": low(lowest(shannon)),
        "schemes_over_small_jpeg": {m: low(part) for m, part in small.items()},
        "text_over_others": gap,
        "text_apart": text_apart | {"least": min(text_apart.values()) if known else None},
        "half_of_the_way": half | {"least": low(lowest([part for row in half.values() for part in row.values()]))},
        "detail": {c: _detail(records, c) for c in ("NI", "HA", "NI-exact", "NA-exact")},
        "captions_right": float(
            np.mean(
                [a == b for r in records for a, b in zip(r["captions"]["sent"], r["captions"]["exact"], strict=True)]
            )
        ),
    }


STUDIES = {"alignment": Study(tasks, run, _summary, small={"subject": 0, "views": [1], "steps": 2})}
