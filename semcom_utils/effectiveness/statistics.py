"""Statistics over seeds and samples: means and interquartile means with bootstrap intervals (Agarwal et al., 2021)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from semcom_utils.checks import finite_array, real_number

__all__ = ["iqm", "iqm_interval", "mean_interval"]


def iqm(values, axis: int = -1) -> np.ndarray:
    """Interquartile mean: the mean of the middle half, which one lucky or stuck seed cannot move far.

    Parameters
    ----------
    values : array_like
        Results, seeds along ``axis``. A quarter is cut off either end, rounded down as ``scipy.stats.trim_mean`` does.
    """
    return stats.trim_mean(finite_array("values", values), 0.25, axis=axis)


def iqm_interval(values, generator: np.random.Generator, level: float = 0.95) -> dict[str, float]:
    """Interquartile mean over seeds with its percentile bootstrap interval.

    Parameters
    ----------
    values : array_like, ``[seeds]``
        One result a seed, at least two.
    generator : numpy.random.Generator
        Source of the resamples.
    level : float
        Confidence level.

    Returns
    -------
    dict
        ``estimate``, ``low``, ``high`` and ``n``.
    """
    return _bootstrap(values, iqm, generator, level)


def mean_interval(values, generator: np.random.Generator, level: float = 0.95) -> dict[str, float]:
    """Mean over independent samples (pictures, states) with its percentile bootstrap interval; as :func:`iqm_interval`.

    For many samples that are all of one kind; over a few seeds of a learner the interquartile mean is steadier.
    """
    return _bootstrap(values, np.mean, generator, level)


def _bootstrap(values, statistic, generator: np.random.Generator, level: float) -> dict[str, float]:
    x = finite_array("values", values)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"values must be one number a seed, at least two seeds, got shape {x.shape}")
    level = real_number("level", level, low=0, high=1, low_open=True, high_open=True)
    if np.ptp(x) == 0:
        low = high = float(x[0])
    else:
        interval = stats.bootstrap(
            (x,), statistic, confidence_level=level, n_resamples=4999, method="percentile", rng=generator
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    return {"estimate": float(statistic(x)), "low": low, "high": high, "n": len(x)}
