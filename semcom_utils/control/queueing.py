"""Queues of a single server: when customers leave, and how long the important ones wait."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, real_number

__all__ = ["departures", "priority_waits"]


@checked
def departures(arrivals: ArrayLike, service: ArrayLike) -> np.ndarray:
    """When customers leave a first-come queue: each starts when it is there and the one before has left.

    Parameters
    ----------
    arrivals, service : array_like, ``[n]``
        Instants in ascending order, and times of service, in one unit.

    Returns
    -------
    numpy.ndarray, ``[n]``
        Instants, in that unit.

    Raises
    ------
    ValueError
        If they are not of one length, if arrivals go back in time, or if a time of service is negative.

    References
    ----------
    D. V. Lindley, "The theory of queues with a single server", 1952.

    Examples
    --------
    >>> departures([0.0, 1.0, 5.0], [2.0, 2.0, 1.0])
    array([2., 4., 6.])
    """
    a, s = finite_array("arrivals", arrivals), finite_array("service", service, low=0)
    if a.shape != s.shape or a.ndim != 1:
        raise ValueError(f"arrivals and service must be two lists of one length, got {a.shape} and {s.shape}")
    if np.any(np.diff(a) < 0):
        raise ValueError("arrivals must be in ascending order")
    work = np.cumsum(s)
    return work + np.maximum.accumulate(a - (work - s))


@checked
def priority_waits(loads: tuple[float, float], means: tuple[float, float]) -> tuple[float, float]:
    """Mean waits of two classes of Poisson customers, the first before the second, without interruption.

    From full load on the server always finds a customer of the second class; what one of the first waits for is then
    the rest of whatever is being served, and those before it.

    Parameters
    ----------
    loads : tuple of float
        Rate times mean service of either class.
    means : tuple of float
        Mean times of service, exponential.

    Returns
    -------
    tuple of float
        In the unit of ``means``; the second is infinite from full load on.

    Raises
    ------
    ValueError
        If a load is negative, the first class alone fills the server, or a mean is not positive.

    References
    ----------
    Cobham, "Priority assignment in waiting line problems", Operations Research, 1954.
    """
    first = real_number("loads", loads[0], low=0, high=1, high_open=True)
    second = real_number("loads", loads[1], low=0)
    mean_1, mean_2 = (real_number("means", mean, low=0, low_open=True) for mean in means)
    if first + second >= 1:
        return (first * mean_1 + (1 - first) * mean_2) / (1 - first), np.inf
    rest = first * mean_1 + second * mean_2  # sum of rate times second moment over two, for exponentials
    return rest / (1 - first), rest / ((1 - first) * (1 - first - second))
