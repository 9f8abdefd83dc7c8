r"""Views from elsewhere, made of pictures and their depth; and depth, made of pictures from several angles.

A pixel at column u and row v whose inverse depth is d (1 on the lower rim) shows a spot at which one unit of length is
:math:`s = d\,s_1` pixels long (:data:`~semcom_utils.toyworld.scene.RIM_SCALE` is :math:`s_1`). A camera that has moved
by (right, up, forward), in units of length, without turning, sees that spot at

.. math::

    u' = u_0 + \frac{u - u_0 - s\,\mathrm{right}}{c}, \quad v' = v_0 + \frac{v - v_0 + s\,\mathrm{up}}{c}, \quad
    d' = \frac{d}{c}, \qquad c = 1 - \frac{s\,\mathrm{forward}}{f} ,

with :math:`(u_0, v_0)` the point at infinity straight ahead (here 32, on the horizon) and f the focal length in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semcom_utils.checks import checked, finite_array, positive_integer, real_number
from semcom_utils.toyworld.scene import FOCAL, HORIZON, RIM_SCALE, SIZE, Camera

__all__ = ["DISPARITIES", "View", "fill_holes", "merge_views", "reproject", "sweep_depth", "warp_view"]

#: Inverse depths that are tried: 0 is infinitely far, 1 the lower rim.
DISPARITIES = np.linspace(0.0, 1.0, 25)
#: Sample points along each side of a pixel that is carried elsewhere, so that no cracks open where things grow.
_SPLIT = 2
#: Views whose inverse depths differ by less are taken to show the same surface.
_SAME_SURFACE = 0.06


class View(NamedTuple):
    """A picture, how far away what it shows is, and where it shows anything.

    Parameters
    ----------
    picture : numpy.ndarray
        Float ``[3, rows, columns]`` in [0, 1].
    disparity : numpy.ndarray
        Float ``[rows, columns]``: inverse depth, 0 at infinity.
    known : numpy.ndarray
        Bool ``[rows, columns]``; elsewhere is a hole, and picture and disparity are 0.
    """

    picture: np.ndarray
    disparity: np.ndarray
    known: np.ndarray


def _carried(
    columns: np.ndarray, rows: np.ndarray, disparity: np.ndarray, one: Camera, other: Camera
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The equation at the top of the module, for arrays of one shape; the nearest that may be is a tenth of f."""
    s = disparity * RIM_SCALE
    c = np.maximum(1 - s * (other.forward - one.forward) / FOCAL, 0.1)
    middle = SIZE / 2
    u = middle + (columns - middle - s * (other.right - one.right)) / c
    v = HORIZON + (rows - HORIZON + s * (other.up - one.up)) / c
    return u, v, disparity / c


