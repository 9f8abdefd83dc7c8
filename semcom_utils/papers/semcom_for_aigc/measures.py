"""What the studies of the system measure on contents beside the judge: places, grounds, likeness, bits of a meaning."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, plain_array, shown
from semcom_utils.pictures import picture_numbers
from semcom_utils.semantic.information import entropy
from semcom_utils.toyworld import GROUNDS, KINDS, POSES, Meaning
from semcom_utils.toyworld.scene import COLOURS, HORIZON

__all__ = [
    "COUNTS",
    "ground_of",
    "jpeg_bits",
    "meaning_bits",
    "meaning_entropy",
    "overlap",
    "structure",
]

#: How often the toy world draws one, two and three things.
COUNTS = {1: 0.45, 2: 0.40, 3: 0.15}


@checked
def meaning_bits(said: Meaning) -> float:
    r"""Bits of a meaning, :math:`-\log_2 p(m)`, under the toy world's own distribution, for things without textures.

    Ground, number of things, kinds, colours and poses are drawn independently. Nothing of this is held out from a
    split: a receiver that knew the scene to be of a rare split could do with a few bits less.

    Parameters
    ----------
    said : toyworld.Meaning
        Without textures, and with no thing inside another.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``said`` is no meaning, or has what is left out here.

    Examples
    --------
    >>> from semcom_utils.toyworld import parse_caption
    >>> round(meaning_bits(parse_caption("a red ball on sand")), 2)
    8.32
    """
    if not isinstance(said, Meaning):
        raise ValueError(f"said must be a Meaning, got {type(said).__name__}")
    if said.inside or any(thing.texture for thing in said.things):
        raise ValueError(f"said must be free of textures and of 'in', got {said.canonical()!r}")
    bits = math.log2(len(GROUNDS)) - math.log2(COUNTS[len(said.things)])
    for thing in said.things:
        bits += math.log2(len(KINDS) * len(COLOURS)) + (math.log2(len(POSES)) if thing.pose else 0)
    return bits


def meaning_entropy() -> float:
    r"""Semantic entropy of the toy world, :math:`H(M)`: the mean of :func:`meaning_bits`, exactly.

    Returns
    -------
    float
        Bits a scene.

    Examples
    --------
    >>> round(meaning_entropy(), 2)
    12.81
    """
    mean = sum(count * share for count, share in COUNTS.items())
    even = entropy(np.full(len(GROUNDS), 1 / len(GROUNDS)))
    thing = math.log2(len(KINDS) * len(COLOURS)) + math.log2(len(POSES)) / len(KINDS)
    return even + entropy(list(COUNTS.values())) + mean * thing


@checked
def overlap(found: Sequence[Any], labels: Sequence[str], boxes: Any, *, colours: bool = True) -> float:
    """How well things stand where they should: overlap of boxes, mean over the things that are expected.

    Parameters
    ----------
    found : sequence of Detection
        What the judge found on a content.
    labels : sequence of str
        Colour and kind of each thing that is expected.
    boxes : array_like
        ``[things, 4]``: left, top, right, bottom, pixels.
    colours : bool
        Whether a thing must have its colour; if not, its kind suffices.

    Returns
    -------
    float
        In [0, 1]. Each detection serves one thing; a thing without one counts 0. 1 where nothing is expected.

    Raises
    ------
    ValueError
        If there are not as many boxes as labels.
    """
    from scipy.optimize import linear_sum_assignment

    from semcom_utils.generation.judging import box_overlap

    if not all(hasattr(one, "box") and hasattr(one, "label") for one in found):
        raise ValueError(f"found must be of Detection, got {shown(found)}")
    places = plain_array("boxes", boxes).astype(float)
    if places.size and (places.ndim != 2 or places.shape[1] != 4):
        raise ValueError(f"boxes must be of shape [things, 4], got {list(places.shape)}")
    places = places.reshape(-1, 4)
    if len(places) != len(labels):
        raise ValueError(f"boxes must be one for each of {len(labels)} labels, got {len(places)}")
    if not len(labels):
        return 1.0

    def called(label: str) -> str:
        return label if colours else label.split()[-1]

    table = np.array(
        [
            [box_overlap(one.box, box) * (called(one.label) == called(label)) for one in found]
            for label, box in zip(labels, places.tolist(), strict=True)
        ]
    ).reshape(len(labels), len(found))
    pairs = linear_sum_assignment(-table)
    return float(table[pairs].sum() / len(labels))


@checked
def ground_of(picture: np.ndarray, covered: np.ndarray) -> str:
    """Which ground a picture shows: the one whose colour is nearest to the median below the horizon.

    Parameters
    ----------
    picture : numpy.ndarray
        ``[3, 64, 64]`` in [0, 1].
    covered : numpy.ndarray
        Bool ``[64, 64]``: where things stand, which is left out.

    Returns
    -------
    str
        Key of :data:`~semcom_utils.toyworld.GROUNDS`.

    Raises
    ------
    ValueError
        If the shapes are not these, or things cover all of the ground.
    """
    seen, hidden = np.asarray(picture, float), np.asarray(covered, bool)
    if seen.shape != (3, toyworld.SIZE, toyworld.SIZE) or hidden.shape != seen.shape[1:]:
        raise ValueError(f"picture must be [3, 64, 64] and covered [64, 64], got {seen.shape} and {hidden.shape}")
    bare = ~hidden
    bare[: int(HORIZON) + 2] = False
    if not bare.any():
        raise ValueError("covered must leave some of the ground, got none left")
    colour = np.median(seen[:, bare], axis=1)
    # on its way to the horizon the ground darkens to 0.86 of its colour: take the middle
    return min(GROUNDS, key=lambda name: float(np.sum((colour - 0.93 * np.array(GROUNDS[name][0])) ** 2)))


@checked
def structure(one: np.ndarray, other: np.ndarray, masks: Mapping[str, np.ndarray] | None = None) -> dict[str, float]:
    """Structural similarity (SSIM) of two pictures, whole and by region.

    Parameters
    ----------
    one, other : numpy.ndarray
        ``[3, 64, 64]`` in [0, 1].
    masks : mapping of str to numpy.ndarray, optional
        Name of a region -> bool ``[64, 64]``.

    Returns
    -------
    dict
        ``whole``, and each region's mean of the map of local similarities (NaN where the region is empty).

    Raises
    ------
    ValueError
        If ``one`` and ``other`` are no pictures of one size, or a region is called ``whole`` or is none of them.
    """
    from skimage.metrics import structural_similarity

    if masks and "whole" in masks:
        raise ValueError("masks must not name a region 'whole'")
    one, other = _picture("one", one), _picture("other", other)
    if one.shape != other.shape or min(one.shape[1:]) < 7:
        raise ValueError(f"other must be of the size of one, at least 7 by 7, got {one.shape} and {other.shape}")
    for name, mask in (masks or {}).items():
        if np.shape(mask) != one.shape[1:] or np.asarray(mask).dtype != bool:
            raise ValueError(f"masks must be truth values of shape {one.shape[1:]}, got {shown(mask)} for {name}")
    whole, local = structural_similarity(one, other, channel_axis=0, data_range=1.0, full=True)
    values = {"whole": float(whole)}
    for name, mask in (masks or {}).items():
        values[name] = float(local[:, mask].mean()) if np.any(mask) else math.nan
    return values


def _picture(name: str, picture: np.ndarray) -> np.ndarray:
    """A picture [3, rows, columns], in the precision that it came in."""
    numbers, array = picture_numbers(name, picture), np.asarray(picture)
    if numbers.ndim != 3 or numbers.shape[0] != 3:
        raise ValueError(f"{name} must be of shape [3, rows, columns], got {list(numbers.shape)}")
    return array if array.dtype.kind == "f" else numbers


@checked
def jpeg_bits(picture: np.ndarray, quality: int = 75) -> int:
    """Bits of a content as a JPEG file, for what is shown to a user.

    Parameters
    ----------
    picture : numpy.ndarray
        ``[3, 64, 64]`` in [0, 1].
    quality : int
        Of JPEG, 1 to 95.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If ``picture`` is none, or ``quality`` is out of its range.
    """
    from PIL import Image

    one_of("quality", quality, range(1, 96))
    file = io.BytesIO()
    Image.fromarray(np.round(255 * _picture("picture", picture)).astype(np.uint8).transpose(1, 2, 0)).save(
        file, "JPEG", quality=quality, optimize=True
    )
    return 8 * len(file.getvalue())
