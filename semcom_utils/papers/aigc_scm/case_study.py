"""The study ``alignment``: the four schemes and JPEG on scenes with a subject (Wang et al., 2024, Fig. 6).

Every scene shows one of the toy world's thirty subjects, alone or beside another thing. The same picture goes through
every scheme, with the same noise at the receiver, so that schemes are compared in pairs. What a scheme reaches is
measured twice: against the scene that was sent, and against another one, which is what a wrong prompt reaches.

Subjects, not pictures, are the units of all intervals: pictures of one subject are not independent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, positive_integer
from semcom_utils.semantic.codecs import decoded, jpeg
from semcom_utils.statistics import highest, lowest, student_interval
from semcom_utils.studies import Study

from .alignment import ATTRIBUTES, MEASURES, NAMED, Seen, measure, subject_place
from .channel import (
    CODECS,
    JPEG_QUALITY,
    SNR_DB,
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

__all__ = [
    "COSINES",
    "DRAWN",
    "STUDIES",
    "VIEWS",
    "another",
    "by_subject",
    "case_scene",
    "partner",
    "run",
    "tasks",
    "witt",
]

#: Views of each subject: the first alone, the second beside another thing. (Those before were tried out.)
VIEWS = (4, 5)
#: The paper's three alignments.
COSINES = MEASURES[:3]
#: What is drawn: the schemes; with the history of another subject; with the boxes of another scene; from what a
#: perfect extractor would send.
DRAWN = (
    *SCHEMES,
    "HI-other",
    "HA-other",
    "NA-shuffled",
    *(f"{scheme}-exact" for scheme in SCHEMES),
)
UNITS = {"psnr": 0.01, "sharpness": 1e-4, "saturation": 1e-4}  # of a stored whole number; others are thousandths


@checked
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

    Raises
    ------
    ValueError
        If there is no such subject, or ``view`` is negative.
    """
    kind, colour, texture = toyworld.subject(number)
    positive_integer("view", view, low=0)
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


@checked
def partner(number: int) -> int:
    """The subject whose scenes stand for a random other picture.

    Parameters
    ----------
    number : int

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return (number + 11) % toyworld.SUBJECTS


@checked
def another(number: int) -> int:
    """The next subject of the same kind that looks different: whose history is told in place of the right one.

    Parameters
    ----------
    number : int

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is not what it should be.
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


