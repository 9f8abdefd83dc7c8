r"""The study ``costs``: what a picture takes from end to end, stage by stage, by a device that is stated.

Three stages: encode, the air, decode. The air takes as long as the message has channel uses, over a symbol rate. What
computing takes hangs on the device, so it is told twice. *By the model*, a network takes its operations over
:data:`OPERATIONS_PER_SECOND`, and what runs no network (a picture codec) takes the time that was measured here.
*Measured here*, everything takes the processor time of one thread of a busy server: no cost of any device, but an order
of magnitude. The median of several runs is taken.

Operations are those of products of matrices, convolutions and attention, as PyTorch counts them, two for a product and
a sum. What else a network does (normalising, activations), and writing a prompt in bits, is left aside. So is the
channel code, which all digital schemes need.

The model's figure is an assumption. A phone's accelerator is advertised with some :math:`10^{13}` operations a second,
of small whole numbers and in large batches; networks of decimals that treat one picture at a time reach some hundredths
to a tenth of that. What another figure would change is in the summary's ``devices``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from semcom_utils import toyworld
from semcom_utils.checks import checked, real_number
from semcom_utils.generation.arithmetic import operations
from semcom_utils.papers.aigc_scm.case_study import case_scene
from semcom_utils.papers.aigc_scm.latency import break_even_hz
from semcom_utils.studies import Study

from .bench import Arrival
from .comparison import VIEWS, knowledge_of
from .link import best_format, fate
from .schemes import all_schemes

__all__ = [
    "CHANNEL",
    "COMPARED",
    "DEVICES",
    "DRAWN_AND_FILE",
    "OPERATIONS_PER_SECOND",
    "SNR_DB",
    "STUDIES",
    "SYMBOL_RATES",
    "run",
    "summary",
    "tasks",
    "total_seconds",
]

#: Operations a second of a network on a phone, at both ends: an assumption. Others whose effect is told.
OPERATIONS_PER_SECOND, DEVICES = 1e12, (1e11, 1e12, 1e13)
#: Complex symbols a second.
SYMBOL_RATES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
#: Where messages are sent.
SNR_DB, CHANNEL = 6.0, "awgn"
#: One or two schemes of each family.
COMPARED = (
    *("caption", "boxes", "caption + who", "boxes + who", "segmentation /4", "depth /4", "inverted 2 bit"),
    *("split after 10", "split after 20", "DeepJSCC", "WITT high", "WebP 50", "JPEG 50", "AVIF 50", "PNG"),
)
#: The two whose times are compared: the picture that is drawn, and the file that is sent.
DRAWN_AND_FILE = ("caption", "WebP 50")


def tasks() -> list[dict]:
    """One task a scheme.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    return [{"scheme": name, "repeats": 5, "pictures": 3} for name in COMPARED]


@checked
def total_seconds(encode_s: float, air_uses: float, decode_s: float, symbol_rate: float) -> float:
    """From picture to picture.

    Parameters
    ----------
    encode_s, decode_s : float
        Seconds.
    air_uses : float
        Complex channel uses.
    symbol_rate : float
        Complex symbols a second, above 0.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If a number is negative, or the rate not above 0.

    Examples
    --------
    >>> total_seconds(0.5, 100, 1.0, 1e3)
    1.6
    """
    rate = real_number("symbol_rate", symbol_rate, low=0, low_open=True)
    spent = real_number("encode_s", encode_s, low=0) + real_number("decode_s", decode_s, low=0)
    return spent + real_number("air_uses", air_uses, low=0) / rate


def _median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median of the processor time, which other work on the machine changes little."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return round(statistics.median(spent), 6)


