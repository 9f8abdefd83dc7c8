"""Clock, age, incorrectness and event at equal use of the channel, with feedback that is paid for.

The third study behind the chapter "Information effectiveness" (V of the survey). A number that drifts,
:math:`x_{t+1} = a x_t + w_t`, is followed at the other end of a link that loses messages. A sender that wants to know
what the receiver has needs an acknowledgement of each message that arrived, and these take a share of the channel, too.
"""

from __future__ import annotations

import numpy as np

from semcom_utils.checks import one_of
from semcom_utils.statistics import student_interval
from semcom_utils.studies import Study

__all__ = ["PRICES", "SENDERS", "SOURCE", "STUDIES", "THRESHOLDS", "USE", "trigger_run"]

#: Drift, probability that a message arrives, and the error from which the receiver counts as wrong.
SOURCE = {"drift": 0.95, "success": 0.8, "wrong": 1.0}
#: What an acknowledgement takes, over a message; and the use of the channel, in messages a slot, at which is compared.
PRICES, USE = (0.0, 0.1, 0.25, 0.5, 1.0), 0.2
#: Sender -> whether it needs acknowledgements.
SENDERS = {"clock": False, "age": True, "incorrect": True, "event": True, "event, blind": False}
THRESHOLDS = {
    "clock": (1, 2, 3, 4, 5, 6, 8, 10, 14, 20),
    "age": (1, 2, 3, 4, 5, 6, 8, 10, 14, 20),
    "incorrect": (1, 2, 3, 4, 6, 8, 12, 18),
    "event": (0.3, 0.7, 1.1, 1.5, 1.9, 2.4, 3.0, 4.0),
    "event, blind": (0.3, 0.7, 1.1, 1.5, 1.9, 2.4, 3.0, 4.0),
}


def trigger_run(task: dict) -> dict:
    """One sender at all its thresholds, on the same drift and the same losses.

    *Clock*: every N slots. *Age*: from an age of N slots on, until it gets through. *Incorrect*: once the receiver has
    been off by more than ``wrong`` for so many slots. *Event*: once it is off by more than the threshold. *Event,
    blind*: the same, by a sender that takes every message to have arrived.

    Parameters
    ----------
    task : dict
        ``sender`` (a key of :data:`SENDERS`), ``sources`` (side by side), ``slots`` and ``seed``.

    Returns
    -------
    dict
        For each threshold ``rate`` of messages, of ``acknowledged`` ones, and mean square ``error``.

    Raises
    ------
    ValueError
        If the sender is unknown.
    """
    sender = one_of("sender", task["sender"], SENDERS)
    rng, n, slots = np.random.default_rng(task["seed"]), task["sources"], task["slots"]
    limit = np.array(THRESHOLDS[sender], float)[:, None]
    error, own, wait = (np.zeros((len(limit), n)) for _ in range(3))
    start = rng.integers(1000, size=n)  # the clocks of different sources are not in step
    sent_total, got_total, loss = (np.zeros(len(limit)) for _ in range(3))
    for slot in range(slots):
        drift, arrives = rng.normal(size=n), rng.random(n) < SOURCE["success"]
        error, own = SOURCE["drift"] * error + drift, SOURCE["drift"] * own + drift
        wait = np.where(np.abs(error) > SOURCE["wrong"], wait + 1, 0) if sender == "incorrect" else wait + 1
        sends = {
            "clock": (slot + start) % limit == 0,
            "age": wait >= limit,
            "incorrect": wait >= limit,
            "event": np.abs(error) > limit,
            "event, blind": np.abs(own) > limit,
        }[sender]
        got = sends & arrives
        error, own, wait = np.where(got, 0, error), np.where(sends, 0, own), np.where(got, 0, wait)
        if slot >= slots // 10:
            sent_total += sends.mean(1)
            got_total += got.mean(1)
            loss += (error**2).mean(1)
    counted = slots - slots // 10
    return {
        "rate": (sent_total / counted).tolist(),
        "acknowledged": (got_total / counted).tolist(),
        "error": (loss / counted).tolist(),
    }


def _summarise(records: list[dict]) -> dict:
    summary: dict = {"at_use": {str(price): {} for price in PRICES}}
    for sender, asks in SENDERS.items():
        chosen = [r for r in records if r["task"]["sender"] == sender]
        summary[sender] = {
            key: [student_interval(column) for column in np.array([r[key] for r in chosen]).T]
            for key in ("rate", "acknowledged", "error")
        }
        for price in PRICES:
            at = []
            for r in chosen:
                use = np.array(r["rate"]) + (price if asks else 0.0) * np.array(r["acknowledged"])
                order = np.argsort(use)
                at.append(float(np.interp(USE, use[order], np.array(r["error"])[order])))
            summary["at_use"][str(price)][sender] = student_interval(at)
    return summary


STUDIES = {
    "triggers": Study(
        lambda: [
            {"sender": sender, "sources": 200, "slots": 2000, "seed": 48_000 + k}
            for sender in SENDERS
            for k in range(10)
        ],
        trigger_run,
        _summarise,
        small={"sources": 20, "slots": 50},
    )
}
