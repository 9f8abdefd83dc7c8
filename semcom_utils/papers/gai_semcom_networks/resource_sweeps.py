"""What the statements about resources hang on: each swept over the parameter behind it, with work that is not ideal.

The second studies behind the chapter "Resource allocation" (VI-A and VI-C of the survey): association with a cap on the
spectral efficiency and with matching that is known from a few messages only; computing with work of heavy tail over
the rate of the link; updates at every pace, beside a sender that gives way without knowing any timetable.
"""

from __future__ import annotations

import numpy as np

from semcom_utils.checks import checked, positive_integer, real_number
from semcom_utils.control import association
from semcom_utils.control.queueing import departures
from semcom_utils.papers.gai_semcom_networks.resource_allocation import (
    BANDWIDTH_HZ,
    BITS_PER_MESSAGE,
    DAY,
    DEVICES,
    EDGE_RATE,
    LOCAL_RATE,
    MINIMUM,
    STATIONS,
    TASK_RATE,
    UPDATE,
    best_split,
    random_network,
)
from semcom_utils.statistics import iqm_interval, lowest
from semcom_utils.studies import Study

__all__ = ["CAPS_DB", "LINK_RATES", "PACES", "SAMPLES", "STUDIES", "caps_run", "paces_run", "rates_run", "work"]

SEEDS = range(100, 110)


# --- association: a cap, and matching that has to be learned ---------------------------------------------------------

#: Greatest SNR that pays, in dB: no cap, 1024-QAM, 256-QAM and 64-QAM at about their highest code rates.
CAPS_DB = (None, 30.0, 23.0, 18.0)
#: Messages of a user that a station has seen when it says how well it matches; None: matching is known.
SAMPLES = (None, 100, 30, 10, 3)


def caps_run(task: dict) -> dict:
    """Messages per second with a capped spectral efficiency, and with matching estimated from a few messages.

    Every station has seen so many messages of each user and says which share it could interpret, one half added on
    either side. By matching and by best SNR both plan with these estimates; by channel alone everybody's matching is
    the mean. What arrives follows from the true matching.

    Parameters
    ----------
    task : dict
        ``seed``, ``networks``, ``cap_db`` and ``samples`` (both may be None).

    Returns
    -------
    dict
        Method -> mean ``messages`` per second, and mean share of users ``below_minimum``; ``infeasible``, the share of
        networks in which some plan was out of reach.
    """
    rng, infeasible = np.random.default_rng(task["seed"]), 0
    rows: list[dict[str, tuple]] = []
    budgets = np.full(STATIONS, BANDWIDTH_HZ)
    while len(rows) < task["networks"]:
        snr_db, matching = random_network(rng)
        if task["cap_db"] is not None:
            snr_db = np.minimum(snr_db, task["cap_db"])
        seen = task["samples"]
        believed = matching if seen is None else (rng.binomial(seen, matching) + 0.5) / (seen + 1)
        true, planned, blind = (
            association.message_rates(snr_db, tau, BITS_PER_MESSAGE)
            for tau in (matching, believed, np.full(matching.shape, matching.mean()))
        )
        strongest = snr_db.argmax(1)
        try:
            chosen = {
                "matching": association.best_association(planned, budgets, MINIMUM),
                "channel": association.best_association(blind, budgets, MINIMUM),
                "best_snr": (strongest, association.split_bandwidth(planned, strongest, budgets, MINIMUM)),
            }
        except ValueError:
            infeasible += 1
            continue
        got = {name: association.messages(true, *choice) for name, choice in chosen.items()}
        rows.append({name: (m.sum(), np.mean(m < MINIMUM * (1 - 1e-9))) for name, m in got.items()})
    means = {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}
    return {
        **{name: {"messages": float(m), "below_minimum": float(below)} for name, (m, below) in means.items()},
        "infeasible": infeasible / (infeasible + len(rows)),
    }


def _caps_summary(records: list[dict]) -> dict:
    def part(cap_db, samples):
        chosen = [r for r in records if (r["task"]["cap_db"], r["task"]["samples"]) == (cap_db, samples)]
        return {
            f"gain_over_{rival}_percent": iqm_interval(
                [100 * (r["matching"]["messages"] / r[rival]["messages"] - 1) for r in chosen]
            )
            for rival in ("best_snr", "channel")
        } | {
            "below_minimum": iqm_interval([r["matching"]["below_minimum"] for r in chosen]),
            "more_below_than_channel": iqm_interval(
                [r["matching"]["below_minimum"] - r["channel"]["below_minimum"] for r in chosen]
            ),
        }

    return {
        "by_cap": {str(cap): part(cap, None) for cap in CAPS_DB},
        "by_samples": {str(samples): part(23.0, samples) for samples in SAMPLES},
    }


