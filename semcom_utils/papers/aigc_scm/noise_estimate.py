r"""Physical noise estimated from pilots (Wang et al., 2024, section III-A), and how well that can be done at best.

Before a message the sender transmits :math:`N` symbols :math:`p` that the receiver knows. In a block with gain
:math:`h`, :math:`y = h p + w` arrives, :math:`w` of variance :math:`N_0` per complex use. The log-likelihood is

.. math:: \ell(h, N_0) = -N \ln (\pi N_0) - \lVert y - h p \rVert^2 / N_0 .

Its maximum lies at :math:`\hat h = p^H y / \lVert p \rVert^2` and :math:`\hat N_0 = \lVert y - \hat h p \rVert^2 / N`,
which is too small by :math:`1 / N` on average, since the gain was fitted to the same noise; here the sum is divided by
:math:`N - 1`. Of the three numbers :math:`\Re h, \Im h, N_0` the Fisher information is the diagonal
:math:`(2 \lVert p \rVert^2 / N_0, 2 \lVert p \rVert^2 / N_0, N / N_0^2)`, and its inverse bounds the variance of every
unbiased estimate (Cramér and Rao). In dB the bound on the noise does not depend on the noise:
:math:`10 / (\ln 10 \sqrt N)`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from semcom_utils.checks import checked, one_of, positive_integer, real_number, torch_generator
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

if TYPE_CHECKING:
    import torch

__all__ = [
    "CHANNELS",
    "ESTIMATORS",
    "PILOTS",
    "SNRS_DB",
    "STUDIES",
    "NoiseEstimate",
    "db_spread",
    "estimate_noise",
    "fisher_information",
    "noise_from_power",
    "pilot_symbols",
    "pilots_needed",
    "run",
    "send_pilots",
    "tasks",
    "within_db",
]

#: Channels of the study: the block's gain is 1 and known to be, or Rayleigh and not known.
CHANNELS = ("awgn", "rayleigh-block")
#: Numbers of pilots, and Es/N0 per complex channel use in dB.
PILOTS, SNRS_DB = (4, 8, 16, 32, 64, 128), (-6, 6, 18)
#: What is compared: the gain told; estimated; taken to be 1 whatever it is; and no pilots, the mean power less 1.
ESTIMATORS = ("told", "estimated", "taken as 1", "from power")
#: Blocks of a task, in so many batches, whose scatter gives the intervals.
BLOCKS, BATCHES = 4000, 10


class NoiseEstimate(NamedTuple):
    """What pilots say of a block, or of several.

    Attributes
    ----------
    gain : numpy.ndarray
        Complex, ``[...]``.
    variance : numpy.ndarray
        N₀ per complex use, ``[...]``.
    """

    gain: np.ndarray
    variance: np.ndarray

    @property
    def snr_db(self) -> np.ndarray:
        """Es/N0 of the block, for symbols of unit power, dB."""
        return 10 * np.log10(np.abs(self.gain) ** 2 / self.variance)


@checked
def pilot_symbols(pilots: int) -> np.ndarray:
    """Known symbols of unit power: the corners of QPSK in turn.

    Parameters
    ----------
    pilots : int
        How many.

    Returns
    -------
    numpy.ndarray
        Complex ``[pilots]``.

    Raises
    ------
    ValueError
        If ``pilots`` is no positive whole number.
    """
    return np.exp(0.5j * np.pi * (np.arange(positive_integer("pilots", pilots)) + 0.5))


def _rows(received: Any, pilots: int | None = None) -> np.ndarray:
    rows = np.asarray(received)
    wanted = "complex or real numbers [..., uses]" if pilots is None else f"numbers [..., {pilots}], one a pilot"
    if rows.dtype.kind not in "fciu" or rows.ndim < 1 or not rows.size or (pilots and rows.shape[-1] != pilots):
        raise ValueError(f"received must be {wanted}, got {rows.dtype} of shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("received must be finite, got NaN or infinity")
    return rows.astype(complex)


@checked(complexes=("received", "pilots", "gain"))
def estimate_noise(received: np.ndarray, pilots: np.ndarray, gain: np.ndarray | None = None) -> NoiseEstimate:
    """Gain and noise of blocks, from their pilots.

    Parameters
    ----------
    received : array_like
        Complex ``[..., N]``, what arrived.
    pilots : array_like
        Complex ``[N]``, what was sent.
    gain : array_like, optional
        Of each block, ``[...]`` or one number, if it is known.

    Returns
    -------
    NoiseEstimate
        The most likely gain, and the variance without bias: the residual's energy over N, or over N − 1 where the gain
        was estimated.

    Raises
    ------
    ValueError
        If shapes do not match, a number is not finite, the pilots are all zero, or a single one should tell gain and
        noise.

    Examples
    --------
    >>> estimate_noise([1.1, -0.9], [1.0, -1.0], gain=1.0).variance.round(3).item()
    0.01
    """
    known = _rows(pilots)
    if known.ndim != 1 or not np.abs(known).any():
        raise ValueError(f"pilots must be one row of numbers that are not all zero, got shape {known.shape}")
    y = _rows(received, len(known))
    left = len(known) - (gain is None)
    if left < 1:
        raise ValueError("pilots must be at least two where the gain is not known, got one")
    if gain is None:
        h = y @ known.conj() / np.vdot(known, known).real
    else:
        h = np.asarray(gain, complex)
        if not np.isfinite(h).all() or h.shape not in ((), y.shape[:-1]):
            raise ValueError(f"gain must be one finite number, or one for each block, got shape {h.shape}")
        h = np.broadcast_to(h, y.shape[:-1])
    residual = y - h[..., None] * known
    return NoiseEstimate(h, (np.abs(residual) ** 2).sum(-1) / left)


@checked(complexes=("received",))
def noise_from_power(received: np.ndarray) -> np.ndarray:
    """Noise without pilots: the mean power of symbols of unit power and constant modulus, less 1.

    Right on average where the gain is 1, and far from the bound: its variance is (N₀² + 2 N₀) / N, and it may be
    negative.

    Parameters
    ----------
    received : array_like
        Complex ``[..., N]``.

    Returns
    -------
    numpy.ndarray
        ``[...]``.

    Raises
    ------
    ValueError
        If ``received`` holds other than finite numbers.
    """
    return (np.abs(_rows(received)) ** 2).mean(-1) - 1


@checked
def fisher_information(variance: float, energy: float, pilots: int) -> np.ndarray:
    """Fisher information of real and imaginary part of the gain and of the noise's variance: the diagonal.

    Parameters
    ----------
    variance : float
        N₀, above 0.
    energy : float
        Of all pilots, ‖p‖², above 0; N for symbols of unit power.
    pilots : int
        N.

    Returns
    -------
    numpy.ndarray
        ``[3]``; all other entries of the matrix are 0. One over it bounds the variances of unbiased estimates.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> 1 / fisher_information(0.5, 16, 16)
    array([0.015625, 0.015625, 0.015625])
    """
    noise = real_number("variance", variance, low=0, low_open=True)
    power = real_number("energy", energy, low=0, low_open=True)
    return np.array([2 * power / noise, 2 * power / noise, positive_integer("pilots", pilots) / noise / noise])


def _degrees(pilots: int, gain_known: bool) -> int:
    left = positive_integer("pilots", pilots) - (not gain_known)
    if left < 1:
        raise ValueError(f"pilots must be at least two where the gain is not known, got {pilots}")
    return left


@checked
def db_spread(pilots: int, gain_known: bool = False) -> float:
    """Standard deviation of the estimated noise in dB, exactly: its logarithm is that of a Gamma law.

    The residual's energy over N₀ has a Gamma law of shape k, N or N − 1, whose logarithm has the variance ψ'(k)
    (trigamma).

    Parameters
    ----------
    pilots : int
    gain_known : bool

    Returns
    -------
    float
        dB; a little above the bound 10 / (ln 10 √N).

    Raises
    ------
    ValueError
        If there are too few pilots.

    Examples
    --------
    >>> round(db_spread(16), 2), round(db_spread(16, gain_known=True), 2)
    (1.14, 1.1)
    """
    from scipy.special import polygamma

    return float(10 / math.log(10) * math.sqrt(polygamma(1, _degrees(pilots, gain_known))))


@checked
def within_db(pilots: int, error_db: float, gain_known: bool = False) -> float:
    """Probability that the estimated noise is off by at most so many dB, either way.

    Parameters
    ----------
    pilots : int
    error_db : float
        From 0 to 1000.
    gain_known : bool

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If there are too few pilots, or ``error_db`` is out of its range.
    """
    from scipy.stats import gamma

    k, off = _degrees(pilots, gain_known), real_number("error_db", error_db, low=0, high=1000)
    high, low = gamma.cdf([k * 10 ** (off / 10), k * 10 ** (-off / 10)], k)
    return float(high - low)


@checked
def pilots_needed(error_db: float, share: float = 0.95, gain_known: bool = False) -> int:
    """How many pilots keep the error within so many dB in a share of all blocks.

    Parameters
    ----------
    error_db : float
        Above 0.
    share : float
        In (0, 1).
    gain_known : bool

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If a number is out of its range, or more than 10⁶ pilots were needed.

    Examples
    --------
    >>> pilots_needed(3.0), pilots_needed(1.0)
    (10, 75)
    """
    real_number("error_db", error_db, low=0, low_open=True, high=1000)
    wanted = real_number("share", share, low=0, high=1, low_open=True, high_open=True)
    low, high = 1, 1_000_000
    if within_db(high, error_db, gain_known) < wanted:
        raise ValueError(f"error_db must be within reach of 10^6 pilots, got {error_db!r}")
    while high - low > 1:  # the probability rises with the number
        middle = (low + high) // 2
        low, high = (low, middle) if within_db(middle, error_db, gain_known) >= wanted else (middle, high)
    return high


@checked
def send_pilots(
    pilots: int, blocks: int, snr_db: float, channel: str, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pilots through blocks of a channel.

    Parameters
    ----------
    pilots, blocks : int
    snr_db : float
        Mean Es/N0 per complex channel use, dB, from -100 to 100.
    channel : str
        One of :data:`CHANNELS`.
    generator : torch.Generator
        Draws gains and noise.

    Returns
    -------
    received : numpy.ndarray
        Complex ``[blocks, pilots]``.
    gains : numpy.ndarray
        Complex ``[blocks]``.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    from semcom_utils.physical.channels import complex_normal, fading

    one_of("channel", channel, CHANNELS), torch_generator("generator", generator)
    spread = 10 ** (-real_number("snr_db", snr_db, low=-100, high=100) / 20)
    drawn = fading(channel, positive_integer("blocks", blocks), positive_integer("pilots", pilots), generator)
    gains = np.ones(blocks, complex) if drawn is None else drawn[:, 0].numpy().astype(complex)
    noise = complex_normal((blocks, pilots), generator).numpy()
    return gains[:, None] * pilot_symbols(pilots) + spread * noise, gains


# --- the study -------------------------------------------------------------------------------------------------------


def tasks() -> list[dict]:
    """One task a channel and SNR.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [{"channel": channel, "snr_db": snr, "blocks": BLOCKS} for channel in CHANNELS for snr in SNRS_DB]


