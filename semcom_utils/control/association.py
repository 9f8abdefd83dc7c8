r"""Which base station serves whom, and with how much bandwidth, when messages count and not bits.

Station :math:`j` turns a hertz for user :math:`i` into :math:`s_{ij}` messages per second: the spectral efficiency of
the link, over the bits of a message, times the share of the user's messages that the knowledge of both ends can
interpret (the knowledge-matching degree). With :math:`x_{ij}` the association and :math:`b_{ij}` the bandwidth,

.. math:: \max \sum_{ij} s_{ij} b_{ij} \quad\text{s.t.}\quad \sum_j x_{ij} = 1,\ \sum_i b_{ij} \le B_j,\
    m\, x_{ij} \le s_{ij} b_{ij},\ 0 \le b_{ij} \le B_j x_{ij},\ x_{ij} \in \{0, 1\} .

The form follows Xia et al. (2024); the chapter ``notebooks/13d_resource_allocation`` explains it. Arrays hold users
along the first axis and stations along the second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp

from semcom_utils.checks import checked, finite_array, real_number

__all__ = ["best_association", "fair_association", "message_rates", "messages", "split_bandwidth"]


@checked(together=("snr_db", "matching"))
def message_rates(snr_db: ArrayLike, matching: ArrayLike, bits_per_message: float) -> np.ndarray:
    r"""What a hertz is worth: :math:`s_{ij} = \tau_{ij} \log_2(1 + \gamma_{ij}) / L`.

    Parameters
    ----------
    snr_db : array_like, ``[users, stations]``
        Es/N0 per complex channel use, in dB.
    matching : array_like, broadcasts to ``[users, stations]``
        :math:`\tau_{ij}`, the share of the user's messages that can be interpreted, from 0 to 1.
    bits_per_message : float
        :math:`L`.

    Returns
    -------
    numpy.ndarray, ``[users, stations]``
        Messages per second and hertz.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    L. Xia, Y. Sun, D. Niyato, X. Li, M. A. Imran, "Joint user association and bandwidth allocation in semantic
    communication networks", 2024.
    """
    snr = finite_array("snr_db", snr_db)
    tau = finite_array("matching", matching, low=0)
    if (tau > 1).any():
        raise ValueError(f"matching must be at most 1, got {tau.max():g}")
    return tau * np.log2(1 + 10 ** (snr / 10)) / real_number("bits_per_message", bits_per_message, low=0, low_open=True)


def _problem(rates: ArrayLike, budgets: ArrayLike, *, low_open: bool = False) -> tuple[np.ndarray, np.ndarray]:
    s = finite_array("rates", rates, low=0, low_open=low_open)
    if s.ndim != 2 or not s.size:
        raise ValueError(f"rates must be of shape [users, stations], got shape {s.shape}")
    budget = finite_array("budgets", budgets, low=0, low_open=True)
    if budget.shape != s.shape[1:]:
        raise ValueError(f"budgets must be one a station, shape {s.shape[1:]}, got shape {budget.shape}")
    return s, budget


def _station(station: ArrayLike, users: int, stations: int) -> np.ndarray:
    array = np.asarray(station)
    if array.shape != (users,) or array.dtype.kind not in "iu" or (array < 0).any() or (array >= stations).any():
        raise ValueError(f"station must be {users} whole numbers below {stations}, got {station!r}")
    return array


@checked
def split_bandwidth(rates: ArrayLike, station: ArrayLike, budgets: ArrayLike, minimum: float = 0.0) -> np.ndarray:
    """The best bandwidths for a given association.

    Everybody gets what the minimum takes, the user of the best rate gets the rest. Where a station cannot give all its
    users the minimum, all of them get the same part of it, except those that no bandwidth could serve.

    Parameters
    ----------
    rates : array_like, ``[users, stations]``
        Messages per second and hertz.
    station : array_like of int, ``[users]``
        The station of each user, counted from 0.
    budgets : array_like, ``[stations]``
        Bandwidth of each station, in hertz.
    minimum : float
        Messages per second that each user is promised.

    Returns
    -------
    numpy.ndarray, ``[users]``
        In hertz.

    Raises
    ------
    ValueError
        If shapes do not fit together, or an argument is out of its range.
    """
    s, budget = _problem(rates, budgets)
    j = _station(station, *s.shape)
    own = s[np.arange(len(s)), j]
    m = real_number("minimum", minimum, low=0)
    need = np.divide(m, own, out=np.zeros(len(s)), where=own > 0)
    load = np.bincount(j, need, minlength=len(budget))
    bandwidth = need * np.divide(np.minimum(budget, load), load, out=np.ones(len(budget)), where=load > 0)[j]
    for k in np.flatnonzero((load < budget) & (np.bincount(j, minlength=len(budget)) > 0)):
        members = np.flatnonzero(j == k)
        bandwidth[members[own[members].argmax()]] += budget[k] - load[k]
    return bandwidth


@checked(shapes={"rates": "users+ stations+", "station": "users", "bandwidth": "users"})
def messages(rates: ArrayLike, station: ArrayLike, bandwidth: ArrayLike) -> np.ndarray:
    """What each user gets.

    Parameters
    ----------
    rates : array_like, ``[users, stations]``
        Messages per second and hertz.
    station : array_like of int, ``[users]``
        The station of each user, counted from 0.
    bandwidth : array_like, ``[users]``
        In hertz.

    Returns
    -------
    numpy.ndarray, ``[users]``
        Messages per second.

    Raises
    ------
    ValueError
        If shapes do not fit together, or an argument is out of its range.
    """
    s = finite_array("rates", rates, low=0)
    return s[np.arange(len(s)), _station(station, *s.shape)] * finite_array("bandwidth", bandwidth, low=0)


@checked
def best_association(rates: ArrayLike, budgets: ArrayLike, minimum: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The exact optimum of the module's problem, by mixed-integer programming (HiGHS, over SciPy).

    Parameters
    ----------
    rates : array_like, ``[users, stations]``
        Messages per second and hertz.
    budgets : array_like, ``[stations]``
        Bandwidth of each station, in hertz.
    minimum : float
        Messages per second that each user is promised.

    Returns
    -------
    station : numpy.ndarray of int, ``[users]``
        The station of each user, counted from 0.
    bandwidth : numpy.ndarray, ``[users]``
        In hertz.

    Raises
    ------
    ValueError
        If no association gives everybody the minimum, or an argument is none of the above.
    """
    s, budget = _problem(rates, budgets)
    m = real_number("minimum", minimum, low=0)
    users, stations = s.shape
    # y = b / B lies between 0 and x, and all numbers are of order one: the solver's tolerances are absolute
    gain = s * budget / max((s * budget).max(), 1e-300)
    need = np.divide(m, s * budget, out=np.full(s.shape, 2.0), where=s > 0) if m else np.zeros(s.shape)
    possible = need <= 1
    if not possible.any(1).all():
        raise ValueError(f"minimum {m:g} is out of reach for user {int(np.argmin(possible.any(1)))} at any station")
    n, eye = s.size, np.eye(s.size)
    once = np.hstack([np.kron(np.eye(users), np.ones((1, stations))), np.zeros((users, n))])
    share = np.hstack([np.zeros((stations, n)), np.tile(np.eye(stations), users)])
    solved = milp(
        -np.concatenate([np.zeros(n), gain.ravel()]),
        integrality=np.repeat([1, 0], n),
        bounds=Bounds(0, np.concatenate([possible.ravel(), np.ones(n)])),
        constraints=[
            LinearConstraint(once, 1, 1),
            LinearConstraint(share, -np.inf, 1),
            LinearConstraint(np.hstack([-eye, eye]), -np.inf, 0),
            LinearConstraint(np.hstack([-np.diag(np.where(possible, need, 0).ravel()), eye]), 0, np.inf),
        ],
        options={"mip_rel_gap": 1e-9},
    )
    if solved.x is None:
        raise ValueError(f"minimum {m:g} cannot be given to all {users} users at once: {solved.message}")
    station = solved.x[:n].reshape(s.shape).argmax(1)
    return station, split_bandwidth(s, station, budget, m)


