"""Who receives a message, and what becomes of it: personalisation (section II-B) and the security claim (III-C).

*Personalisation*: the receiver changes or adds a word, and the content should change in that alone. *Security*:
receivers that lack the seed, the model, the map or the prompt. The chapter ``notebooks/11_semcom_for_aigc`` explains
both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.semantic.extractors import extract
from semcom_utils.statistics import mean_interval
from semcom_utils.studies import Study
from semcom_utils.toyworld.maps import MAPS

from .measures import ground_of, overlap, structure
from .message import Message
from .transceiver import generate, models, prompt
from .validation import study_scene

__all__ = ["FACTOR", "GROUND", "STUDIES", "other_model", "personalisation_run", "security_run"]

#: By how much the maps of these studies are made smaller: segmentation at this factor passes validation.
FACTOR = 4
#: The ground that the receiver wishes for.
GROUND = "snow"


@lru_cache(maxsize=1)
def other_model() -> dict[str, Any]:
    """The system's models with another denoising network: the one fine-tuned for a noisy channel (chapter 14).

    Returns
    -------
    dict
        As of :func:`~semcom_utils.papers.semcom_for_aigc.transceiver.models`.
    """
    from semcom_utils.generation import load

    named, network = dict(models()), load("receiver", device="cpu")
    for name in ("controlled", "text-to-image"):
        pipe = named[name]
        named[name] = type(pipe)(**{**pipe.components, "unet": network}, requires_safety_checker=False)
        named[name].set_progress_bar_config(disable=True)
    return named


def _covered(boxes: np.ndarray) -> np.ndarray:
    """Where things stand, of their boxes: bool [64, 64]."""
    mask = np.zeros((toyworld.SIZE, toyworld.SIZE), bool)
    for left, top, right, bottom in np.nan_to_num(np.asarray(boxes, float).reshape(-1, 4)):
        mask[int(max(top, 0)) : int(np.ceil(bottom)), int(max(left, 0)) : int(np.ceil(right))] = True
    return mask


# --- personalisation -------------------------------------------------------------------------------------------------

#: Change -> the content that it is compared to.
_CHANGES = {"word changed": "as sent", "word added": "without ground", "another seed": "as sent"}


def personalisation_run(task: dict) -> dict:
    """One scene's message with a word changed, with one added, and with another seed; with its map and without.

    Parameters
    ----------
    task : dict
        ``seed``, of scene and generation; ``steps`` of the sampler.

    Returns
    -------
    dict
        ``with map`` and ``without``, each with the ``ground`` and whether the labels are ``right`` for every content,
        and by change, against the content without it: overlap of the boxes, SSIM within and outside them, and of the
        whole, in thousandths.
    """
    from semcom_utils.generation import one_thread

    one_thread()
    seed, number = task["seed"], 100 + task["seed"]
    while study_scene(number).description.ground == GROUND:
        number += 1000
    scene = study_scene(number)
    small = extract("segmentation", scene).downscaled(FACTOR)
    things = prompt(scene.caption, "things")
    record: dict[str, Any] = {"caption": scene.caption}
    for way, one in (("with map", small), ("without", None)):
        as_sent = Message.of(scene.caption, one, seed=seed, steps=task["steps"])
        messages = {
            "as sent": as_sent,
            "word changed": replace(as_sent, caption=f"{things} on {GROUND}"),
            "another seed": replace(as_sent, seed=seed + 1),
            "without ground": replace(as_sent, caption=things),
        }
        contents = dict(zip(messages, generate(list(messages.values())), strict=True))
        # the message without a ground, to which the receiver adds one, is the message with the word changed
        contents["word added"] = contents["word changed"]
        found = dict(zip(contents, models()["judge"](np.stack(list(contents.values()))), strict=True))
        covered = {name: _covered(np.array([one.box for one in found[name]])) for name in contents}
        record[way] = {
            "ground": {
                name: ground_of(content, covered[name]) if not covered[name][24:].all() else None
                for name, content in contents.items()
            },
            "right": {name: int(sorted(one.label for one in found[name]) == sorted(scene.labels)) for name in contents},
            "change": {},
        }
        for change, before in _CHANGES.items():
            labels, boxes = [one.label for one in found[before]], [one.box for one in found[before]]
            inside = covered[before]
            alike = structure(contents[change], contents[before], {"things": inside, "rest": ~inside})
            values = {"overlap": overlap(found[change], labels, boxes), **alike}
            record[way]["change"][change] = {
                name: None if np.isnan(value) else round(1000 * value) for name, value in values.items()
            }
    record["asked ground"] = scene.description.ground
    return record


def _personalisation_summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {"scenes": len(records)}
    for way in ("with map", "without"):
        summary[way] = {}
        for change, before in _CHANGES.items():
            cells = [r[way] for r in records]
            measured = {
                name: mean_interval(values)
                for name in ("overlap", "things", "rest", "whole")
                if (
                    values := [c["change"][change][name] / 1000 for c in cells if c["change"][change][name] is not None]
                )
            }
            summary[way][change] = measured | {
                "ground as wished": mean_interval([float(c["ground"][change] == GROUND) for c in cells]),
                "ground as wished before": mean_interval([float(c["ground"][before] == GROUND) for c in cells]),
                "right": mean_interval([float(c["right"][change]) for c in cells]),
                "right before": mean_interval([float(c["right"][before]) for c in cells]),
            }
        summary[way]["ground as sent"] = mean_interval(
            [float(r[way]["ground"]["as sent"] == r["asked ground"]) for r in records]
        )
    return summary


# --- security --------------------------------------------------------------------------------------------------------


def _told(content: np.ndarray, sent: np.ndarray, found: list, scene: toyworld.Scene, cosine: float) -> list[int]:
    """What a receiver's content tells of the scene and of the content that was sent.

    In this order: similarity to the sent content; whether all labels are right; whether kinds alone are; whether the
    number of things is; overlap of the boxes of things of the right kind; SSIM to the sent content. Thousandths.
    """
    labels = sorted(one.label for one in found)
    kinds = sorted(label.split()[-1] for label in labels)
    values = (
        cosine,
        labels == sorted(scene.labels),
        kinds == sorted(label.split()[-1] for label in scene.labels),
        len(found) == len(scene.labels),
        overlap(found, scene.labels, scene.boxes, colours=False),
        structure(content, sent)["whole"],
    )
    return [round(1000 * float(value)) for value in values]


_TOLD = ("similarity", "right", "kinds", "number", "overlap", "ssim")


def security_run(task: dict) -> dict:
    """One scene's messages at receivers that hold all, or lack something.

    Parameters
    ----------
    task : dict
        ``seed``, of scene and generation; ``kinds`` of map; ``steps`` of the sampler.

    Returns
    -------
    dict
        ``told``: receiver -> what its content tells, as of ``_told``; against the content made from the segmentation,
        unless its name holds another kind of map. ``everything``: all of the message. ``other-seed-<kind>``: all
        but the seed. ``no-map``; ``prompt-alone``: neither map nor seed; ``map-alone-<kind>``: neither prompt nor seed.
        ``other-model``: another denoising network. ``other-prompt`` and ``other-map-alone``: those of another scene.
        ``bits`` of the message with the map and without.
    """
    from semcom_utils.generation import one_thread

    one_thread()
    seed, steps = task["seed"], task["steps"]
    scene, number = study_scene(200 + seed), 5200 + seed
    while sorted(study_scene(number).labels) == sorted(scene.labels):
        number += 1
    other = study_scene(number)
    maps = {kind: extract(kind, scene).downscaled(FACTOR) for kind in task["kinds"]}
    first = task["kinds"][0]
    sent = {kind: Message.of(scene.caption, one, seed=seed, steps=steps) for kind, one in maps.items()}
    stranger = Message.of(other.caption, extract(first, other).downscaled(FACTOR), seed=seed + 5000, steps=steps)
    receivers = {
        "everything": (sent[first], first),
        "other-map-alone": (replace(stranger, caption=""), first),
        **{f"other-seed-{kind}": (replace(one, seed=seed + 5000), kind) for kind, one in sent.items()},
        **{f"map-alone-{kind}": (replace(one, caption="", seed=seed + 5000), kind) for kind, one in sent.items()},
    }
    bare = {"kind": None, "factor": 1, "map_bytes": b""}
    receivers |= {
        "no-map": (replace(sent[first], **bare), first),
        "prompt-alone": (replace(sent[first], seed=seed + 5000, **bare), first),
        "other-prompt": (replace(stranger, **bare), first),
    }
    own = dict(zip(sent, generate(list(sent.values())), strict=True))
    contents = dict(zip(receivers, generate([message for message, _ in receivers.values()]), strict=True))
    contents["other-model"] = generate([sent[first]], other_model())[0]
    against = {name: kind for name, (_, kind) in receivers.items()} | {"other-model": first}
    names = list(contents)
    vectors = models()["clip"].images(np.stack([contents[name] for name in names]))
    theirs = models()["clip"].images(np.stack([own[against[name]] for name in names]))
    cosines = (vectors * theirs).sum(-1).tolist()
    found = models()["judge"](np.stack([contents[name] for name in names]))
    told = {
        name: _told(contents[name], own[against[name]], things, scene, cosine)
        for name, things, cosine in zip(names, found, cosines, strict=True)
    }
    return {"told": told, "bits": [sent[first].bits, replace(sent[first], **bare).bits]}


def _security_summary(records: list[dict]) -> dict:
    def of(name: str, measure: str) -> np.ndarray:
        return np.array([r["told"][name][_TOLD.index(measure)] / 1000 for r in records])

    names = list(records[0]["told"])
    receivers = {name: {measure: mean_interval(of(name, measure)) for measure in _TOLD} for name in names}
    chance = "other-prompt"
    over = {
        name: {measure: mean_interval(of(name, measure) - of(chance, measure)) for measure in _TOLD}
        for name in names
        if name != chance
    }
    return {"scenes": len(records), "receivers": receivers, "over_another_prompt": over}


def _tasks(scenes: int, **options: Any) -> list[dict]:
    return [{"seed": seed, **options} for seed in range(scenes)]


STUDIES = {
    "personalisation": Study(
        lambda: _tasks(30, steps=20), personalisation_run, _personalisation_summary, small={"steps": 2}
    ),
    "security": Study(
        lambda: _tasks(30, kinds=["segmentation", *(kind for kind in MAPS if kind != "segmentation")], steps=20),
        security_run,
        _security_summary,
        small={"steps": 2},
    ),
}