def run(task: dict) -> dict:
    """How far estimates are from the truth, in units of the bound.

    Parameters
    ----------
    task : dict
        ``channel``, ``snr_db`` and number of ``blocks``.

    Returns
    -------
    dict
        ``noise``: estimator -> number of pilots -> ten batches' mean of N (estimate / N₀ − 1)², which is 1 at the
        bound. ``bias``: the same of estimate / N₀ − 1. ``gain``: number of pilots -> ten batches' mean of
        ``‖p‖² |ĥ − h|² / N₀``, likewise.
    """
    import torch

    truth = 10 ** (-task["snr_db"] / 10)
    found: dict[str, Any] = {"noise": {name: {} for name in ESTIMATORS}, "bias": {name: {} for name in ESTIMATORS}}
    found["gain"] = {}
    for n in PILOTS:
        generator = torch.Generator().manual_seed(1000 * n + 10 * SNRS_DB.index(task["snr_db"]) + len(task["channel"]))
        received, gains = send_pilots(n, task["blocks"], task["snr_db"], task["channel"], generator)
        known = pilot_symbols(n)
        blind = estimate_noise(received, known)
        each = {
            "told": estimate_noise(received, known, gains).variance,
            "estimated": blind.variance,
            "taken as 1": estimate_noise(received, known, np.ones(())).variance,
            "from power": noise_from_power(received),
        }
        for name, estimates in each.items():
            off = (estimates / truth - 1).reshape(BATCHES, -1)
            found["noise"][name][str(n)] = [float(f"{value:.5g}") for value in n * (off**2).mean(1)]
            found["bias"][name][str(n)] = [float(f"{value:.5g}") for value in off.mean(1)]
        off = (n * np.abs(blind.gain - gains) ** 2 / truth).reshape(BATCHES, -1).mean(1)
        found["gain"][str(n)] = [float(f"{value:.5g}") for value in off]
    return found


def _summary(records: Sequence[Mapping]) -> dict:
    def intervals(of: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        return {n: student_interval(values) for n, values in of.items()}

    summary: dict[str, Any] = {"over_bound": {}, "bias": {}, "gain_over_bound": {}}
    for r in records:
        where = (r["task"]["channel"], str(r["task"]["snr_db"]))
        for part, key in (("over_bound", "noise"), ("bias", "bias")):
            place = summary[part].setdefault(where[0], {})
            place[where[1]] = {name: intervals(of) for name, of in r[key].items()}
        summary["gain_over_bound"].setdefault(where[0], {})[where[1]] = intervals(r["gain"])
    summary["pilots_within"] = {f"{db} dB": pilots_needed(float(db)) for db in (1, 2, 3, 6)}
    return summary


STUDIES = {"noise_estimate": Study(tasks, run, _summary, small={"blocks": 100})}
