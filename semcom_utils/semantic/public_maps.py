"""Control pictures for the public ControlNets, from a picture of any size: what the full tier takes as its map.

The toy world's maps have 64x64 pixels and the toy world's classes and joints. The public networks see the world of
photographs, and each ControlNet expects its map drawn as in its own training: depth in grey, the nearest white; a
segmentation in the colours of ADE20K's 150 classes (Zhou et al., 2017); a pose as OpenPose draws its 18 joints (Cao et
al., 2019); edges white on black. :func:`public_picture` makes all of them.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from semcom_utils.checks import checked, finite_array, one_of, positive_integer
from semcom_utils.pictures import is_pil, picture_bytes, picture_numbers
from semcom_utils.toyworld.maps import MAPS, canny

__all__ = ["ADE_COLOURS", "OPENPOSE_JOINTS", "draw_ade", "draw_openpose", "openpose_joints", "public_picture"]

#: RGB (0 to 255) of ADE20K's classes, [150, 3], in the order of the challenge's list, without its "other".
ADE_COLOURS = np.frombuffer(
    bytes.fromhex(
        "787878b4787806e6e650323204c8037878508c8c8ccc05ffe6e6e604fa07e005ffebff0796053d78784608ff33ff06528fff8c"
        "ccff04ff3307cc46030066c83de6faff06330b66ffff0747ff09e00907e6dcdcdcff095c7009ff08ffd607ffe0ffb8060aff47"
        "ff290a07ffffe0ff086608ffff3d06ffc207ff7a0800ff14ff0829ff05990633ffeb0cffa0961400a3ff8c8c8cfa0a0f14ff00"
        "1fff00ff1f00ffe00099ff000000ffff470000ebff00adff1f00ff0bc8c8ff520000fff5003dff00ff7000ff85ff0000ffa300"
        "ff6600c2ff00008fff33ff000052ff00ff2900ffad0a00ffadff0000ff99ff5c00ff00ffff00f5ff0066ffad00ff0014ffb8b8"
        "001fff00ff3d0047ffff00cc00ffc200ff52000aff0070ff3300ff00c2ff007aff00ffa3ff990000ff0aff70008fff005200ff"
        "a3ff00ffeb0008b8aa8500ff00ff5cb800ffff001f00b8ff00d6ffff00705cff0000e0ff70e0ff46b8a0a300ff9900ff47ff00"
        "ff00a3ffcc00ff008f00ffeb85ff00ff00ebf500ffff007afff5000abed4d6ff0000ccff1400ffffff000099ff0029ff00ffcc"
        "2900ff29ff00ad00ff00f5ff4700ff7a00ff00ffb8005cffb8ff000085ffffd60019c2c266ff005c00ff"
    ),
    dtype=np.uint8,
).reshape(150, 3)
#: OpenPose's joints. Each has its own hue; "right" is the person's own.
OPENPOSE_JOINTS = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle", "right eye", "left eye",
    "right ear", "left ear",
)  # fmt: skip
#: Place of each of them in COCO's list of 17, which has no neck.
_IN_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
#: Pairs of joints that a stroke joins, in the order of the strokes' colours.
_STROKES = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0),
    (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
#: Brightness of a stroke beside a joint's.
_DIM = 0.6
#: Picture width over the width of a stroke, which is that of a joint's disc.
_FINE = 64


@checked
def public_picture(kind: str, picture: Any, network: Callable | None = None, size: int = 512) -> Any:
    """The map of a picture as the full tier's ControlNet of that kind takes it.

    Parameters
    ----------
    kind : str
        One of :data:`~semcom_utils.toyworld.maps.MAPS`.
    picture : PIL.Image.Image or array_like
        Of any size: a PIL image, or ``[3, rows, columns]``, floating-point in [0, 1] or uint8.
    network : callable, optional
        What finds the map: ``generation.load(kind, "full")``. For ``"soft-edges"``, which has no full tier, whatever
        gives the probability of an edge, ``[batch, rows, columns]``, of a batch of pictures. Canny's detector is none.
    size : int
        Pixels of the shorter side; Stable Diffusion v1-5 was trained at 512.

    Returns
    -------
    PIL.Image.Image
        In RGB, in the shape of the picture, both sides multiples of 8.

    Raises
    ------
    ValueError
        If ``kind`` is no kind of map, ``picture`` no picture, ``size`` no multiple of 8, or ``network`` is needed and
        not given.
    """
    from PIL import Image

    one_of("kind", kind, MAPS)
    if positive_integer("size", size) % 8:
        raise ValueError(f"size must be a multiple of 8, got {size!r}")
    shown = _as_image(picture)
    columns, rows = (max(8, 8 * round(side * size / min(shown.size) / 8)) for side in shown.size)
    pixels = np.asarray(shown.resize((columns, rows), Image.Resampling.BICUBIC), dtype=np.float32).transpose(2, 0, 1)
    if kind == "canny":
        return Image.fromarray(_grey(canny(pixels / 255, sigma=_blur(size)).astype(float)))
    if not callable(network):
        wanted = "a detector of soft edges" if kind == "soft-edges" else f"generation.load({kind!r}, 'full')"
        raise ValueError(f"network must be {wanted} to find {kind} in a picture, got {network!r}")
    found = network(pixels[None] / 255)[0]
    if kind == "pose":
        return Image.fromarray(draw_openpose(openpose_joints(found), (rows, columns)))
    if kind == "segmentation":
        return Image.fromarray(draw_ade(found))
    grey = np.asarray(found, dtype=float)
    if kind == "depth":
        grey = (grey - grey.min()) / max(np.ptp(grey), 1e-12)
    return Image.fromarray(_grey(np.clip(grey, 0, 1)))


@checked
def draw_ade(classes: Any) -> np.ndarray:
    """A segmentation in ADE20K's colours.

    Parameters
    ----------
    classes : array_like
        Int ``[rows, columns]``, index into :data:`ADE_COLOURS`.

    Returns
    -------
    numpy.ndarray
        Uint8 ``[rows, columns, 3]``.

    Raises
    ------
    ValueError
        If ``classes`` are no whole numbers from 0 to 149.
    """
    labels = finite_array("classes", classes, low=0.0)
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"classes must be [rows, columns], got shape {labels.shape}")
    if (labels % 1).any() or labels.max() >= len(ADE_COLOURS):
        raise ValueError(
            f"classes must be whole numbers from 0 to {len(ADE_COLOURS) - 1}, got shape {labels.shape} "
            f"up to {labels.max():g}"
        )
    return ADE_COLOURS[labels.astype(np.int64)]


@checked
def openpose_joints(people: Any) -> np.ndarray:
    """OpenPose's 18 joints from COCO's 17: in another order, with a neck between the shoulders.

    Parameters
    ----------
    people : array_like
        ``[people, 17, 3]``: column, row, and whether the joint was found (above 0).

    Returns
    -------
    numpy.ndarray
        Float ``[people, 18, 3]`` in the order of :data:`OPENPOSE_JOINTS`.

    Raises
    ------
    ValueError
        If ``people`` is not of that shape.

    Examples
    --------
    >>> coco = np.ones((1, 17, 3))
    >>> coco[0, 5], coco[0, 6] = (30, 10, 1), (10, 12, 1)
    >>> openpose_joints(coco)[0, 1].tolist()
    [20.0, 11.0, 1.0]
    """
    coco = finite_array("people", people)
    if coco.ndim != 3 or coco.shape[1:] != (17, 3):
        raise ValueError(f"people must be [people, 17, 3], got shape {coco.shape}")
    neck = coco[:, 5:7].mean(1)
    neck[:, 2] = (coco[:, 5:7, 2] > 0).all(1)
    return np.stack([neck if place is None else coco[:, place] for place in _IN_COCO], axis=1)


@checked
def draw_openpose(people: Any, shape: Sequence[int]) -> np.ndarray:
    """Joints as OpenPose draws them: discs of 18 hues, joined by dimmer strokes, on black.

    Parameters
    ----------
    people : array_like
        ``[people, 18, 3]``: column and row in pixels, and whether the joint was found (above 0); a stroke is drawn
        where both its ends were.
    shape : sequence of int
        Rows and columns of the picture.

    Returns
    -------
    numpy.ndarray
        Uint8 ``[rows, columns, 3]``.

    Raises
    ------
    ValueError
        If ``people`` or ``shape`` is not of that form.

    References
    ----------
    Cao et al., "OpenPose: realtime multi-person 2D pose estimation using part affinity fields", 2019.
    """
    from PIL import Image, ImageDraw

    joints = finite_array("people", people)
    if joints.ndim != 3 or joints.shape[1:] != (len(OPENPOSE_JOINTS), 3):
        raise ValueError(f"people must be [people, {len(OPENPOSE_JOINTS)}, 3], got shape {joints.shape}")
    if len(shape) != 2:
        raise ValueError(f"shape must be rows and columns, got {shape!r}")
    rows, columns = (positive_integer("shape", side) for side in shape)
    image = Image.new("RGB", (columns, rows))
    pen, width = ImageDraw.Draw(image), max(1, round(min(rows, columns) / _FINE))
    for place, ends in enumerate(_STROKES):
        for person in joints[:, list(ends)]:
            if (person[:, 2] > 0).all():
                pen.line([tuple(end[:2]) for end in person], fill=_hue(place, _DIM), width=width)
    for place in range(len(OPENPOSE_JOINTS)):
        for column, row, there in joints[:, place]:
            if there > 0:
                box = [column - width / 2, row - width / 2, column + width / 2, row + width / 2]
                pen.ellipse(box, fill=_hue(place, 1.0))
    return np.array(image)


def _hue(place: int, brightness: float) -> tuple[int, int, int]:
    """The place-th of 18 hues, 20 degrees apart, from red."""
    red, green, blue = colorsys.hsv_to_rgb(place / len(OPENPOSE_JOINTS), 1.0, 1.0)
    # OpenPose's table has whole numbers: 255, two thirds and one third of it
    return int(brightness * round(255 * red)), int(brightness * round(255 * green)), int(brightness * round(255 * blue))


def _blur(size: int) -> float:
    """Blur before Canny's detector: a pixel of the toy world is eight of a picture of 512."""
    return max(1.0, size / 256)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.round(255 * values).astype(np.uint8)[:, :, None], 3, axis=2)


def _as_image(picture: Any) -> Any:
    from PIL import Image

    if is_pil(picture):
        return Image.fromarray(picture_bytes("picture", picture))
    array = picture_numbers("picture", picture)
    if array.ndim != 3 or array.shape[0] != 3 or not array.size:
        raise ValueError(f"picture must be a PIL image or numbers [3, rows, columns], got shape {array.shape}")
    return Image.fromarray(np.round(255 * array).astype(np.uint8).transpose(1, 2, 0))
