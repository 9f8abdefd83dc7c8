"""How well two control maps agree: the one that was sent, and the one found again in the picture that came out.

All scenes share one camera: sky, horizon and the ground's depth are the same in each, so two maps of different scenes
agree in most pixels. What is measured here is what is not shared: a score is near 0 for maps of different scenes.
"""

from __future__ import annotations

import numpy as np

from semcom_utils.checks import checked, finite_array, one_of

from .maps import MAPS
from .rendering import CLASSES
from .scene import HORIZON, SIZE

__all__ = ["MISSING", "agreement", "depth_correlation", "edge_f_score", "keypoint_distance", "segmentation_iou"]

#: Distance in pixels at which the joints of a figure without a partner are counted: a quarter of the picture's side.
MISSING = 16.0
#: Classes that are no things.
_BACKDROP = 2


@checked
def agreement(sent: np.ndarray, found: np.ndarray, kind: str) -> float:
    """Agreement of two maps of a kind.

    Parameters
    ----------
    sent, found : numpy.ndarray
        Arrays as :func:`~semcom_utils.toyworld.maps.control_array` gives them.
    kind : str
        One of :data:`~semcom_utils.toyworld.maps.MAPS`.

    Returns
    -------
    float
        ``segmentation``: :func:`segmentation_iou`. ``depth``: :func:`depth_correlation`. ``soft-edges``, ``canny``:
        :func:`edge_f_score` (of soft edges above 0.6). ``pose``: :func:`keypoint_distance` in pixels, the one for
        which less is better.

    Raises
    ------
    ValueError
        If ``kind`` is no kind of map, or ``sent`` and ``found`` are not of one size.
    """
    one_of("kind", kind, MAPS)
    if kind == "pose":
        return keypoint_distance(sent, found)
    if kind == "depth":
        return depth_correlation(sent, found)
    if kind == "segmentation":
        return segmentation_iou(sent, found)
    level = 0.6 if kind == "soft-edges" else 0.5
    return edge_f_score(np.asarray(sent, dtype=float) > level, np.asarray(found, dtype=float) > level)


@checked
def segmentation_iou(sent: np.ndarray, found: np.ndarray) -> float:
    """Intersection over union of the things' pixels, class for class; 1 where neither map holds a thing.

    Pixels where both maps have the same thing's class, over pixels where at least one has a thing's.

    Parameters
    ----------
    sent, found : array_like
        Class numbers ``[rows, columns]``.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``sent`` and ``found`` are not of one such shape, or hold no classes.
    """
    one, other = _same_size(sent, found)
    for name, labels in (("sent", one), ("found", other)):
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(CLASSES):
            raise ValueError(f"{name} must be whole numbers below {len(CLASSES)}, got {labels.dtype}")
    things = (one >= _BACKDROP) | (other >= _BACKDROP)
    return float(((one == other) & things).sum() / things.sum()) if things.any() else 1.0


@checked
def depth_correlation(sent: np.ndarray, found: np.ndarray, backdrop: bool = False) -> float:
    """Pearson's correlation of two maps of inverse depth; 0 where one of them is constant.

    Parameters
    ----------
    sent, found : numpy.ndarray
        [rows, columns]. With ``backdrop`` of any size, else [64, 64].
    backdrop : bool
        Whether the empty ground's inverse depth is left in. It is the same in every scene, and with it maps of
        different scenes correlate by more than 0.9.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ValueError
        If ``sent`` and ``found`` are not of one such shape, or not finite.
    """
    one, other = _same_size(sent, found)
    one, other = finite_array("sent", one, booleans=True), finite_array("found", other, booleans=True)
    if not backdrop:
        if one.shape != (SIZE, SIZE):
            raise ValueError(f"sent must be [{SIZE}, {SIZE}] unless backdrop, got shape {one.shape}")
        rows = np.arange(SIZE)[:, None] + 0.5
        ground = np.maximum(rows - HORIZON, 0) / (SIZE - HORIZON)
        one, other = one - ground, other - ground
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one * one).sum() * (other * other).sum())
    return float((one * other).sum() / scale) if scale > 0 else 0.0


@checked
def edge_f_score(sent: np.ndarray, found: np.ndarray) -> float:
    """F score of edges to within a pixel, the horizon (and a pixel above and below it) left out.

    Precision is the share of found edges with a sent one on them or on one of the eight pixels around; recall is the
    reverse. 1 where there is no edge in either map.

    Parameters
    ----------
    sent, found : array_like
        Bool ``[rows, columns]``.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``sent`` and ``found`` are not of one such shape.
    """
    from scipy import ndimage

    one, other = (part.astype(bool) for part in _same_size(sent, found))
    if one.shape == (SIZE, SIZE):
        line = slice(int(HORIZON) - 2, int(HORIZON) + 2)
        one, other = one.copy(), other.copy()
        one[line] = other[line] = False
    if not one.any() or not other.any():
        return float(one.any() == other.any())
    near = [ndimage.binary_dilation(part, np.ones((3, 3), bool)) for part in (one, other)]
    precision, recall = (other & near[0]).sum() / other.sum(), (one & near[1]).sum() / one.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@checked
def keypoint_distance(sent: np.ndarray, found: np.ndarray) -> float:
    """Mean distance of the joints visible in ``sent`` to the same joints in ``found``, in pixels.

    Figures are paired so that the sum of distances is least. A visible joint whose figure has no partner, or whose
    partner does not show it, counts as :data:`MISSING`, and no joint as more; the same holds for the joints of figures
    that only ``found`` has. 0 where neither has a figure.

    Parameters
    ----------
    sent, found : array_like
        ``[figures, joints, 3]``: column and row in pixels, and whether the joint is visible.

    Returns
    -------
    float
        In pixels, from 0 to :data:`MISSING`.

    Raises
    ------
    ValueError
        If ``sent`` and ``found`` are not of one such shape.
    """
    from scipy.optimize import linear_sum_assignment

    one, other = (np.asarray(part, dtype=float) for part in (sent, found))
    for name, joints in (("sent", one), ("found", other)):
        if joints.ndim != 3 or joints.shape[-1] != 3:
            raise ValueError(f"{name} must be [figures, joints, 3], got shape {joints.shape}")
    if one.shape[1] != other.shape[1]:
        raise ValueError(f"found must have {one.shape[1]} joints to a figure, got {other.shape[1]}")
    there = one[:, None, :, 2] > 0
    apart = np.sqrt(((one[:, None, :, :2] - other[None, :, :, :2]) ** 2).sum(-1))
    apart = np.where(other[None, :, :, 2] > 0, np.minimum(apart, MISSING), MISSING) * there
    total, count = apart.sum(-1), there.sum()
    # A figure paired with none costs MISSING for each of its visible joints.
    pairs = linear_sum_assignment(total - MISSING * there.sum(-1))
    lone = np.ones(len(one), bool)
    lone[pairs[0]] = False
    extra = np.ones(len(other), bool)
    extra[pairs[1]] = False
    added = (other[extra][:, :, 2] > 0).sum()
    summed = total[pairs].sum() + MISSING * ((one[lone][:, :, 2] > 0).sum() + added)
    return float(summed / (count + added)) if count + added else 0.0


def _same_size(sent: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(sent), np.asarray(found)
    if one.ndim != 2 or not one.size:
        raise ValueError(f"sent must be [rows, columns], got shape {one.shape}")
    if one.shape != other.shape:
        raise ValueError(f"found must be of the size of sent, {one.shape}, got {other.shape}")
    return one, other
