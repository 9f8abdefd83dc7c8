"""Statistics over seeds and samples: means, interquartile means, shares, slopes and distances, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.spatial.distance import cdist

from semcom_utils.checks import checked, finite_array, numpy_generator, one_of, positive_integer, real_number

__all__ = [
    "energy_distance",
    "highest",
    "iqm",
    "iqm_interval",
    "lowest",
    "mean_interval",
    "share_interval",
    "slope_interval",
    "student_interval",
]


@checked(booleans=("values",))
def iqm(values: ArrayLike, axis: int = -1) -> np.ndarray:
    """Interquartile mean: the mean of the middle half, which one lucky or stuck seed cannot move far.

    Parameters
    ----------
    values : array_like
        Results, seeds along ``axis``; truth values count as 0 and 1. A quarter is cut off either end, rounded down as
        ``scipy.stats.trim_mean`` does.
    axis : int
        The axis of the seeds.

    Returns
    -------
    numpy.ndarray
        ``values`` without ``axis``.

    Raises
    ------
    ValueError
        If ``values`` is not finite.

    References
    ----------
    Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", 2021.

    Examples
    --------
    >>> float(iqm([0, 0, 1, 2, 3, 4, 100, 1000]))
    2.5
    """
    x = finite_array("values", values, booleans=True)
    if not x.ndim:
        raise ValueError(f"values must have an axis of seeds, got {values!r:.80}")
    one_of("axis", axis, range(-x.ndim, x.ndim))
    return stats.trim_mean(x, 0.25, axis=axis)


@checked(booleans=("values",))
def iqm_interval(values: ArrayLike, rng: np.random.Generator | None = None, level: float = 0.95) -> dict:
    """Interquartile mean over seeds with its percentile bootstrap interval.

    Parameters
    ----------
    values : array_like, ``[seeds]``
        One result a seed.
    rng : numpy.random.Generator, optional
        Source of the resamples; one with seed 0 if None, so that the same values have the same interval.
    level : float
        Confidence level.

    Returns
    -------
    dict
        ``estimate``, ``low``, ``high`` and ``n``. A single value has no interval: ``low`` and ``high`` are None.

    Raises
    ------
    ValueError
        If ``values`` is not one finite number a seed, or ``level`` is not between 0 and 1.
    """
    return _bootstrap(values, iqm, rng, level)


@checked(booleans=("values",))
def mean_interval(values: ArrayLike, rng: np.random.Generator | None = None, level: float = 0.95) -> dict:
    """Mean over independent samples (pictures, states) with its percentile bootstrap interval.

    For many samples that are all of one kind; over a few seeds of a learner the interquartile mean is steadier, and
    over a few replications of a simulation :func:`student_interval` covers better.

    Parameters
    ----------
    values : array_like, ``[samples]``
        One result a sample.
    rng : numpy.random.Generator, optional
        Source of the resamples; one with seed 0 if None.
    level : float
        Confidence level.

    Returns
    -------
    dict
        As of :func:`iqm_interval`.

    Raises
    ------
    ValueError
        If ``values`` is not one finite number a sample, or ``level`` is not between 0 and 1.
    """
    return _bootstrap(values, np.mean, rng, level)


@checked(booleans=("values",))
def student_interval(values: ArrayLike, level: float = 0.95) -> dict:
    """Mean over independent replications with Student's interval.

    Parameters
    ----------
    values : array_like, ``[replications]``
        One result a replication, normal in good approximation, as a mean over a long simulation is.
    level : float
        Confidence level.

    Returns
    -------
    dict
        As of :func:`iqm_interval`.

    Raises
    ------
    ValueError
        If ``values`` is not one finite number a replication, or ``level`` is not between 0 and 1.

    References
    ----------
    Student, "The probable error of a mean", 1908.

    Examples
    --------
    >>> {name: round(value, 3) for name, value in student_interval([1.0, 2.0, 3.0]).items()}
    {'estimate': 2.0, 'low': -0.484, 'high': 4.484, 'n': 3}
    """
    x, level = _one_a_seed(values, level)
    if len(x) == 1:
        return {"estimate": float(x[0]), "low": None, "high": None, "n": 1}
    half = stats.t.isf((1 - level) / 2, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5
    return {"estimate": float(x.mean()), "low": float(x.mean() - half), "high": float(x.mean() + half), "n": len(x)}


@checked
def share_interval(count: int, n: int, level: float = 0.95, *, method: str = "exact") -> dict:
    """A share with the exact interval of Clopper and Pearson, or the shorter one of Wilson.

    Parameters
    ----------
    count, n : int
        ``count`` of ``n`` had the property.
    level : float
        Confidence level.
    method : {"exact", "wilson"}
        The exact interval covers the share at least as often as it says, the other one about as often.

    Returns
    -------
    dict
        ``estimate``, ``low``, ``high`` and ``n``.

    Raises
    ------
    ValueError
        If ``n`` is not positive, ``count`` is not between 0 and ``n``, ``level`` is not between 0 and 1, or ``method``
        is none of these.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
    1934. E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Examples
    --------
    >>> interval = share_interval(0, 100)
    >>> round(interval["high"], 3)  # nothing was lost in a hundred: the share may still be 3.6%
    0.036
    """
    level = real_number("level", level, low=0, high=1, low_open=True, high_open=True)
    one_of("method", method, ("exact", "wilson"))
    positive_integer("n", n)
    positive_integer("count", count, low=0)
    if count > n:
        raise ValueError(f"count must be at most n = {n}, got {count}")
    interval = stats.binomtest(int(count), int(n)).proportion_ci(level, method)
    return {"estimate": count / n, "low": float(interval.low), "high": float(interval.high), "n": n}


def _intervals(intervals: Iterable[Mapping]) -> list[Mapping]:
    listed = list(intervals)
    if not listed or not all(isinstance(one, Mapping) and {"estimate", "low", "high"} <= set(one) for one in listed):
        raise ValueError(f"intervals must have an estimate, low and high each, got {intervals!r:.80}")
    return listed


@checked
def lowest(intervals: Iterable[Mapping]) -> Mapping:
    """The interval whose lower end is lowest; one of a single value, which has no ends, counts with its estimate.

    Parameters
    ----------
    intervals : iterable of mapping
        With ``estimate`` and ``low``, as the functions here return them.

    Returns
    -------
    mapping
        One of them.

    Raises
    ------
    ValueError
        If there is none.
    """
    return min(_intervals(intervals), key=lambda part: part["estimate"] if part["low"] is None else part["low"])


@checked
def highest(intervals: Iterable[Mapping]) -> Mapping:
    """The interval whose upper end is highest; one of a single value, which has no ends, counts with its estimate.

    Parameters
    ----------
    intervals : iterable of mapping
        With ``estimate`` and ``high``, as the functions here return them.

    Returns
    -------
    mapping
        One of them.

    Raises
    ------
    ValueError
        If there is none.
    """
    return max(_intervals(intervals), key=lambda part: part["estimate"] if part["high"] is None else part["high"])


@checked
def slope_interval(y: ArrayLike, x: ArrayLike, *others: ArrayLike, level: float = 0.95) -> dict:
    """Slope of ``y`` over ``x`` by least squares, with a constant and other regressors, and Student's interval.

    Parameters
    ----------
    y, x, *others : array_like, ``[n]``
        Answer, regressor, and what is adjusted for.
    level : float
        Confidence level.

    Returns
    -------
    dict
        ``estimate``, ``low`` and ``high``.

    Raises
    ------
    ValueError
        If an argument is not finite, or if there are no more samples than coefficients.
    """
    y, x = finite_array("y", y), finite_array("x", x)
    further = [finite_array("others", other) for other in others]
    for name, values in [("y", y), ("x", x), *(("others", other) for other in further)]:
        if values.shape != y.shape or y.ndim != 1:
            raise ValueError(f"{name} must be a list as long as y, got shape {values.shape} and y of {y.shape}")
    design = np.column_stack([x, np.ones(len(x)), *further])
    left = len(y) - design.shape[1]
    if left < 1:
        raise ValueError(f"y must have more samples than there are coefficients, {design.shape[1]}, got {len(y)}")
    try:
        inverse = np.linalg.inv(design.T @ design)
    except np.linalg.LinAlgError:
        raise ValueError("x must differ from a constant and from others, or no slope is told apart") from None
    coefficients = inverse @ design.T @ y
    error = np.sqrt(inverse[0, 0] * np.sum((y - design @ coefficients) ** 2) / left)
    half = stats.t.isf((1 - level) / 2, left) * error
    slope = float(coefficients[0])
    return {"estimate": slope, "low": float(slope - half), "high": float(slope + half)}


@checked
def energy_distance(x: ArrayLike, y: ArrayLike) -> float:
    r"""Estimate of :math:`2 E|X - Y| - E|X - X'| - E|Y - Y'|`, unbiased: zero on average if X ~ Y.

    Parameters
    ----------
    x, y : array_like, ``[n, d]`` and ``[m, d]``
        Samples of the two laws, at least two each.

    Returns
    -------
    float
        In the unit of the samples; it can be a little below zero.

    Raises
    ------
    ValueError
        If ``x`` and ``y`` are not of such shapes.

    References
    ----------
    G. J. Szekely, M. L. Rizzo, "Energy statistics: a class of statistics based on distances", 2013.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"x and y must be [n, d] and [m, d] with at least two rows, got {x.shape} and {y.shape}")
    n, m = len(x), len(y)
    within = cdist(x, x).sum() / (n * (n - 1)) + cdist(y, y).sum() / (m * (m - 1))
    return float(2 * cdist(x, y).mean() - within)


def _one_a_seed(values: ArrayLike, level: float) -> tuple[np.ndarray, float]:
    x = finite_array("values", values, booleans=True)
    if x.ndim != 1 or len(x) < 1:
        raise ValueError(f"values must be one number a seed, got shape {x.shape}")
    return x, real_number("level", level, low=0, high=1, low_open=True, high_open=True)


def _bootstrap(
    values: ArrayLike, statistic: Callable[..., np.ndarray], rng: np.random.Generator | None, level: float
) -> dict:
    x, level = _one_a_seed(values, level)
    rng = np.random.default_rng(0) if rng is None else numpy_generator("rng", rng)
    if len(x) == 1:
        return {"estimate": float(x[0]), "low": None, "high": None, "n": 1}
    if np.ptp(x) == 0:
        low = high = float(x[0])
    else:
        interval = stats.bootstrap(
            (x,),
            statistic,
            confidence_level=level,
            n_resamples=4999,
            method="percentile",
            rng=rng,
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return {"estimate": float(statistic(x)), "low": low, "high": high, "n": len(x)}
