r"""SemAIGC's latency and ROOT's decision (Cheng et al., 2023, section IV): who denoises how many steps?

A sampler has :math:`\hat T` steps. The edge does a of them and sends the latent, the user's device does the rest.
Latencies
are those of the paper's eqs. (19) and (20), whose constants it does not give: :class:`RootConstants` declares ours.

States are arrays ``[..., 7]`` with components in the order of :data:`STATE`; an action is a, 0 to :math:`\hat T`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, numpy_generator, positive_integer, real_number

__all__ = [
    "READINGS",
    "STATE",
    "RootConstants",
    "RootEnv",
    "compression_bound",
    "edge_aigc_latency",
    "expected_satisfaction",
    "frameworks",
    "interpolated_success",
    "latency",
    "link_rate",
    "local_aigc_latency",
    "observe",
    "optimal_action",
    "printed_bound",
    "printed_reward",
    "sample_states",
    "satisfaction",
    "served",
]

#: The paper's state: processing densities of edge and device (cycles per bit and denoising step), SNR (dB), processing
#: speeds of one core of edge and device (cycles per second), bandwidth (Hz), and the latency that the user asks for
#: (s).
STATE = ("W_i", "W_j", "SNR", "nu_i", "nu_j", "B", "L_low")
_W_I, _W_J, _SNR, _NU_I, _NU_J, _B, _LOW = range(7)
_POSITIVE = [_W_I, _W_J, _NU_I, _NU_J, _B, _LOW]


@checked
@dataclass(frozen=True)
class RootConstants:
    """What the paper leaves open, declared; all ours unless said otherwise.

    Attributes
    ----------
    total_steps : int
        Steps of the sampler (paper: 20).
    latent_bits : float
        O, bits of a latent on the air: 64x64x4 numbers of 16 bits (the paper's latent size; the 16 bits are ours).
    image_bits : float
        O_s, bits of a picture on the air: 512x512x3 bytes.
    parallel_share : float
        τ of Amdahl's law.
    edge_cores, device_cores : int
        m_i, m_j.
    overhead : float
        l, seconds for all but the denoising, on either side.
    patience, stretch : float
        End of the user's interval: satisfaction falls to 0 at stretch · L_low + patience (the paper: latencies of 5 to
        25 s).
    give_up : float
        Seconds after which a task has failed (paper: 60).
    low, high : tuple of float
        Ranges of the state's components; equal ends fix one. From the paper's section V-A: SNR, the bandwidth's ceiling
        (its floor is ours), and the requirement, read as that of ``L_low``.

    Raises
    ------
    ValueError
        If a number is out of its range, a range falls or begins at zero or below where a state must be positive, or
        the user's interval is empty.
    """

    total_steps: int = 20
    latent_bits: float = 64 * 64 * 4 * 16
    image_bits: float = 512 * 512 * 3 * 8
    parallel_share: float = 0.95
    edge_cores: int = 64
    device_cores: int = 16
    overhead: float = 0.2
    patience: float = 20.0
    stretch: float = 1.0
    give_up: float = 60.0
    low: tuple[float, ...] = (1.6e4, 1.6e4, -6.0, 0.2e9, 0.2e9, 1e6, 5.0)
    high: tuple[float, ...] = (2.4e4, 2.4e4, 15.0, 2.0e9, 0.6e9, 20e6, 25.0)

    def __post_init__(self) -> None:
        positive_integer("total_steps", self.total_steps)
        positive_integer("edge_cores", self.edge_cores)
        positive_integer("device_cores", self.device_cores)
        for name in ("latent_bits", "image_bits", "give_up"):
            real_number(name, getattr(self, name), low=0, low_open=True)
        real_number("stretch", self.stretch, low=1)
        real_number("patience", self.patience, low=0, low_open=self.stretch == 1)
        real_number("overhead", self.overhead, low=0)
        real_number("parallel_share", self.parallel_share, low=0, high=1)
        low, high = (finite_array(name, getattr(self, name), last=len(STATE)) for name in ("low", "high"))
        if (low > high).any():
            raise ValueError(f"high must be at least low in every component, got low {self.low} and high {self.high}")
        if (low[_POSITIVE] <= 0).any():
            raise ValueError(f"low must be positive in all components but the SNR, got {self.low}")

    @checked
    def speed_up(self, cores: int) -> float:
        """Amdahl's factor 1 − τ + τ/m: share of the serial time that m cores need.

        Parameters
        ----------
        cores : int
            m, at least 1.

        Returns
        -------
        float
            In (0, 1].

        Raises
        ------
        ValueError
            If ``cores`` is no positive whole number.

        Examples
        --------
        >>> RootConstants(parallel_share=0.5).speed_up(2)
        0.75
        """
        return 1 - self.parallel_share + self.parallel_share / positive_integer("cores", cores)

    @checked
    def limit(self, low: ArrayLike) -> np.ndarray:
        """End of a user's interval, stretch · L_low + patience.

        Parameters
        ----------
        low : array_like
            L_low, where it begins, in seconds.

        Returns
        -------
        numpy.ndarray
            Seconds, of the shape of ``low``.

        Raises
        ------
        ValueError
            If a number is negative or not finite.

        Examples
        --------
        >>> float(RootConstants().limit(5.0))
        25.0
        """
        return self.stretch * finite_array("low", low, low=0) + self.patience


#: Three readings of what the paper leaves open. ``ours``: users differ, L_low from 5 to 25 s, the end 20 s later.
#: ``one interval``: "[5, 25] s" is everybody's. ``public code``: speeds, cycles, latent, bandwidth and limits (the end
#: at twice the beginning) as in ``env_SC.py`` of the authors' repository at commit 17c0fb5; shares of the computing
#: power of 10 to 100% and the even split of its fixed times over both sides are ours.
_LATENT, _STEP = 64 * 64 * 4 * 8, 756_864e6 * 2
READINGS: dict[str, RootConstants] = {
    "ours": RootConstants(),
    "one interval": RootConstants(
        low=(*RootConstants().low[:_LOW], 5.0), high=(*RootConstants().high[:_LOW], 5.0), patience=20.0
    ),
    "public code": RootConstants(
        latent_bits=_LATENT,
        parallel_share=1.0,
        edge_cores=6912,
        device_cores=2560,
        overhead=0.97,
        patience=0.0,
        stretch=2.0,
        low=(_STEP / _LATENT, _STEP / _LATENT, -6.0, 109.5e6, 160.7e6, 5e6, 2.5),
        high=(_STEP / _LATENT, _STEP / _LATENT, 15.0, 1095e6, 1607e6, 20e6, 12.5),
    ),
}


@checked
def link_rate(states: ArrayLike) -> np.ndarray:
    """Bits per second of the link, B log2(1 + SNR) (the paper's line under eq. 19).

    Parameters
    ----------
    states : array_like
        ``[..., 7]``, components as in :data:`STATE`.

    Returns
    -------
    numpy.ndarray
        ``[...]``.

    Raises
    ------
    ValueError
        If a state is not finite, or not positive where it must be.
    """
    return _rate(_states(states))


@checked
def latency(action: ArrayLike, states: ArrayLike, constants: RootConstants = RootConstants()) -> np.ndarray:
    """Seconds until the user has a picture, L₁ + L₂ + L₃ of eqs. (19) and (20), W(T) being linear in T.

    Parameters
    ----------
    action : array_like of int
        a, steps that the edge does; broadcasts with the states.
    states : array_like
        ``[..., 7]``.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    numpy.ndarray
        Broadcast shape of action and states.

    Raises
    ------
    ValueError
        If a state is not finite and positive where it must be, an action is none of 0 to ``total_steps``, or the two
        do not go together.
    """
    states, a = _states(states), _actions(action, constants)
    _together(action=a, states=states[..., 0])
    return _latency(a, states, constants)


@checked
def edge_aigc_latency(states: ArrayLike, constants: RootConstants = RootConstants()) -> np.ndarray:
    """Edge AIGC: all steps at the edge, and the picture itself on the air.

    Parameters
    ----------
    states : array_like
        ``[..., 7]``, components as in :data:`STATE`.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    numpy.ndarray
        Seconds until the user has a picture, ``[...]``.

    Raises
    ------
    ValueError
        If a state is not finite, or not positive where it must be.
    """
    states = _states(states)
    computing = constants.total_steps * _step_seconds(states, constants, edge=True) + constants.overhead
    return _seconds(computing + constants.image_bits / _rate(states))


@checked
def local_aigc_latency(states: ArrayLike, constants: RootConstants = RootConstants()) -> np.ndarray:
    """Local AIGC: all steps on the user's device, nothing on the air.

    Parameters
    ----------
    states : array_like
        ``[..., 7]``, components as in :data:`STATE`.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    numpy.ndarray
        Seconds until the user has a picture, ``[...]``.

    Raises
    ------
    ValueError
        If a state is not finite, or not positive where it must be.
    """
    return latency(0, states, constants)


@checked(together=("local_density", "rate", "edge_speed", "device_speed", "c_1", "c_2"))
def compression_bound(
    local_density: ArrayLike,
    rate: ArrayLike,
    edge_speed: ArrayLike,
    device_speed: ArrayLike,
    c_1: ArrayLike,
    c_2: ArrayLike,
) -> np.ndarray:
    r"""Proposition 2, corrected: SemAIGC is faster than Edge AIGC exactly if O/O_s is below this.

    From eq. (23), :math:`(O/O_s)\,D < \nu_i \nu_j` with :math:`D = \nu_i \nu_j + v W_j (C_1 \nu_i - C_2 \nu_j)`. A
    positive D divides; with :math:`D \le 0` every compression will do, and the bound is infinite.

    Parameters
    ----------
    local_density : array_like
        W_j(T̄), cycles per bit for the device's steps, at least 0.
    rate : array_like
        v, bits per second, positive.
    edge_speed, device_speed : array_like
        ν_i, ν_j, cycles per second, positive.
    c_1, c_2 : array_like
        Amdahl's factors of the device and of the edge, in [0, 1].

    Returns
    -------
    numpy.ndarray
        Broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is not finite, or out of its range, or their shapes do not go together.
    """
    product, denominator = _proposition(local_density, rate, edge_speed, device_speed, c_1, c_2)
    return np.where(denominator > 0, product / np.where(denominator > 0, denominator, 1.0), np.inf)


@checked(together=("local_density", "rate", "edge_speed", "device_speed", "c_1", "c_2"))
def printed_bound(
    local_density: ArrayLike,
    rate: ArrayLike,
    edge_speed: ArrayLike,
    device_speed: ArrayLike,
    c_1: ArrayLike,
    c_2: ArrayLike,
) -> np.ndarray:
    """Proposition 2 as eq. (21) prints it, with its absolute value; its repair is :func:`compression_bound`.

    Parameters
    ----------
    local_density : array_like
        W_j(T̄), cycles per bit for the device's steps, at least 0.
    rate : array_like
        v, bits per second, positive.
    edge_speed, device_speed : array_like
        ν_i, ν_j, cycles per second, positive.
    c_1, c_2 : array_like
        Amdahl's factors of the device and of the edge, in [0, 1].

    Returns
    -------
    numpy.ndarray
        Broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is not finite, or out of its range, or their shapes do not go together.
    """
    product, denominator = _proposition(local_density, rate, edge_speed, device_speed, c_1, c_2)
    with np.errstate(divide="ignore"):
        return np.abs(1 - (denominator - product) / denominator)


@checked(together=("seconds", "low", "high"))
def printed_reward(seconds: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Eq. (24) as printed: 1 below ``low``, then (low − L)/(low − high), which *rises* with the latency, then 0.

    Parameters
    ----------
    seconds : array_like
        L, until the user has a picture, at least 0.
    low, high : array_like
        Ends of the user's interval, in seconds, low below high.

    Returns
    -------
    numpy.ndarray
        In [0, 1], broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If a number is negative or not finite, the interval is empty, or the shapes do not go together.
    """
    seconds, low, high = _interval(seconds, low, high)
    return np.where(seconds < low, 1.0, np.where(seconds < high, (low - seconds) / (low - high), 0.0))


@checked(together=("seconds", "low", "high"))
def satisfaction(seconds: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Eq. (24) repaired: 1 up to ``low``, falling along a line to 0 at ``high``.

    Parameters
    ----------
    seconds : array_like
        L, until the user has a picture, at least 0.
    low, high : array_like
        Ends of the user's interval, in seconds, low below high.

    Returns
    -------
    numpy.ndarray
        In [0, 1], broadcast shape of the arguments.

    Raises
    ------
    ValueError
        If a number is negative or not finite, the interval is empty, or the shapes do not go together.

    Examples
    --------
    >>> satisfaction([3.0, 15.0, 30.0], 5.0, 25.0)
    array([1. , 0.5, 0. ])
    """
    return _falling(*_interval(seconds, low, high))


@checked
def expected_satisfaction(
    states: ArrayLike,
    success: Callable[[ArrayLike, ArrayLike], np.ndarray] | None = None,
    constants: RootConstants = RootConstants(),
) -> np.ndarray:
    r"""Mean satisfaction of every action, exactly: the oracle's table.

    A picture is good with probability p(a, SNR), else the whole task is done again, until the user gives up:

    .. math:: \bar R(a) = \sum_{k \ge 1,\ k L(a) \le L_{\max}} p\,(1 - p)^{k - 1}\, R(k\,L(a)) .

    Parameters
    ----------
    states : array_like
        ``[..., 7]``.
    success : callable, optional
        p(a, SNR in dB), of arrays that broadcast; 1 by default, which is the paper's latency model without quality.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    numpy.ndarray
        ``[..., total_steps + 1]``.

    Raises
    ------
    ValueError
        If a state is out of its range, or ``success`` gives what is no probability.
    """
    states = _states(states)
    a = np.arange(constants.total_steps + 1)
    seconds = latency(a, states[..., None, :], constants)
    p = np.ones_like(seconds) if success is None else success(a, states[..., None, _SNR])
    return served(seconds, p, states[..., None, _LOW], constants)[0]


@checked(together=("seconds", "low", "success"))
def served(
    seconds: ArrayLike, success: ArrayLike, low: ArrayLike, constants: RootConstants = RootConstants()
) -> tuple[np.ndarray, np.ndarray]:
    """Mean satisfaction and mean waiting time of requests that are repeated until they succeed, or time is up.

    Parameters
    ----------
    seconds : array_like
        Latency of one attempt, positive; at least a millionth of ``give_up``.
    success : array_like
        Probability that an attempt is good, independent of the others; broadcasts.
    low : array_like
        Latency that satisfies the user wholly.
    constants : RootConstants
        ``patience``, ``stretch`` and ``give_up``.

    Returns
    -------
    satisfaction, waiting : numpy.ndarray
        Waiting ends with the good picture, or at ``give_up``.

    Raises
    ------
    ValueError
        If a number is out of its range, or the shapes do not go together.
    """
    seconds, low, p = np.broadcast_arrays(
        finite_array("seconds", seconds, low=0, low_open=True),
        finite_array("low", low, low=0),
        _probability("success", success),
    )
    _, low, high = _interval(seconds, low, constants.limit(low))
    attempts = constants.give_up / seconds.min(initial=constants.give_up)
    if attempts > 1e6:
        raise ValueError(
            f"seconds must be at least a millionth of give_up = {constants.give_up:g}, got {seconds.min():g}"
        )
    total, waiting = np.zeros(seconds.shape), np.zeros(seconds.shape)
    for k in range(1, max(int(np.floor(attempts)), 1) + 1):
        now = np.where(k * seconds <= constants.give_up, p * (1 - p) ** (k - 1), 0.0)
        total += now * _falling(k * seconds, low, high)
        waiting += now * k * seconds
    attempts = np.floor(constants.give_up / seconds)
    return total, waiting + (1 - p) ** attempts * constants.give_up


@checked
def interpolated_success(
    splits: Sequence[int], snrs_db: Sequence[float], table: ArrayLike
) -> Callable[[ArrayLike, ArrayLike], np.ndarray]:
    """p(a, SNR) between measured points, bilinear; beyond the SNRs it stays as at the last.

    Parameters
    ----------
    splits : sequence of int
        Rising.
    snrs_db : sequence of float
        Rising, dB.
    table : array_like
        Share of good pictures, ``[splits, snrs]``, in [0, 1].

    Returns
    -------
    callable
        As :func:`expected_satisfaction` and :class:`RootEnv` want it.

    Raises
    ------
    ValueError
        If an axis does not rise, or the table is no share for each of their points.
    """
    from scipy.interpolate import RegularGridInterpolator

    axes = [finite_array("splits", splits), finite_array("snrs_db", snrs_db)]
    for name, axis in zip(("splits", "snrs_db"), axes, strict=True):
        if axis.ndim != 1 or not len(axis):
            raise ValueError(f"{name} must be of shape [n], n at least 1, got {list(axis.shape)}")
    values = _probability("table", table)
    if values.shape != (len(axes[0]), len(axes[1])):
        raise ValueError(f"table must be of shape {[len(axis) for axis in axes]}, got {list(values.shape)}")
    if any((np.diff(axis) <= 0).any() for axis in axes):
        raise ValueError(f"splits and snrs_db must rise, got {list(splits)} and {list(snrs_db)}")
    # Read-only: SciPy goes another way for what can be written, whose last digits differ from those that are stored.
    inside = RegularGridInterpolator(axes, np.broadcast_to(values, values.shape))

    def success(a: ArrayLike, snr_db: ArrayLike) -> np.ndarray:
        a, snr_db = np.broadcast_arrays(np.asarray(a, float), np.clip(snr_db, axes[1][0], axes[1][-1]))
        return inside(np.stack([a, snr_db], axis=-1)).reshape(a.shape)

    return success


@checked
def frameworks(
    states: ArrayLike,
    action: ArrayLike,
    success: Callable[[ArrayLike, ArrayLike], np.ndarray],
    constants: RootConstants = RootConstants(),
    edge_success: Callable[[ArrayLike], np.ndarray] | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The paper's five frameworks on the same requests: mean satisfaction and mean waiting time of each.

    Parameters
    ----------
    states : array_like
        ``[..., 7]``.
    action : array_like
        SemAIGC's split of each state, ``[...]``.
    success : callable
        p(a, SNR in dB); Non-fine-tuning AIGC has that of a = ``total_steps``, Local AIGC, whose pictures no noise
        reaches, that of a = 0.
    constants : RootConstants
        What the paper leaves open.
    edge_success : callable, optional
        p(SNR in dB) of Edge AIGC's pictures where noise reaches them; without it they are coded and arrive as they
        were sent, with the success of a = 0.

    Returns
    -------
    dict
        Framework -> (satisfaction in [0, 1], waiting in seconds), each ``[...]``; with ``edge_success`` also
        ``edge_coded``, Edge AIGC without noise on its pictures.

    Raises
    ------
    ValueError
        If a state or an action is out of its range, or ``success`` or ``edge_success`` gives what is no probability.
    """
    states = _states(states)
    _together(action=finite_array("action", action), states=states[..., 0])
    total, snr_db = constants.total_steps, states[..., _SNR]

    def split(a):
        return latency(a, states, constants), success(a, snr_db)

    attempts = {
        "semaigc": split(action),
        "non_root": split(total // 2),
        "non_fine_tuning": split(total),
        "edge": (
            edge_aigc_latency(states, constants),
            success(0, snr_db) if edge_success is None else _probability("edge_success", edge_success(snr_db)),
        ),
        "local": split(0),
    }
    if edge_success is not None:
        attempts["edge_coded"] = (attempts["edge"][0], success(0, snr_db))
    return {name: served(once, p, states[..., _LOW], constants) for name, (once, p) in attempts.items()}


@checked
def optimal_action(
    states: ArrayLike,
    success: Callable[[ArrayLike, ArrayLike], np.ndarray] | None = None,
    constants: RootConstants = RootConstants(),
) -> np.ndarray:
    """The best split of each state by trying all; of equals the fewest edge steps.

    Parameters
    ----------
    states : array_like
        ``[..., 7]``, components as in :data:`STATE`.
    success : callable, optional
        As for :func:`expected_satisfaction`.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    numpy.ndarray
        Int ``[...]``, 0 to ``total_steps``.

    Raises
    ------
    ValueError
        As :func:`expected_satisfaction`.
    """
    return expected_satisfaction(states, success, constants).argmax(-1)


@checked
def sample_states(n: int, rng: np.random.Generator, constants: RootConstants = RootConstants()) -> np.ndarray:
    """States drawn uniformly between the constants' ``low`` and ``high``.

    Parameters
    ----------
    n : int
        How many.
    rng : numpy.random.Generator
        Draws them.
    constants : RootConstants
        What the paper leaves open.

    Returns
    -------
    numpy.ndarray
        ``[n, 7]``, components as in :data:`STATE`.

    Raises
    ------
    ValueError
        If ``n`` is no positive integer, or ``rng`` no ``numpy.random.Generator``.
    """
    numpy_generator("rng", rng)
    return rng.uniform(constants.low, constants.high, (positive_integer("n", n), len(STATE)))


@checked
def observe(states: ArrayLike, constants: RootConstants = RootConstants(), logarithmic: bool = False) -> np.ndarray:
    """What a network sees of states: each component from -1 at ``low`` to 1 at ``high``; 0 where these are equal.

    Parameters
    ----------
    states : array_like
        ``[..., 7]``, components as in :data:`STATE`.
    constants : RootConstants
        What the paper leaves open.
    logarithmic : bool
        Whether the logarithms are scaled so, of all components but the SNR, which is in dB as it is. Latency is made
        of quotients of these components, and their logarithms add.

    Returns
    -------
    numpy.ndarray
        Float32 ``[..., 7]``.

    Raises
    ------
    ValueError
        If a state is not finite, or not positive where it must be.
    """
    return _observed(_states(states), constants, logarithmic)


class RootEnv(gymnasium.Env):
    """Requests one after the other, states independent from request to request (the paper gives no law of change).

    Requests never end, as in the paper's Algorithm 1; an episode is cut off (``truncated``) after so many.

    Parameters
    ----------
    success : callable, optional
        As for :func:`expected_satisfaction`.
    requests : int
        Requests of an episode.
    constants : RootConstants
        What the paper leaves open.
    logarithmic : bool
        As for :func:`observe`.

    Raises
    ------
    ValueError
        If ``requests`` is no positive integer, or an argument not of its kind.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    @checked
    def __init__(
        self,
        success: Callable[[ArrayLike, ArrayLike], np.ndarray] | None = None,
        requests: int = 20,
        constants: RootConstants = RootConstants(),
        logarithmic: bool = False,
    ) -> None:
        self.success, self.constants, self.logarithmic = success, constants, logarithmic
        self.requests = positive_integer("requests", requests)
        self.observation_space = gymnasium.spaces.Box(-1, 1, (len(STATE),), np.float32)
        self.action_space = gymnasium.spaces.Discrete(constants.total_steps + 1)
        self._left = 0

    @checked
    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=None if seed is None else positive_integer("seed", seed, low=0))
        self._left = self.requests
        return self._next(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Serve the request.

        Parameters
        ----------
        action : int
            a, 0 to ``total_steps``.

        Returns
        -------
        observation : numpy.ndarray
            Of the next request, float32 ``[7]``.
        reward : float
            The user's satisfaction.
        terminated, truncated : bool
            Never; whether the episode's requests are used up.
        info : dict
            ``latency`` in seconds, all tries together, and ``tries``.

        Raises
        ------
        RuntimeError
            If the episode is over.
        ValueError
            If the action is none.
        """
        if self._left == 0:
            raise RuntimeError("the episode is over: call reset")
        counts = isinstance(action, np.ndarray) and action.shape == () and action.dtype.kind in "iu"
        whole = counts or (isinstance(action, Integral) and not isinstance(action, bool))
        if not whole or not 0 <= action <= self.constants.total_steps:
            raise ValueError(f"action must be a whole number from 0 to {self.constants.total_steps}, got {action!r}")
        once = float(_latency(np.asarray(action, float), self.state, self.constants))
        p = 1.0
        if self.success is not None:
            p = float(_probability("success", self.success(np.asarray(action), self.state[_SNR])))
        tries = int(self.np_random.geometric(p)) if p > 0 else np.iinfo(np.int64).max
        seconds = once * tries
        low = self.state[_LOW]
        served = seconds <= self.constants.give_up
        reward = float(satisfaction(seconds, low, self.constants.limit(low))) if served else 0.0
        self._left -= 1
        return self._next(), reward, False, self._left == 0, {"latency": seconds, "tries": tries}

    def _next(self) -> np.ndarray:
        self.state = sample_states(1, self.np_random, self.constants)[0]
        return _observed(self.state, self.constants, self.logarithmic)


# What is behind the doors: of states and actions that have been looked at.
def _rate(states: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        rate = states[..., _B] * np.log2(1 + 10 ** (states[..., _SNR] / 10))
    if not ((rate > 0) & (rate < np.inf)).all():
        raise ValueError(f"states must be of links with a rate that a number holds, got SNRs {states[..., _SNR]}"[:200])
    return rate


def _latency(a: np.ndarray, states: np.ndarray, constants: RootConstants) -> np.ndarray:
    sent = np.where(a > 0, constants.latent_bits / _rate(states), 0.0)  # a = 0 is Local AIGC: nothing is sent
    at_edge = a * _step_seconds(states, constants, edge=True) + np.where(a > 0, constants.overhead, 0.0)
    here = (constants.total_steps - a) * _step_seconds(states, constants, edge=False)
    return _seconds(sent + at_edge + here + constants.overhead)


def _observed(states: np.ndarray, constants: RootConstants, logarithmic: bool) -> np.ndarray:
    def scale(array: ArrayLike) -> np.ndarray:
        array = np.array(array, float)
        if logarithmic:
            positive = np.arange(len(STATE)) != _SNR
            array[..., positive] = np.log(array[..., positive])
        return array

    low, high, seen = scale(constants.low), scale(constants.high), scale(states)
    width = np.where(high > low, high - low, 1.0)
    return np.where(high > low, 2 * (seen - low) / width - 1, 0.0).astype(np.float32)


def _step_seconds(states: np.ndarray, constants: RootConstants, *, edge: bool) -> np.ndarray:
    """Seconds of one denoising step: W O / ν times Amdahl's factor; both sides work on the latent."""
    density, speed, cores = (_W_I, _NU_I, constants.edge_cores) if edge else (_W_J, _NU_J, constants.device_cores)
    return states[..., density] * constants.latent_bits / states[..., speed] * constants.speed_up(cores)


def _states(states: ArrayLike) -> np.ndarray:
    array = finite_array("states", states, last=len(STATE))
    positive = array[..., _POSITIVE]
    if (positive <= 0).any():
        raise ValueError(f"states must be positive in all components but the SNR, got {positive.min():g}")
    return array


def _actions(action: ArrayLike, constants: RootConstants) -> np.ndarray:
    array = finite_array("action", action)
    if (array != np.round(array)).any() or (array < 0).any() or (array > constants.total_steps).any():
        raise ValueError(f"action must be whole numbers from 0 to {constants.total_steps}, got {action!r}"[:200])
    return array


def _probability(name: str, p: ArrayLike) -> np.ndarray:
    array = finite_array(name, p, low=0)
    if (array > 1).any():
        raise ValueError(f"{name} must be at most 1, got {array.max():g}")
    return array


def _together(**arrays: np.ndarray) -> None:
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        said = " and ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
        raise ValueError(f"{next(iter(arrays))} must be of a shape that goes with the others', got {said}") from None


def _seconds(seconds: np.ndarray) -> np.ndarray:
    if not np.isfinite(seconds).all():
        raise ValueError("states must be of speeds and links whose seconds a number holds, got an infinite time")
    return seconds


def _falling(seconds: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.clip((high - seconds) / (high - low), 0.0, 1.0)


def _interval(seconds, low, high) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    seconds, low, high = (
        finite_array(name, value, low=0) for name, value in (("seconds", seconds), ("low", low), ("high", high))
    )
    if (low >= high).any():
        raise ValueError(f"high must be above low, got low {low!r} and high {high!r}"[:200])
    return seconds, low, high


def _proposition(local_density, rate, edge_speed, device_speed, c_1, c_2) -> tuple[np.ndarray, np.ndarray]:
    w = finite_array("local_density", local_density, low=0)
    v, nu_i, nu_j = (
        finite_array(name, value, low=0, low_open=True)
        for name, value in (("rate", rate), ("edge_speed", edge_speed), ("device_speed", device_speed))
    )
    c_1, c_2 = finite_array("c_1", c_1, low=0), finite_array("c_2", c_2, low=0)
    with np.errstate(over="ignore", invalid="ignore"):
        product = nu_i * nu_j
        denominator = product + v * w * (c_1 * nu_i - c_2 * nu_j)
    if not np.isfinite(denominator).all():
        raise ValueError(
            "edge_speed, device_speed, rate and local_density must have products that a number holds, got larger ones"
        )
    return product, denominator
