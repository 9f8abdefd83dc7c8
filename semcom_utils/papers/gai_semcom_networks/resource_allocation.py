"""The studies behind the chapter "Resource allocation" (VI-A, VI-C and VII of the survey).

Association by knowledge matching, computing at the edge, updates off-peak, critical messages first. Each is small,
seconds on one core; they are stored so that the ledger can be checked against them.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from semcom_utils.checks import checked, finite_array, real_number
from semcom_utils.control import association
from semcom_utils.control.queueing import departures, priority_waits
from semcom_utils.statistics import iqm_interval
from semcom_utils.studies import Study

__all__ = [
    "BANDWIDTH_HZ",
    "BITS_PER_MESSAGE",
    "CRITICAL_LOAD",
    "DAY",
    "DEVICES",
    "EDGE_RATE",
    "LINK_RATE",
    "LOCAL_RATE",
    "MINIMUM",
    "STATIONS",
    "STUDIES",
    "TASK_RATE",
    "TOPICS",
    "UPDATE",
    "USERS",
    "best_split",
    "matching_methods",
    "matching_run",
    "off_peak_run",
    "offloading_run",
    "priority_run",
    "random_network",
    "split_latency",
    "waits",
]

SEEDS = range(100, 110)  # the settings below were tried out on seeds 0 to 2


# --- resources: association by knowledge matching --------------------------------------------------------------------

USERS, STATIONS, TOPICS = 12, 3, 8
BANDWIDTH_HZ, BITS_PER_MESSAGE, MINIMUM = 5e6, 800.0, 300.0  # a station's bandwidth; messages per second promised


@checked
def random_network(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """SNR in dB and knowledge matching, both ``[users, stations]``, of a random cell layout.

    Users stand anywhere in a square of one kilometre with three stations; path loss 128.1 + 37.6 log10(distance in km)
    dB, shadowing of 8 dB, 43 dBm over the bandwidth, noise of -174 dBm per hertz and 9 dB of noise figure. A user's
    messages spread over eight topics (Dirichlet); a station knows half of them, and matching is the share of the
    user's messages whose topic it knows.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws places, shadowing and knowledge.

    Returns
    -------
    snr_db, matching : numpy.ndarray
        Both ``[users, stations]``; Es/N0 in dB, and shares in [0, 1].

    Raises
    ------
    ValueError
        If ``rng`` is no ``numpy.random.Generator``.
    """
    user, station = rng.uniform(0, 1, (USERS, 1, 2)), rng.uniform(0, 1, (1, STATIONS, 2))
    distance = np.maximum(np.linalg.norm(user - station, axis=-1), 0.035)
    loss = 128.1 + 37.6 * np.log10(distance) + 8 * rng.normal(size=distance.shape)
    snr_db = 43 - loss + 174 - 9 - 10 * np.log10(BANDWIDTH_HZ)
    interest = rng.dirichlet(np.full(TOPICS, 0.5), USERS)
    known = np.argsort(rng.random((STATIONS, TOPICS)), axis=1) < TOPICS // 2
    return snr_db, interest @ known.T


@checked(shapes={"snr_db": f"users+ {STATIONS}", "matching": f"users {STATIONS}"})
def matching_methods(snr_db: np.ndarray, matching: np.ndarray) -> dict[str, dict] | None:
    """Messages per second by matching, by channel alone and by best SNR; None if the minimum is out of reach.

    By channel alone is the same exact programme with everybody's matching replaced by the mean. Best SNR only chooses
    the station; its bandwidth is then shared in the knowledge of the matching, which is generous.

    Parameters
    ----------
    snr_db, matching : numpy.ndarray
        As of :func:`random_network`, ``[users, stations]`` with any number of users and three stations.

    Returns
    -------
    dict or None
        Method -> ``messages`` per second of all users, and the share of them ``below_minimum``.

    Raises
    ------
    ValueError
        If the SNRs are not finite, or a matching is no share.
    """
    finite_array("snr_db", snr_db)
    if (finite_array("matching", matching, low=0) > 1).any():
        raise ValueError(f"matching must be at most 1, got {matching.max():g}")
    budgets = np.full(STATIONS, BANDWIDTH_HZ)
    rates = association.message_rates(snr_db, matching, BITS_PER_MESSAGE)
    blind = association.message_rates(snr_db, np.full(matching.shape, matching.mean()), BITS_PER_MESSAGE)
    try:
        chosen = {
            "matching": association.best_association(rates, budgets, MINIMUM),
            "channel": association.best_association(blind, budgets, MINIMUM),
        }
    except ValueError:
        return None
    strongest = snr_db.argmax(1)
    chosen["best_snr"] = strongest, association.split_bandwidth(rates, strongest, budgets, MINIMUM)
    got = {name: association.messages(rates, *choice) for name, choice in chosen.items()}
    return {
        name: {"messages": float(m.sum()), "below_minimum": float(np.mean(m < MINIMUM * (1 - 1e-9)))}
        for name, m in got.items()
    }


def matching_run(task: dict) -> dict:
    """Mean messages per second over random networks.

    Parameters
    ----------
    task : dict
        ``seed``, ``networks``; ``equal`` for the control, in which all pairs match by one half.

    Returns
    -------
    dict
        Method -> means over the networks; ``infeasible``, the share of networks that were drawn in vain.
    """
    rng = np.random.default_rng(task["seed"])
    rows: list[dict] = []
    infeasible = 0
    while len(rows) < task["networks"]:
        snr_db, matching = random_network(rng)
        row = matching_methods(snr_db, np.full(matching.shape, 0.5) if task["equal"] else matching)
        infeasible += row is None
        rows += [row] if row else []
    means = {name: {key: float(np.mean([row[name][key] for row in rows])) for key in rows[0][name]} for name in rows[0]}
    return {**means, "infeasible": infeasible / (infeasible + len(rows))}


def _matching_summary(records: list[dict]) -> dict:
    def part(equal):
        chosen = [r for r in records if r["task"]["equal"] == equal]
        gains = {
            f"gain_over_{name}_percent": iqm_interval(
                [100 * (r["matching"]["messages"] / r[name]["messages"] - 1) for r in chosen]
            )
            for name in ("best_snr", "channel")
        }
        methods = {
            name: {key: iqm_interval([r[name][key] for r in chosen]) for key in ("messages", "below_minimum")}
            for name in ("matching", "channel", "best_snr")
        }
        return {**gains, **methods, "infeasible": float(np.mean([r["infeasible"] for r in chosen]))}

    return {**part(False), "equal": part(True)}


# --- resources: computing on the device or at the edge ---------------------------------------------------------------

DEVICES, TASK_RATE, LOCAL_RATE, EDGE_RATE, LINK_RATE = 8, 0.6, 1.0, 6.0, 5.0


@checked
def split_latency(share: ArrayLike, link_rate: float = LINK_RATE, task_rate: float = TASK_RATE) -> np.ndarray:
    """Mean latency if each device sends a share of its tasks over one link to one server.

    All three are M/M/1 queues, and a split of a Poisson stream is Poisson (Jackson network).

    Parameters
    ----------
    share : array_like
        In [0, 1].
    link_rate : float
        Tasks a time that the link can carry, above 0.
    task_rate : float
        Tasks a time of each device, above 0.

    Returns
    -------
    numpy.ndarray
        In task times of a device, of the shape of ``share``; nan where a queue is unstable.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    p = finite_array("share", share, low=0)
    if (p > 1).any():
        raise ValueError(f"share must be at most 1, got {p.max():g}")
    _rates(link_rate, task_rate)
    local, sent = (1 - p) * task_rate, DEVICES * p * task_rate
    room = np.stack(np.broadcast_arrays(LOCAL_RATE - local, link_rate - sent, EDGE_RATE - sent))
    used = np.stack([p < 1, p > 0, p > 0])  # a queue that gets nothing need not be stable
    with np.errstate(divide="ignore"):
        wait = np.where(used, 1 / room, 0.0)
    latency = (1 - p) * wait[0] + p * (wait[1] + wait[2])
    return np.where(((room > 0) | ~used).all(0), latency, np.nan)


