r"""Freshness of updates: age of information, age of incorrect information, and what an age costs a controller.

The age at time t is :math:`\Delta(t) = t - u(t)`, with :math:`u(t)` the time at which the newest update that has
arrived was generated. Rates are per unit of time, the *load* is :math:`\rho = \lambda / \mu`. The chapter
"Information effectiveness" derives what is used here.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import lambertw

from semcom_utils.checks import checked, finite_array, numpy_generator, one_of, positive_integer, real_number

__all__ = [
    "QUEUES",
    "age_penalty",
    "average_age",
    "error_by_age",
    "error_by_incorrectness",
    "mean_age",
    "mean_delay",
    "simulate_queue",
]

#: Two queues that serve first what comes first, with random or regular gaps; in the third the newest pushes out others.
QUEUES = ("M/M/1", "D/M/1", "preemptive")


def _load(load: object, queue: str) -> np.ndarray:
    one_of("queue", queue, QUEUES)
    rho = finite_array("load", load, low=0.0, low_open=True)
    if queue != "preemptive" and (rho >= 1.0).any():
        raise ValueError(f"load must be below 1 for {queue}, or the queue grows without end, got {rho.max():g}")
    return rho


def _beta(rho: np.ndarray) -> np.ndarray:
    """The root below 1 of beta = exp(-(1 - beta)/rho), by the principal branch of Lambert's W."""
    return -rho * lambertw(-np.exp(-1.0 / rho) / rho).real


@checked
def mean_age(load: ArrayLike, service_rate: float = 1.0, *, queue: str = "M/M/1") -> np.ndarray:
    r"""Time average of the age of information of a queue of updates.

    ============== =================================================================================================
    queue          mean age
    ============== =================================================================================================
    ``M/M/1``      :math:`\frac1\mu \big(1 + \frac1\rho + \frac{\rho^2}{1 - \rho}\big)`
    ``D/M/1``      :math:`\frac1\mu \big(\frac{1}{2\rho} + \frac{1}{1 - \beta}\big)` with :math:`\beta` from below
    ``preemptive`` :math:`\frac1\mu \big(1 + \frac1\rho\big)`: an arrival pushes out the update in service
    ============== =================================================================================================

    :math:`\beta = e^{-(1-\beta)/\rho}` is the share of updates that find the link busy in D/M/1.

    Parameters
    ----------
    load : array_like
        :math:`\rho`, above 0; below 1 where updates queue.
    service_rate : float
        :math:`\mu`, mean updates that the link can carry in a unit of time.
    queue : str
        One of :data:`QUEUES`.

    Returns
    -------
    numpy.ndarray or numpy.float64
        In units of time, of the shape of ``load``.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    S. Kaul, R. Yates, M. Gruteser, "Real-time status: How often should one update?", 2012 (first two), and "Status
    updates through queues", 2012 (third).
    """
    rho, mu = _load(load, queue), real_number("service_rate", service_rate, low=0, low_open=True)
    if queue == "M/M/1":
        age = 1.0 + 1.0 / rho + rho**2 / (1.0 - rho)
    elif queue == "D/M/1":
        age = 0.5 / rho + 1.0 / (1.0 - _beta(rho))
    else:
        age = 1.0 + 1.0 / rho
    return (age / mu)[()]


@checked
def mean_delay(load: ArrayLike, service_rate: float = 1.0, *, queue: str = "M/M/1") -> np.ndarray:
    r"""Mean time from generation to arrival of the updates that arrive.

    :math:`1/(\mu(1-\rho))` for M/M/1 and :math:`1/(\mu(1-\beta))` for D/M/1. With preemption it is
    :math:`1/(\mu(1+\rho))`: those that arrive are the ones that were served quickly.

    Parameters
    ----------
    load : array_like
        :math:`\rho`, above 0; below 1 where updates queue.
    service_rate : float
        :math:`\mu`, mean updates that the link can carry in a unit of time.
    queue : str
        One of :data:`QUEUES`.

    Returns
    -------
    numpy.ndarray or numpy.float64
        In units of time, of the shape of ``load``.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    L. Kleinrock, *Queueing Systems*, volume 1, 1975, sections 3.2 and 6.4 (first two; the third is derived in the
    chapter).
    """
    rho, mu = _load(load, queue), real_number("service_rate", service_rate, low=0, low_open=True)
    spare = {"M/M/1": lambda: 1.0 - rho, "D/M/1": lambda: 1.0 - _beta(rho), "preemptive": lambda: 1.0 + rho}
    return (1.0 / (mu * spare[queue]()))[()]


