"""Control maps of a scene, exact: what a ControlNet is shown, one picture of 64x64 pixels for each kind.

A map's *array* holds what it says (disparities, class numbers, joints, edges). Its *picture* is how it is shown: RGB,
so that one network with three input channels takes every kind, and can tell them apart. Depth is grey, soft edges are
grey lines on black and Canny's are white ones, a segmentation has one saturated colour for each class, and a pose is a
figure of coloured strokes on black.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number

from .drawing import capsule, coverage
from .rendering import CLASSES, Scene
from .scene import SIZE
from .things import JOINTS

__all__ = [
    "LIMBS",
    "MAPS",
    "PALETTE",
    "canny",
    "control_array",
    "control_picture",
    "draw_edges",
    "draw_pose",
    "draw_segmentation",
    "soften",
]

#: Kinds of control map.
MAPS = ("depth", "segmentation", "pose", "soft-edges", "canny")
#: RGB (0 to 255) of each class, in the order of ``CLASSES``; none is grey, which is the colour of other kinds of map.
PALETTE = np.array(
    [
        (90, 200, 255),  # sky
        (130, 90, 40),  # ground
        (255, 0, 0),  # ball
        (0, 255, 0),  # cube
        (0, 0, 255),  # cone
        (255, 255, 0),  # bucket
        (255, 0, 255),  # dog
        (0, 255, 200),  # robot
    ],
    dtype=np.uint8,
)
#: Strokes of a drawn pose: pairs of joints.
LIMBS = (
    (0, 1), (1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
)  # fmt: skip
#: RGB in [0, 1] of each stroke: right limbs in reds and yellows, left ones in greens and blues, as OpenPose has it.
_LIMB_COLOURS = np.array(
    [
        (1.0, 1.0, 1.0),
        (1.0, 0.3, 0.0),
        (1.0, 0.0, 0.0),
        (1.0, 0.0, 0.5),
        (0.6, 1.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 1.0, 0.5),
        (1.0, 0.7, 0.0),
        (1.0, 1.0, 0.0),
        (0.7, 0.5, 0.0),
        (0.0, 0.7, 1.0),
        (0.0, 0.3, 1.0),
        (0.4, 0.0, 1.0),
    ]
)
#: Half width of a stroke, in pixels.
_STROKE = 0.9


@checked
def control_array(scene: Scene, kind: str) -> np.ndarray:
    """What a control map of a scene says.

    Parameters
    ----------
    scene : Scene
    kind : str
        One of :data:`MAPS`.

    Returns
    -------
    numpy.ndarray
        ``depth``: float32 [64, 64], disparity in [0, 1]. ``segmentation``: int [64, 64], index into
        :data:`~semcom_utils.toyworld.rendering.CLASSES`. ``pose``: float [robots, 14, 3], column and row in pixels, and
        1 where the joint is visible. ``soft-edges``: float32 [64, 64], probability of an edge. ``canny``: bool
        [64, 64].

    Raises
    ------
    ValueError
        If ``scene`` is no scene, or ``kind`` no kind of map.
    """
    if not isinstance(scene, Scene):
        raise ValueError(f"scene must be a Scene, got {type(scene).__name__}")
    one_of("kind", kind, MAPS)
    if kind == "soft-edges":
        return soften(scene.edges)
    if kind == "canny":
        return canny(scene.image)
    return _joints(scene) if kind == "pose" else getattr(scene, kind).copy()


def _joints(scene: Scene) -> np.ndarray:
    """Joints of the robots; one is visible if its robot is in front there or on one of the eight pixels around.

    ``Scene.keypoints`` asks for the joint's own pixel, and so loses the neck of a small robot, which is a narrow gap.
    """
    joints = scene.keypoints.copy()
    places = [place for place, thing in enumerate(scene.description.things) if thing.kind == "robot"]
    for figure, place in zip(joints, places, strict=True):
        column, row = np.floor(figure[:, :2]).astype(int).T
        inside = (column >= 0) & (column < SIZE) & (row >= 0) & (row < SIZE)
        around = np.pad(scene.instances == place + 1, 1)
        near = [
            around[r : r + 3, c : c + 3].any()
            for r, c in zip(np.clip(row, 0, SIZE - 1), np.clip(column, 0, SIZE - 1), strict=True)
        ]
        figure[:, 2] = inside & near
    return joints


@checked
def control_picture(array: np.ndarray, kind: str) -> np.ndarray:
    """How a control map is shown to a ControlNet.

    Parameters
    ----------
    array : numpy.ndarray
        What the map says, as :func:`control_array` gives it; rows and columns may be of any number.
    kind : str
        One of :data:`MAPS`.

    Returns
    -------
    numpy.ndarray
        Uint8 [rows, columns, 3]; a pose is drawn on 64x64 pixels.

    Raises
    ------
    ValueError
        If ``kind`` is no kind of map, or ``array`` is not of that kind.
    """
    if one_of("kind", kind, MAPS) == "pose":
        return draw_pose(array)
    if kind == "segmentation":
        return draw_segmentation(array)
    return draw_edges(array)


@checked
def draw_edges(array: np.ndarray) -> np.ndarray:
    """Grey picture of numbers in [0, 1]: edges, or inverse depth.

    Parameters
    ----------
    array : array_like
        ``[rows, columns]`` in [0, 1].

    Returns
    -------
    numpy.ndarray
        Uint8 ``[rows, columns, 3]``.

    Raises
    ------
    ValueError
        If ``array`` is not of that shape and range.
    """
    values = finite_array("array", array, low=0.0, booleans=True)
    if values.ndim != 2 or not values.size or values.max() > 1:
        raise ValueError(f"array must be [rows, columns] in [0, 1], got shape {values.shape}" + _range(values))
    return np.repeat(np.round(255 * values).astype(np.uint8)[:, :, None], 3, axis=2)


@checked
def draw_segmentation(labels: np.ndarray) -> np.ndarray:
    """Coloured picture of class numbers.

    Parameters
    ----------
    labels : array_like
        Whole numbers ``[rows, columns]``, index into :data:`~semcom_utils.toyworld.rendering.CLASSES`.

    Returns
    -------
    numpy.ndarray
        Uint8 ``[rows, columns, 3]``, in the colours of :data:`PALETTE`.

    Raises
    ------
    ValueError
        If ``labels`` are not of that shape, or no classes.
    """
    values = np.asarray(labels)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "iu":
        raise ValueError(f"labels must be whole numbers [rows, columns], got {values.dtype} of shape {values.shape}")
    if values.min() < 0 or values.max() >= len(CLASSES):
        raise ValueError(f"labels must be below {len(CLASSES)}, the number of classes" + _range(values))
    return PALETTE[values]


@checked
def draw_pose(keypoints: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Figures of coloured strokes on black, one stroke between two visible joints.

    Parameters
    ----------
    keypoints : array_like
        [figures, 14, 3]: column, row (pixels of a picture of 64x64) and visibility of each joint.
    size : int
        Side of the picture in pixels.

    Returns
    -------
    numpy.ndarray
        Uint8 ``[size, size, 3]``.

    Raises
    ------
    ValueError
        If ``keypoints`` are not of that shape, or not finite.
    """
    positive_integer("size", size)
    if size > 4096:
        raise ValueError(f"size must be at most 4096 pixels, got {size}")
    joints = np.asarray(keypoints, dtype=float)
    if joints.ndim != 3 or joints.shape[1:] != (len(JOINTS), 3):
        raise ValueError(f"keypoints must be [figures, {len(JOINTS)}, 3], got shape {joints.shape}")
    finite_array("keypoints", joints)
    rows, columns = (np.mgrid[0:size, 0:size] + 0.5) * (SIZE / size)
    picture = np.zeros((size, size, 3))
    for figure in joints:
        for (start, end), colour in zip(LIMBS, _LIMB_COLOURS, strict=True):
            if figure[start, 2] > 0 and figure[end, 2] > 0 and (figure[start, :2] != figure[end, :2]).any():
                # Unused parts of the picture are skipped: training draws tens of thousands of figures.
                low = np.minimum(figure[start, :2], figure[end, :2]) - 3
                high = np.maximum(figure[start, :2], figure[end, :2]) + 3
                left, top = np.clip(np.floor(low * size / SIZE).astype(int), 0, size)
                right, bottom = np.clip(np.ceil(high * size / SIZE).astype(int), 0, size)
                window = slice(top, bottom), slice(left, right)
                ends = tuple(figure[start, :2]), tuple(figure[end, :2])
                stroke = capsule(columns[window], rows[window], *ends, _STROKE)
                cover = coverage(stroke, size / SIZE)[:, :, None]
                picture[window] += cover * (colour - picture[window])
    return np.round(255 * picture).astype(np.uint8)