def _rates(link_rate: float, task_rate: float) -> None:
    for name, rate in (("link_rate", link_rate), ("task_rate", task_rate)):
        real_number(name, rate, low=0, low_open=True)


@checked
def best_split(link_rate: float = LINK_RATE, task_rate: float = TASK_RATE) -> float:
    """The share that minimises :func:`split_latency` (convex in the share), 0 where sending never pays.

    Parameters
    ----------
    link_rate : float
        Tasks a time that the link can carry, above 0.
    task_rate : float
        Tasks a time of each device, above 0.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If a rate is not above 0, or device and edge together cannot carry the tasks.
    """
    _rates(link_rate, task_rate)
    low = max(0.0, 1 - LOCAL_RATE / task_rate)
    high = min(1.0, min(link_rate, EDGE_RATE) / (DEVICES * task_rate))
    if low >= high:
        raise ValueError(f"task_rate must be one that device and edge can carry together, got {task_rate}")

    def cost(p):
        latency = split_latency(p, link_rate, task_rate)
        return float(latency) if np.isfinite(latency) else np.inf

    inner = float(minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x)
    return min((0.0, inner, 1.0), key=cost)


def offloading_run(task: dict) -> dict:
    """Simulate eight devices, the link and the server; the three shares see the same tasks.

    Parameters
    ----------
    task : dict
        ``seed``, ``link`` (tasks a time that the link can carry), ``tasks`` (per device).

    Returns
    -------
    dict
        ``share``, the best; mean latency of the best ``split``, of ``local`` and ``edge`` alone (None: unstable).
    """
    rng, n = np.random.default_rng(task["seed"]), task["tasks"]
    arrivals = np.cumsum(rng.exponential(1 / TASK_RATE, (DEVICES, n)), axis=1)
    local = rng.exponential(1 / LOCAL_RATE, (DEVICES, n))
    on_link, at_edge = rng.exponential(size=(2, DEVICES * n))
    lot = rng.random((DEVICES, n))
    shares = {"split": best_split(task["link"]), "local": 0.0, "edge": 1.0}
    latency: dict[str, float | None] = {}
    for name, share in shares.items():
        if not np.isfinite(split_latency(share, task["link"])):
            latency[name] = None
            continue
        total, sent = 0.0, lot < share
        for a, s, away in zip(arrivals, local, sent, strict=True):
            total += (departures(a[~away], s[~away]) - a[~away]).sum() if (~away).any() else 0.0
        if sent.any():
            a = np.sort(arrivals[sent])
            through = departures(a, on_link[: len(a)] / task["link"])
            total += (departures(through, at_edge[: len(a)] / EDGE_RATE) - a).sum()
        latency[name] = float(total / (DEVICES * n))
    return {"share": shares["split"], **latency}


