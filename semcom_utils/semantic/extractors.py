"""Control maps as messages: extracted from a scene or a picture, made smaller, and counted in bits.

The five kinds are those of the paper's case study (Liu et al., 2023, section IV): depth, segmentation, pose, soft edges
(the HED of the paper) and Canny's edges. What a map costs is measured on bytes that decode to the same map; the paper
takes the cost to fall with the square of the downscaling factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from semcom_utils.checks import checked, finite_array, one_of, positive_integer
from semcom_utils.pictures import is_pil, picture_bytes, picture_numbers
from semcom_utils.toyworld import CLASSES, JOINTS, SIZE, Scene
from semcom_utils.toyworld.maps import MAPS, canny, control_array, control_picture

from .map_coding import decode_map, decode_pose, encode_map, encode_pose, png_bytes

__all__ = ["FACTORS", "SemanticMap", "decode", "extract"]

#: Downscaling factors that a map takes.
FACTORS = range(1, 17)
#: Bits of one pixel (for a pose: of one coordinate of a joint) without any coding.
_RAW = {"depth": 8, "segmentation": 3, "soft-edges": 5, "canny": 1}
#: In how many steps depth and soft edges go from 0 to 1.
_STEPS = {"depth": 255, "soft-edges": 31}


def _side(factor: int) -> int:
    """Rows and columns of a map that was made smaller by a factor."""
    return -(-SIZE // factor)


@checked
@dataclass(frozen=True, eq=False)
class SemanticMap:
    """What a control map says, at one of 16 sizes.

    Parameters
    ----------
    kind : str
        One of :data:`~semcom_utils.toyworld.maps.MAPS`.
    array : numpy.ndarray
        As :func:`~semcom_utils.toyworld.maps.control_array` gives it, on ceil(64 / factor) rows and columns. It is kept
        in the steps in which it is sent: depth in 255ths, soft edges in 31sts; a pose in cells of ``factor`` pixels, a
        joint in the middle of its cell (in pixels of the full picture, whatever the factor).
    factor : int
        1 to 16.

    Raises
    ------
    ValueError
        If ``kind`` is no kind of map, ``factor`` is none of :data:`FACTORS`, or ``array`` is not of that kind and size.
    """

    kind: str
    array: np.ndarray
    factor: int = 1

    def __post_init__(self) -> None:
        one_of("kind", self.kind, MAPS)
        factor = _factor(self.factor)
        side, array = _side(factor), np.asarray(self.array)
        if self.kind == "pose":
            if array.ndim != 3 or array.shape[1:] != (len(JOINTS), 3):
                raise ValueError(f"array must be [figures, {len(JOINTS)}, 3] for a pose, got shape {array.shape}")
            array = _quantised(finite_array("array", array), factor)
        else:
            if array.shape != (side, side):
                raise ValueError(
                    f"array must be [{side}, {side}] for {SIZE}x{SIZE} at factor {factor}, got {array.shape}"
                )
            values = finite_array("array", array, low=0.0, booleans=True)
            highest = len(CLASSES) - 1 if self.kind == "segmentation" else 1
            if values.max() > highest or self.kind in ("segmentation", "canny") and (values % 1).any():
                what = "whole numbers" if self.kind in ("segmentation", "canny") else "numbers"
                raise ValueError(f"array must be {what} from 0 to {highest} for {self.kind}, got {values.max():g}")
            if self.kind in ("segmentation", "canny"):
                array = values.astype(np.int64 if self.kind == "segmentation" else bool)
            else:
                array = (np.round(_STEPS[self.kind] * values) / _STEPS[self.kind]).astype(np.float32)
        array.flags.writeable = False
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "factor", factor)

    @property
    def picture(self) -> Any:
        """How the map is shown, a ``PIL.Image.Image`` of the map's own size.

        A ControlNet takes the picture of a full map, or of a small one's :attr:`upscaled`. A pose is drawn on 64x64
        pixels at every factor.
        """
        from PIL import Image

        return Image.fromarray(control_picture(self.array, self.kind))

    @checked
    def downscaled(self, factor: int) -> SemanticMap:
        """Make the map smaller.

        Depth and soft edges are averaged over areas. A class is the one with the largest share of its area; an edge is
        kept where any part of its area was one, or lines would break; a joint moves to the middle of its cell.

        Parameters
        ----------
        factor : int
            1 to 16, of the full map: a map can be made smaller once.

        Returns
        -------
        SemanticMap
            On ceil(64 / factor) rows and columns.

        Raises
        ------
        ValueError
            If ``factor`` is none of :data:`FACTORS`, or the map is a small one already.
        """
        _factor(factor)
        if self.factor != 1:
            raise ValueError(f"factor must be applied to a full map, this one is at factor {self.factor} already")
        if factor == 1 or self.kind == "pose":
            return SemanticMap(self.kind, self.array, factor)
        share = _areas(factor)
        if self.kind == "segmentation":
            shares = [share @ (self.array == number) @ share.T for number in range(len(CLASSES))]
            return SemanticMap(self.kind, np.argmax(shares, axis=0), factor)
        mean = share @ self.array.astype(float) @ share.T
        return SemanticMap(self.kind, mean > 1e-9 if self.kind == "canny" else np.clip(mean, 0, 1), factor)

    @property
    def upscaled(self) -> SemanticMap:
        """The full map that a receiver makes of a small one.

        Depth and soft edges are interpolated linearly, classes taken from the nearest pixel, and Canny's edges thinned
        to lines, since a ControlNet knows no thick ones.
        """
        if self.factor == 1 or self.kind == "pose":
            return SemanticMap(self.kind, self.array)
        places = (np.arange(SIZE) + 0.5) / SIZE * len(self.array)
        nearest = np.minimum(places.astype(int), len(self.array) - 1)
        if self.kind == "segmentation":
            return SemanticMap(self.kind, self.array[np.ix_(nearest, nearest)])
        if self.kind == "canny":
            from skimage.morphology import skeletonize

            return SemanticMap(self.kind, skeletonize(self.array[np.ix_(nearest, nearest)]))
        weights = np.maximum(1 - np.abs(places[:, None] - 0.5 - np.arange(len(self.array))), 0)
        weights /= weights.sum(1, keepdims=True)  # beyond the outer pixels' middles there is only one neighbour
        return SemanticMap(self.kind, np.clip(weights @ self.array @ weights.T, 0, 1))

    @cached_property
    def encoded(self) -> bytes:
        """The map without loss, as it is sent; :func:`decode` reads it. Kind and factor are the header's."""
        if self.kind == "pose":
            cells = np.floor(self.array / [self.factor, self.factor, 1]).astype(np.int64)
            return encode_pose(cells, _side(self.factor))
        return encode_map(self._numbers(), self.kind)

    @property
    def bits(self) -> int:
        """What the map really costs: bits of :attr:`encoded`, without the header (kind and factor)."""
        return 8 * len(self.encoded)

    @property
    def png_bits(self) -> int | None:
        """Bits of the map as a PNG file; None for a pose, which is a list."""
        return None if self.kind == "pose" else 8 * len(png_bytes(self._numbers(), self.kind))

    @property
    def raw_bits(self) -> int:
        """Bits without coding: each pixel, or coordinate of a visible joint, in whole bits; about as 1 / factor^2."""
        if self.kind == "pose":
            width = (_side(self.factor) - 1).bit_length()
            return 3 + int(self.array[:, :, 2].size + 2 * width * (self.array[:, :, 2] > 0).sum())
        return _RAW[self.kind] * self.array.size

    @property
    def paper_share(self) -> float:
        """The paper's cost relative to the full map's: 1 / factor^2 (Liu et al., 2023, section IV-A)."""
        return 1 / self.factor**2

    def _numbers(self) -> np.ndarray:
        return np.round(self.array * _STEPS.get(self.kind, 1)).astype(np.int64)


