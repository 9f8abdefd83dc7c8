"""The study ``link``: prompts on the paper's link, through its cliff (Wang et al., 2024, Fig. 6).

Payloads have the lengths of prompts that a perfect extractor would send of one scene of two things. What a payload
says does not matter to the link, so its bits are random. Whoever finds a prompt broken asks for it again; each try sees
new noise and, under block fading, a new coefficient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from semcom_utils.checks import checked
from semcom_utils.statistics import share_interval
from semcom_utils.studies import Study

from .channel import SNR_DB, best_format, paper_link
from .message import CODINGS, OVERHEAD_BYTES, Prompt

__all__ = ["CHANNELS", "STUDIES", "TRIES", "example_prompts", "repeats", "run", "tasks"]

#: Channels, and the SNRs (dB) at which prompts are sent.
CHANNELS = {"awgn": (4.0, 5.0, 5.5, 6.0, 6.5, 7.0, 8.0), "rayleigh-block": (0.0, 5.0, 10.0, 15.0, 20.0)}
#: Transmissions at most.
TRIES = 8
#: Prompts of each kind: at the paper's SNR, where next to none is lost, and elsewhere.
MANY, FEW = 500, 120


def example_prompts() -> dict[str, Prompt]:
    """The prompts of one scene of two things, one of them a subject, for each scheme and coding.

    Returns
    -------
    dict of str to Prompt
        ``"NI text"`` and so on.
    """
    caption = "an orange dog and a striped blue ball on grass"
    boxes = [[0.1, 0.3, 0.4, 0.8], [0.6, 0.4, 0.9, 0.9]]
    plain = {"NI": Prompt(caption, seed=1), "NA": Prompt.placed(["orange dog", "blue ball"], boxes, seed=1)}
    plain |= {f"H{name[1]}": replace(one, identifier=0, which=1) for name, one in plain.items()}
    return {f"{name} {coding}": replace(one, coding=coding) for coding in CODINGS for name, one in plain.items()}


def tasks() -> list[dict]:
    """A task for each length of a payload, channel and SNR.

    Returns
    -------
    list of dict
        As :func:`run` takes them.
    """
    lengths = sorted({prompt.bits for prompt in example_prompts().values()})
    points = [(channel, snr) for channel, snrs in CHANNELS.items() for snr in snrs] + [("awgn", SNR_DB)]
    return [
        {
            "bits": bits,
            "channel": channel,
            "snr_db": snr,
            "prompts": MANY if (channel, snr) == ("awgn", SNR_DB) else FEW,
            "seed": 1000 * k + j,
        }
        for k, bits in enumerate(lengths)
        for j, (channel, snr) in enumerate(points)
    ]


def run(task: dict) -> dict:
    """Send payloads, and again what did not arrive.

    Parameters
    ----------
    task : dict
        ``bits`` of a payload, ``channel``, ``snr_db``, number of ``prompts``, ``seed``.

    Returns
    -------
    dict
        ``arrived``: how many were accepted at the first try, the second and so on. ``wrong``: how many of them were not
        what was sent. ``channel_uses`` of one try.
    """
    import torch

    generator, link = torch.Generator().manual_seed(task["seed"]), paper_link(task["channel"])
    left, arrived, wrong = task["prompts"], list[int](), 0
    while left and len(arrived) < TRIES and not (len(arrived) >= 2 and sum(arrived) == 0):
        sent = torch.randint(0, 2, (left, task["bits"]), generator=generator)
        result = link.send(sent, task["snr_db"], generator)
        accepted = np.asarray(result.accepted)
        wrong += int((np.asarray((result.bits != sent).any(-1)) & accepted).sum())
        arrived.append(int(accepted.sum()))
        left -= arrived[-1]
    return {"arrived": arrived, "wrong": wrong, "channel_uses": link.layout(task["bits"]).channel_uses}


@checked
def repeats(lost: float, share: float = 0.99) -> float:
    """Transmissions after which a share of all prompts has arrived, if each is lost with one probability.

    Parameters
    ----------
    lost : float
        Probability that one transmission fails.
    share : float
        Of the prompts.

    Returns
    -------
    float
        A whole number; infinite if none ever arrives.

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> repeats(0.5), repeats(0.0), repeats(1.0)
    (7.0, 1.0, inf)
    """
    if lost <= 1 - share:
        return 1.0
    return float("inf") if lost >= 1 else float(np.ceil(np.log(1 - share) / np.log(lost) - 1e-9))


def _point(records: Sequence[Mapping]) -> dict:
    sent, first = sum(r["task"]["prompts"] for r in records), sum(r["arrived"][0] for r in records)
    lost = 1 - first / sent
    tried = repeats(lost)
    # Whoever has not arrived after the k-th try is sent once more, up to the limit.
    spent = [sum(r["task"]["prompts"] - sum(r["arrived"][:k]) for r in records) for k in range(TRIES)]
    return {
        "arrived": share_interval(first, sent),
        "after_all_tries": share_interval(sum(sum(r["arrived"]) for r in records), sent),
        "undetected": sum(r["wrong"] for r in records),
        "mean_tries": sum(spent) / sent,
        "tries_for_99_percent": None if tried == float("inf") else tried,
    }


def _summary(records: list[dict]) -> dict:
    points = dict.fromkeys((r["task"]["channel"], r["task"]["snr_db"]) for r in records)
    by: dict[str, dict] = {}
    for channel, snr in points:
        part = [r for r in records if (r["task"]["channel"], r["task"]["snr_db"]) == (channel, snr)]
        by.setdefault(channel, {})[f"{snr:g}"] = _point(part)
    starts = {
        channel: max((float(snr) for snr, one in rows.items() if one["arrived"]["estimate"] < 0.999), default=None)
        for channel, rows in by.items()
    }
    at = by.get("awgn", {}).get(f"{SNR_DB:g}")
    order, rate = best_format(SNR_DB)
    return {
        "by_channel": by,
        "prompts_fail_at": starts,
        "uses": {str(r["task"]["bits"]): r["channel_uses"] for r in records},
        "overhead_bits": 8 * OVERHEAD_BYTES,
        "engineer": {"bits_per_symbol": order, "code_rate": rate},
        # A lost prompt shows nothing, an accepted one what was sent: similarity falls by no more than the share lost.
        "similarity_lost": None if at is None else 1 - at["arrived"]["estimate"],
    }


STUDIES = {"link": Study(tasks, run, _summary, small={"bits": 64, "prompts": 4, "seed": 1})}