# --- computing: work that is not exponential, over the rate of the link ----------------------------------------------

LINK_RATES = (2.0, 4.0, 5.0, 5.5, 7.0, 10.0, 20.0)
#: Variance of a task's work over the square of its mean; 1 for the exponential law of the closed form.
VARIABILITY = 4.0


@checked
def work(shape: tuple[int, ...], variability: float, rng: np.random.Generator) -> np.ndarray:
    """Log-normal work of mean one.

    Parameters
    ----------
    shape : tuple of int
        Of what is drawn.
    variability : float
        Variance, above 0.
    rng : numpy.random.Generator
        Draws it.

    Returns
    -------
    numpy.ndarray
        In mean tasks.

    Raises
    ------
    ValueError
        If ``variability`` is not positive, ``shape`` holds a negative number, or ``rng`` is no generator.
    """
    for length in shape:
        positive_integer("shape", length, low=0)
    spread = np.log1p(real_number("variability", variability, low=0, low_open=True))
    return np.exp(rng.normal(-spread / 2, np.sqrt(spread), shape))


def rates_run(task: dict) -> dict:
    """Eight devices, a link and a server with work of heavy tail; the split is the best for exponential work.

    A task's work is the same at the device and at the edge; what it sends over the link is drawn by itself.

    Parameters
    ----------
    task : dict
        ``seed``, ``link`` (tasks a time that the link can carry), ``tasks`` (per device).

    Returns
    -------
    dict
        ``share`` of the split; mean latency of the ``split``, of ``local`` and of ``edge`` (None: unstable).

    Raises
    ------
    ValueError
        If ``tasks`` is no positive integer.
    """
    rng, n = np.random.default_rng(task["seed"]), positive_integer("tasks", task["tasks"])
    arrivals = np.cumsum(rng.exponential(1 / TASK_RATE, (DEVICES, n)), axis=1)
    size, sent_size = work((DEVICES, n), VARIABILITY, rng), work((DEVICES, n), VARIABILITY, rng)
    lot = rng.random((DEVICES, n))
    latency: dict[str, float | None] = {}
    shares = {"split": best_split(task["link"]), "local": 0.0, "edge": 1.0}
    for name, share in shares.items():
        if DEVICES * TASK_RATE * share >= min(task["link"], EDGE_RATE):
            latency[name] = None
            continue
        total, away = 0.0, lot < share
        for a, s, gone in zip(arrivals, size, away, strict=True):
            if not gone.all():
                total += (departures(a[~gone], s[~gone] / LOCAL_RATE) - a[~gone]).sum()
        if away.any():
            order = np.argsort(arrivals[away], kind="stable")
            a = arrivals[away][order]
            through = departures(a, sent_size[away][order] / task["link"])
            total += (departures(through, size[away][order] / EDGE_RATE) - a).sum()
        latency[name] = float(total / (DEVICES * n))
    return {"share": shares["split"], **latency}


def _rates_summary(records: list[dict]) -> dict:
    by_rate: dict[str, dict] = {}
    for rate in LINK_RATES:
        chosen = [r for r in records if r["task"]["link"] == rate]
        row: dict = {"share": chosen[0]["share"]}
        for name in ("split", "local", "edge"):
            stable = chosen[0][name] is not None
            row[name] = iqm_interval([r[name] for r in chosen]) if stable else None
        rivals = [name for name in ("local", "edge") if row[name] is not None]
        row["below_both"] = lowest(iqm_interval([r[name] - r["split"] for r in chosen]) for name in rivals)
        by_rate[str(rate)] = row
    return {"by_rate": by_rate, "least_below_both": lowest(row["below_both"] for row in by_rate.values())}


# --- updates: the pace, and giving way -------------------------------------------------------------------------------

#: Share of the link that an update takes while it is sent.
PACES = (0.5, 0.2, 0.1, 0.05)