def _offloading_summary(records: list[dict]) -> dict:
    medium = [r for r in records if r["task"]["link"] == LINK_RATE]
    without = [r for r in records if r["task"]["link"] != LINK_RATE]
    return {
        "share": medium[0]["share"],
        **{name: iqm_interval([r[name] for r in medium]) for name in ("split", "local", "edge")},
        **{f"below_{name}": iqm_interval([r[name] - r["split"] for r in medium]) for name in ("local", "edge")},
        "no_link": {
            "share": without[0]["share"],
            "below_local": iqm_interval([r["local"] - r["split"] for r in without]),
        },
    }


# --- resources: updates off-peak -------------------------------------------------------------------------------------

DAY, UPDATE, PACE = 86_400.0, 2_160.0, 0.5  # seconds: day, link time of a day's update; share of the link it may take


def off_peak_run(task: dict) -> dict:
    """Mean waiting time of user packets on a link whose load follows the day, with a large update each day.

    The update goes out in packets at half the link's rate, at once (any time of the day) or from 4 o'clock of the next
    night, when the load is least. User packets are the same in both cases, one second of service on average.

    Parameters
    ----------
    task : dict
        ``seed``, ``days``; ``flat`` for the control, a load that is the same all day.

    Returns
    -------
    dict
        Mean waits ``at_once`` and ``off_peak`` in seconds, and how many user ``packets`` there were.
    """
    rng = np.random.default_rng(task["seed"])
    horizon = task["days"] * DAY
    swing = 0.0 if task["flat"] else 0.3
    candidates = np.cumsum(rng.exponential(1 / 0.9, int(0.95 * horizon)))
    load = 0.6 - swing * np.cos(2 * np.pi * (candidates / DAY - 4 / 24))
    user = candidates[(rng.random(len(candidates)) < load / 0.9) & (candidates < horizon)]
    service = rng.exponential(size=len(user))
    packets = np.arange(int(UPDATE)) / PACE  # one second of service each
    night = (np.arange(task["days"]) + 4 / 24) * DAY
    ready = (night + rng.random(task["days"]) * DAY) % horizon  # one update between two nights
    waits = {}
    for name, starts in (("at_once", ready), ("off_peak", night)):
        update = (starts[:, None] + packets).ravel()
        arrivals = np.concatenate([user, update])
        work = np.concatenate([service, np.ones(len(update))])
        order = np.argsort(arrivals, kind="stable")
        wait = np.empty(len(arrivals))
        wait[order] = departures(arrivals[order], work[order]) - arrivals[order] - work[order]
        waits[name] = float(wait[: len(user)].mean())
    return {**waits, "packets": len(user)}