@checked
def fair_association(rates: ArrayLike, budgets: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    r"""The exact optimum for proportional fairness, :math:`\max \sum_i \log(\text{messages of } i)`, by assignment.

    A station with :math:`k` users splits its bandwidth evenly, so that a user there has :math:`\log(s_{ij} B_j)` less
    :math:`k \log k` for the station as a whole. The k-th user's part of that, :math:`k \log k - (k-1) \log (k-1)`,
    rises with k: users can be assigned to slots, and the cheap slots fill first.

    Parameters
    ----------
    rates : array_like, ``[users, stations]``
        Messages per second and hertz, all above zero.
    budgets : array_like, ``[stations]``
        Bandwidth of each station, in hertz.

    Returns
    -------
    station : numpy.ndarray of int, ``[users]``
        The station of each user, counted from 0.
    bandwidth : numpy.ndarray, ``[users]``
        In hertz.

    Raises
    ------
    ValueError
        If shapes do not fit together, or an argument is out of its range.
    """
    s, budget = _problem(rates, budgets, low_open=True)
    users, stations = s.shape
    k = np.arange(users + 1.0)
    price = np.diff(np.concatenate([[0.0], k[1:] * np.log(k[1:])]))
    worth = np.log(s * budget)[:, :, None] - price
    _, slot = linear_sum_assignment(worth.reshape(users, -1), maximize=True)
    station = slot // users
    return station, (budget / np.maximum(np.bincount(station, minlength=stations), 1))[station]
