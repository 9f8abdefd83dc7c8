"""Personalisation at the receiver (Liu et al., 2023, section II-B): a word changed or added, and what it changes.

The receiver puts another ground into the prompt that arrived, or adds one where none was said, and runs the generation
with everything else as sent. The ground should change and the rest should not. The chapter
``notebooks/11_semcom_for_aigc`` explains it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.semantic.extractors import extract
from semcom_utils.statistics import mean_interval
from semcom_utils.studies import Study

from .measures import ground_of, overlap, structure
from .message import Message
from .transceiver import generate, models, prompt
from .validation import study_scene

__all__ = ["FACTOR", "GROUND", "STUDIES", "personalisation_run", "wishes"]

#: By how much the maps are made smaller.
FACTOR = 4
#: The ground that the receiver wishes for.
GROUND = "snow"
#: Change -> the content that it is compared to.
_CHANGES = {"word-changed": "as-sent", "word-added": "without-ground", "other-seed": "as-sent"}


def _covered(boxes: np.ndarray) -> np.ndarray:
    """Where things stand, of their boxes: bool [64, 64]."""
    mask = np.zeros((toyworld.SIZE, toyworld.SIZE), bool)
    for left, top, right, bottom in np.nan_to_num(np.asarray(boxes, float).reshape(-1, 4)):
        mask[int(max(top, 0)) : int(np.ceil(bottom)), int(max(left, 0)) : int(np.ceil(right))] = True
    return mask


@checked
def wishes(message: Message) -> dict[str, Message]:
    """What a receiver can make of a message.

    Parameters
    ----------
    message : Message
        With a whole caption of the grammar.

    Returns
    -------
    dict of str to Message
        ``as-sent``; ``word-changed``, on :data:`GROUND`; ``other-seed``; ``without-ground``, as if the sender had
        not said where; ``word-added``, the same with :data:`GROUND` added by the receiver.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    things = prompt(message.caption, "things")
    return {
        "as-sent": message,
        "word-changed": replace(message, caption=f"{things} on {GROUND}"),
        "other-seed": replace(message, seed=(message.seed + 1) % (1 << 16)),
        "without-ground": replace(message, caption=things),
        "word-added": replace(message, caption=f"{things} on {GROUND}"),
    }


def personalisation_run(task: dict) -> dict:
    """Some scenes' messages with a word changed, with one added, and with another seed; with their maps and without.

    Parameters
    ----------
    task : dict
        ``seed``, of scenes and generation; ``scenes``, how many; ``steps`` of the sampler.

    Returns
    -------
    dict
        ``with-map`` and ``without``: for each scene the ``ground`` and whether the labels are ``right`` for every
        content, and by ``change``, against the content without it: overlap of the boxes, SSIM of the whole, within
        (``things``) and outside (``rest``) the boxes, in thousandths.
    """
    from semcom_utils.generation import one_thread

    one_thread()
    scenes: list[toyworld.Scene] = []
    number = 100 + 1000 * (1 + task["seed"])
    while len(scenes) < task["scenes"]:
        scene = study_scene(number)
        number += 1
        if scene.description.ground != GROUND:
            scenes.append(scene)
    record: dict[str, Any] = {"with-map": [], "without": []}
    for way in record:
        messages: dict[tuple[int, str], Message] = {}
        for place, scene in enumerate(scenes):
            small = extract("segmentation", scene).downscaled(FACTOR) if way == "with-map" else None
            sent = Message.of(scene.caption, small, seed=100 * task["seed"] + place, steps=task["steps"])
            messages |= {(place, name): message for name, message in wishes(sent).items()}
        unlike = list(dict.fromkeys(messages.values()))  # a word changed and a word added are one message
        made = dict(zip(unlike, generate(unlike), strict=True))
        seen = dict(zip(unlike, models()["judge"](np.stack(list(made.values()))), strict=True))
        for place, scene in enumerate(scenes):
            own = {name: message for (where, name), message in messages.items() if where == place}
            contents = {name: made[message] for name, message in own.items()}
            record[way].append(_measured(contents, {name: seen[message] for name, message in own.items()}, scene))
    return record


def _measured(contents: dict[str, np.ndarray], found: dict[str, list], scene: toyworld.Scene) -> dict:
    """What the record holds of one scene."""
    covered = {name: _covered(np.array([one.box for one in found[name]])) for name in contents}
    changes = {}
    for change, before in _CHANGES.items():
        labels, boxes = [one.label for one in found[before]], [one.box for one in found[before]]
        inside = covered[before]
        alike = structure(contents[change], contents[before], {"things": inside, "rest": ~inside})
        values = {"overlap": overlap(found[change], labels, boxes), **alike}
        changes[change] = {name: None if np.isnan(value) else round(1000 * value) for name, value in values.items()}
    return {
        "asked": scene.description.ground,
        "ground": {
            name: None if covered[name][24:].all() else ground_of(content, covered[name])
            for name, content in contents.items()
        },
        "right": {name: int(sorted(one.label for one in found[name]) == sorted(scene.labels)) for name in contents},
        "change": changes,
    }


def _personalisation_summary(records: list[dict]) -> dict:
    summary: dict[str, Any] = {}
    for way in ("with-map", "without"):
        cells = [cell for r in records for cell in r[way]]
        summary["scenes"] = len(cells)
        summary[way] = {
            "ground-as-sent": mean_interval([float(cell["ground"]["as-sent"] == cell["asked"]) for cell in cells])
        }
        for change, before in _CHANGES.items():
            measured = {
                name: [c["change"][change][name] / 1000 for c in cells if c["change"][change][name] is not None]
                for name in ("overlap", "things", "rest", "whole")
            }
            summary[way][change] = {name: mean_interval(values) for name, values in measured.items() if values} | {
                "ground-as-wished": mean_interval([float(c["ground"][change] == GROUND) for c in cells]),
                "ground-as-wished-before": mean_interval([float(c["ground"][before] == GROUND) for c in cells]),
                "right": mean_interval([float(c["right"][change]) for c in cells]),
                "right-before": mean_interval([float(c["right"][before]) for c in cells]),
            }
    return summary


STUDIES = {
    "personalisation": Study(
        lambda: [{"seed": seed, "scenes": 6, "steps": 20} for seed in range(5)],
        personalisation_run,
        _personalisation_summary,
        small={"scenes": 1, "steps": 2},
    )
}