def _off_peak_summary(records: list[dict]) -> dict:
    def part(flat):
        chosen = [r for r in records if r["task"]["flat"] == flat]
        return {
            "at_once": iqm_interval([r["at_once"] for r in chosen]),
            "off_peak": iqm_interval([r["off_peak"] for r in chosen]),
            "saved": iqm_interval([r["at_once"] - r["off_peak"] for r in chosen]),
        }

    return {**part(False), "flat": part(True)}


# --- use case: safety-critical messages first ------------------------------------------------------------------------

CRITICAL_LOAD, CRITICAL_MS, ORDINARY_MS = 0.05, 1.0, 5.0  # load; mean times on the link, exponential
#: 99th percentile of a critical message's latency on an empty link, in ms.
EMPTY_P99_MS = CRITICAL_MS * float(np.log(100))


@checked
def waits(load: float) -> tuple[float, float]:
    """Mean waits of critical and of ordinary messages (:func:`priority_waits`).

    Parameters
    ----------
    load : float
        Of both together, at least that of the critical ones.

    Returns
    -------
    tuple of float
        In ms; infinite where the link is overloaded.

    Raises
    ------
    ValueError
        If ``load`` is less than that of the critical messages.
    """
    real_number("load", load, low=CRITICAL_LOAD)
    return priority_waits((CRITICAL_LOAD, load - CRITICAL_LOAD), (CRITICAL_MS, ORDINARY_MS))


class _Link:
    """One link in SimPy: a heap of waiting messages, a server, and an interruption where the discipline asks for it."""

    def __init__(self, env: simpy.Environment, discipline: str) -> None:
        self.env, self.discipline = env, discipline
        # a message: rank, number, arrival, whether it is critical, work, and what is left of it
        self.waiting: list[tuple[int, int, float, bool, float, float]] = []
        self.serving: tuple[int, int, float, bool, float, float] | None = None
        self.done: list[tuple[bool, float, float]] = []  # whether critical, time since arrival, work
        self.idle, self.n = env.event(), 0
        self.server = env.process(self.serve())

    def put(self, critical: bool, work: float) -> None:
        rank = 0 if critical or self.discipline == "in order" else 1
        self.n += 1
        heapq.heappush(self.waiting, (rank, self.n, self.env.now, critical, work, work))
        if self.serving is None:
            if not self.idle.triggered:
                self.idle.succeed()
        elif self.discipline == "interrupt" and rank < self.serving[0]:
            self.serving = None
            self.server.interrupt()

    def serve(self) -> Generator[simpy.Event, Any, None]:
        while True:
            if not self.waiting:
                self.idle = self.env.event()
                yield self.idle
            self.serving = message = heapq.heappop(self.waiting)
            rank, number, arrived, critical, work, left = message
            began = self.env.now
            try:
                yield self.env.timeout(left)
                self.done.append((critical, self.env.now - arrived, work))
                self.serving = None
            except simpy.Interrupt:
                heapq.heappush(self.waiting, (rank, number, arrived, critical, work, left - (self.env.now - began)))


