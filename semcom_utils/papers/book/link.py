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


def _measured(chosen: Format) -> Format:
    if chosen[:2] not in FORMATS or chosen.copies not in COPIES:
        raise ValueError(f"chosen must be one of FORMATS in one of COPIES, got {chosen}")
    return chosen


@checked
@lru_cache(maxsize=100_000)
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
    positive_integer("payload_bits", payload_bits)
    one_of("channel", channel, CHANNELS)
    order, rate, copies = _measured(chosen)
    snr = real_number("snr_db", snr_db, low=-50.0, high=100.0) + 10 * np.log10(copies)
    measured = _curves()
    of = measured["lost"][f"{order} {round(rate, 6):.3g}"]
    lengths = np.log([float(length) for length in of])
    place = np.clip(np.log(payload_bits), lengths[0], lengths[-1])
    shares = np.array([np.interp(place, lengths, column) for column in np.array(list(of.values())).T])
    at = float(min_snr_db(order * rate)) + np.array(measured["offsets_db"])
    if channel == "awgn":
        return float(np.interp(snr, at, shares, left=1.0, right=float(shares[-1])))
    # The mean over the gain, which is exponential: by parts, of the fall between the points that were measured.
    arrives = np.exp(-(10 ** ((at - snr) / 10)))
    falls = -np.diff(np.concatenate([[1.0], shares, [0.0]]))
    middle = np.concatenate([[arrives[0]], (arrives[1:] + arrives[:-1]) / 2, [arrives[-1]]])
    return float(1 - np.sum(falls * middle))


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
    positive_integer("bits", bits), _measured(chosen), one_of("channel", channel, CHANNELS)
    layout = DigitalLink(chosen.code_rate, chosen.bits_per_symbol, channel).layout(bits)
    lost = block_loss(max(1, bits // layout.blocks), chosen, snr_db, channel)
    tried = TRIES if lost == 1 else (1 - lost**TRIES) / (1 - lost)
    return Fate(chosen.copies * layout.channel_uses * tried, (1 - lost**TRIES) ** layout.blocks)


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
    offers = [Format(*one, copies) for one in FORMATS for copies in COPIES]
    fates = [fate(bits, one, snr_db, channel) for one in offers]
    sure = [k for k, one in enumerate(fates) if one.delivered >= DELIVERED]
    if sure:
        return offers[min(sure, key=lambda k: fates[k].channel_uses)]
    return offers[max(range(len(offers)), key=lambda k: fates[k].delivered)]


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
