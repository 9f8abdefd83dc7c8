r"""What bits cost on a channel: the format that an SNR allows, what is sent again, and Shannon's limit.

Blocks of a 5G LDPC code are lost on AWGN with a probability that falls from one to zero within a decibel or two. The
study ``link`` measures these falls, for every format and for short and long blocks. Everything else follows: with block
fading the loss is the fall's mean over the gain; a lost block is sent again, up to :data:`TRIES` times in all; and the
format chosen for a message is the cheapest of those that deliver it. Where even the lowest rate is too fast, a block is
sent in several copies, whose receptions add up. So a message has an expected cost and a probability of arriving, and
no chance is left in the comparison of schemes but that of the pictures, and of analog noise.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from semcom_utils.checks import checked, one_of, positive_integer, real_number
from semcom_utils.physical import DigitalLink, capacity_awgn, min_snr_db, outage_probability_rayleigh
from semcom_utils.statistics import share_interval
from semcom_utils.studies import Study, load_result

__all__ = [
    "CHANNELS",
    "COPIES",
    "DELIVERED",
    "FORMATS",
    "OFFSETS_DB",
    "PAYLOADS",
    "STUDIES",
    "TRIES",
    "Fate",
    "Format",
    "best_format",
    "block_loss",
    "fate",
    "limit",
    "run",
    "summary",
    "tasks",
]

#: Kinds of channel that messages are sent over.
CHANNELS = ("awgn", "rayleigh-block")
#: Transmissions of a block at most.
TRIES = 4
#: Probability with which a format must deliver a message, if there is one that does.
DELIVERED = 0.99
#: Bits of a symbol and code rates that there are to choose from.
FORMATS = ((2, 0.2), (2, 1 / 3), (2, 1 / 2), (4, 1 / 3), (4, 1 / 2), (4, 2 / 3), (6, 1 / 2), (6, 2 / 3), (6, 5 / 6))
#: How many times a block may be sent at once.
COPIES = (1, 2, 4, 8)
#: Payloads that were measured, bits, and blocks of each; longer blocks are taken to do as well as the longest of these.
PAYLOADS = {64: 300, 256: 200, 1024: 100, 3072: 60}
#: Where they were measured, dB above the Shannon limit of the format's rate.
OFFSETS_DB = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)


class Format(NamedTuple):
    """How bits are sent.

    Attributes
    ----------
    bits_per_symbol : int
    code_rate : float
    copies : int
        Of each block, in the same fading state, added up by the receiver.
    """

    bits_per_symbol: int
    code_rate: float
    copies: int = 1


class Fate(NamedTuple):
    """What is to be expected of a message.

    Attributes
    ----------
    channel_uses : float
        Mean, repetitions included.
    delivered : float
        Probability that all of it arrives.
    """

    channel_uses: float
    delivered: float


def tasks() -> list[dict]:
    """Every format, payload and SNR.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [
        {
            "bits_per_symbol": order,
            "code_rate": round(rate, 6),
            "payload_bits": payload,
            "blocks": blocks,
            "offset_db": offset,
            "seed": 1000 * k + round(10 * offset),
        }
        for k, (order, rate) in enumerate(FORMATS)
        for payload, blocks in PAYLOADS.items()
        for offset in OFFSETS_DB
    ]


def run(task: dict) -> dict:
    """Send blocks over AWGN.

    Parameters
    ----------
    task : dict
        As of :func:`tasks`.

    Returns
    -------
    dict
        ``lost``, how many of ``blocks`` failed their checksum or arrived wrong.
    """
    import torch

    torch.set_num_threads(1)
    order, rate = task["bits_per_symbol"], task["code_rate"]
    generator = torch.Generator().manual_seed(task["seed"])
    payloads = torch.randint(0, 2, (task["blocks"], task["payload_bits"]), generator=generator)
    snr_db = float(min_snr_db(order * rate)) + task["offset_db"]
    result = DigitalLink(rate, order).send(payloads, snr_db, generator)
    return {"lost": int((~np.asarray(result.accepted) | ~result.block_right.all(-1)).sum()), "blocks": task["blocks"]}


