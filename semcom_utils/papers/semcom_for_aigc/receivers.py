"""Who else can read a message (Liu et al., 2023, section III-C): receivers that lack seed, model, map or prompt.

Nothing in the paper's scheme is encrypted. What each receiver makes is compared to the content that was sent, and to
what the scene holds. The chapter ``notebooks/11_semcom_for_aigc`` explains it.
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

from .measures import overlap, structure
from .message import Message
from .transceiver import generate, models
from .validation import study_scene

__all__ = ["FACTOR", "STUDIES", "other_model", "security_run"]

#: By how much the maps are made smaller.
FACTOR = 4


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
    receivers |= {
        "no-map": (sent[first].without_map, first),
        "prompt-alone": (replace(sent[first].without_map, seed=seed + 5000), first),
        "other-prompt": (stranger.without_map, first),
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
    return {"told": told, "bits": [sent[first].bits, sent[first].without_map.bits]}


def _security_summary(records: list[dict]) -> dict:
    def of(name: str, measure: str) -> np.ndarray:
        return np.array([r["told"][name][_TOLD.index(measure)] / 1000 for r in records])

    names = list(records[0]["told"])
    receivers = {name: {measure: mean_interval(of(name, measure)) for measure in _TOLD} for name in names}
    chance = "other-prompt"
    over = {
        name: {measure: mean_interval(of(name, measure) - of(chance, measure)) for measure in ("similarity", "right")}
        for name in names
        if name != chance
    }
    return {"scenes": len(records), "receivers": receivers, "over_another_prompt": over}


STUDIES = {
    "security": Study(
        lambda: [
            {"seed": seed, "kinds": ["segmentation", *(kind for kind in MAPS if kind != "segmentation")], "steps": 20}
            for seed in range(30)
        ],
        security_run,
        _security_summary,
        small={"steps": 2},
    ),
}