def paces_run(task: dict) -> dict:
    """Waits of user packets with updates at once, at night, and as the least important packets.

    As :func:`~semcom_utils.papers.gai_semcom_networks.resource_allocation.off_peak_run`, but the night's update is
    spread evenly about 4 o'clock, when the load is least. The third way sends an update's packet whenever the link is
    free, at any hour; a user packet that comes meanwhile waits for the rest of that one packet.

    Parameters
    ----------
    task : dict
        ``seed``, ``days``, ``pace``; ``flat`` for the control, a load that is the same all day.

    Returns
    -------
    dict
        For ``at_once``, ``off_peak`` and ``giving_way``: mean ``wait`` of user packets in seconds, and mean ``delay``
        of the updates in hours, from when they are ready until they are sent.
    """
    rng, days = np.random.default_rng(task["seed"]), task["days"]
    horizon, swing = days * DAY, 0.0 if task["flat"] else 0.3
    candidates = np.cumsum(rng.exponential(1 / 0.9, int(0.95 * horizon)))
    load = 0.6 - swing * np.cos(2 * np.pi * (candidates / DAY - 4 / 24))
    user = candidates[(rng.random(len(candidates)) < load / 0.9) & (candidates < horizon)]
    service = rng.exponential(size=len(user))
    long = UPDATE / task["pace"]
    packets = np.arange(int(UPDATE)) / task["pace"]  # one second of service each
    night = (np.arange(days) + 4 / 24) * DAY - long / 2
    ready = np.sort((np.arange(days) + rng.random(days)) * DAY)
    out = {}
    for name, starts in (("at_once", ready), ("off_peak", np.maximum(night, 0.0))):
        update = (starts[:, None] + packets).ravel()
        arrivals = np.concatenate([user, update])
        effort = np.concatenate([service, np.ones(len(update))])
        order = np.argsort(arrivals, kind="stable")
        left = np.empty(len(arrivals))
        left[order] = departures(arrivals[order], effort[order])
        done = left[len(user) :].reshape(days, -1)[:, -1]
        # at night goes what has become ready since the night before
        since = ready if name == "at_once" else ready[np.searchsorted(ready, starts, side="right") - 1]
        old = np.where(since <= starts, done - since, np.nan)
        out[name] = {
            "wait": float((left - arrivals - effort)[: len(user)].mean()),
            "delay": float(np.nanmean(old) / 3600),
        }
    return out | {"giving_way": _giving_way(user, service, ready)}


def _giving_way(user: np.ndarray, service: np.ndarray, ready: np.ndarray) -> dict:
    """Waits and delays if an update's packets go out one by one, whenever the link is free."""
    free, waited, waiting, done = 0.0, 0.0, [], []
    coming = ready.tolist()
    for a, s in zip(user.tolist(), service.tolist(), strict=True):
        while free < a:
            while coming and coming[0] <= free:
                waiting.append([coming.pop(0), int(UPDATE)])
            if not waiting:
                if not coming or coming[0] >= a:
                    break
                free = coming[0]
                continue
            sent = min(int(np.ceil(a - free)), waiting[0][1])
            free += sent
            waiting[0][1] -= sent
            if not waiting[0][1]:
                done.append(free - waiting.pop(0)[0])
        start = max(free, a)
        waited += start - a
        free = start + s
    return {"wait": waited / len(user), "delay": float(np.mean(done) / 3600) if done else None}


def _paces_summary(records: list[dict]) -> dict:
    def part(pace, flat):
        chosen = [r for r in records if (r["task"]["pace"], r["task"]["flat"]) == (pace, flat)]
        ways = {
            way: {key: iqm_interval([r[way][key] for r in chosen]) for key in ("wait", "delay")}
            for way in ("at_once", "off_peak", "giving_way")
        }
        return ways | {
            "saved": iqm_interval([r["at_once"]["wait"] - r["off_peak"]["wait"] for r in chosen]),
            "night_below_giving_way": iqm_interval([r["giving_way"]["wait"] - r["off_peak"]["wait"] for r in chosen]),
            "saved_by_giving_way": iqm_interval([r["at_once"]["wait"] - r["giving_way"]["wait"] for r in chosen]),
        }

    by_pace = {str(pace): part(pace, False) for pace in PACES}
    return {
        "by_pace": by_pace,
        "least_saved": lowest(row["saved"] for row in by_pace.values()),
        "flat": part(PACES[0], True),
    }


STUDIES = {
    "matching_caps": Study(
        lambda: [
            {"seed": seed, "networks": 20, "cap_db": cap, "samples": samples}
            for cap, samples in dict.fromkeys(
                [(cap, None) for cap in CAPS_DB] + [(23.0, samples) for samples in SAMPLES]
            )
            for seed in SEEDS
        ],
        caps_run,
        _caps_summary,
        small={"networks": 1},
    ),
    "offloading_rates": Study(
        lambda: [{"seed": seed, "link": rate, "tasks": 50_000} for rate in LINK_RATES for seed in SEEDS],
        rates_run,
        _rates_summary,
        small={"tasks": 200},
    ),
    "off_peak_paces": Study(
        lambda: [
            {"seed": seed, "days": 20, "pace": pace, "flat": flat}
            for pace, flat in [(pace, False) for pace in PACES] + [(PACES[0], True)]
            for seed in SEEDS
        ],
        paces_run,
        _paces_summary,
        small={"days": 2},
    ),
}