def priority_run(task: dict) -> dict:
    """Simulate a link that carries critical and ordinary messages (SimPy).

    Parameters
    ----------
    task : dict
        ``seed``, ``load`` (of the link, critical messages included), ``critical`` (how many to wait for), and
        ``discipline``: ``"in order"``, ``"first"`` (critical first, nothing is interrupted), ``"interrupt"`` (the
        ordinary message goes on afterwards), or ``"all critical"`` (the control).

    Returns
    -------
    dict
        Mean waits in ms, and the 99th percentile of the critical latency, ``times_empty`` that of an empty link.
    """
    rng, env = np.random.default_rng(task["seed"]), simpy.Environment()
    everyone = task["discipline"] == "all critical"
    link = _Link(env, "first" if everyone else task["discipline"])
    ordinary_rate = (task["load"] - CRITICAL_LOAD) / ORDINARY_MS

    def source(rate, mean, critical, count):
        for gap, work in zip(rng.exponential(1 / rate, count), rng.exponential(mean, count), strict=True):
            yield env.timeout(gap)
            link.put(critical or everyone, work)

    horizon = task["critical"] * CRITICAL_MS / CRITICAL_LOAD
    env.process(source(CRITICAL_LOAD / CRITICAL_MS, CRITICAL_MS, True, task["critical"]))
    env.process(source(ordinary_rate, ORDINARY_MS, False, int(horizon * ordinary_rate)))
    env.run(until=horizon)
    critical, latency, work = (np.array(column) for column in zip(*link.done, strict=True))
    critical = critical.astype(bool)
    p99 = float(np.quantile(latency[critical], 0.99))
    wait = latency - work
    return {
        "critical_wait": float(wait[critical].mean()),
        "ordinary_wait": float(wait[~critical].mean()) if (~critical).any() else None,
        "p99": p99,
        "times_empty": p99 / EMPTY_P99_MS,
    }


def _priority_summary(records: list[dict]) -> dict:
    summary = {}
    for discipline in ("in order", "first", "interrupt", "all critical"):
        chosen = [r for r in records if r["task"]["discipline"] == discipline and r["task"]["load"] > 1]
        summary[discipline.replace(" ", "_")] = {
            key: iqm_interval([r[key] for r in chosen]) for key in ("critical_wait", "p99", "times_empty")
        }
    by_load = {}
    for load in sorted({r["task"]["load"] for r in records}):
        chosen = [r for r in records if r["task"]["discipline"] == "first" and r["task"]["load"] == load]
        row: dict[str, Any] = {"exact": [w if np.isfinite(w) else None for w in waits(load)]}
        row |= {name: iqm_interval([r[name] for r in chosen]) for name in ("critical_wait", "ordinary_wait")}
        by_load[str(load)] = row
    return summary | {"by_load": by_load, "empty_p99": EMPTY_P99_MS}


LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.2)


def _priority_tasks() -> list[dict]:
    tasks = [
        {"seed": seed, "load": load, "discipline": "first", "critical": 20_000} for load in LOADS for seed in SEEDS
    ]
    return tasks + [
        {"seed": seed, "load": 1.2, "discipline": discipline, "critical": 20_000}
        for discipline in ("in order", "interrupt", "all critical")
        for seed in SEEDS
    ]


STUDIES = {
    "matching": Study(
        lambda: [{"seed": seed, "networks": 20, "equal": equal} for equal in (False, True) for seed in SEEDS],
        matching_run,
        _matching_summary,
        small={"networks": 1},
    ),
    "offloading": Study(
        lambda: [{"seed": seed, "link": link, "tasks": 50_000} for link in (LINK_RATE, 1e-6) for seed in SEEDS],
        offloading_run,
        _offloading_summary,
        small={"tasks": 200},
    ),
    "off_peak": Study(
        lambda: [{"seed": seed, "days": 20, "flat": flat} for flat in (False, True) for seed in SEEDS],
        off_peak_run,
        _off_peak_summary,
        small={"days": 2},
    ),
    "priority": Study(_priority_tasks, priority_run, _priority_summary, small={"critical": 200}),
}
