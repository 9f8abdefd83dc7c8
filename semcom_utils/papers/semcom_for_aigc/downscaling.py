"""Pictures drawn from maps of all sizes, and what is measured of them (Liu et al., 2023, section IV-A).

Each extractor's map of a scene is sent at each factor; the receiver draws with the scene's caption and a seed. The
picture is compared with that of the full map and the same seed, which is the paper's reference.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from semcom_utils import toyworld
from semcom_utils.effectiveness.picture_metrics import GREY_LEVELS, METRICS, picture_quality
from semcom_utils.semantic.extractors import extract
from semcom_utils.toyworld.agreement import MISSING, agreement

from .scenario import EXTRACTORS, FACTORS, pictures, semantic_map

__all__ = ["ALONE", "COMPARED", "SEEDS", "models", "quality_run", "quality_tasks", "scene_numbers"]

#: Seeds of the generation for each scene.
SEEDS = (0, 1, 2)
#: Scenes with a robot, whose pose can be sent, and scenes without.
WITH_ROBOT, WITHOUT_ROBOT = 30, 15
#: What is known of each picture by its comparison with the full map's.
COMPARED = (*METRICS, "clip", "vi_classes")
#: What is known of it alone.
ALONE = ("prompt", "prompt_other", "right", "obeys", "pose", "segmentation")


@lru_cache(maxsize=1)
def models() -> dict[str, Any]:
    """The mini models of the study, on the CPU.

    Returns
    -------
    dict
        ``pipeline`` draws, ``depth``, ``soft-edges``, ``segmentation`` and ``pose`` read maps, ``clip`` compares, and
        ``judge`` is a :class:`~semcom_utils.generation.Judge`.
    """
    import torch

    from semcom_utils.generation import Judge, load

    roles = ("depth", "soft-edges", "segmentation", "pose", "clip")
    named: dict[str, Any] = {role: load(role, device="cpu") for role in roles}
    pipeline = load("controlnet-depth", device="cpu")  # one network for all kinds
    pipeline.set_progress_bar_config(disable=True)
    pipeline.unet.to(memory_format=torch.channels_last)
    return named | {"pipeline": pipeline, "judge": Judge(load("detector", device="cpu"))}


@lru_cache(maxsize=1)
def scene_numbers() -> tuple[tuple[int, bool], ...]:
    """The study's scenes: the first held-out ones with a robot, and the first without.

    Returns
    -------
    tuple of (int, bool)
        Seed of the scene in the split ``combinations``, from 2000 on, and whether it shows a robot.
    """
    left, chosen, number = {True: WITH_ROBOT, False: WITHOUT_ROBOT}, [], 2000
    while any(left.values()):
        robot = any(t.kind == "robot" for t in toyworld.scene(number, "combinations").description.things)
        if left[robot]:
            left[robot] -= 1
            chosen.append((number, robot))
        number += 1
    return tuple(chosen)


def quality_run(task: dict) -> dict:
    """Pictures of one scene from one extractor's maps at all factors, and from none.

    Parameters
    ----------
    task : dict
        ``extractor``; ``scene``, its number; ``robot``, whether it shows one; ``factors`` and ``seeds``.

    Returns
    -------
    dict
        ``bits`` of the maps, ``[factors]``. Each measure ``[seeds, factors + 1]``, the last without a map: ``mse``,
        ``psnr``, ``ssim``, ``vi``, ``clip`` (cosine) and ``vi_classes`` against the full map's picture; ``prompt`` and
        ``prompt_other``, cosines with the own caption and with the next scene's; ``right`` by the judge; ``obeys``,
        agreement of the map found in the picture with the full map; ``pose`` and ``segmentation``, with the scene's.
        Poses agree by 1 - distance / 16 pixels.
    """
    m, scene = models(), toyworld.scene(task["scene"], "combinations")
    seeds, factors = task["seeds"], task["factors"]
    full = semantic_map(task["extractor"], scene, m)
    maps = [full.downscaled(factor) for factor in factors]
    n, k = len(seeds), len(factors)
    drawn = pictures(m["pipeline"], [scene.caption] * (n * k), maps * n, np.repeat(np.array(seeds), k).tolist())
    alone = pictures(m["pipeline"], [scene.caption] * n, None, seeds)
    images = np.concatenate([drawn.reshape(n, k, *drawn.shape[1:]), alone[:, None]], axis=1).astype(float)
    flat = images.reshape(-1, *drawn.shape[1:])
    found = {
        kind: [extract(kind, image, m.get(kind)).array for image in flat]
        for kind in {full.kind, "pose", "segmentation"}
    }
    exact = {kind: extract(kind, scene).array for kind in ("pose", "segmentation")}
    vectors = np.asarray(m["clip"].images(flat)).reshape(n, k + 1, -1)
    texts = np.asarray(m["clip"].texts([scene.caption, toyworld.scene(task["scene"] + 1, "combinations").caption]))
    values = {name: np.zeros((n, k + 1)) for name in COMPARED + ALONE}
    for row in range(n):
        for column in range(k + 1):
            at = row * (k + 1) + column
            for metric, value in picture_quality(images[row, 0], images[row, column]).items():
                values[metric][row, column] = value
            classes = found["segmentation"][row * (k + 1)], found["segmentation"][at]
            values["vi_classes"][row, column] = _label_agreement(*classes)
            values["obeys"][row, column] = _agreement(full.array, found[full.kind][at], full.kind)
            for kind in ("pose", "segmentation"):
                values[kind][row, column] = _agreement(exact[kind], found[kind][at], kind)
    values["clip"] = np.einsum("nd,nkd->nk", vectors[:, 0], vectors)
    values["prompt"], values["prompt_other"] = np.moveaxis(vectors @ texts.T, -1, 0)
    values["right"] = m["judge"].right(flat, [scene.labels] * len(flat)).reshape(n, k + 1)
    return {"bits": [each.bits for each in maps]} | {
        name: np.round(np.asarray(value, float), 4).tolist() for name, value in values.items()
    }


def _agreement(sent: np.ndarray, found: np.ndarray, kind: str) -> float:
    value = agreement(sent, found, kind)
    return 1 - value / MISSING if kind == "pose" else value


def _label_agreement(x: np.ndarray, y: np.ndarray) -> float:
    """1 - VI / H(X, Y) of two pictures' classes, pixel by pixel."""
    joint = np.bincount((x * GREY_LEVELS + y).ravel(), minlength=GREY_LEVELS**2).reshape(GREY_LEVELS, -1) / x.size
    together, apart = stats.entropy(joint.ravel()), stats.entropy(joint.sum(0)) + stats.entropy(joint.sum(1))
    return float(1 - (2 * together - apart) / together) if together > 0 else 1.0


def quality_tasks() -> list[dict]:
    """The study's tasks, scene by scene.

    Returns
    -------
    list of dict
        As :func:`quality_run` takes them.
    """
    return [
        {
            "extractor": extractor,
            "scene": number,
            "robot": robot,
            "factors": list(FACTORS) if robot else [1],  # what is asked of the others concerns the full map alone
            "seeds": list(SEEDS),
        }
        for number, robot in scene_numbers()
        for extractor in EXTRACTORS
    ]
