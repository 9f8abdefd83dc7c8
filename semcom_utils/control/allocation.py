r"""Share a bandwidth among hops in series: the exact optimum, and the rules it is compared with.

One problem runs through the module. Hop :math:`i` earns :math:`a_i` per hertz and takes :math:`b_i / W_i` seconds:

.. math:: \max_W \sum_i a_i W_i \quad\text{s.t.}\quad \sum_i W_i \le W,\ \sum_i b_i / W_i \le \tau,\ W_i \ge 0.

The chapter on ISGC derives every formula used here (``notebooks/10_isgc``). Arrays broadcast over leading axes; the
last axis holds the hops.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import elementwise

from semcom_utils.checks import checked, finite_array

__all__ = [
    "RELATIVE_TOLERANCE",
    "InfeasibleAllocationError",
    "fastest_allocation",
    "optimal_allocation",
    "pull_back",
    "smallest_latency_budget",
    "transmission_time",
]

#: Relative slack of a latency test: rounding alone must not turn a boundary point infeasible.
RELATIVE_TOLERANCE = 1e-9


class InfeasibleAllocationError(ValueError):
    """No allocation meets the latency budget.

    Parameters
    ----------
    message : str
        What the reader of the error sees.
    smallest_budget : float
        See below.

    Attributes
    ----------
    smallest_budget : float
        The smallest latency budget, in seconds, that would do (for the first infeasible instance of a batch).
    """

    def __init__(self, message: str, smallest_budget: float) -> None:
        super().__init__(message)
        self.smallest_budget = smallest_budget


@checked(shapes={"latency_loads": "... hops+", "allocation": "... hops+"}, together=("latency_loads", "allocation"))
def transmission_time(latency_loads: ArrayLike, allocation: ArrayLike) -> np.ndarray:
    r"""Total transmission time :math:`\sum_i b_i / W_i`.

    A hop without load takes no time, whatever its bandwidth; a loaded hop without bandwidth takes for ever.

    Parameters
    ----------
    latency_loads, allocation : array_like, ``[..., hops]``
        :math:`b_i` in hertz-seconds and :math:`W_i` in hertz, both at least zero.

    Returns
    -------
    numpy.ndarray, ``[...]``
        In seconds.

    Raises
    ------
    ValueError
        If an argument is negative or NaN.

    Examples
    --------
    >>> float(transmission_time([2.0, 0.0, 3.0], [4.0, 0.0, 6.0]))  # seconds
    1.0
    """
    b = finite_array("latency_loads", latency_loads, low=0, allow_inf=True)
    w = finite_array("allocation", allocation, low=0)
    b, w = np.broadcast_arrays(b, w)
    times = np.divide(b, w, out=np.where(b > 0, np.inf, 0.0), where=(w > 0) & (b > 0))
    return times.sum(-1)


@checked(shapes={"latency_loads": "... hops+"})
def smallest_latency_budget(latency_loads: ArrayLike, bandwidth: ArrayLike) -> np.ndarray:
    r"""Least attainable transmission time :math:`(\sum_i \sqrt{b_i})^2 / W` (Cauchy-Schwarz).

    Parameters
    ----------
    latency_loads : array_like, ``[..., hops]``
        :math:`b_i \ge 0` in hertz-seconds; ``inf`` is a link in outage.
    bandwidth : array_like, ``[...]``
        Total :math:`W > 0`, in hertz.

    Returns
    -------
    numpy.ndarray, ``[...]``
        In seconds.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    b = finite_array("latency_loads", latency_loads, low=0, allow_inf=True)
    return np.sqrt(b).sum(-1) ** 2 / finite_array("bandwidth", bandwidth, low=0, low_open=True)