def summary(records: list[dict]) -> dict:
    """Curves of loss.

    Parameters
    ----------
    records : list of dict
        Of :func:`run`.

    Returns
    -------
    dict
        ``lost``: format (``"4 0.5"``) -> payload -> shares lost at ``offsets_db``; ``gap_db``: for each format the
        distance to Shannon's limit at which the longest payload loses less than a hundredth; ``last``: how many blocks
        are lost at the last offset, with its interval.
    """
    curves: dict[str, dict[str, list[float]]] = {}
    for r in sorted(records, key=lambda r: r["task"]["offset_db"]):
        task = r["task"]
        of = curves.setdefault(f"{task['bits_per_symbol']} {task['code_rate']:.3g}", {})
        of.setdefault(str(task["payload_bits"]), []).append(r["lost"] / r["blocks"])
    offsets = sorted({r["task"]["offset_db"] for r in records})
    longest = str(max(r["task"]["payload_bits"] for r in records))
    last = [r for r in records if r["task"]["offset_db"] == offsets[-1]]
    return {
        "offsets_db": offsets,
        "lost": curves,
        "gap_db": {
            name: next((at for at, share in zip(offsets, of[longest], strict=True) if share < 0.01), None)
            for name, of in curves.items()
        },
        "last": share_interval(sum(r["lost"] for r in last), sum(r["blocks"] for r in last)),
    }


@lru_cache(maxsize=1)
def _curves() -> dict:
    return load_result("book/link")["summary"]


@lru_cache(maxsize=64)
def _link(order: int, rate: float, channel: str) -> DigitalLink:
    return DigitalLink(rate, order, channel)


@lru_cache(maxsize=256)
def _places(snr_db: float, channel: str) -> tuple[np.ndarray, np.ndarray]:
    """For every format where its fall was measured, dB, and what share of the gains reaches that, for every number of
    copies: ``[formats, offsets]`` and ``[formats, copies, offsets]``."""
    at = np.array([float(min_snr_db(order * rate)) for order, rate in FORMATS])[:, None] + _curves()["offsets_db"]
    snr = snr_db + 10 * np.log10(np.array(COPIES))[:, None]
    return at, np.exp(-(10 ** ((at[:, None] - snr) / 10)))


@lru_cache(maxsize=20_000)
def _shares(payload_bits: int) -> np.ndarray:
    """Shares lost on AWGN, ``[formats, offsets]``: between measured payloads linear in the logarithm of the length."""
    curves = _curves()["lost"]
    lengths = np.log([float(length) for length in next(iter(curves.values()))])
    place = float(np.clip(np.log(payload_bits), lengths[0], lengths[-1]))
    upper = int(np.clip(np.searchsorted(lengths, place), 1, len(lengths) - 1))
    weight = (place - lengths[upper - 1]) / (lengths[upper] - lengths[upper - 1])
    rows = np.array([list(curves[f"{order} {round(rate, 6):.3g}"].values()) for order, rate in FORMATS])
    return (1 - weight) * rows[:, upper - 1] + weight * rows[:, upper]


@lru_cache(maxsize=20_000)
def _losses(payload_bits: int, snr_db: float, channel: str) -> np.ndarray:
    """Probability that a transmission is lost, ``[formats, copies]``."""
    at, arrives = _places(snr_db, channel)
    shares = _shares(payload_bits)
    if channel == "awgn":
        snr = snr_db + 10 * np.log10(COPIES)
        rows = zip(at, shares, strict=True)
        return np.array([np.interp(snr, x, lost, left=1.0, right=float(lost[-1])) for x, lost in rows])
    # The mean over the gain, which is exponential: by parts, of the fall between the points that were measured.
    falls = -np.diff(np.column_stack([np.ones(len(shares)), shares, np.zeros(len(shares))]))
    middle = np.concatenate([arrives[..., :1], (arrives[..., 1:] + arrives[..., :-1]) / 2, arrives[..., -1:]], axis=2)
    return 1 - (falls[:, None] * middle).sum(2)


def _known(chosen: Format) -> tuple[int, int]:
    """Places of a format and of its number of copies."""
    order, rate, copies = chosen
    if (order, rate) not in FORMATS or copies not in COPIES:
        raise ValueError(f"chosen must be a Format that was measured, got {chosen}")
    return FORMATS.index((order, rate)), COPIES.index(copies)


