"""What no link can beat, and what an uncoded link does: closed forms for AWGN and flat Rayleigh fading.

All rates are in bits per complex channel use; every SNR is :math:`E_s/N_0` per complex channel use in dB, and under
Rayleigh fading it is the mean over the fading (:math:`E|h|^2 = 1`). Arguments broadcast as numpy arrays; a scalar
in gives a scalar out. The chapter "The digital link and its limits" derives what is used here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erfc, hyperu, ndtr, ndtri

from semcom_utils.checks import checked, finite_array, one_of, positive_integer
from semcom_utils.physical.channels import CHANNELS

__all__ = [
    "capacity_awgn",
    "ergodic_capacity_rayleigh",
    "finite_blocklength_error",
    "finite_blocklength_rate",
    "min_snr_db",
    "outage_probability_rayleigh",
    "uncoded_bit_error_rate",
]

_LOG2E = math.log2(math.e)
_LARGEST_DB = 3000.0
_SNR_RANGE_DB = (-200.0, 400.0)  # where the inverse of a capacity is looked for


def _snr(snr_db: object) -> np.ndarray:
    values = finite_array("snr_db", snr_db)
    if (values > _LARGEST_DB).any():
        raise ValueError(
            f"snr_db must be at most {_LARGEST_DB:g} dB, beyond which 10^x overflows, got {values.max():g}"
        )
    return 10.0 ** (values / 10.0)


def _probability(name: str, value: object) -> np.ndarray:
    p = finite_array(name, value, low=0.0, low_open=True)
    if (p >= 1.0).any():
        raise ValueError(f"{name} must be below 1, got {p.max():g}")
    return p


def _block_length(value: object) -> np.ndarray:
    n = finite_array("block_length", value, low=1.0)
    if (fractions := n[n != np.round(n)]).size:
        raise ValueError(f"block_length must be a whole number of complex channel uses, got {fractions.flat[0]}")
    return n


@checked
def capacity_awgn(snr_db: ArrayLike) -> np.ndarray:
    r"""Capacity of the complex AWGN channel, :math:`C = \log_2(1 + \mathrm{snr})`.

    Parameters
    ----------
    snr_db : array_like
        :math:`E_s/N_0` per complex channel use, in dB.

    Returns
    -------
    numpy.ndarray or numpy.float64
        Bits per complex channel use, of the shape of ``snr_db``.

    Raises
    ------
    ValueError
        If ``snr_db`` is not finite.

    References
    ----------
    C. E. Shannon, "A mathematical theory of communication", 1948, section 25.

    Examples
    --------
    >>> capacity_awgn([0.0, 10.0]).round(3)
    array([1.   , 3.459])
    """
    return np.log1p(_snr(snr_db)) * _LOG2E


@checked
def ergodic_capacity_rayleigh(snr_db: ArrayLike) -> np.ndarray:
    r"""Ergodic capacity of flat Rayleigh fading known to the receiver only.

    .. math:: C = E[\log_2(1 + |h|^2 \,\mathrm{snr})] = \log_2(e)\, e^{1/\mathrm{snr}}\, E_1(1/\mathrm{snr})

    The product is computed as Tricomi's :math:`U(1, 1, 1/\mathrm{snr})`, which does not overflow at low SNR.

    Parameters
    ----------
    snr_db : array_like
        Mean :math:`E_s/N_0` per complex channel use, in dB.

    Returns
    -------
    numpy.ndarray or numpy.float64
        Bits per complex channel use.

    Raises
    ------
    ValueError
        If ``snr_db`` is not finite.

    References
    ----------
    A. Goldsmith, *Wireless Communications*, 2005, section 4.2.3.
    """
    snr = _snr(snr_db)
    weak = snr < 1e-300  # 1 / snr overflows, and the capacity is that of its first term, snr
    return np.where(weak, snr, hyperu(1.0, 1.0, 1.0 / np.where(weak, 1.0, snr)))[()] * _LOG2E


@checked
def finite_blocklength_rate(snr_db: ArrayLike, block_length: ArrayLike, error_probability: ArrayLike) -> np.ndarray:
    r"""Largest rate of a code of ``block_length`` uses on complex AWGN, by the normal approximation.

    .. math::

        R \approx \log_2(1 + \mathrm{snr}) - \sqrt{\frac{V}{n}}\, Q^{-1}(\varepsilon) + \frac{\log_2 n}{2 n},
        \qquad V = \Big(1 - \frac{1}{(1 + \mathrm{snr})^2}\Big) \log_2^2 e

    A complex use is two real ones, so this is the real-valued formula with :math:`2n` uses at the same SNR; for a
    fixed SNR and error probability what is left out is of order :math:`1/n` bits per use. Nothing is clipped: where a
    block is so short that the approximation has no meaning, the value can be negative or above the capacity.

    Parameters
    ----------
    snr_db : array_like
        :math:`E_s/N_0` per complex channel use, in dB.
    block_length : array_like of int
        Complex channel uses per code block.
    error_probability : array_like
        Block error probability, in (0, 1).

    Returns
    -------
    numpy.ndarray or numpy.float64
        Bits per complex channel use, of the broadcast shape.

    Raises
    ------
    ValueError
        If an argument is not finite or outside its range; the message names it.

    References
    ----------
    Y. Polyanskiy, H. V. Poor, S. Verdú, "Channel coding rate in the finite blocklength regime", 2010, theorem 54
    (the first two terms). V. Y. F. Tan, M. Tomamichel, "The third-order term in the normal approximation for the AWGN
    channel", 2015 (the third).
    """
    snr, n = _snr(snr_db), _block_length(block_length)
    dispersion = (1.0 - (1.0 + snr) ** -2) * _LOG2E**2
    q_inverse = -ndtri(_probability("error_probability", error_probability))
    return np.log1p(snr) * _LOG2E - np.sqrt(dispersion / n) * q_inverse + np.log2(n) / (2.0 * n)


@checked
def finite_blocklength_error(snr_db: ArrayLike, block_length: ArrayLike, rate: ArrayLike) -> np.ndarray:
    """Smallest block error probability at a rate: :func:`finite_blocklength_rate` solved for its last argument.

    Parameters
    ----------
    snr_db : array_like
        :math:`E_s/N_0` per complex channel use, in dB.
    block_length : array_like of int
        Complex channel uses per code block.
    rate : array_like
        Information bits per complex channel use, above 0.

    Returns
    -------
    numpy.ndarray or numpy.float64
        Block error probability. It underflows to 0 far above the needed SNR; long before that, at probabilities as
        small as a billionth, the approximation says little, since it is meant for a fixed one.

    Raises
    ------
    ValueError
        If an argument is not finite or outside its range; the message names it.
    """
    snr, n = _snr(snr_db), _block_length(block_length)
    rate = finite_array("rate", rate, low=0.0, low_open=True)
    dispersion = (1.0 - (1.0 + snr) ** -2) * _LOG2E**2
    margin = np.log1p(snr) * _LOG2E + np.log2(n) / (2.0 * n) - rate
    with np.errstate(divide="ignore"):  # without noise in the rate, an error is for sure or impossible
        return ndtr(-margin * np.sqrt(n / dispersion))


@checked
def outage_probability_rayleigh(snr_db: ArrayLike, rate: ArrayLike) -> np.ndarray:
    r"""Probability that one Rayleigh coefficient, held for a whole block, cannot carry ``rate``.

    .. math:: P_\mathrm{out} = \Pr\{\log_2(1 + |h|^2\, \mathrm{snr}) < R\} = 1 - e^{-(2^R - 1)/\mathrm{snr}}

    The receiver knows the coefficient, the transmitter does not. This is what the error probability of the best long
    blocks tends to; a short block can do slightly better, since noise in its favour may carry it below the limit.

    Parameters
    ----------
    snr_db : array_like
        Mean :math:`E_s/N_0` per complex channel use, in dB.
    rate : array_like
        Information bits per complex channel use, above 0.

    Returns
    -------
    numpy.ndarray or numpy.float64
        Probability, of the broadcast shape.

    Raises
    ------
    ValueError
        If an argument is not finite or ``rate`` is not above 0.

    References
    ----------
    A. Goldsmith, *Wireless Communications*, 2005, section 4.2.3.
    """
    rate = finite_array("rate", rate, low=0.0, low_open=True)
    with np.errstate(divide="ignore", over="ignore"):  # towards an outage for sure
        return -np.expm1(-np.expm1(rate / _LOG2E) / _snr(snr_db))


def _invert(forward: Callable[[float], Any], target: float, low_db: float) -> float:
    low, high = forward(low_db), forward(_SNR_RANGE_DB[1])
    if not low < target < high:
        raise ValueError(
            f"rate must be above {low:.3g} and below {high:.4g} bits per use, where its formula (with this "
            f"block_length and error_probability, if any) can be solved for the SNR, got {target:g}"
        )
    return brentq(lambda snr_db: forward(snr_db) - target, low_db, _SNR_RANGE_DB[1], xtol=1e-10)


def _shannon_snr(rate: np.ndarray) -> np.ndarray:
    if (rate > 1000.0).any():
        raise ValueError(f"rate must be at most 1000 bits per use, beyond which 2^rate overflows, got {rate.max():g}")
    return np.expm1(rate / _LOG2E)


@checked
def min_snr_db(
    rate: ArrayLike,
    *,
    channel: str = "awgn",
    block_length: ArrayLike | None = None,
    error_probability: ArrayLike | None = None,
) -> np.ndarray:
    r"""Smallest SNR at which ``rate`` can be carried: the limits above, solved for the SNR.

    ==================== ================================ =====================================================
    channel              with                             what it inverts
    ==================== ================================ =====================================================
    ``awgn``             nothing more                     :func:`capacity_awgn` (Shannon: :math:`2^R - 1`)
    ``awgn``             block length, error probability  :func:`finite_blocklength_rate`
    ``rayleigh-fast``    nothing more                     :func:`ergodic_capacity_rayleigh`
    ``rayleigh-block``   error probability                :func:`outage_probability_rayleigh` (long blocks)
    ==================== ================================ =====================================================

    Parameters
    ----------
    rate : array_like
        Information bits per complex channel use, above 0.
    channel : {"awgn", "rayleigh-fast", "rayleigh-block"}
        The channel, named as for :class:`semcom_utils.physical.DigitalLink`.
    block_length : array_like of int, optional
        Complex channel uses per code block.
    error_probability : array_like, optional
        Block error probability, in (0, 1).

    Returns
    -------
    numpy.ndarray or numpy.float64
        :math:`E_s/N_0` in dB, of the broadcast shape.

    Raises
    ------
    ValueError
        If an argument is outside its range, missing, or has no meaning for the channel; or if ``rate`` is so low
        that the normal approximation says nothing about it, or so high that no SNR up to 400 dB (closed forms: no
        floating-point number) is enough.

    Examples
    --------
    >>> round(float(min_snr_db(2.0)), 2)  # 16-QAM with a code of rate 1/2 carries 2 bits per use
    4.77
    """
    rate = finite_array("rate", rate, low=0.0, low_open=True)
    one_of("channel", channel, CHANNELS)
    if channel != "awgn" and block_length is not None:
        raise ValueError(f"block_length must be None on {channel}, for want of a formula, got {block_length}")
    if (error_probability is not None) != (block_length is not None or channel == "rayleigh-block"):
        needed = "given with block_length, and on rayleigh-block" if error_probability is None else "None here"
        raise ValueError(f"error_probability must be {needed}, got {error_probability!r} (channel {channel!r})")
    if channel == "rayleigh-block":
        epsilon = _probability("error_probability", error_probability)
        return 10.0 * np.log10(_shannon_snr(rate) / -np.log1p(-epsilon))
    if channel == "rayleigh-fast":
        solve = np.vectorize(lambda r: _invert(ergodic_capacity_rayleigh, r, _SNR_RANGE_DB[0]), otypes=[float])
        return solve(rate)[()]
    if block_length is None:
        return 10.0 * np.log10(_shannon_snr(rate))

    def solve_one(r: float, n: float, epsilon: float) -> float:
        # The approximation first falls, then rises with the SNR (the dispersion grows like sqrt(snr) at the origin):
        # setting the derivative to zero gives u (u - 1) = a^2 with u = (1 + snr)^2, a = Q^-1(epsilon) / sqrt(n).
        a = max(-ndtri(epsilon), 0.0) / math.sqrt(n)
        turn = math.sqrt(0.5 * (1.0 + math.sqrt(1.0 + 4.0 * a * a))) - 1.0
        low_db = max(10.0 * math.log10(turn), _SNR_RANGE_DB[0]) if turn > 0.0 else _SNR_RANGE_DB[0]
        return _invert(lambda s: finite_blocklength_rate(s, n, epsilon), r, low_db)

    n, epsilon = _block_length(block_length), _probability("error_probability", error_probability)
    return np.vectorize(solve_one, otypes=[float])(rate, n, epsilon)[()]


@checked
def uncoded_bit_error_rate(bits_per_symbol: int, snr_db: ArrayLike, *, channel: str = "awgn") -> np.ndarray:
    r"""Exact bit error rate of uncoded BPSK and Gray-labelled square QAM with hard decisions.

    The bit error rate is a sum :math:`\sum_j w_j\, Q(a_j \sqrt{\gamma})` over the SNR :math:`\gamma`. On AWGN
    :math:`\gamma` is the SNR; under Rayleigh fading known to the receiver each term is averaged,
    :math:`E[Q(a\sqrt\gamma)] = \tfrac12\big(1 - \sqrt{a^2 \bar\gamma / (2 + a^2 \bar\gamma)}\big)`, which is the
    same per symbol and per block.

    Parameters
    ----------
    bits_per_symbol : {1, 2, 4, 6, 8}
        1 is BPSK, 2 QPSK, 4 16-QAM, 6 64-QAM, 8 256-QAM.
    snr_db : array_like
        (Mean) :math:`E_s/N_0` per complex channel use, in dB.
    channel : {"awgn", "rayleigh-fast", "rayleigh-block"}
        The channel, named as for :class:`semcom_utils.physical.DigitalLink`.

    Returns
    -------
    numpy.ndarray or numpy.float64
        Bit error probability, of the shape of ``snr_db``.

    Raises
    ------
    ValueError
        If ``bits_per_symbol`` or ``channel`` is none of those listed, or ``snr_db`` is not finite.

    References
    ----------
    K. Cho, D. Yoon, "On the general BER expression of one- and two-dimensional amplitude modulations", 2002.
    """
    order = positive_integer("bits_per_symbol", bits_per_symbol)
    one_of("bits_per_symbol", order, (1, 2, 4, 6, 8))
    one_of("channel", channel, CHANNELS)
    snr = _snr(snr_db)
    total = np.zeros_like(snr)
    for weight, argument in _q_terms(order):
        if channel == "awgn":
            total = total + weight * 0.5 * erfc(argument * np.sqrt(snr / 2.0))
        else:
            # 1 - sqrt(g / (2 + g)), written so that it does not cancel at high SNR
            g = argument**2 * snr
            total = total + weight * 0.5 * (2.0 / (2.0 + g)) / (1.0 + np.sqrt(g / (2.0 + g)))
    return total[()]


def _q_terms(bits_per_symbol: int) -> list[tuple[float, float]]:
    """The pairs (w_j, a_j) of the bit error rate sum_j w_j Q(a_j sqrt(snr)) on AWGN."""
    if bits_per_symbol == 1:
        return [(1.0, math.sqrt(2.0))]
    levels, axis_bits = 2 ** (bits_per_symbol // 2), bits_per_symbol // 2
    half_distance = math.sqrt(3.0 / (levels**2 - 1))  # over the noise's standard deviation per real dimension, at snr 1
    weights: dict[int, float] = {}
    for k in range(1, axis_bits + 1):  # the k-th bit of an axis, averaged over the axis's bits
        for i in range(levels - levels // 2**k):
            step = i * 2 ** (k - 1)
            sign = (-1) ** (step // levels)
            count = 2 ** (k - 1) - math.floor(step / levels + 0.5)
            weights[2 * i + 1] = weights.get(2 * i + 1, 0.0) + 2.0 * sign * count / (levels * axis_bits)
    return [(weight, odd * half_distance) for odd, weight in weights.items() if weight]
