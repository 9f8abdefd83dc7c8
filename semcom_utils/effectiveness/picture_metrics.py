r"""How alike two pictures are: four metrics, each mapped to [0, 1] so that 1 is an exact match.

Liu et al. (2023, section IV-C) ask for such maps and print none. For two equal pictures the mean squared error and the
variation of information are 0 and PSNR is infinite, so each needs one. Ours are the columns of

=========  ===========================================  ================================================
metric     map to [0, 1]                                what else could be
=========  ===========================================  ================================================
``mse``    :math:`1 - \mathrm{MSE}`                      :math:`1 - \sqrt{\mathrm{MSE}}`, or an exponential
``psnr``   :math:`\min(\max(\mathrm{PSNR}, 0), P) / P`   another :math:`P`
``ssim``   :math:`\max(\mathrm{SSIM}, 0)`                :math:`(1 + \mathrm{SSIM}) / 2`
``vi``     :math:`1 - \mathrm{VI} / H(X, Y)`             :math:`1 - \mathrm{VI} / \log_2 L`
=========  ===========================================  ================================================

A mean squared error of 1 is black against white. :math:`P = 20 \log_{10} 255` sets how far an exact match stands from a
near one.
At :math:`P`, 48.1 dB, the error is one of 255 steps of grey (root mean square), the finest that such a file can show.
The variation of information :math:`H(X|Y) + H(Y|X)` compares labels; a pixel's is its level of grey, one of
:math:`L = 16`. Divided by the joint entropy it is a metric with values in [0, 1] (Vinh, Epps and Bailey, 2010).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, one_of
from semcom_utils.pictures import picture_numbers

__all__ = ["GREY_LEVELS", "METRICS", "PSNR_CAP_DB", "normalised", "picture_quality", "raw_metric"]

#: The paper's four metrics (Liu et al., 2023, section IV-B).
METRICS = ("mse", "psnr", "ssim", "vi")
#: PSNR in dB from which on two pictures count as equal: an error of one step of grey out of 255.
PSNR_CAP_DB = float(20 * np.log10(255))
#: Labels of the variation of information: equal steps of luminance.
GREY_LEVELS = 16
#: Weights of red, green and blue in luminance (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])


@checked
def raw_metric(metric: str, one: ArrayLike, other: ArrayLike) -> float:
    """A metric as its authors define it.

    Parameters
    ----------
    metric : str
        One of :data:`METRICS`.
    one, other : array_like, ``[3, rows, columns]``
        Pictures: floating-point numbers in [0, 1], or uint8.

    Returns
    -------
    float
        Mean squared error, PSNR in dB (infinite for equal pictures), SSIM, or the variation of information in bits.

    Raises
    ------
    ValueError
        If ``metric`` is unknown, or ``one`` and ``other`` are no pictures of one size, at least 7 by 7.

    Examples
    --------
    >>> black, white = np.zeros((3, 8, 8)), np.ones((3, 8, 8))
    >>> raw_metric("mse", black, white), raw_metric("psnr", black, black)
    (1.0, inf)
    """
    from skimage import metrics

    one_of("metric", metric, METRICS)
    x, y = _pair(one, other)
    if metric == "mse":
        return float(metrics.mean_squared_error(x, y))
    if metric == "psnr":
        with np.errstate(divide="ignore"):
            return float(metrics.peak_signal_noise_ratio(x, y, data_range=1.0))
    if metric == "ssim":
        return float(metrics.structural_similarity(x, y, channel_axis=0, data_range=1.0))
    return float(sum(metrics.variation_of_information(_labels(x), _labels(y))))


@checked
def normalised(metric: str, one: ArrayLike, other: ArrayLike) -> float:
    """A metric on the scale of this module's table, where 1 is an exact match.

    Parameters
    ----------
    metric : str
        One of :data:`METRICS`.
    one, other : array_like, ``[3, rows, columns]``
        As for :func:`raw_metric`.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        As :func:`raw_metric`.

    Examples
    --------
    >>> grey = np.full((3, 8, 8), 0.5)
    >>> [normalised(metric, grey, grey) for metric in METRICS]
    [1.0, 1.0, 1.0, 1.0]
    """
    value = raw_metric(metric, one, other)
    if metric == "mse":
        return 1 - value
    if metric == "psnr":
        return min(max(value, 0.0), PSNR_CAP_DB) / PSNR_CAP_DB
    if metric == "ssim":
        return min(max(value, 0.0), 1.0)
    joint = _joint_entropy(*(_labels(x) for x in _pair(one, other)))
    # Two pictures of one grey each agree in all there is to know.
    return min(max(1 - value / joint, 0.0), 1.0) if joint > 1e-12 else 1.0


@checked
def picture_quality(one: ArrayLike, other: ArrayLike) -> dict[str, float]:
    """All four metrics on the scale of this module's table.

    Parameters
    ----------
    one, other : array_like, ``[3, rows, columns]``
        As for :func:`raw_metric`.

    Returns
    -------
    dict of str to float
        Metric -> number in [0, 1].

    Raises
    ------
    ValueError
        As :func:`raw_metric`.
    """
    return {metric: normalised(metric, one, other) for metric in METRICS}


def _pair(one: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    pair = []
    for name, picture in (("one", one), ("other", other)):
        x = picture_numbers(name, picture)
        if x.ndim != 3 or x.shape[0] != 3 or min(x.shape[1:]) < 7:
            raise ValueError(f"{name} must be [3, rows, columns], at least 7 by 7, got shape {x.shape}")
        pair.append(x)
    if pair[0].shape != pair[1].shape:
        raise ValueError(f"other must be of the size of one, {pair[0].shape}, got {pair[1].shape}")
    return pair[0], pair[1]


def _labels(picture: np.ndarray) -> np.ndarray:
    grey = np.tensordot(_LUMINANCE, picture, axes=1)
    return np.minimum((grey * GREY_LEVELS).astype(int), GREY_LEVELS - 1)


def _joint_entropy(x: np.ndarray, y: np.ndarray) -> float:
    """H(X, Y) in bits of the labels of two pictures' pixels."""
    p = np.bincount((x * GREY_LEVELS + y).ravel()) / x.size
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())