@checked
def block_loss(payload_bits: int, chosen: Format, snr_db: float, channel: str) -> float:
    """Probability that one transmission of a block is lost.

    Parameters
    ----------
    payload_bits : int
        Of the block. Between the payloads that were measured the loss goes with the logarithm of the length.
    chosen : Format
        One of :data:`FORMATS`, in copies.
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    channel : str
        One of :data:`CHANNELS`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    bits = positive_integer("payload_bits", payload_bits)
    snr, channel = real_number("snr_db", snr_db, low=-50.0, high=100.0), one_of("channel", channel, CHANNELS)
    return float(_losses(bits, snr, channel)[_known(chosen)])


def _fate(bits: int, place: tuple[int, int], snr_db: float, channel: str) -> Fate:
    order, rate = FORMATS[place[0]]
    layout = _link(order, rate, channel).layout(bits)
    lost = float(_losses(max(1, bits // layout.blocks), snr_db, channel)[place])
    tried = TRIES if lost == 1 else (1 - lost**TRIES) / (1 - lost)
    return Fate(COPIES[place[1]] * layout.channel_uses * tried, (1 - lost**TRIES) ** layout.blocks)


@checked
def fate(bits: int, chosen: Format, snr_db: float, channel: str) -> Fate:
    """Expected cost and probability of delivery of a message.

    Parameters
    ----------
    bits : int
        Of the payload.
    chosen : Format
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    channel : str
        One of :data:`CHANNELS`.

    Returns
    -------
    Fate

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    number = positive_integer("bits", bits)
    snr, channel = real_number("snr_db", snr_db, low=-50.0, high=100.0), one_of("channel", channel, CHANNELS)
    return _fate(number, _known(chosen), snr, channel)


@checked
@lru_cache(maxsize=100_000)
def best_format(bits: int, snr_db: float, channel: str) -> Format:
    """The cheapest format, in expectation, of those that deliver a message with probability :data:`DELIVERED`.

    Parameters
    ----------
    bits : int
        Of the payload.
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    channel : str
        One of :data:`CHANNELS`.

    Returns
    -------
    Format
        Of those that deliver most if none reaches the probability.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    number = positive_integer("bits", bits)
    snr, channel = real_number("snr_db", snr_db, low=-50.0, high=100.0), one_of("channel", channel, CHANNELS)
    fates = np.array(
        [[_fate(number, (f, c), snr, channel) for c in range(len(COPIES))] for f in range(len(FORMATS))]
    ).reshape(-1, 2)
    sure = np.flatnonzero(fates[:, 1] >= DELIVERED)
    best = int(sure[np.argmin(fates[sure, 0])]) if len(sure) else int(np.argmax(fates[:, 1]))
    return Format(*FORMATS[best // len(COPIES)], COPIES[best % len(COPIES)])


@checked
def limit(bits: int, snr_db: float, channel: str) -> float:
    r"""Channel uses of bits at Shannon's limit: no code of any length does with fewer.

    On AWGN bits over capacity. With block fading that the sender does not know, blocks are sent at a rate R and again
    where the gain does not carry it: the fewest uses a bit are :math:`\min_R 1 / (R\,(1 - P_\mathrm{out}(R)))`.

    Parameters
    ----------
    bits : int
    snr_db : float
        (Mean) Es/N0 per complex channel use, dB.
    channel : str
        One of :data:`CHANNELS`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> limit(100, 0.0, "awgn")
    100.0
    """
    number, snr = positive_integer("bits", bits), real_number("snr_db", snr_db, low=-50.0, high=100.0)
    if one_of("channel", channel, CHANNELS) == "awgn":
        return float(number / capacity_awgn(snr))
    return number / _throughput(snr)


@lru_cache(maxsize=64)
def _throughput(snr_db: float) -> float:
    """Most bits a use that get through on average with one gain a block, known to the receiver alone."""
    rates = np.geomspace(1e-3, 20, 4001)
    return float(np.max(rates * (1 - np.asarray(outage_probability_rayleigh(snr_db, rates)))))


STUDIES: dict[str, Any] = {
    "link": Study(tasks, run, summary, small={"blocks": 4, "payload_bits": 64, "offset_db": 4.0}),
}