@checked
def extract(kind: str, source: Any, network: Callable | None = None) -> SemanticMap:
    """Find a map of a kind in a scene, exactly, or in a picture, by a network.

    Parameters
    ----------
    kind : str
        One of :data:`~semcom_utils.toyworld.maps.MAPS`.
    source : toyworld.Scene, PIL.Image.Image or array_like
        A scene, or a picture of 64x64 pixels: a PIL image, or numbers [3, 64, 64] in [0, 1].
    network : callable, optional
        What finds the map in a picture: ``generation.load(kind)`` (``"depth"``, ``"segmentation"``, ``"pose"`` or
        ``"soft-edges"``). A scene, and Canny's detector, need none.

    Returns
    -------
    SemanticMap
        At factor 1.

    Raises
    ------
    ValueError
        If ``kind`` is no kind of map, ``source`` is neither a scene nor a picture of 64x64 pixels, or ``network`` is
        needed and not given.
    """
    one_of("kind", kind, MAPS)
    if isinstance(source, Scene):
        return SemanticMap(kind, control_array(source, kind))
    picture = _picture(source)
    if kind == "canny":
        return SemanticMap(kind, canny(picture))
    if not callable(network):
        raise ValueError(f"network must be generation.load({kind!r}) to find {kind} in a picture, got {network!r}")
    found = np.asarray(network(picture[None].astype(np.float32))[0])
    return SemanticMap(kind, np.clip(found, 0, 1) if kind in _STEPS else found)


