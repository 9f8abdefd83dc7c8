"""How each kind of thing looks: a few flat shapes, painted from back to front, each with its own brightness.

A part is drawn in the thing's own coordinates, ``x`` to the right of its axis and ``y`` above the spot on which it
stands, in units of length. Brightness multiplies the thing's colour, so shading never changes its hue.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semcom_utils.checks import checked

from .drawing import capsule, ellipse, polygon
from .scene import Thing

__all__ = ["JOINTS", "SKELETONS", "Part", "parts"]

#: Joints of the robot, in the order of ``Scene.keypoints``; limbs join the pairs of ``BONES``.
JOINTS = (
    "head",
    "neck",
    "right shoulder",
    "right elbow",
    "right hand",
    "left shoulder",
    "left elbow",
    "left hand",
    "right hip",
    "right knee",
    "right foot",
    "left hip",
    "left knee",
    "left foot",
)
BONES = ((2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (11, 12), (12, 13))
_TRUNK = {0: (0.0, 1.20), 1: (0.0, 0.94), 2: (-0.20, 0.90), 5: (0.20, 0.90), 8: (-0.11, 0.48), 11: (0.11, 0.48)}
_STAND = {9: (-0.13, 0.26), 10: (-0.14, 0.05), 12: (0.13, 0.26), 13: (0.14, 0.05)}
_HANG = {3: (-0.31, 0.70), 4: (-0.33, 0.48)}, {6: (0.31, 0.70), 7: (0.33, 0.48)}
_RAISE = {3: (-0.39, 1.02), 4: (-0.45, 1.28)}, {6: (0.39, 1.02), 7: (0.45, 1.28)}
_LIMBS = {
    "standing": {**_HANG[0], **_HANG[1], **_STAND},
    "waving": {**_HANG[0], **_RAISE[1], **_STAND},
    "cheering": {**_RAISE[0], **_RAISE[1], **_STAND},
    "walking": {
        3: (-0.36, 0.74),
        4: (-0.47, 0.56),
        6: (0.34, 0.72),
        7: (0.48, 0.72),
        9: (-0.26, 0.28),
        10: (-0.42, 0.08),
        12: (0.26, 0.28),
        13: (0.34, 0.05),
    },
}
#: Pose -> joints [14, 2], (x, y) in units of length; "right" is on the left of the picture, for the robot looks at us.
SKELETONS = {
    pose: np.array([{**_TRUNK, **limbs}[joint] for joint in range(len(JOINTS))]) for pose, limbs in _LIMBS.items()
}

BLACK, WHITE = (0.10, 0.10, 0.12), (0.97, 0.97, 0.97)


class Part(NamedTuple):
    """One flat shape.

    Attributes
    ----------
    distance : numpy.ndarray, ``[rows, columns]``
        Signed distance of each pixel to its rim, in units of length.
    brightness : numpy.ndarray or float
        Factor of the colour, for each pixel or for all.
    colour : tuple of float, optional
        RGB in [0, 1]; None for the thing's own.
    wears : bool
        Whether the thing's texture lies on it.
    """

    distance: np.ndarray
    brightness: np.ndarray | float
    colour: tuple[float, float, float] | None = None
    wears: bool = True


@checked(together=("x", "y"))
def parts(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    """Shapes of a thing.

    Parameters
    ----------
    thing : Thing
        What to draw.
    x, y : numpy.ndarray, ``[rows, columns]``
        Coordinates of the pixels in the thing's own units.

    Returns
    -------
    list of Part
        From back to front.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return _DRAW[thing.kind](thing, x, y)