def _centres(shape: tuple[int, ...], parts: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[0 : shape[0] * parts, 0 : shape[1] * parts]
    return (columns + 0.5) / parts, (rows + 0.5) / parts


def _between(image: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Colours of ``[3, rows, columns]`` between its pixels, by bilinear interpolation; beyond the rim as on the rim."""
    height, width = image.shape[1:]
    x, y = np.clip(u - 0.5, 0, width - 1), np.clip(v - 0.5, 0, height - 1)
    left, top = x.astype(int), y.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    a, b = x - left, y - top
    upper = (1 - a) * image[:, top, left] + a * image[:, top, right]
    return (1 - b) * upper + b * ((1 - a) * image[:, below, left] + a * image[:, below, right])


@checked(shapes={"disparity": "rows+ columns+"})
def reproject(disparity: np.ndarray, one: Camera, other: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each pixel's spot is in another camera's picture.

    Parameters
    ----------
    disparity : numpy.ndarray
        ``[rows, columns]``: inverse depth of a picture, at least 0.
    one, other : Camera
        Where that picture was taken, and where the other is.

    Returns
    -------
    columns, rows, disparity : numpy.ndarray
        ``[rows, columns]`` each, the first two in pixels (a pixel's centre is at a half).

    Raises
    ------
    ValueError
        If an argument is none of the above.

    Examples
    --------
    >>> columns, _, _ = reproject(np.full((1, 2), 0.5), Camera(), Camera(right=0.1))
    >>> (columns - [[0.5, 1.5]]).round(3)
    array([[-1.437, -1.437]])
    """
    d = finite_array("disparity", disparity, low=0.0)
    return _carried(*_centres(d.shape), d, one, other)


@checked(shapes={"picture": "3 rows+ columns+", "disparity": "rows columns"})
def warp_view(picture: np.ndarray, disparity: np.ndarray, one: Camera, other: Camera) -> View:
    """Depth-image-based rendering: carry inverse depth to another camera, nearest wins, then fetch the colours.

    Parameters
    ----------
    picture : numpy.ndarray
        ``[3, rows, columns]`` in [0, 1].
    disparity : numpy.ndarray
        ``[rows, columns]``: its inverse depth, at least 0.
    one, other : Camera
        Where it was taken, and where it is to be seen from.

    Returns
    -------
    View
        With holes where no pixel of the picture came to lie.

    Raises
    ------
    ValueError
        If an argument is none of the above.

    References
    ----------
    C. Fehn, "Depth-image-based rendering (DIBR), compression, and transmission for a new approach on 3D-TV", 2004.
    """
    from scipy.ndimage import grey_dilation

    image = finite_array("picture", picture, low=0.0)
    # A pixel on a rim mixes the colours of both sides, and has to move with the nearer one.
    d = grey_dilation(finite_array("disparity", disparity, low=0.0), size=(3, 3))
    height, width = d.shape
    fine = np.repeat(np.repeat(d, _SPLIT, axis=0), _SPLIT, axis=1)
    u, v, moved = _carried(*_centres(d.shape, _SPLIT), fine, one, other)
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    buffer = np.full(height * width, -1.0)
    np.maximum.at(buffer, row[inside] * width + column[inside], moved[inside])  # the z-buffer
    buffer = buffer.reshape(height, width)
    known = buffer >= 0
    there = np.where(known, buffer, 0.0)
    u, v, _ = _carried(*_centres(d.shape), there, other, one)  # back to the picture, between its pixels
    return View(np.where(known, np.clip(_between(image, u, v), 0, 1), 0.0), there, known)


@checked
def fill_holes(view: View) -> View:
    """Fill holes from the side, with what lies farther away: what a thing uncovers is what is behind it.

    Parameters
    ----------
    view : View
        At least one pixel of it is known.

    Returns
    -------
    View
        Without holes.

    Raises
    ------
    ValueError
        If ``view`` shows nothing at all.
    """
    picture, disparity, known = (np.array(part) for part in view)
    if not known.any():
        raise ValueError("view must show something, got one that is a hole all over")
    empty = ~known.any(axis=1)
    for row in np.flatnonzero(empty):  # the nearest row that shows something stands in
        full = np.flatnonzero(~empty)
        nearest = full[np.abs(full - row).argmin()]
        picture[:, row], disparity[row], known[row] = picture[:, nearest], disparity[nearest], known[nearest]
    width = known.shape[1]
    place = np.broadcast_to(np.arange(width), known.shape)
    left = np.maximum.accumulate(np.where(known, place, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, place, width)[:, ::-1], axis=1)[:, ::-1]
    rows = np.arange(known.shape[0])[:, None]
    d_left = np.where(left >= 0, disparity[rows, np.maximum(left, 0)], np.inf)
    d_right = np.where(right < width, disparity[rows, np.minimum(right, width - 1)], np.inf)
    source = np.where(d_left <= d_right, left, right)
    return View(picture[:, rows, source], disparity[rows, source], np.ones_like(known))


@checked(shapes={"weights": "views+"})
def merge_views(views: Sequence[View], weights: np.ndarray) -> View:
    """Put views of one place together: the nearest surface wins, and of those that show it a weighted mean.

    Parameters
    ----------
    views : sequence of View
        Of one size, at least one.
    weights : numpy.ndarray
        ``[views]``, above 0: for instance the nearer the camera was, the more.

    Returns
    -------
    View
        With a hole where all have one.

    Raises
    ------
    ValueError
        If there are not as many weights as views, or one is not above 0.
    """
    w = finite_array("weights", weights, low=0.0, low_open=True)
    if not len(views) or len(views) != len(w):
        raise ValueError(f"views must be as many as weights, {len(w)}, got {len(views)}")
    if len({view.known.shape for view in views}) > 1:
        raise ValueError(f"views must be of one size, got {sorted({view.known.shape for view in views})}")
    known = np.stack([view.known for view in views])
    depth = np.stack([np.where(view.known, view.disparity, -1.0) for view in views])
    front = known & (depth >= depth.max(axis=0) - _SAME_SURFACE)
    share = front * w[:, None, None]
    share = share / np.maximum(share.sum(axis=0), 1e-12)
    picture = sum(part * view.picture for part, view in zip(share, views, strict=True))
    disparity = sum(part * view.disparity for part, view in zip(share, views, strict=True))
    return View(np.asarray(picture), np.asarray(disparity), np.asarray(known.any(axis=0)))


@checked(shapes={"pictures": "views+ 3 rows+ columns+", "disparities": "levels+"})
def sweep_depth(
    pictures: np.ndarray,
    cameras: Sequence[Camera],
    reference: int,
    disparities: np.ndarray = DISPARITIES,
    smooth: tuple[float, float] = (0.1, 1.0),
    ground: float = 0.05,
) -> np.ndarray:
    """Inverse depth of one picture of several, by a plane sweep and semi-global matching.

    For each candidate the other pictures are carried to the reference as if all of it were at that distance; where they
    agree with it, it may be. The camera knows its own height, so nothing is taken to lie below the ground, and where
    pictures tell nothing, what is there is taken to be ground.

    Parameters
    ----------
    pictures : numpy.ndarray
        ``[views, 3, rows, columns]`` in [0, 1], two views at least.
    cameras : sequence of Camera
        Where each was taken, no two at one place.
    reference : int
        The picture whose depth is asked for.
    disparities : numpy.ndarray
        ``[levels]``: candidates, rising from at least 0.
    smooth : tuple of float
        Price of a step of one level between neighbours, and of any larger one; the latter is lower where colours
        change.
    ground : float
        Price of one unit of inverse depth above that of the ground.

    Returns
    -------
    numpy.ndarray
        ``[rows, columns]``.

    Raises
    ------
    ValueError
        If an argument is none of the above.

    References
    ----------
    R. T. Collins, "A space-sweep approach to true multi-image matching", 1996; H. Hirschmueller, "Stereo processing by
    semiglobal matching and mutual information", 2008.
    """
    images = finite_array("pictures", pictures, low=0.0)
    levels = finite_array("disparities", disparities, low=0.0)
    if len(images) < 2 or len(cameras) != len(images):
        raise ValueError(f"cameras must be as many as pictures, two at least, got {len(cameras)} and {len(images)}")
    if len(set(cameras)) < len(cameras):
        raise ValueError(f"cameras must be at different places, got {list(cameras)}")
    if positive_integer("reference", reference, low=0) >= len(images):
        raise ValueError(f"reference must be the place of a picture, 0 to {len(images) - 1}, got {reference}")
    if len(levels) < 2 or (np.diff(levels) <= 0).any():
        raise ValueError(f"disparities must rise, two at least, got {levels}")
    small = real_number("smooth", smooth[0], low=0)
    large = real_number("smooth", smooth[1], low=small)
    cost = _matching_cost(images, cameras, reference, levels)
    below = _ground_disparity(images.shape[2:], cameras[reference])[:, None, None]
    above = levels - below
    cost = cost + real_number("ground", ground, low=0) * np.maximum(above, 0) + np.where(above < -0.04, 10.0, 0.0)
    total = _semi_global(cost, images[reference], small, large)
    return levels[total.argmin(axis=2)]


def _ground_disparity(shape: tuple[int, ...], camera: Camera) -> np.ndarray:
    """Inverse depth of the bare ground on each row, 0 above the horizon."""
    from semcom_utils.toyworld.scene import CAMERA_HEIGHT

    rows = np.arange(shape[0]) + 0.5
    return np.maximum(rows - HORIZON, 0) / (CAMERA_HEIGHT + camera.up) / RIM_SCALE


def _matching_cost(images: np.ndarray, cameras: Sequence[Camera], reference: int, levels: np.ndarray) -> np.ndarray:
    """Mean difference of colours, ``[rows, columns, levels]``; the better half of the other pictures counts."""
    shape = images.shape[2:]
    others = [k for k in range(len(images)) if k != reference]
    cost = np.empty((*shape, len(levels)))
    for i, level in enumerate(levels):
        apart = []
        for k in others:
            u, v, _ = _carried(*_centres(shape), np.full(shape, level), cameras[reference], cameras[k])
            seen = (u >= 0) & (u <= shape[1]) & (v >= 0) & (v <= shape[0])
            gap = np.abs(_between(images[k], u, v) - images[reference]).mean(axis=0)
            apart.append(np.where(seen, np.minimum(gap, 0.3), 0.15))
        cost[:, :, i] = np.sort(apart, axis=0)[: (len(others) + 1) // 2].mean(axis=0)
    return cost


def _semi_global(cost: np.ndarray, image: np.ndarray, small: float, large: float) -> np.ndarray:
    """Costs summed along rows and columns, both ways, with prices for changes of level between neighbours."""
    total = np.zeros_like(cost)
    for turn in range(4):
        # each turn walks down the rows of the picture turned by another right angle
        turned, colours = np.rot90(cost, turn), np.rot90(image, turn, axes=(1, 2))
        edges = np.abs(np.diff(colours, axis=1)).mean(axis=0)[:, :, None]
        jumps = np.maximum(large / (1 + 20 * edges), small)
        path = np.empty_like(turned)
        path[0] = turned[0]
        for row in range(1, len(turned)):
            before = path[row - 1]
            least = before.min(axis=1, keepdims=True)
            stay = np.minimum(before, least + jumps[row - 1])
            stay[:, 1:] = np.minimum(stay[:, 1:], before[:, :-1] + small)
            stay[:, :-1] = np.minimum(stay[:, :-1], before[:, 1:] + small)
            path[row] = turned[row] + stay - least
        total += np.rot90(path, -turn)
    return total
