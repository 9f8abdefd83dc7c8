"""What the case study of SemCom for AIGC is made of (Liu et al., 2023, section IV): extractors, factors, metrics.

The paper prints six extractors, four metrics and a depth map's factor of 4 and a pose map's of 10; it prints no scene,
no seed, no generation setting. What it leaves open is chosen here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from semcom_utils.checks import checked, one_of
from semcom_utils.semantic.extractors import SemanticMap, extract
from semcom_utils.toyworld import SIZE, Scene

__all__ = ["EXTRACTORS", "FACTORS", "GUIDANCE", "NAMES", "STEPS", "pictures", "semantic_map"]

#: Extractor -> kind of the map that it makes, and the role of the network that reads the picture (None: no network).
EXTRACTORS: dict[str, tuple[str, str | None]] = {
    "depth": ("depth", None),
    "learned-depth": ("depth", "depth"),
    "segmentation": ("segmentation", None),
    "pose": ("pose", None),
    "soft-edges": ("soft-edges", "soft-edges"),
    "canny": ("canny", None),
}
#: Extractor -> what figures and tables call it. The paper's MiDaS and HED are networks; ours have their roles.
NAMES = {
    "depth": "depth (exact)",
    "learned-depth": "depth (learned, for MiDaS)",
    "segmentation": "segmentation",
    "pose": "pose",
    "soft-edges": "soft edges (learned, for HED)",
    "canny": "Canny",
}
#: Downscaling factors of an action, ten of the sixteen that a map takes; the paper's 4 and 10 are among them.
FACTORS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
#: Denoising steps and scale of classifier-free guidance of every picture.
STEPS, GUIDANCE = 20, 3.0


@checked
def semantic_map(extractor: str, scene: Scene, networks: dict[str, Callable[..., Any]]) -> SemanticMap:
    """What an extractor finds in a scene.

    Parameters
    ----------
    extractor : str
        Key of :data:`EXTRACTORS`.
    scene : toyworld.Scene
        Exact extractors read what is known of it; Canny's detector and the networks read its picture.
    networks : dict of str to callable
        Role -> network, as ``generation.load`` gives it, for the extractors that need one.

    Returns
    -------
    SemanticMap
        At factor 1.

    Raises
    ------
    ValueError
        If ``extractor`` is unknown, or ``networks`` lacks its network.
    """
    kind, role = EXTRACTORS[one_of("extractor", extractor, EXTRACTORS)]
    if role is None:
        return extract(kind, scene)
    if role not in networks:
        raise ValueError(f"networks must hold {role!r} for the extractor {extractor!r}, got {sorted(networks)}")
    return extract(kind, scene.image, networks[role])


@checked
def pictures(
    pipeline: Any, captions: Sequence[str], maps: Sequence[SemanticMap] | None, seeds: Sequence[int]
) -> np.ndarray:
    """What the model draws of captions and maps, all in one batch.

    Equal seeds give equal noise, whatever the map: pictures of one seed are paired.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionControlNetPipeline
        ``generation.load("controlnet-depth")`` or that of another kind: at the mini tier all share one network.
    captions : sequence of str
        One a picture.
    maps : sequence of SemanticMap, optional
        One a picture, of any factor: what the receiver makes of it steers. None: the caption alone.
    seeds : sequence of int
        One a picture.

    Returns
    -------
    numpy.ndarray
        ``[batch, 3, 64, 64]`` in [0, 1].

    Raises
    ------
    ValueError
        If ``pipeline`` is none, or there are not as many captions, maps and seeds.
    """
    import torch

    if isinstance(pipeline, type) or not (callable(pipeline) and hasattr(pipeline, "controlnet")):
        raise ValueError(f"pipeline must be one of diffusers with a ControlNet, got {pipeline!r:.80}")
    for name, given in (("maps", maps), ("seeds", seeds)):
        if given is not None and len(given) != len(captions):
            raise ValueError(f"{name} must be one for each of {len(captions)} captions, got {len(given)}")
    shown = [m.upscaled.picture for m in maps] if maps is not None else [_blank()] * len(captions)
    drawn = pipeline(
        list(captions),
        image=shown,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        controlnet_conditioning_scale=0.0 if maps is None else 1.0,
        generator=[torch.Generator().manual_seed(int(seed)) for seed in seeds],
        output_type="np",
    ).images
    return drawn.transpose(0, 3, 1, 2)


def _blank() -> Any:
    from PIL import Image

    return Image.new("RGB", (SIZE, SIZE))
