"""Does a map control? The map sent against the map found in the picture, beside other scenes' maps (section IV-A)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.semantic.extractors import extract
from semcom_utils.toyworld import Scene
from semcom_utils.toyworld.agreement import agreement
from semcom_utils.toyworld.maps import MAPS

__all__ = ["map_agreement"]


@torch.no_grad()
@checked
def map_agreement(
    pipeline: Any,
    kind: str,
    scenes: Sequence[Scene],
    reader: Callable | None = None,
    *,
    generator: torch.Generator | None = None,
    steps: int = 20,
) -> dict[str, np.ndarray]:
    """Make a picture of each scene's caption and map, find the map in it, and compare it with what was sent.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionControlNetPipeline or diffusers.StableDiffusionPipeline
        The second kind gets the captions alone: no control.
    kind : str
        One of :data:`~semcom_utils.toyworld.maps.MAPS`.
    scenes : sequence of toyworld.Scene
        At least two; for a pose, with a robot each.
    reader : callable, optional
        ``generation.load(kind)``, which finds the map; Canny's detector needs none.
    generator : torch.Generator, optional
        Of the noise; one with seed 0 if None, so that every pipeline starts from the same.
    steps : int
        Of the generation.

    Returns
    -------
    dict
        ``sent``: agreement of each scene's map with the one found, as
        :func:`~semcom_utils.toyworld.agreement.agreement` has it. ``others``: its mean with the other scenes' maps,
        the control.

    Raises
    ------
    ValueError
        If ``pipeline`` is none, ``kind`` is no kind of map, there are fewer than two scenes, or ``steps`` is no
        positive integer.
    """
    one_of("kind", kind, MAPS)
    positive_integer("steps", steps)
    if len(scenes) < 2 or not all(isinstance(scene, Scene) for scene in scenes):
        raise ValueError(f"scenes must be at least two of Scene, got {len(scenes)}")
    if isinstance(pipeline, type) or not (callable(pipeline) and hasattr(pipeline, "unet")):
        raise ValueError(f"pipeline must be one of diffusers, got {pipeline!r:.80}")
    maps = [extract(kind, scene) for scene in scenes]
    shown = {"image": [one.picture for one in maps]} if hasattr(pipeline, "controlnet") else {}
    made = pipeline(
        [scene.caption for scene in scenes],
        **shown,
        num_inference_steps=steps,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(0) if generator is None else generator,
        output_type="np",
    ).images.transpose(0, 3, 1, 2)
    found = [extract(kind, picture, reader).array for picture in np.clip(made, 0, 1)]
    table = np.array([[agreement(one.array, other, kind) for one in maps] for other in found])
    own = np.diag(table)
    return {"sent": own.copy(), "others": (table.sum(1) - own) / (len(maps) - 1)}