@checked(shapes={"latency_loads": "... hops+"})
def fastest_allocation(latency_loads: ArrayLike, bandwidth: ArrayLike) -> np.ndarray:
    r"""Allocation of least total latency, :math:`W_i \propto \sqrt{b_i}`; equal without load.

    A hop of infinite load (a link in outage) cannot be served: it counts as zero, so that the result stays finite.

    Parameters
    ----------
    latency_loads : array_like, ``[..., hops]``
        :math:`b_i \ge 0` in hertz-seconds; ``inf`` is a link in outage.
    bandwidth : array_like, ``[...]``
        Total :math:`W > 0`, in hertz.

    Returns
    -------
    numpy.ndarray, ``[..., hops]``
        In hertz.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> fastest_allocation([1.0, 4.0], 30.0)
    array([10., 20.])
    """
    b = finite_array("latency_loads", latency_loads, low=0, allow_inf=True)
    w = finite_array("bandwidth", bandwidth, low=0, low_open=True)
    root = np.sqrt(np.where(np.isinf(b), 0.0, b))
    total = root.sum(-1, keepdims=True)
    share = np.divide(root, total, out=np.full(root.shape, 1.0 / root.shape[-1]), where=total > 0)
    return share * w[..., None]


@checked(shapes={"latency_loads": "... hops+", "allocation": "... hops+"}, together=("latency_loads", "allocation"))
def pull_back(
    allocation: ArrayLike, latency_loads: ArrayLike, bandwidth: ArrayLike, latency_budget: ArrayLike
) -> np.ndarray:
    r"""The feasibility layer: move a proposal towards the fastest allocation until the latency budget holds.

    On the line :math:`W(s) = W^{fast} + s\,(W^{proposal} - W^{fast})` the number :math:`h(s) = 1 / \sum_i b_i / W_i(s)`
    is concave (a harmonic mean of affine functions), and the budget asks :math:`h(s) \ge 1/\tau`. So the feasible part
    is an interval from :math:`s = 0`; a tangent from its right and a chord from its left close in on its end, and the
    chord's foot is feasible whenever it stops. A feasible proposal stays as it is; where nothing is feasible, the
    fastest allocation comes back.

    Parameters
    ----------
    allocation, latency_loads : array_like, ``[..., hops]``
        The proposal :math:`W_i >= 0` in hertz and :math:`b_i` in hertz-seconds.
    bandwidth, latency_budget : array_like, ``[...]``
        In hertz and seconds. A budget of zero or less is feasible for nobody.

    Returns
    -------
    numpy.ndarray, ``[..., hops]``
        In hertz.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    w = finite_array("allocation", allocation, low=0)
    b = finite_array("latency_loads", latency_loads, low=0, allow_inf=True)
    tau = finite_array("latency_budget", latency_budget, allow_inf=True)
    fast = fastest_allocation(b, bandwidth)
    w, b, fast = np.broadcast_arrays(w, b, fast)
    try:
        tau = np.broadcast_to(tau, w.shape[:-1])
    except ValueError:
        raise ValueError(f"latency_budget must be of shape {w.shape[:-1]}, got {tau.shape}") from None
    result = w.copy()
    outside = transmission_time(b, w) > tau
    if outside.any():
        result[outside] = _line_search(fast[outside], w[outside], b[outside], tau[outside])
    return result


def _line_search(fast: np.ndarray, proposal: np.ndarray, b: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Last feasible point on the way from ``fast`` to an infeasible ``proposal``, arrays ``[n, hops]``."""
    step = proposal - fast
    floor = 1e-12 * fast.sum(-1, keepdims=True)  # stands for no bandwidth at all where a division needs a number

    def inverse_time(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """h(s) and its derivative."""
        x = np.maximum(fast + s[:, None] * step, floor)
        load = b / x
        h = 1 / load.sum(-1)
        return h, (load * step / x).sum(-1) * h**2

    with np.errstate(divide="ignore", invalid="ignore"):
        goal = np.where(tau > 0, 1 / tau, np.inf)
        left, right = np.zeros(len(fast)), np.ones(len(fast))
        at_left, at_right = inverse_time(left)[0] - goal, inverse_time(right)[0] - goal
        hopeless = ~(at_left > 0)
        for _ in range(12):  # superlinear, except next to the edge of feasibility, where h is flat at its top
            slope = inverse_time(right)[1]
            tangent = np.where(slope < 0, right - at_right / slope, right)
            at_left = np.maximum(at_left, 0)  # rounding may leave the two ends on one side: then they have met
            chord = np.where(at_right < 0, left + (right - left) * at_left / (at_left - at_right), right)
            left = np.where(hopeless, 0.0, np.maximum(left, chord))
            right = np.clip(tangent, left, right)
            at_left, at_right = inverse_time(left)[0] - goal, inverse_time(right)[0] - goal
    return np.maximum(fast + left[:, None] * step, 0.0)


def _validated_problem(
    price_rates: ArrayLike, latency_loads: ArrayLike, bandwidth: ArrayLike, latency_budget: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The four arguments as float arrays, broadcast; raises ``ValueError`` naming the bad one."""
    a = finite_array("price_rates", price_rates, low=0)
    b = finite_array("latency_loads", latency_loads, low=0, allow_inf=True)
    w = finite_array("bandwidth", bandwidth, low=0, low_open=True)
    tau = finite_array("latency_budget", latency_budget, low=0, low_open=True, allow_inf=True)
    for name, array in (("price_rates", a), ("latency_loads", b)):
        if array.ndim == 0 or array.shape[-1] == 0:
            raise ValueError(f"{name} must have a last axis of at least one hop, got shape {array.shape}")
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"latency_loads must have {a.shape[-1]} hops like price_rates, got shape {b.shape}")
    try:
        batch = np.broadcast_shapes(a.shape[:-1], b.shape[:-1], w.shape, tau.shape)
    except ValueError:
        raise ValueError(
            "bandwidth and latency_budget must broadcast with the leading axes of price_rates and latency_loads, got "
            f"shapes {w.shape}, {tau.shape}, {a.shape} and {b.shape}"
        ) from None
    hops = (*batch, a.shape[-1])
    return np.broadcast_to(a, hops), np.broadcast_to(b, hops), np.broadcast_to(w, batch), np.broadcast_to(tau, batch)


@checked
def optimal_allocation(
    price_rates: ArrayLike, latency_loads: ArrayLike, bandwidth: ArrayLike, latency_budget: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    r"""The exact optimum of :math:`\max \sum_i a_i W_i` under total bandwidth and total latency.

    Derived from the Karush-Kuhn-Tucker conditions in the chapter on ISGC (equations ``eq-isgc-kkt`` to
    ``eq-isgc-root``). With :math:`\lambda` the price of a hertz, loaded hops get

    .. math:: W_i = W \frac{\sqrt{b_i / (\lambda - a_i)}}{\sum_j \sqrt{b_j / (\lambda - a_j)}},\qquad
        F(\lambda) = \sum_i \sqrt{b_i (\lambda - a_i)} \cdot \sum_i \sqrt{b_i / (\lambda - a_i)} = W \tau,

    where :math:`F` falls strictly from infinity to :math:`(\sum_i \sqrt{b_i})^2`: one root, found by bracketing
    (``scipy.optimize.elementwise.find_root``). Hops without load get nothing, unless the best of them earns more
    than :math:`\lambda`; then :math:`\lambda` is its :math:`a`, the loaded hops get their due, it gets the rest.

    Parameters
    ----------
    price_rates : array_like, ``[..., hops]``
        :math:`a_i = q_i c_i >= 0`, earnings per hertz and second.
    latency_loads : array_like, ``[..., hops]``
        :math:`b_i = D_i / c_i >= 0`, in hertz-seconds; ``inf`` is a link in outage.
    bandwidth : array_like, ``[...]``
        Total :math:`W > 0`, in hertz.
    latency_budget : array_like, ``[...]``
        :math:`\tau > 0`, in seconds, for all transmissions together; ``np.inf`` means no limit.

    Returns
    -------
    allocation : numpy.ndarray, ``[..., hops]``
        :math:`W_i^*`, in hertz.
    utility : numpy.ndarray, ``[...]``
        :math:`\sum_i a_i W_i^*`.

    Raises
    ------
    InfeasibleAllocationError
        If the budget is below :func:`smallest_latency_budget`; the message names the smallest budget that would do.
    ValueError
        For a bad shape, NaN, a negative price rate or load, a bandwidth or budget that is not positive.
    """
    a, b, w, tau = _validated_problem(price_rates, latency_loads, bandwidth, latency_budget)
    least = smallest_latency_budget(b, w)
    infeasible = ~(least <= tau * (1 + RELATIVE_TOLERANCE)) & ~np.isinf(tau)
    if infeasible.any():
        where = tuple(int(i) for i in np.argwhere(infeasible)[0])
        raise InfeasibleAllocationError(
            f"latency_budget {tau[where]:.6g} s is too small{f' at index {where}' if where else ''}: the smallest "
            f"budget that would do is {least[where]:.6g} s",
            float(least[where]),
        )
    limited = np.isfinite(tau) & (b > 0).any(-1)
    # Where the latency does not limit, this is a linear programme over the simplex: all to the hop that earns most.
    allocation = np.eye(a.shape[-1])[a.argmax(-1)] * w[..., None]
    if limited.any():
        allocation[limited] = _latency_limited(a[limited], b[limited], w[limited], tau[limited])
    return allocation, (a * allocation).sum(-1)


def _latency_limited(a: np.ndarray, b: np.ndarray, w: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Optimum of feasible instances ``[n, hops]`` with a finite budget and at least one loaded hop each."""
    loaded = b > 0
    best_loaded = np.where(loaded, a, -np.inf).max(-1)
    gap = np.where(loaded, best_loaded[:, None] - a, 0.0)
    scale = np.where(gap.max(-1) > 1e-200, gap.max(-1), 1.0)  # measures lambda in units of the spread of the a_i

    def excess(u: np.ndarray, row: np.ndarray) -> np.ndarray:
        """log F(lambda) - log(W tau) of instance ``row`` at lambda = max a + scale e^u: falls in u."""
        row = row.astype(int)  # find_root hands its arguments on as floats, and only those not yet solved
        d = (gap / scale[:, None])[row] + np.exp(u)[..., None]
        return np.log(np.sqrt(b[row] * d).sum(-1)) + np.log(np.sqrt(b[row] / d).sum(-1)) - np.log((w * tau)[row])

    # Without a sign change: at the edge of feasibility lambda is infinite (e^60 spreads will do: all hops look alike,
    # the fastest allocation comes out); where all loaded hops earn the same, F is constant and lambda their earning.
    rows = np.arange(len(a))
    at_low, at_high = excess(np.full(len(a), -140.0), rows), excess(np.full(len(a), 60.0), rows)
    u = np.where(at_low < 0, -140.0, 60.0)
    inside = rows[(at_low > 0) & (at_high < 0)]
    if len(inside):
        bracket = (np.full(len(inside), -140.0), np.full(len(inside), 60.0))
        u[inside] = elementwise.find_root(excess, bracket, args=(inside,)).x
    d = gap + (scale * np.exp(u))[:, None]
    root = np.sqrt(b / d)
    allocation = w[:, None] * root / root.sum(-1, keepdims=True)

    # A hop without load that earns more than lambda takes what the budget leaves: lambda becomes its earning.
    best_free = np.where(loaded, -np.inf, a).max(-1)
    spare = best_free > best_loaded + scale * np.exp(u)
    if spare.any():
        a, b, loaded, w, tau = a[spare], b[spare], loaded[spare], w[spare], tau[spare]
        d = np.where(loaded, best_free[spare, None] - a, 1.0)
        part = np.sqrt(b / d) * (np.sqrt(b * d).sum(-1) / tau)[:, None]
        hop = np.where(loaded, -np.inf, a).argmax(-1)
        part[np.arange(len(hop)), hop] = w - part.sum(-1)
        allocation[spare] = part
    return allocation
