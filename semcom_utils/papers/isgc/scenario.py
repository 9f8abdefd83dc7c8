r"""The case study of ISGC (Lin et al. 2023, section IV): three hops share a band, a provider earns by what they carry.

Edge devices send semantic information to a provider (hop ``s->a``), the provider generates content and passes it to
rendering (``a->m``), rendering sends its result back (``m->s``). A state has ten components, an action is the three
bandwidths, the reward is the provider's utility. Chapter: ``notebooks/10_isgc``.

States are arrays ``[..., 10]`` with components in the order of :data:`STATE`; allocations are ``[..., 3]``, in MHz.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, numpy_generator, one_of, positive_integer, real_number
from semcom_utils.control.allocation import (
    RELATIVE_TOLERANCE,
    optimal_allocation,
    pull_back,
    smallest_latency_budget,
    transmission_time,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "HOPS",
    "PAPER_STATES",
    "STATE",
    "BatchIsgcEnv",
    "IsgcConstants",
    "IsgcEnv",
    "allocation_problem",
    "bandwidth_from_action",
    "computation_times",
    "latency_budget",
    "moving_figure",
    "observe",
    "paper_states",
    "reward",
    "sample_states",
    "share_of_optimum",
    "spectral_rates",
    "utility",
]

#: Components of a state, in the order of the paper's section IV-B, Step 1.
STATE = ("H_s^a", "sigma_a", "sigma_m", "g_a^m", "p_a^m", "g_m^s", "p_m^s", "K_s^a", "C_a^s", "C_m^a")
#: The three hops, in the order of the last axis of an allocation.
HOPS = ("semantic", "AIGC", "rendering")
_H, _SIGMA_A, _SIGMA_M, _G_A, _P_A, _G_M, _P_M, _K, _C_A, _C_M = range(10)


def _paper(default, place: str):
    return field(default=default, metadata={"source": "paper", "why": place})


def _assumed(default, reason: str):
    return field(default=default, metadata={"source": "assumed", "why": reason})


@checked
@dataclass(frozen=True)
class IsgcConstants:
    """Every constant of the case study, each with its source; :meth:`table` lists them.

    Where the paper contradicts itself the default is the reading that its Fig. 5 supports; :meth:`as_printed` is the
    other one.

    Attributes
    ----------
    entropy, symbols : tuple of float
        Ranges of H (semantic units a message) and K (symbols a message).
    gain, power : tuple of float
        Ranges of the channel gains and of the transmission powers of both bit hops.
    noise_std : float
        Of the law that the two sigma are drawn from.
    noise_sign, noise_meaning : str
        ``"folded"`` or ``"signed"``; ``"deviation"`` or ``"variance"``.
    aigc_computing, rendering_computing : tuple of float
        Ranges of C_a and C_m, in TFLOP/s.
    device_computing : float
        C_s, in TFLOP/s.
    work : tuple of float
        Z_s, Z_a, Z_m, in TFLOP.
    data : tuple of float
        D of the three hops, in Msut, Mbit, Mbit.
    price : tuple of float
        q of the three hops, per Msut and per Mbit.
    bandwidth : float
        W, in MHz.
    tolerable_time : float
        T_max, in s.

    Raises
    ------
    ValueError
        If a range does not rise, a number is negative where it must not be, or a choice is unknown.
    """

    entropy: tuple = _paper((1.0, 2.0), "IV-C: H uniform on (1, 2), in semantic units (sut) per message")
    symbols: tuple = _assumed(
        (0.8, 1.0), "Fig. 5's four K lie in (0.89, 0.96); IV-C prints (0, 0.8), where E[H/K] is infinite"
    )
    gain: tuple = _paper((0.0, 1.0), "IV-C: g_a^m and g_m^s uniform on (0, 1)")
    power: tuple = _paper((3.0, 5.0), "IV-C: p_a^m and p_m^s uniform on (3, 5)")
    noise_std: float = _paper(1.0, "IV-C: sigma_a and sigma_m from a normal law (0, 1)")
    noise_sign: str = _assumed(
        "folded",
        "Fig. 5's eight sigma are all positive, which N(0, 1) does once in 256 times; "
        "'signed' keeps the sign, which no rate depends on",
    )
    noise_meaning: str = _assumed(
        "deviation",
        "the rate is written with sigma squared: sigma is a standard deviation; "
        "'variance' takes |sigma| as the noise power itself",
    )
    aigc_computing: tuple = _assumed((5.0, 10.0), "no range printed; Fig. 5's four C_a lie in (5.02, 9.93); in TFLOP/s")
    rendering_computing: tuple = _assumed(
        (15.0, 20.0), "no range printed; Fig. 5's four C_m lie in (15.24, 19.73); in TFLOP/s"
    )
    device_computing: float = _assumed(1.0, "C_s is no part of the state, so it is a constant; in TFLOP/s")
    work: tuple = _assumed((0.2, 2.0, 4.0), "Z_s, Z_a, Z_m not printed; 0.2 + 2 + 4 TFLOP take 0.6 to 0.9 s together")
    data: tuple = _assumed(
        (0.3, 1.2, 1.2),
        "D not printed; 0.3 Msut of meaning, then 1.2 Mbit (a 512 x 512 image at "
        "4.6 bit a pixel) on each of the two bit hops",
    )
    price: tuple = _assumed((1.0, 1.0, 1.0), "q not printed; equal prices per Msut and per Mbit")
    bandwidth: float = _assumed(10.0, "W not printed (the sentence that would is cut off in IV-C); in MHz")
    tolerable_time: float = _assumed(
        2.0,
        "T_max not printed; in s: binds in every state and leaves about 8% of the "
        "states without any feasible allocation (outage)",
    )

    def __post_init__(self) -> None:
        for name in ("entropy", "symbols", "gain", "power", "aigc_computing", "rendering_computing"):
            pair = finite_array(name, getattr(self, name), last=2, low=0)
            if pair.shape != (2,) or not pair[0] < pair[1]:
                raise ValueError(f"{name} must be a pair (low, high) with low < high, got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a list could not be a key
        for name in ("work", "data", "price"):
            finite_array(name, getattr(self, name), last=3, low=0)
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("noise_std", "device_computing", "bandwidth", "tolerable_time"):
            real_number(name, getattr(self, name), low=0, low_open=True)
        one_of("noise_sign", self.noise_sign, ("folded", "signed"))
        one_of("noise_meaning", self.noise_meaning, ("deviation", "variance"))

    @classmethod
    def as_printed(cls, **changes: Any) -> IsgcConstants:
        """The text of section IV-C to the letter: K uniform on (0, 0.8), sigma with its sign.

        Parameters
        ----------
        **changes
            Further constants that differ from the defaults.

        Returns
        -------
        IsgcConstants
            Raises ``ValueError`` if a constant is impossible, as the class does.
        """
        return cls(**{"symbols": (0.0, 0.8), "noise_sign": "signed", **changes})

    def table(self) -> pd.DataFrame:
        """All constants with their source and reason.

        Returns
        -------
        pandas.DataFrame
            One row a constant: name, value, "paper" or "assumed", where or why.
        """
        import pandas as pd

        rows = [(f.name, getattr(self, f.name), f.metadata["source"], f.metadata["why"]) for f in fields(self)]
        return pd.DataFrame(rows, columns=["constant", "value", "source", "where or why"])


@checked
def sample_states(n: int, rng: np.random.Generator, constants: IsgcConstants | None = None) -> np.ndarray:
    """Draw independent states (section IV-C).

    Parameters
    ----------
    n : int
        How many.
    rng : numpy.random.Generator
        Draws them, component by component.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    numpy.ndarray
        ``[n, 10]``, components as in :data:`STATE`.

    Raises
    ------
    ValueError
        If ``n`` is no positive integer or ``rng`` no ``numpy.random.Generator``.

    Examples
    --------
    >>> sample_states(3, np.random.default_rng(0)).shape
    (3, 10)
    """
    n = positive_integer("n", n)
    numpy_generator("rng", rng)
    k = constants or IsgcConstants()
    s = np.empty((n, len(STATE)))
    ranges = {
        _H: k.entropy,
        _G_A: k.gain,
        _P_A: k.power,
        _G_M: k.gain,
        _P_M: k.power,
        _K: k.symbols,
        _C_A: k.aigc_computing,
        _C_M: k.rendering_computing,
    }
    for column, (low, high) in ranges.items():
        # 1 - U lies in (0, 1]: a K or g of exactly zero has no rate
        s[:, column] = high - (high - low) * rng.random(n) if low else high * (1 - rng.random(n))
    s[:, _SIGMA_A : _SIGMA_M + 1] = rng.normal(0.0, k.noise_std, (n, 2))
    if k.noise_sign == "folded":
        s[:, _SIGMA_A : _SIGMA_M + 1] = np.abs(s[:, _SIGMA_A : _SIGMA_M + 1])
    return s


def _states(states: ArrayLike) -> np.ndarray:
    return finite_array("states", states, last=len(STATE))


def moving_figure() -> dict:
    """What the chapter's triangle, which a reader moves, takes from here.

    Returns
    -------
    dict
        ``data`` of the three hops (Msut, Mbit, Mbit) and ``bandwidth`` (MHz).
    """
    constants = IsgcConstants()
    return {"data": constants.data, "bandwidth": constants.bandwidth}


@checked
def spectral_rates(states: ArrayLike, constants: IsgcConstants | None = None) -> np.ndarray:
    r"""What a hertz carries on each hop, per second.

    .. math:: c = \bigl(H/K,\ \log_2(1 + g_a p_a/\sigma_a^2),\ \log_2(1 + g_m p_m/\sigma_m^2)\bigr)

    Section IV-A, items 2, 4 and 6: :math:`R_i = W_i c_i`, in Msut/s on the first hop and Mbit/s on the others.

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    numpy.ndarray
        ``[..., 3]``.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10.
    """
    s = _states(states)
    k = constants or IsgcConstants()
    noise = s[..., [_SIGMA_A, _SIGMA_M]]
    noise = noise**2 if k.noise_meaning == "deviation" else np.abs(noise)
    noise = np.maximum(noise, 1e-12)  # a noiseless link would carry infinitely much
    received = s[..., [_G_A, _G_M]] * s[..., [_P_A, _P_M]]
    c = np.empty((*s.shape[:-1], 3))
    c[..., 0] = s[..., _H] / np.maximum(s[..., _K], 1e-12)
    c[..., 1:] = np.log2(1 + received / noise)
    return c


@checked
def computation_times(states: ArrayLike, constants: IsgcConstants | None = None) -> np.ndarray:
    """Extraction, inference and rendering times Z/C (section IV-A, items 1, 3, 5).

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    numpy.ndarray
        In seconds, ``[..., 3]``.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10.
    """
    s = _states(states)
    k = constants or IsgcConstants()
    capacity = np.stack([np.full(s.shape[:-1], k.device_computing), s[..., _C_A], s[..., _C_M]], -1)
    return np.asarray(k.work) / capacity


@checked
def latency_budget(states: ArrayLike, constants: IsgcConstants | None = None) -> np.ndarray:
    """Seconds left for the three transmissions, T_max minus all computation.

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    numpy.ndarray
        ``[...]``; may be negative.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10.
    """
    k = constants or IsgcConstants()
    return k.tolerable_time - computation_times(states, k).sum(-1)


@checked
def allocation_problem(states: ArrayLike, constants: IsgcConstants | None = None) -> dict[str, np.ndarray]:
    """The arguments of :func:`optimal_allocation` for these states: a = q c, b = D / c, W and the latency budget.

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    dict of str to numpy.ndarray
        ``price_rates`` and ``latency_loads`` ``[..., 3]``; ``bandwidth`` (MHz) and ``latency_budget`` (s) ``[...]``.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10.
    """
    k = constants or IsgcConstants()
    c = spectral_rates(states, k)
    with np.errstate(divide="ignore"):
        b = np.where(np.asarray(k.data) > 0, np.asarray(k.data) / c, 0.0)
    if not (b >= 0).all():  # NaN is not, either
        raise ValueError("states must be of links that carry something, got rates below 0, or none that a number holds")
    return {
        "price_rates": np.asarray(k.price) * c,
        "latency_loads": b,
        "bandwidth": np.full(c.shape[:-1], k.bandwidth),
        "latency_budget": latency_budget(states, k),
    }


def _allocation(allocation: ArrayLike, states: ArrayLike) -> np.ndarray:
    w, given = finite_array("allocation", allocation, last=3, low=0), np.shape(states)[:-1]
    try:
        np.broadcast_shapes(w.shape[:-1], given)
    except ValueError:
        raise ValueError(f"allocation must be [..., 3] for states [..., 10] with {given}, got {w.shape}") from None
    return w


@checked
def utility(states: ArrayLike, allocation: ArrayLike, constants: IsgcConstants | None = None) -> np.ndarray:
    """The provider's utility sum_i q_i R_i of an allocation (section IV-A, item 7).

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    allocation : array_like
        Bandwidths in MHz, at least 0, ``[..., 3]``.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    numpy.ndarray
        ``[...]``.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10, or ``allocation`` is not three bandwidths of at least 0.
    """
    k = constants or IsgcConstants()
    w = _allocation(allocation, states)
    return (np.asarray(k.price) * spectral_rates(states, k) * w).sum(-1)


def bandwidth_from_action(action: ArrayLike, bandwidth: float) -> np.ndarray:
    r"""Allocation of an action :math:`x \in [-1, 1]^3`.

    .. math:: W_i = W u_i / \textstyle\sum_j u_j, \qquad u_i = (x_i + 1)/2 + 0.002

    All of the band is always given out, as the utility only grows in it. The 0.002 keeps a hop at about 0.1% of the
    band at least. Values outside [-1, 1] are clipped, as every agent here does with its actions.

    Parameters
    ----------
    action : array_like
        ``[..., 3]``.
    bandwidth : float
        W, in MHz.

    Returns
    -------
    numpy.ndarray
        In MHz, ``[..., 3]``, with sum W.

    Raises
    ------
    ValueError
        If ``action`` is not finite with a last axis of 3.

    Examples
    --------
    >>> bandwidth_from_action([1.0, 1.0, 1.0], 9.0)
    array([3., 3., 3.])
    """
    x = np.clip(finite_array("action", action, last=3), -1.0, 1.0)
    u = (x + 1) / 2 + 0.002
    return bandwidth * u / u.sum(-1, keepdims=True)


@checked
def observe(states: ArrayLike, constants: IsgcConstants | None = None, form: str = "decibel") -> np.ndarray:
    """What a policy sees of a state: ten numbers of about zero mean and unit spread.

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.
    form : {"decibel", "raw"}
        "decibel" gives gains and noise deviations by their logarithm, as receivers report them, up to a constant
        factor (a sigma's sign is lost, which no rate depends on); "raw" scales the ten components and centres all but
        the sigmas.

    Returns
    -------
    numpy.ndarray
        Float32 ``[..., 10]``.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10, or ``form`` is unknown.
    """
    s = _states(states)
    k = constants or IsgcConstants()
    one_of("form", form, ("decibel", "raw"))
    o = np.empty(s.shape, dtype=np.float32)
    ranges = {
        _H: k.entropy,
        _G_A: k.gain,
        _P_A: k.power,
        _G_M: k.gain,
        _P_M: k.power,
        _K: k.symbols,
        _C_A: k.aigc_computing,
        _C_M: k.rendering_computing,
    }
    for column, (low, high) in ranges.items():
        o[..., column] = (s[..., column] - (low + high) / 2) * (12**0.5 / (high - low))
    o[..., _SIGMA_A : _SIGMA_M + 1] = s[..., _SIGMA_A : _SIGMA_M + 1] / k.noise_std
    if form == "decibel":
        for column in (_SIGMA_A, _SIGMA_M):  # the mean of ln|N(0, 1)| is about -0.64
            o[..., column] = np.log(np.maximum(np.abs(s[..., column]) / k.noise_std, 1e-3)) + 0.64
        for column in (_G_A, _G_M):  # the mean of ln U(0, 1) is -1
            o[..., column] = np.log(np.maximum(s[..., column] / k.gain[1], 1e-3)) + 1
        if k.symbols[0] == 0:
            o[..., _K] = np.log(np.maximum(s[..., _K] / k.symbols[1], 1e-3)) + 1
    return o


@checked
def reward(
    states: ArrayLike,
    allocation: ArrayLike,
    constants: IsgcConstants | None = None,
    form: str = "share",
) -> tuple[np.ndarray, np.ndarray]:
    r"""Reward of an executed allocation, and whether it meets the latency budget.

    The utility, divided by what the whole band would earn on the best hop (:math:`W \max_i a_i`), so that it lies in
    (0, 1]: states are independent of actions, so a positive factor of the state alone moves no optimum. An allocation
    that is too slow earns :math:`-0.1 - 0.3\,(T/\tau - 1)`, at least -1.1 (the paper gives no penalty; assumed).

    Parameters
    ----------
    states : array_like
        ``[..., 10]``, components as in :data:`STATE`.
    allocation : array_like
        Bandwidths in MHz, at least 0, ``[..., 3]``.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.
    form : {"share", "utility"}
        "utility" leaves the division out, as the paper does.

    Returns
    -------
    reward : numpy.ndarray
        ``[...]``.
    feasible : numpy.ndarray of bool
        ``[...]``.

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10, ``allocation`` is not three bandwidths of at least 0, or
        ``form`` is unknown.
    """
    k = constants or IsgcConstants()
    one_of("form", form, ("share", "utility"))
    problem = allocation_problem(states, k)
    w = _allocation(allocation, states)
    earned = (problem["price_rates"] * w).sum(-1) / k.bandwidth
    if form == "share":
        earned = earned / problem["price_rates"].max(-1)
    tau = problem["latency_budget"]
    time = transmission_time(problem["latency_loads"], w)
    feasible = time <= tau * (1 + RELATIVE_TOLERANCE)
    with np.errstate(invalid="ignore"):
        excess = time / np.maximum(tau, 0.05) - 1  # outage by computation alone: a floor of 50 ms keeps it finite
    return np.where(feasible, earned, -0.1 - np.minimum(0.3 * np.maximum(excess, 0), 1.0)), feasible


@lru_cache(maxsize=4)
def _optimum(shape: tuple[int, ...], data: bytes, k: IsgcConstants) -> tuple[np.ndarray, dict, np.ndarray]:
    """Which states have a feasible allocation, the problems of these, and their optima; not to be written to.

    The states come as bytes, which can be a key.
    """
    problem = allocation_problem(np.frombuffer(data).reshape(shape), k)
    solvable = smallest_latency_budget(problem["latency_loads"], problem["bandwidth"]) <= problem["latency_budget"]
    if not solvable.any():
        raise ValueError("states must hold at least one in which some allocation is feasible, got none")
    problem = {name: value[solvable] for name, value in problem.items()}
    _, best = optimal_allocation(**problem)
    return solvable, problem, best


@checked
def share_of_optimum(
    states: ArrayLike, allocation: ArrayLike, constants: IsgcConstants | None = None
) -> dict[str, float]:
    """How much of the exact optimum an allocation earns, over the states that have a feasible allocation.

    The optimum of the states that were asked about last is kept: whoever judges many policies on the same states, as
    every study here does, solves it once.

    Parameters
    ----------
    states : array_like
        ``[n, 10]``, components as in :data:`STATE`.
    allocation : array_like
        Bandwidths in MHz, ``[n, 3]``. One that is too slow earns nothing.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.

    Returns
    -------
    dict
        ``share`` (its total utility over the optimum's), ``mean_ratio`` (the mean of the states' own ratios),
        ``utility`` (mean, in Msut/s and Mbit/s at the prices' unit), ``optimum`` (mean) and ``infeasible`` (the
        fraction of the states in which it is too slow although another allocation is not).

    Raises
    ------
    ValueError
        If ``states`` are not finite with a last axis of 10, ``allocation`` is not three bandwidths of at least 0 for
        each of them, or more than the band, or no state has a feasible allocation.
    """
    k = constants or IsgcConstants()
    states, w = _states(states), finite_array("allocation", allocation, last=3, low=0)
    if states.ndim != 2 or w.shape != (len(states), 3):
        raise ValueError(f"allocation must be [n, 3] for states [n, {len(STATE)}], got {w.shape} for {states.shape}")
    if (w.sum(-1) > k.bandwidth * (1 + RELATIVE_TOLERANCE)).any():
        raise ValueError(f"allocation must share out at most {k.bandwidth:g} MHz, got {w.sum(-1).max():g} MHz")
    solvable, problem, best = _optimum(states.shape, states.tobytes(), k)
    time = transmission_time(problem["latency_loads"], w[solvable])
    feasible = time <= problem["latency_budget"] * (1 + RELATIVE_TOLERANCE)
    earned = np.where(feasible, (problem["price_rates"] * w[solvable]).sum(-1), 0.0)
    return {
        "share": float(earned.sum() / best.sum()),
        "mean_ratio": float((earned / best).mean()),
        "utility": float(earned.mean()),
        "optimum": float(best.mean()),
        "infeasible": float(1 - feasible.mean()),
    }


#: Fig. 5's four states as printed, components in the order that the paper names (IV-C).
PAPER_STATES = {
    "PPO 1": (1.17, 0.66, 1.97, 0.30, 0.24, 4.76, 4.46, 0.91, 8.03, 15.28),
    "PPO 2": (1.40, 0.30, 0.65, 0.58, 0.16, 3.42, 4.69, 0.89, 7.49, 15.24),
    "Diffusion 1": (1.80, 1.05, 0.47, 0.05, 0.0004, 4.23, 4.58, 0.91, 5.02, 19.73),
    "Diffusion 2": (1.52, 0.12, 1.23, 0.03, 0.14, 4.83, 3.86, 0.96, 9.93, 18.42),
}


@checked
def paper_states(order: str = "corrected") -> np.ndarray:
    """Fig. 5's four states.

    Parameters
    ----------
    order : {"corrected", "printed"}
        "printed" reads the values in the order that the paper names. Then the second gain exceeds 1 and the first power
        falls short of 3 in all four states, against the paper's own ranges; swapping the two ("corrected") mends both.

    Returns
    -------
    numpy.ndarray
        ``[4, 10]``, rows as in :data:`PAPER_STATES`.

    Raises
    ------
    ValueError
        If ``order`` is unknown.
    """
    one_of("order", order, ("corrected", "printed"))
    states = np.array(list(PAPER_STATES.values()))
    if order == "corrected":
        states[:, [_P_A, _G_M]] = states[:, [_G_M, _P_A]]
    return states


class BatchIsgcEnv:
    """Many independent copies of the case study, stepped at once in numpy.

    An episode lasts ``episode_length`` steps; each step draws a fresh state, whatever was done (as far as the paper
    says; it gives no dynamics). With the default of 1 this is a contextual bandit.

    Parameters
    ----------
    n : int
        Copies.
    rng : numpy.random.Generator
        Source of all states.
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.
    feasibility : {"layer", "penalty"}
        "layer" pulls a proposal that is too slow back into the latency budget (:func:`pull_back`) before it is
        executed; "penalty" executes it as it is, and it earns a negative reward.
    observation : {"decibel", "raw"}
        See :func:`observe`.
    reward_form : {"share", "utility"}
        See :func:`reward`.
    episode_length : int
        Steps of an episode.

    Raises
    ------
    ValueError
        If an argument is none of its choices, a number is no positive integer, or ``rng`` no generator.
    """

    @checked
    def __init__(
        self,
        n: int,
        rng: np.random.Generator,
        constants: IsgcConstants | None = None,
        *,
        feasibility: str = "penalty",
        observation: str = "decibel",
        reward_form: str = "share",
        episode_length: int = 1,
    ) -> None:
        self.n = positive_integer("n", n)
        self.observation_size, self.action_size = len(STATE), 3
        self.rng = numpy_generator("rng", rng)
        self.constants = constants or IsgcConstants()
        self.feasibility = one_of("feasibility", feasibility, ("layer", "penalty"))
        self.observation = one_of("observation", observation, ("decibel", "raw"))
        self.reward_form = one_of("reward_form", reward_form, ("share", "utility"))
        self.episode_length = positive_integer("episode_length", episode_length)
        self.reset()

    def reset(self) -> np.ndarray:
        """Begin all episodes anew.

        Returns
        -------
        numpy.ndarray
            Observations, float32 ``[n, 10]``.
        """
        self.age = 0
        self.states = sample_states(self.n, self.rng, self.constants)
        return observe(self.states, self.constants, self.observation)

    @checked
    def execute(self, states: ArrayLike, action: ArrayLike) -> np.ndarray:
        """What actions get in these states, after the feasibility layer where there is one.

        Parameters
        ----------
        states : array_like
            ``[..., 10]``.
        action : array_like
            In [-1, 1], ``[..., 3]``.

        Returns
        -------
        numpy.ndarray
            Bandwidths in MHz, ``[..., 3]``.

        Raises
        ------
        ValueError
            If an argument is not of its kind.
        """
        w = bandwidth_from_action(action, self.constants.bandwidth)
        if self.feasibility == "layer":
            p = allocation_problem(states, self.constants)
            w = pull_back(w, p["latency_loads"], p["bandwidth"], p["latency_budget"])
        return w

    @checked
    def step(self, action: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Act in all copies.

        Parameters
        ----------
        action : array_like
            ``[n, 3]``, in [-1, 1].

        Returns
        -------
        observation : ndarray
            Of the next states (of the next episode's first ones where this one ended), ``[n, 10]``.
        reward : ndarray
            As of :func:`reward`, ``[n]``.
        terminated : ndarray of bool
            Whether the episode is over, ``[n]``.
        feasible : ndarray of bool
            Whether the executed allocation met the latency budget, ``[n]``.

        Raises
        ------
        ValueError
            If ``action`` is not finite, or has another shape.
        """
        action = finite_array("action", action, last=3)
        if action.shape != (self.n, 3):
            raise ValueError(f"action must have shape {(self.n, 3)}, got {action.shape}")
        w = self.execute(self.states, action)
        r, feasible = reward(self.states, w, self.constants, self.reward_form)
        self.age += 1
        terminated = np.full(self.n, self.age >= self.episode_length)
        if terminated[0]:
            return self.reset(), r, terminated, feasible
        self.states = sample_states(self.n, self.rng, self.constants)
        return observe(self.states, self.constants, self.observation), r, terminated, feasible


class IsgcEnv(gymnasium.Env):
    """The case study as a gymnasium environment: ten observations, three actions in [-1, 1], utility as reward.

    ``info`` holds the executed ``allocation`` in MHz, its ``utility`` (zero if infeasible) and whether it was
    ``feasible``.

    Parameters
    ----------
    constants : IsgcConstants, optional
        By default those of :class:`IsgcConstants`.
    **kwargs
        As for :class:`BatchIsgcEnv`.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """

    metadata = {"render_modes": []}

    @checked
    def __init__(self, constants: IsgcConstants | None = None, **kwargs: Any) -> None:
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(STATE),), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (3,), np.float32)
        self._arguments = {"constants": constants, **kwargs}
        self._batch = BatchIsgcEnv(1, self.np_random, **self._arguments)

    @checked
    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=None if seed is None else positive_integer("seed", seed, low=0))
        self._batch.rng = self.np_random
        return self._batch.reset()[0], {}

    @checked
    def step(self, action: ArrayLike) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        state, chosen = self._batch.states, finite_array("action", action, last=3)[None]
        w = self._batch.execute(state, chosen)
        observation, r, terminated, feasible = self._batch.step(chosen)
        earned = float(utility(state, w, self._batch.constants)[0]) if feasible[0] else 0.0
        info = {"allocation": w[0], "utility": earned, "feasible": bool(feasible[0])}
        return observation[0], float(r[0]), bool(terminated[0]), False, info