@lru_cache(maxsize=1)
def witt() -> dict[str, Any]:
    """The learned analog codes that the schemes are compared with.

    Returns
    -------
    dict
        Key of :data:`.channel.WITT_USES` -> the code.
    """
    from semcom_utils.generation import load

    return {rate: load(f"witt-{rate}", device="cpu") for rate in WITT_USES}


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
        hundredths of dB, the last two in ten-thousandths), against the scene that was sent and against another one.
        ``has`` and ``has_other``: condition -> the attributes of each scene, one letter each. Beside what was drawn
        there are ``JPEG``, and ``JPEG-small``, a thumbnail in the bytes of the longest prompt, ``WITT-high``,
        ``WITT-low`` at the paper's SNR on AWGN, and the ``source`` itself. ``costs``: bytes of prompts and files.
    """
    import torch

    named, number = models(), task["subject"]
    scenes = [case_scene(number, view) for view in task["views"]]
    others = [case_scene(partner(number), view + 1) for view in task["views"]]  # not as many things
    images = np.stack([scene.image for scene in scenes]).astype(np.float32)
    seeds = [100 * number + view for view in task["views"]]
    prompts: dict[str, list[Prompt]] = {}
    for scheme in SCHEMES:
        made = extract_all(images, scheme, named, seeds=seeds)
        if SCHEMES[scheme].history:
            made = [_identified(one, scene, number) for one, scene in zip(made, scenes, strict=True)]
        prompts[scheme] = made
        made = [_exact(scene, scheme, seed) for scene, seed in zip(scenes, seeds, strict=True)]
        if SCHEMES[scheme].history:
            made = [_identified(one, scene, number) for one, scene in zip(made, scenes, strict=True)]
        prompts[f"{scheme}-exact"] = made
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

    for rate, code in witt().items():
        sent_images, noise = torch.from_numpy(images), torch.Generator().manual_seed(number)
        pictures[f"WITT-{rate}"] = code.send(sent_images, SNR_DB, generator=noise).numpy()
    pictures["source"] = images

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


@checked
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

    Raises
    ------
    ValueError
        If an argument is not what it should be.
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


def _identifiers(records: Sequence[Mapping], mean: Mapping[str, float], coding: str) -> dict[str, float]:
    """What identifiers add to the bytes of prompts, and how many orders of two schemes they turn."""
    total = {scheme: sum(sum(r["costs"][coding][scheme]) for r in records) for scheme in SCHEMES}
    pictures = sum(len(r["costs"][coding]["NI"]) for r in records)
    pairs = {"HI": "NI", "HA": "NA"}
    shares = {one: total[one] / total[two] - 1 for one, two in pairs.items()}
    shares |= {f"{one}-four-bytes": (total[one] + 3 * pictures) / total[two] - 1 for one, two in pairs.items()}
    others = {c: mean[c] for c in CODECS} | {f"WITT {k}": float(v) for k, v in WITT_USES.items()}
    turned = 0
    for one, two in pairs.items():
        rivals = others | {k: mean[f"{k} {coding}"] for k in SCHEMES if k not in (one, two)}
        with_, without = mean[f"{one} {coding}"], mean[f"{two} {coding}"]
        turned += sum((with_ > value) != (without > value) for value in rivals.values())
    return shares | {"turned": turned}


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
    nowhere = []  # what the wrong prompt itself closes of the distance
    for scheme in SCHEMES:
        for m in ("object", "text"):
            best, own = by_subject(records, "JPEG", m), by_subject(records, scheme, m)
            wrong = by_subject(records, scheme, m, "other")
            half[scheme][m] = student_interval(own - wrong - 0.5 * (best - wrong))
            nowhere.append(student_interval(-0.5 * (best - wrong)))
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
        for one, two in (
            ("HI", "NI"),
            ("HA", "NA"),
            ("HI-other", "NI"),
            ("HA-other", "NA"),
            ("HI-exact", "NI-exact"),
            ("HA-exact", "NA-exact"),
        )
    }
    boxes = {
        f"{one} over {two}": _apart(records, one, two, "box")
        for one, two in (("NA", "NI"), ("HA", "HI"), ("NA-shuffled", "NI"), ("NA-exact", "NI-exact"))
    }

    def low(part: Mapping) -> float | None:
        return part["low"] if known else None

    def over_witt(scheme: str, rate: str, m: str, against: str = "own") -> dict:
        scheme_values = by_subject(records, scheme, m, against)
        return student_interval(scheme_values - by_subject(records, f"WITT-{rate}", m))

    witt_over = {
        which: {
            rate: {m: {scheme: over_witt(scheme, rate, m, which) for scheme in SCHEMES} for m in COSINES}
            for rate in WITT_USES
        }
        for which in ("own", "other")
    }
    witt_least = {
        which: {rate: {m: low(lowest(row.values())) for m, row in rows.items()} for rate, rows in part.items()}
        for which, part in witt_over.items()
    }
    dull = {
        f"WITT-{rate}": {
            m: low(lowest([_apart(records, other, f"WITT-{rate}", m) for other in ("source", *SCHEMES)]))
            for m in ("sharpness", "saturation")
        }
        for rate in WITT_USES
    }
    shannon = [_apart(records, "JPEG", scheme, m) for scheme in SCHEMES for m in COSINES]
    small = {m: highest([_apart(records, scheme, "JPEG-small", m) for scheme in SCHEMES]) for m in COSINES}
    identity = {c: reached[c]["identity"] for c in conditions}
    apart = {
        scheme: identity[scheme]["low"] - highest([identity["NI"], identity["NA"]])["high"] if known else None
        for scheme in ("HI", "HA", "HI-other", "HA-other")
    }
    text_apart = {
        c: reached[c]["text"]["low"] - max(reached[c][m]["high"] for m in ("image", "object")) if known else None
        for c in (*SCHEMES, "JPEG", "WITT-high")
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
        "identifiers": {coding: _identifiers(records, mean, coding) for coding in CODINGS},
        "history": history,
        "history_least": {
            pair.split()[0]: low(lowest([row[m] for m in ("image", "object")])) for pair, row in history.items()
        },
        "boxes": boxes,
        "boxes_least": {pair.split()[0]: low(part) for pair, part in boxes.items()},
        "identity_apart": apart,
        "over_witt": witt_over["own"],
        "over_witt_least": {"right": witt_least["own"], "shuffled": witt_least["other"]},
        "duller_than_all": dull,
        "jpeg_over_schemes": low(lowest(shannon)),
        "jpeg_over_witt": {
            rate: low(lowest([_apart(records, "JPEG", f"WITT-{rate}", m) for m in COSINES])) for rate in WITT_USES
        },
        "schemes_over_small_jpeg": {m: low(part) for m, part in small.items()},
        "small_jpeg_over_schemes": low(
            lowest([_apart(records, "JPEG-small", scheme, m) for scheme in SCHEMES for m in COSINES])
        ),
        "text_over_others": gap,
        "text_apart": text_apart,
        "text_apart_rescaled": min(
            row["rescaled"]["text"] - max(row["rescaled"]["image"], row["rescaled"]["object"]) for row in gap.values()
        ),
        "half_of_the_way": half,
        "half_of_the_way_wrong": low(lowest(nowhere)),
        "detail": {c: _detail(records, c) for c in ("NI", "HA", "NI-exact", "NA-exact")},
        "captions_right": float(
            np.mean(
                [a == b for r in records for a, b in zip(r["captions"]["sent"], r["captions"]["exact"], strict=True)]
            )
        ),
    }


STUDIES = {"alignment": Study(tasks, run, _summary, small={"subject": 0, "views": [5], "steps": 2})}