@checked
def decode(data: bytes, kind: str, factor: int = 1) -> SemanticMap:
    """Read the map back from its bytes.

    Parameters
    ----------
    data : bytes
        :attr:`SemanticMap.encoded`. Bytes that were damaged decode to some map or other: a message needs a checksum.
    kind : str
        As the message's header tells.
    factor : int
        Likewise.

    Returns
    -------
    SemanticMap
        The map that was encoded.

    Raises
    ------
    ValueError
        If ``kind`` is no kind of map, ``factor`` is none of :data:`FACTORS`, or ``data`` are no bytes.
    """
    one_of("kind", kind, MAPS)
    side = _side(_factor(factor))
    if kind == "pose":
        return SemanticMap(kind, decode_pose(data, side) * [factor, factor, 1.0], factor)
    numbers = decode_map(data, kind, (side, side))
    return SemanticMap(kind, numbers / _STEPS[kind] if kind in _STEPS else numbers, factor)


def _factor(factor: object) -> int:
    whole = positive_integer("factor", factor)
    if whole not in FACTORS:
        raise ValueError(f"factor must be a whole number from {FACTORS[0]} to {FACTORS[-1]}, got {factor!r}")
    return whole


def _quantised(joints: np.ndarray, factor: int) -> np.ndarray:
    """Joints in the middles of their cells; those that are hidden are not sent, and lie at (0, 0)."""
    cells = np.clip(np.floor(joints[:, :, :2] / factor), 0, _side(factor) - 1)
    visible = (joints[:, :, 2:] > 0).astype(float)
    return np.concatenate([np.minimum((cells + 0.5) * factor, SIZE) * visible, visible], axis=2)


def _areas(factor: int) -> np.ndarray:
    """Share of each of the 64 rows in each of the small map's, [ceil(64 / factor), 64]."""
    side = _side(factor)
    edges, pixels = np.arange(side + 1) * (SIZE / side), np.arange(SIZE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0) * side / SIZE


def _picture(source: Any) -> np.ndarray:
    if is_pil(source):
        array = picture_bytes("source", source).transpose(2, 0, 1) / 255.0
    else:
        array = picture_numbers("source", source)
    if array.shape != (3, SIZE, SIZE):
        raise ValueError(f"source must be a Scene or a picture of {SIZE}x{SIZE} pixels in RGB, got shape {array.shape}")
    return array
