"""Signed distances of plane shapes and how much of a pixel they cover.

All functions take the pixels' coordinates ``x`` (to the right) and ``y`` (up), in units of the thing that is drawn, and
return distances in that unit, negative inside. Only sums, products, quotients, minima, maxima and square roots occur,
which IEEE 754 rounds in one way everywhere: so a scene is the same bit for bit on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semcom_utils.checks import checked

__all__ = ["capsule", "coverage", "ellipse", "polygon"]

Point = tuple[float, float]


@checked(together=("x", "y"))
def ellipse(x: np.ndarray, y: np.ndarray, centre: Point, radii: Point) -> np.ndarray:
    """Distance to an ellipse with axes along x and y, to first order (exact for a circle).

    Parameters
    ----------
    x, y : numpy.ndarray, ``[rows, columns]``
        Coordinates of the pixels.
    centre, radii : tuple of float
        Along x and y.

    Returns
    -------
    numpy.ndarray, ``[rows, columns]``
        Signed distances, negative inside.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    dx, dy = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    r = np.sqrt(dx * dx + dy * dy)
    if radii[0] == radii[1]:
        return (r - 1) * radii[0]
    # f / |grad f| with f = r - 1: the first-order distance, which keeps a flat ellipse's rim one pixel soft all round.
    gradient = np.sqrt((dx / radii[0]) ** 2 + (dy / radii[1]) ** 2) / np.maximum(r, 1e-6)
    return (r - 1) / np.maximum(gradient, 1e-6)


@checked(together=("x", "y"))
def polygon(x: np.ndarray, y: np.ndarray, corners: Sequence[Point]) -> np.ndarray:
    """Distance to a convex polygon: the largest of the distances to its edges' lines.

    Parameters
    ----------
    x, y : numpy.ndarray, ``[rows, columns]``
        Coordinates of the pixels.
    corners : sequence of tuple of float
        At least three, in mathematical (anticlockwise) order.

    Returns
    -------
    numpy.ndarray, ``[rows, columns]``
        Signed distances, negative inside.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    if len(corners) < 3:
        raise ValueError(f"corners must be at least three, got {len(corners)}")
    distance = np.full(np.shape(x), -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        length = np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2)
        edge = ((x - x0) * ((y1 - y0) / length)) - ((y - y0) * ((x1 - x0) / length))
        distance = np.maximum(distance, edge)
    return distance


@checked(together=("x", "y"))
def capsule(x: np.ndarray, y: np.ndarray, start: Point, end: Point, radius: float) -> np.ndarray:
    """Distance to a stroke with round ends.

    Parameters
    ----------
    x, y : numpy.ndarray, ``[rows, columns]``
        Coordinates of the pixels.
    start, end : tuple of float
        The two ends of the stroke's axis.
    radius : float
        Half the stroke's width.

    Returns
    -------
    numpy.ndarray, ``[rows, columns]``
        Signed distances, negative inside.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    ax, ay = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * ax + (y - start[1]) * ay) / (ax * ax + ay * ay), 0.0, 1.0)
    dx, dy = x - start[0] - along * ax, y - start[1] - along * ay
    return np.sqrt(dx * dx + dy * dy) - radius


@checked
def coverage(distance: np.ndarray, pixels_per_unit: float) -> np.ndarray:
    """Share of each pixel that a shape covers, from the distance of the pixel's centre to the shape's rim.

    Parameters
    ----------
    distance : numpy.ndarray, ``[rows, columns]``
        As the functions above return it.
    pixels_per_unit : float
        Scale of the picture.

    Returns
    -------
    numpy.ndarray, ``[rows, columns]``
        From 0 to 1; the rim is one pixel soft.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return np.clip(0.5 - distance * pixels_per_unit, 0.0, 1.0)