@checked
def canny(image: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    """Edges by Canny's detector (Canny, 1986), as scikit-image has it.

    Parameters
    ----------
    image : numpy.ndarray
        Float [3, rows, columns] in [0, 1].
    sigma : float
        Standard deviation of the blur that comes first, in pixels.

    Returns
    -------
    numpy.ndarray
        Bool ``[rows, columns]``.

    Raises
    ------
    ValueError
        If ``image`` is not of that shape and range.
    """
    real_number("sigma", sigma, low=0, high=SIZE)
    from skimage.feature import canny as detector

    picture = finite_array("image", image, low=0.0)
    if picture.ndim != 3 or picture.shape[0] != 3 or picture.max() > 1:
        raise ValueError(f"image must be [3, rows, columns] in [0, 1], got shape {picture.shape}" + _range(picture))
    # The strongest of three colours: in grey, a red ball and green grass may look the same.
    edges = [detector(channel, sigma=sigma, low_threshold=0.06, high_threshold=0.16) for channel in picture]
    return np.any(edges, axis=0)


@checked
def soften(edges: np.ndarray) -> np.ndarray:
    """Edges that fall off within two pixels, as an average over annotators' drawings does.

    Parameters
    ----------
    edges : numpy.ndarray
        Bool ``[rows, columns]``.

    Returns
    -------
    numpy.ndarray
        Float32 ``[rows, columns]``: exp(-d^2 / 2) at distance d, in pixels, to the nearest edge; 0 if there is none.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    from scipy import ndimage

    lines = np.asarray(edges, dtype=bool)
    return np.exp(-0.5 * ndimage.distance_transform_edt(~lines) ** 2).astype(np.float32) * lines.any()


def _range(values: Sequence | np.ndarray) -> str:
    return f" with values from {np.min(values):g} to {np.max(values):g}" if np.size(values) else ""