def _ball(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    u, v = x / 0.5, (y - 0.5) / 0.5
    depth = np.sqrt(np.maximum(1 - u * u - v * v, 0))
    light = np.maximum(-0.45 * u + 0.60 * v + 0.66 * depth, 0)  # from the upper left, in front
    return [Part(ellipse(x, y, (0, 0.5), (0.5, 0.5)), 0.62 + 0.48 * light)]


def _cube(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    front = [(-0.52, 0.0), (0.28, 0.0), (0.28, 0.72), (-0.52, 0.72)]
    side = [(0.28, 0.0), (0.52, 0.18), (0.52, 0.92), (0.28, 0.72)]
    top = [(-0.52, 0.72), (0.28, 0.72), (0.52, 0.92), (-0.28, 0.92)]
    return [Part(polygon(x, y, top), 1.12), Part(polygon(x, y, side), 0.62), Part(polygon(x, y, front), 0.92)]


def _cone(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    light = 0.88 - 0.50 * x / np.maximum(0.5 * (1.1 - y), 0.15)
    body = np.maximum(polygon(x, y, [(-0.5, 0.1), (0.5, 0.1), (0.0, 1.10)]), 0.1 - y)
    foot = ellipse(x, y, (0, 0.11), (0.5, 0.11))
    return [Part(np.minimum(body, foot), np.clip(light, 0.6, 1.12))]


def _bucket(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    outline = polygon(x, y, [(-0.34, 0.06), (0.34, 0.06), (0.5, 0.78), (-0.5, 0.78)])
    wall = np.minimum(outline, ellipse(x, y, (0, 0.07), (0.34, 0.07)))
    light = np.clip(0.90 - 0.45 * x, 0.6, 1.1)
    return [
        Part(ellipse(x, y, (0, 0.78), (0.5, 0.12)), 1.10, wears=False),
        Part(ellipse(x, y, (0, 0.78), (0.41, 0.075)), 0.38, wears=False),
        Part(wall, light),
    ]


def _dog(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    shade = np.clip(0.80 + 0.35 * (y - 0.45), 0.6, 1.05)
    far_legs = np.minimum(
        capsule(x, y, (-0.24, 0.35), (-0.20, 0.06), 0.06), capsule(x, y, (0.24, 0.35), (0.30, 0.06), 0.06)
    )
    legs = np.minimum(
        capsule(x, y, (-0.36, 0.35), (-0.38, 0.07), 0.075), capsule(x, y, (0.15, 0.35), (0.15, 0.07), 0.075)
    )
    tail = capsule(x, y, (-0.40, 0.50), (-0.58, 0.78), 0.05)
    body = capsule(x, y, (-0.26, 0.44), (0.20, 0.46), 0.175)
    head = np.minimum(ellipse(x, y, (0.34, 0.70), (0.20, 0.19)), capsule(x, y, (0.40, 0.63), (0.56, 0.61), 0.085))
    ear = capsule(x, y, (0.21, 0.82), (0.15, 0.62), 0.075)
    return [
        Part(far_legs, 0.6, wears=False),
        Part(np.minimum(np.minimum(body, legs), tail), shade),
        Part(head, shade + 0.1),
        Part(ear, 0.5, wears=False),
        Part(ellipse(x, y, (0.40, 0.76), (0.042, 0.042)), 1.0, BLACK, False),
        Part(ellipse(x, y, (0.62, 0.64), (0.055, 0.05)), 1.0, BLACK, False),
    ]


def _robot(thing: Thing, x: np.ndarray, y: np.ndarray) -> list[Part]:
    joints = [(float(column), float(row)) for column, row in SKELETONS[thing.pose]]  # type: ignore[index]  # it has one
    limbs = np.full(x.shape, np.inf)
    for start, end in BONES:
        limbs = np.minimum(limbs, capsule(x, y, joints[start], joints[end], 0.075))
    trunk = polygon(x, y, [(-0.20, 0.44), (0.20, 0.44), (0.24, 0.96), (-0.24, 0.96)])
    head = polygon(x, y, [(-0.19, 1.03), (0.19, 1.03), (0.19, 1.37), (-0.19, 1.37)])
    visor = polygon(x, y, [(-0.14, 1.13), (0.14, 1.13), (0.14, 1.28), (-0.14, 1.28)])
    return [
        Part(limbs, 0.66, wears=False),
        Part(trunk, np.clip(0.95 - 0.6 * x, 0.7, 1.1)),
        Part(head, 1.05, wears=False),
        Part(visor, 1.0, WHITE, False),
    ]


_DRAW = {"ball": _ball, "cube": _cube, "cone": _cone, "bucket": _bucket, "dog": _dog, "robot": _robot}