def run(task: dict) -> dict:
    """Messages of some pictures with a subject; computing for the first of them, in one thread, after a warm-up.

    Parameters
    ----------
    task : dict
        ``scheme``, its name; ``repeats`` of what is timed; ``pictures``, how many.

    Returns
    -------
    dict
        ``bits``, ``analog``: of each picture's message, and complex channel uses of its symbols. ``operations`` and
        ``seconds``: of ``encode`` and ``decode``.
    """
    import torch

    from semcom_utils.generation.jscc import carry

    torch.set_num_threads(1)
    scheme = next(one for one in all_schemes() if one.name == task["scheme"])
    # Subjects far apart in the list are of different kinds; one stands alone, the next beside another thing.
    numbers = [k * toyworld.SUBJECTS // task["pictures"] for k in range(task["pictures"])]
    scenes = [case_scene(number, VIEWS[k % len(VIEWS)]) for k, number in enumerate(numbers)]
    known = [
        knowledge_of(scene, number, number, snr_db=SNR_DB, channel=CHANNEL)
        for scene, number in zip(scenes, numbers, strict=True)
    ]
    messages = [scheme.encode(scene.image, one) for scene, one in zip(scenes, known, strict=True)]
    message = messages[0]
    received = Arrival(message.bits)
    if message.symbols is not None:
        z = torch.from_numpy(message.symbols)[None]
        z_hat, after = carry(z, torch.tensor([SNR_DB]), CHANNEL, torch.Generator().manual_seed(0))
        received = Arrival(message.bits, z_hat[0].numpy(), float(after[0, 0]))
    ends: dict[str, Callable[[], Any]] = {
        "encode": lambda: scheme.encode(scenes[0].image, known[0]),
        "decode": lambda: scheme.decode(received, known[0]),
    }
    scheme.decode(received, known[0])  # what is only done the first time, such as opening a model
    return {
        "bits": [len(one.bits) for one in messages],
        "analog": [one.analog for one in messages],
        "operations": {end: operations(work)[1] for end, work in ends.items()},
        "seconds": {end: _median_seconds(work, task["repeats"]) for end, work in ends.items()},
    }


@lru_cache(maxsize=1_000)
def _uses(bits: int) -> float:
    return fate(bits, best_format(bits, SNR_DB, CHANNEL), SNR_DB, CHANNEL).channel_uses if bits else 0.0


def _stages(record: Mapping, speed: float | None) -> dict[str, float]:
    """A scheme's three stages on a device of so many operations a second; of None as they were measured here."""
    counted, measured = record["operations"], record["seconds"]
    by_model = {end: counted[end] / speed if speed and counted[end] else measured[end] for end in counted}
    sent = [_uses(bits) + analog for bits, analog in zip(record["bits"], record["analog"], strict=True)]
    return {"encode_s": by_model["encode"], "air_uses": float(np.mean(sent)), "decode_s": by_model["decode"]}


def _ratios(drawn: Mapping[str, float], file: Mapping[str, float]) -> dict[str, float]:
    """How many times as long the first takes, at each symbol rate."""
    return {
        str(rate): total_seconds(**drawn, symbol_rate=rate) / total_seconds(**file, symbol_rate=rate)
        for rate in SYMBOL_RATES
    }


def _tie(drawn: Mapping[str, float], file: Mapping[str, float]) -> float | None:
    """Symbols a second at which both take as long; None if the first is faster at every rate."""
    spent = [one["encode_s"] + one["decode_s"] for one in (drawn, file)]
    rate = break_even_hz(spent[0], drawn["air_uses"], file["air_uses"], spent[1])
    return rate if np.isfinite(rate) else None


def summary(records: Sequence[Mapping]) -> dict:
    """Stages and totals by the model of the device.

    Parameters
    ----------
    records : sequence of mapping
        Of :func:`run`.

    Returns
    -------
    dict
        ``device``: the model. ``stages``: scheme -> seconds of ``encode_s`` and ``decode_s`` by the model, mean
        ``air_uses``, operations, and seconds measured here. ``totals``: symbol rate -> scheme -> seconds.
        ``caption_over_file``: symbol rate -> total time of :data:`DRAWN_AND_FILE`'s first over that of its second;
        ``tie_symbol_rate``, symbols a second at which both take as long, below which the first is faster; ``devices``:
        operations a second, or ``here``, where networks take what was measured, too -> the same two. All three are None
        where a scheme is missing.
    """
    of = {r["task"]["scheme"]: r for r in records}
    stages = {name: _stages(r, OPERATIONS_PER_SECOND) for name, r in of.items()}
    there = all(name in of for name in DRAWN_AND_FILE)
    speeds: dict[str, float | None] = {f"{speed:.0e}": speed for speed in DEVICES} | {"here": None}
    pairs = {label: [_stages(of[name], speed) for name in DRAWN_AND_FILE] for label, speed in speeds.items() if there}
    pair = [stages[name] for name in DRAWN_AND_FILE] if there else None
    return {
        "device": {
            "operations_per_second": OPERATIONS_PER_SECOND,
            "symbol_rates": list(SYMBOL_RATES),
            "snr_db": SNR_DB,
            "channel": CHANNEL,
        },
        "pictures": max(len(r["bits"]) for r in records),
        "caption_over_file": _ratios(*pair) if pair else None,
        "tie_symbol_rate": _tie(*pair) if pair else None,
        "devices": {
            label: {"caption_over_file": _ratios(*both), "tie_symbol_rate": _tie(*both)}
            for label, both in pairs.items()
        }
        or None,
        "stages": {
            name: stages[name]
            | {f"{end}_operations": r["operations"][end] for end in r["operations"]}
            | {f"measured_{end}_s": r["seconds"][end] for end in r["seconds"]}
            for name, r in of.items()
        },
        "totals": {
            str(rate): {name: round(total_seconds(**one, symbol_rate=rate), 9) for name, one in stages.items()}
            for rate in SYMBOL_RATES
        },
    }


STUDIES: dict[str, Any] = {
    "costs": Study(
        tasks, run, summary, compares=("book/link",), small={"scheme": "DeepJSCC", "repeats": 1, "pictures": 1}
    ),
}