@checked
def simulate_queue(
    load: float, updates: int, rng: np.random.Generator, service_rate: float = 1.0, *, queue: str = "M/M/1"
) -> tuple[np.ndarray, np.ndarray]:
    """Send updates through a queue, event by event (SimPy); the queue is empty at first.

    Parameters
    ----------
    load : float
        Arrival rate over ``service_rate``.
    updates : int
        How many are generated.
    rng : numpy.random.Generator
        Draws gaps and service times.
    service_rate : float
        As in :func:`mean_age`.
    queue : str
        One of :data:`QUEUES`.

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        When each update that arrived was generated, and when it arrived, in the order of arrival.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    mu = real_number("service_rate", service_rate, low=0, low_open=True)
    mean_gap = 1.0 / (float(_load(real_number("load", load), queue)) * mu)
    n = positive_integer("updates", updates)
    numpy_generator("rng", rng)
    import simpy

    gaps = np.full(n, mean_gap) if queue == "D/M/1" else rng.exponential(mean_gap, n)
    services = rng.exponential(1.0 / mu, n).tolist()
    env = simpy.Environment()
    generated: list[float] = []
    received: list[float] = []
    link: Any = (simpy.PreemptiveResource if queue == "preemptive" else simpy.Resource)(env)

    def update(number: int) -> Generator[simpy.Event, Any, None]:
        born = env.now
        # a lower number goes first: the newest, where that matters
        with link.request(priority=-number) if queue == "preemptive" else link.request() as turn:
            try:
                yield turn
                yield env.timeout(services[number])
            except simpy.Interrupt:
                return  # pushed out by a newer one
        generated.append(born)
        received.append(env.now)

    def source() -> Generator[simpy.Event, Any, None]:
        for number, gap in enumerate(gaps.tolist()):
            yield env.timeout(gap)
            env.process(update(number))

    env.process(source())
    env.run()
    return np.array(generated), np.array(received)


@checked
def average_age(generated: ArrayLike, received: ArrayLike, start: float, end: float) -> float:
    r"""Time average of the age over [start, end]: the area under the saw-tooth, exactly.

    Parameters
    ----------
    generated, received : array_like, ``[updates]``
        When each update was generated and when it arrived, no earlier; in any order. One that arrives after a newer
        one changes nothing.
    start, end : float
        The window; at least one update has arrived by ``start``.

    Returns
    -------
    float
        In the unit of the instants.

    Raises
    ------
    ValueError
        If lengths differ, an update arrives before it is generated, or the window is empty or begins too early.

    Examples
    --------
    >>> average_age([0.0, 4.0], [1.0, 5.0], 1.0, 5.0)  # the age grows from 1 to 5, then the second update arrives
    3.0
    """
    u, r = finite_array("generated", generated), finite_array("received", received)
    if u.shape != r.shape or u.ndim != 1 or not len(u):
        raise ValueError(f"generated and received must be vectors of one length, got {u.shape} and {r.shape}")
    if (r < u).any():
        raise ValueError(f"received must not be before generated, got {r[r < u][0]:g} for {u[r < u][0]:g}")
    start = real_number("start", start, low=float(r.min()))
    end = real_number("end", end, low=start, low_open=True)
    order = np.argsort(r, kind="stable")
    newest = np.maximum.accumulate(u[order])
    edges = np.clip(np.append(r[order], end), start, end)
    return float(np.sum((edges[1:] - newest) ** 2 - (edges[:-1] - newest) ** 2) / 2.0 / (end - start))


@checked
def error_by_age(threshold: int, change: float, success: float) -> dict[str, float]:
    r"""A sender steered by age that reports on a two-state source: how often the receiver is wrong, and the traffic.

    In each slot the source changes with probability ``change``; then, if the age of what the receiver has is at least
    ``threshold`` slots, the sender reports the state, which arrives with probability ``success``. Between two arrivals
    lie :math:`L = N - 1 + G` slots with geometric :math:`G`; d slots after an arrival the receiver is wrong with
    probability :math:`(1 - r^d)/2`, :math:`r = 1 - 2p`.

    Parameters
    ----------
    threshold : int
        :math:`N`; with 1 it sends in every slot.
    change : float
        :math:`p`, in (0, 1].
    success : float
        :math:`q`, in (0, 1].

    Returns
    -------
    dict
        ``error`` (share of slots at whose end the receiver is wrong) and ``rate`` (messages a slot).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> error_by_age(1, change=0.5, success=0.5)  # a source that forgets at once, every second message lost
    {'error': 0.25, 'rate': 1.0}
    """
    n, (p, q) = positive_integer("threshold", threshold), _slot(change, success)
    r, mean_gap = 1.0 - 2.0 * p, n - 1.0 + 1.0 / q
    r_to_gap = r ** (n - 1) * q * r / (1.0 - (1.0 - q) * r)  # E[r^L]
    return {"error": 0.5 * (1.0 - (1.0 - r_to_gap) / (2.0 * p * mean_gap)), "rate": 1.0 / (q * mean_gap)}


@checked
def error_by_incorrectness(
    change: float, success: float, eagerness: float = 1.0, threshold: float = 1.0
) -> dict[str, float]:
    r"""The same source, with a sender that reports only while the receiver is wrong; and its age of incorrectness.

    The age of incorrect information (AoII) counts the slots since the receiver was last right. It sends in a slot at
    whose end the AoII would else be :math:`j` with probability :math:`\sigma_j`. So the AoII grows from :math:`j - 1`
    to :math:`j` with probability :math:`p (1 - \sigma_1 q)` for :math:`j = 1` and :math:`(1-p)(1 - \sigma_j q)` after
    that, and returns to 0 otherwise. Here :math:`\sigma_j` is 0 below the threshold and :math:`s` from it on.

    Whatever :math:`\sigma`, the receiver becomes right by messages as often as the source makes it wrong less what the
    source itself repairs, so the rate is :math:`p (1 - 2 e) / q` at error :math:`e`.

    Parameters
    ----------
    change, success : float
        :math:`p` and :math:`q`, as in :func:`error_by_age`.
    eagerness : float
        :math:`s`, probability of sending in a slot in which the threshold is reached, in (0, 1].
    threshold : float
        :math:`\theta`, AoII from which it sends, at least 1. Between two whole numbers it mixes them: 2.3 sends from 3
        on, and at 2 with probability 0.7 (times ``eagerness``).

    Returns
    -------
    dict
        ``error``, ``rate`` and ``aoii`` (mean age of incorrect information, slots).

    Raises
    ------
    ValueError
        If an argument is out of its range.

    References
    ----------
    A. Maatouk, S. Kriouile, M. Assaad, A. Ephremides, "The age of incorrect information: A new performance metric
    for status updates", 2020 (the measure, and that a threshold is best under a limit on messages; the closed form
    for this source is derived in the chapter).
    """
    p, q = _slot(change, success)
    s = real_number("eagerness", eagerness, low=0, high=1, low_open=True)
    theta = real_number("threshold", threshold, low=1)
    n = int(theta)
    stay, b = (1.0 - p) ** (n - 1), (1.0 - p) * (1.0 - s * q)
    at_n = p * stay * (1.0 - s * (1.0 - (theta - n)) * q)  # weight of AoII n, of 0 being 1; beyond it, times b each
    wrong = 1.0 - stay + at_n / (1.0 - b)
    total = (1.0 - stay) / p - (n - 1) * stay + at_n * (n / (1.0 - b) + b / (1.0 - b) ** 2)
    error = wrong / (1.0 + wrong)
    return {"error": error, "rate": p * (1.0 - 2.0 * error) / q, "aoii": total / (1.0 + wrong)}


def _slot(change: object, success: object) -> tuple[float, float]:
    return (
        real_number("change", change, low=0, high=1, low_open=True),
        real_number("success", success, low=0, high=1, low_open=True),
    )


@checked
def age_penalty(age: ArrayLike, growth: float, noise_variance: float = 1.0) -> np.ndarray:
    r"""What an age costs the controller of a linear system: :math:`f(\Delta) = \sigma^2 \sum_{i<\Delta} a^{2i}`.

    The system is :math:`x_{t+1} = a x_t + u_t + w_t`. If the newest reading that the controller has is
    :math:`\Delta` slots old, the best control leaves a mean square of :math:`f(\Delta)`: linear in the age for a
    random walk (:math:`a = 1`), bounded for a stable system, exponential for an unstable one.

    Parameters
    ----------
    age : array_like of int
        Slots, at least 0.
    growth : float
        :math:`a`.
    noise_variance : float
        :math:`\sigma^2`, the variance of :math:`w_t`.

    Returns
    -------
    numpy.ndarray or numpy.float64
        In the square of the state's unit.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    d = finite_array("age", age, low=0.0)
    if (d != np.round(d)).any():
        raise ValueError(f"age must be whole numbers of slots, got {d[d != np.round(d)].flat[0]:g}")
    a2 = real_number("growth", growth, low=-1e100, high=1e100) ** 2
    variance = real_number("noise_variance", noise_variance, low=0)
    return (variance * (d if a2 == 1.0 else (a2**d - 1.0) / (a2 - 1.0)))[()]
