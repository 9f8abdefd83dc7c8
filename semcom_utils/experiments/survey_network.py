"""The studies of the survey's network, parts VI and VII: knowledge, resources, use cases.

Each is small, seconds on one core; they are stored so that the ledger can be checked against them. The chapters
``notebooks/13c_knowledge_management`` and ``notebooks/13d_resource_allocation`` explain what is simulated and why.
"""

from __future__ import annotations

import heapq

import numpy as np
import simpy
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import gamma

from semcom_utils.control import association
from semcom_utils.effectiveness.statistics import iqm_interval
from semcom_utils.experiments.runner import Study
from semcom_utils.semantic import embedding, knowledge
from semcom_utils.semantic.knowledge import Triple

__all__ = [
    "STUDIES", "best_split", "best_update_interval", "city", "cobham", "completion", "departures", "federated",
    "indexed", "matching_methods", "matching_run", "off_peak_run", "offloading_run", "priority_run", "random_network",
    "split_latency", "stale_share", "update_cost", "update_run", "version_run",
]

SEEDS = range(100, 110)  # the settings below were tried out on seeds 0 to 2
DIMENSION = 4


def _interval(values) -> dict:
    return iqm_interval(values, np.random.default_rng(0))


# --- knowledge: a city in captions -----------------------------------------------------------------------------------

PLACES = ("library", "school", "mill", "market", "theatre", "garden", "museum", "chapel")
NAMES = ("Cedar", "Elm", "Oak", "Harbour", "King's", "Silver", "Station", "Rose")
DISTRICTS = ("Old Town", "Docks", "Heights", "Meadows")


def city(generator: np.random.Generator, held_out: float = 0.1) -> tuple[list[str], list[Triple]]:
    """Captions of a city on a grid of 8 x 8 places, in four districts, and the facts that no caption states.

    A tenth of the neighbourhoods is held out in both directions: "A is north of B" would give away "B is south of A".

    Parameters
    ----------
    generator : numpy.random.Generator
        Draws which place stands where, what is held out, and the wording.
    held_out : float
        Share of the neighbourhoods, and of the districts, that stay unsaid.

    Returns
    -------
    captions : list of str
        One a place of which something is said, in the grammar of :func:`semcom_utils.semantic.knowledge.parse_caption`.
    unsaid : list of Triple
    """
    names = np.array([f"{name} {place}" for place in PLACES for name in NAMES])[generator.permutation(64)]
    grid = names.reshape(8, 8)
    neighbours = [(a, "south of", "north of", b) for a, b in zip(grid[1:].ravel(), grid[:-1].ravel(), strict=True)]
    neighbours += [(a, "east of", "west of", b) for a, b in zip(grid[:, 1:].ravel(), grid[:, :-1].ravel(), strict=True)]
    districts = [Triple(str(grid[y, x]), "in", DISTRICTS[2 * (y // 4) + x // 4]) for y in range(8) for x in range(8)]
    said, unsaid = [], []
    for i, (a, there, back, b) in zip(generator.permutation(len(neighbours)), neighbours, strict=True):
        hidden = i < held_out * len(neighbours)
        (unsaid if hidden else said).extend((Triple(str(a), there, str(b)), Triple(str(b), back, str(a))))
    for i, fact in zip(generator.permutation(64), districts, strict=True):
        (unsaid if i < held_out * 64 else said).append(fact)
    wordings = {r: [w for w, meant in knowledge.RELATIONS.items() if meant == r] for _, r, _ in said}
    captions = []
    for name in grid.ravel():
        facts = [f"{generator.choice(wordings[r])} the {t}" for h, r, t in said if h == name]
        if facts:
            text = " and ".join(filter(None, (", ".join(facts[:-1]), facts[-1])))
            captions.append(f"The {name} {generator.choice(['is', 'lies'])} {text}.")
    return captions, sorted(unsaid)


def indexed(*lists: list[Triple]) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Triples as index arrays ``[n, 3]``, with the names of entities and of relations in the order of the indices."""
    entities = sorted({name for triples in lists for h, _, t in triples for name in (h, t)})
    relations = sorted({r for triples in lists for _, r, _ in triples})
    e, r = ({name: i for i, name in enumerate(names)} for names in (entities, relations))
    return [np.array([(e[h], r[k], e[t]) for h, k, t in triples]) for triples in lists], entities, relations


def _learned_city(seed: int):
    """Captions, parsed and indexed; a generator for torch; and the district of every place (from the whole truth)."""
    captions, unsaid = city(np.random.default_rng(seed))
    said = sorted(triple for caption in captions for triple in knowledge.parse_caption(caption))
    (facts, asked), entities, relations = indexed(said, unsaid)
    district = {h: t for h, r, t in said + unsaid if r == "in"}
    node = np.array([DISTRICTS.index(district.get(name, name)) for name in entities])
    return facts, asked, entities, relations, node, torch.Generator().manual_seed(seed)


def completion(task: dict) -> dict:
    """Learn a city's facts, rank the unsaid ones.

    Parameters
    ----------
    task : dict
        ``seed``, ``dimension``; ``shuffled`` for the negative control, in which tails change places while learning.
    """
    torch.set_num_threads(1)
    facts, asked, entities, relations, _, generator = _learned_city(task["seed"])
    learned = facts.copy()
    if task["shuffled"]:
        learned[:, 2] = learned[np.random.default_rng(task["seed"]).permutation(len(learned)), 2]
    sizes = len(entities), len(relations)
    start = embedding.initial(*sizes, task["dimension"], generator)
    model = embedding.train(start, learned, generator)
    rank = embedding.ranks(model, asked, facts)
    random = embedding.expected_random_mrr(asked, facts, *sizes)
    mrr = float(np.mean(1 / rank))
    return {"mrr": mrr, "hits10": float(np.mean(rank <= 10)), "random_mrr": random, "times_random": mrr / random}


def _completion_summary(records: list[dict]) -> dict:
    def part(dimension, shuffled):
        chosen = [r for r in records if (r["task"]["dimension"], r["task"]["shuffled"]) == (dimension, shuffled)]
        return {key: _interval([r[key] for r in chosen]) for key in ("mrr", "hits10", "random_mrr", "times_random")}

    dimensions = sorted({r["task"]["dimension"] for r in records})
    return {**part(DIMENSION, False), "shuffled": part(DIMENSION, True),
            "by_dimension": {str(d): part(d, False) for d in dimensions}}


def federated(task: dict) -> dict:
    """Four nodes learn: each alone, all with averaging after every round, and one that has all facts.

    Parameters
    ----------
    task : dict
        ``seed``, ``rounds``, ``steps`` (a round); ``same_data`` for the control, in which all nodes hold one shard.

    Returns
    -------
    dict
        ``local`` (MRR of each node on the held-out facts of all), ``shared``, ``central``, ``numbers_sent``. A fact is
        *met* by a node that knows some fact about its head and some fact about its tail: ``met_share`` of each node,
        and the MRR on these facts and on the others, before (``local_met``, ``local_new``) and after averaging
        (``shared_met``, ``shared_new``). ``expert`` is the MRR if each fact is asked of the node in whose district its
        head lies, before averaging.
    """
    torch.set_num_threads(1)
    facts, asked, entities, relations, node, generator = _learned_city(task["seed"])
    shards = [facts[node[facts[:, 0]] == k] for k in range(4)]
    if task["same_data"]:
        shards = [shards[0]] * 4
    start = embedding.initial(len(entities), len(relations), DIMENSION, generator)

    def reciprocal(model):
        return 1 / embedding.ranks(model, asked, facts)

    def split(rows):  # the MRR of each node's row on the facts that it has met, and on the others
        return {"met": [float(row[m].mean()) for row, m in zip(rows, met, strict=True)],
                "new": [float(row[~m].mean()) for row, m in zip(rows, met, strict=True)]}

    # both questions of a fact, tail and head, in the order of ranks
    met = [np.tile(np.isin(asked[:, [0, 2]], shard[:, [0, 2]]).all(1), 2) for shard in shards]
    local = np.stack([reciprocal(embedding.train(start, shard, generator, steps=task["rounds"] * task["steps"]))
                      for shard in shards])
    shared = start
    for _ in range(task["rounds"]):
        models = [embedding.train(shared, shard, generator, steps=task["steps"]) for shard in shards]
        shared = embedding.average(shared, models, shards)
    everything = np.unique(np.concatenate(shards), axis=0)
    central = embedding.train(start, everything, generator, steps=task["rounds"] * task["steps"])
    sent = 2 * task["rounds"] * len(shards) * (len(entities) + len(relations)) * DIMENSION
    after = reciprocal(shared)
    by = {f"{name}_{group}": value for name, rows in (("local", local), ("shared", [after] * len(shards)))
          for group, value in split(rows).items()}
    expert = local[np.tile(node[asked[:, 0]], 2), np.arange(2 * len(asked))]
    return {
        "local": local.mean(1).tolist(), "shared": float(after.mean()), "central": float(reciprocal(central).mean()),
        "numbers_sent": sent, "met_share": [float(m.mean()) for m in met], "expert": float(expert.mean()), **by,
    }


def _federated_summary(records: list[dict]) -> dict:
    def part(same):
        chosen = [r for r in records if r["task"]["same_data"] == same]
        gains = [_interval([r["shared"] - r["local"][k] for r in chosen]) for k in range(4)]
        groups = {}
        for group in ("met", "new"):
            before, after = (np.array([r[f"{name}_{group}"] for r in chosen]) for name in ("local", "shared"))
            change = [_interval(column) for column in (after - before).T]
            groups[group] = {
                "local": _interval(before.mean(1)), "shared": _interval(after.mean(1)),
                "gain": _interval((after - before).mean(1)), "gains": change,
                "gain_worst_node": min(change, key=lambda gain: gain["low"]),
            }
        return {
            "gain_worst_node": min(gains, key=lambda gain: gain["low"]), "gains": gains, **groups,
            "met_share": _interval([float(np.mean(r["met_share"])) for r in chosen]),
            "expert": _interval([r["expert"] for r in chosen]),
            "gain_over_expert": _interval([r["shared"] - r["expert"] for r in chosen]),
            "local": _interval([float(np.mean(r["local"])) for r in chosen]),
            "shared": _interval([r["shared"] for r in chosen]), "central": _interval([r["central"] for r in chosen]),
        }

    return {**part(False), "same_data": part(True), "numbers_sent": records[0]["numbers_sent"]}


# --- knowledge: when to update ---------------------------------------------------------------------------------------

#: Updates cost this many times what one stale item costs in a mean time between its changes, over all items: kappa.
KAPPAS = (0.02, 0.1, 0.3)
INTERVALS = np.geomspace(0.05, 20, 241)  # in mean times between changes of an item


def stale_share(x) -> np.ndarray:
    r"""Mean share of the items that are stale, :math:`1 - (1 - e^{-x}) / x` with :math:`x = \lambda T`."""
    x = np.asarray(x, dtype=float)
    return 1 + np.expm1(-x) / x


def update_cost(interval, kappa: float) -> np.ndarray:
    """Cost per time for updates every ``interval`` (in units of 1 / lambda, and of what all items cost when stale)."""
    return kappa / np.asarray(interval, dtype=float) + stale_share(interval)


def best_update_interval(kappa: float) -> float:
    r"""The minimiser of :func:`update_cost`: :math:`1 - (1 + x) e^{-x} = \kappa`, infinite from :math:`\kappa = 1` on.

    The left side is the distribution function of a gamma variable of shape 2, so its quantile is the answer.
    """
    return float(gamma.ppf(min(kappa, 1.0), 2))


def update_run(task: dict) -> dict:
    """Simulate changes of one item after another and all update intervals on the same changes.

    Parameters
    ----------
    task : dict
        ``seed``, ``kappa``, ``horizon`` (mean times between changes).

    Returns
    -------
    dict
        ``best`` of the intervals tried, its ratio to the closed form, and ``cost`` for each interval.
    """
    rng = np.random.default_rng(task["seed"])
    changes = np.cumsum(rng.exponential(size=int(1.1 * task["horizon"])))
    cost = []
    for interval in INTERVALS:
        starts = np.arange(int(task["horizon"] / interval)) * interval
        first = np.append(changes, np.inf)[np.searchsorted(changes, starts)]
        stale = np.maximum(starts + interval - first, 0).mean() / interval
        cost.append(float(task["kappa"] / interval + stale))
    best = float(INTERVALS[np.argmin(cost)])
    exact = best_update_interval(task["kappa"])
    return {"best": best, "ratio": best / exact if exact else None, "cost": cost}


def _update_summary(records: list[dict]) -> dict:
    summary = {"intervals": INTERVALS.tolist(), "kappa": {}}
    for kappa in KAPPAS:
        chosen = [r for r in records if r["task"]["kappa"] == kappa]
        costs = [_interval(c) for c in np.array([r["cost"] for r in chosen]).T[::12]]
        summary["kappa"][str(kappa)] = {"ratio": _interval([r["ratio"] for r in chosen]), "every_12th_cost": costs}
    low, high = INTERVALS[0], INTERVALS[-1]
    paid = [r["best"] for r in records if r["task"]["kappa"]]
    free = [r["best"] for r in records if not r["task"]["kappa"]]
    ratios = [part["ratio"] for part in summary["kappa"].values()]
    return summary | {
        "lowest_ratio": min(r["low"] for r in ratios), "highest_ratio": max(r["high"] for r in ratios),
        "inside_share": float(np.mean([low < best < high for best in paid])),
        "free": {"inside_share": float(np.mean([low < best < high for best in free]))},
    }


# --- knowledge: versions ---------------------------------------------------------------------------------------------


def version_run(task: dict) -> dict:
    """Random edits of a small graph: count how often differences, roll-backs and swapped orders give the same graph.

    Parameters
    ----------
    task : dict
        ``seed``, ``sequences``, ``edits`` (in each).
    """
    rng = np.random.default_rng(task["seed"])
    terms = [Triple(h, r, t) for h in "abcd" for r in ("in", "next to") for t in "efgh"]

    def draw():
        return knowledge.graph_of(terms[i] for i in np.flatnonzero(rng.random(len(terms)) < 0.5))

    counts = {"undone": 0, "rolled_back": 0, "same_in_either_order": 0}
    for _ in range(task["sequences"]):
        history, graphs = knowledge.VersionedGraph(), [knowledge.graph_of([])]
        for _ in range(task["edits"]):
            graphs.append(draw())
            history.commit(graphs[-1])
        step = knowledge.Difference.between(graphs[-2], graphs[-1])
        counts["undone"] += set(step.inverse().apply(step.apply(graphs[-2]))) == set(graphs[-2])
        target = int(rng.integers(task["edits"] + 1))
        history.revert(target)
        counts["rolled_back"] += set(history.checkout()) == set(graphs[target])
        # the control: one edit adds a triple, another removes it
        (triple,) = knowledge.graph_of([terms[rng.integers(len(terms))]])
        adds = knowledge.Difference(frozenset({triple}), frozenset())
        one, other = adds.inverse().apply(adds.apply(graphs[1])), adds.apply(adds.inverse().apply(graphs[1]))
        counts["same_in_either_order"] += set(one) == set(other)
    return {name: count / task["sequences"] for name, count in counts.items()}


def _version_summary(records: list[dict]) -> dict:
    return {name: float(np.mean([r[name] for r in records]))
            for name in ("undone", "rolled_back", "same_in_either_order")}


# --- resources: association by knowledge matching --------------------------------------------------------------------

USERS, STATIONS, TOPICS = 12, 3, 8
BANDWIDTH_HZ, BITS_PER_MESSAGE, MINIMUM = 5e6, 800.0, 300.0  # a station's bandwidth; messages per second promised


def random_network(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """SNR in dB and knowledge matching, both ``[users, stations]``, of a random cell layout.

    Users stand anywhere in a square of one kilometre with three stations; path loss 128.1 + 37.6 log10(distance in km)
    dB, shadowing of 8 dB, 43 dBm over the bandwidth, noise of -174 dBm per hertz and 9 dB of noise figure. A user's
    messages spread over eight topics (Dirichlet); a station knows half of them, and matching is the share of the
    user's messages whose topic it knows.
    """
    user, station = generator.uniform(0, 1, (USERS, 1, 2)), generator.uniform(0, 1, (1, STATIONS, 2))
    distance = np.maximum(np.linalg.norm(user - station, axis=-1), 0.035)
    loss = 128.1 + 37.6 * np.log10(distance) + 8 * generator.normal(size=distance.shape)
    snr_db = 43 - loss + 174 - 9 - 10 * np.log10(BANDWIDTH_HZ)
    interest = generator.dirichlet(np.full(TOPICS, 0.5), USERS)
    known = np.argsort(generator.random((STATIONS, TOPICS)), axis=1) < TOPICS // 2
    return snr_db, interest @ known.T


def matching_methods(snr_db: np.ndarray, matching: np.ndarray) -> dict[str, dict] | None:
    """Messages per second by matching, by channel alone and by best SNR; None if the minimum is out of reach.

    By channel alone is the same exact programme with everybody's matching replaced by the mean. Best SNR only chooses
    the station; its bandwidth is then shared in the knowledge of the matching, which is generous.
    """
    budgets = np.full(STATIONS, BANDWIDTH_HZ)
    rates = association.message_rates(snr_db, matching, BITS_PER_MESSAGE)
    blind = association.message_rates(snr_db, np.full(matching.shape, matching.mean()), BITS_PER_MESSAGE)
    try:
        chosen = {"matching": association.best_association(rates, budgets, MINIMUM),
                  "channel": association.best_association(blind, budgets, MINIMUM)}
    except ValueError:
        return None
    strongest = snr_db.argmax(1)
    chosen["best_snr"] = strongest, association.split_bandwidth(rates, strongest, budgets, MINIMUM)
    got = {name: association.messages(rates, *choice) for name, choice in chosen.items()}
    return {name: {"messages": float(m.sum()), "below_minimum": float(np.mean(m < MINIMUM * (1 - 1e-9)))}
            for name, m in got.items()}


def matching_run(task: dict) -> dict:
    """Mean messages per second over random networks.

    Parameters
    ----------
    task : dict
        ``seed``, ``networks``; ``equal`` for the control, in which all pairs match by one half.
    """
    rng = np.random.default_rng(task["seed"])
    rows, infeasible = [], 0
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
        gains = {f"gain_over_{name}_percent": _interval([
            100 * (r["matching"]["messages"] / r[name]["messages"] - 1) for r in chosen])
            for name in ("best_snr", "channel")}
        methods = {name: {key: _interval([r[name][key] for r in chosen]) for key in ("messages", "below_minimum")}
                   for name in ("matching", "channel", "best_snr")}
        return {**gains, **methods, "infeasible": float(np.mean([r["infeasible"] for r in chosen]))}

    return {**part(False), "equal": part(True)}


# --- resources: computing on the device or at the edge ---------------------------------------------------------------

DEVICES, TASK_RATE, LOCAL_RATE, EDGE_RATE, LINK_RATE = 8, 0.6, 1.0, 6.0, 5.0


def split_latency(share, link_rate: float = LINK_RATE, task_rate: float = TASK_RATE) -> np.ndarray:
    """Mean latency if each device sends a ``share`` of its tasks over one link to one server; nan where unstable.

    All three are M/M/1 queues, and a split of a Poisson stream is Poisson (Jackson network).
    """
    p = np.asarray(share, dtype=float)
    local, sent = (1 - p) * task_rate, DEVICES * p * task_rate
    room = np.stack(np.broadcast_arrays(LOCAL_RATE - local, link_rate - sent, EDGE_RATE - sent))
    used = np.stack([p < 1, p > 0, p > 0])  # a queue that gets nothing need not be stable
    with np.errstate(divide="ignore"):
        wait = np.where(used, 1 / room, 0.0)
    latency = (1 - p) * wait[0] + p * (wait[1] + wait[2])
    return np.where(((room > 0) | ~used).all(0), latency, np.nan)


def best_split(link_rate: float = LINK_RATE, task_rate: float = TASK_RATE) -> float:
    """The share that minimises :func:`split_latency` (convex in the share), 0 where sending never pays."""
    low = max(0.0, 1 - LOCAL_RATE / task_rate)
    high = min(1.0, min(link_rate, EDGE_RATE) / (DEVICES * task_rate))
    if low >= high:
        raise ValueError(f"task_rate must be one that device and edge can carry together, got {task_rate}")

    def cost(p):
        latency = split_latency(p, link_rate, task_rate)
        return float(latency) if np.isfinite(latency) else np.inf

    inner = float(minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x)
    return min((0.0, inner, 1.0), key=cost)


def departures(arrivals: np.ndarray, service: np.ndarray) -> np.ndarray:
    """When customers leave a first-come queue: each starts when it is there and the one before has left."""
    work = np.cumsum(service)
    return work + np.maximum.accumulate(arrivals - (work - service))


def offloading_run(task: dict) -> dict:
    """Simulate eight devices, the link and the server; the three shares see the same tasks.

    Parameters
    ----------
    task : dict
        ``seed``, ``link`` (tasks a time that the link can carry), ``tasks`` (per device).
    """
    rng, n = np.random.default_rng(task["seed"]), task["tasks"]
    arrivals = np.cumsum(rng.exponential(1 / TASK_RATE, (DEVICES, n)), axis=1)
    local = rng.exponential(1 / LOCAL_RATE, (DEVICES, n))
    on_link, at_edge = rng.exponential(size=(2, DEVICES * n))
    lot = rng.random((DEVICES, n))
    shares = {"split": best_split(task["link"]), "local": 0.0, "edge": 1.0}
    latency = {}
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
        **{name: _interval([r[name] for r in medium]) for name in ("split", "local", "edge")},
        **{f"below_{name}": _interval([r[name] - r["split"] for r in medium]) for name in ("local", "edge")},
        "no_link": {"share": without[0]["share"], "below_local": _interval([r["local"] - r["split"] for r in without])},
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
        return {"at_once": _interval([r["at_once"] for r in chosen]),
                "off_peak": _interval([r["off_peak"] for r in chosen]),
                "saved": _interval([r["at_once"] - r["off_peak"] for r in chosen])}

    return {**part(False), "flat": part(True)}


# --- use case: safety-critical messages first ------------------------------------------------------------------------

CRITICAL_LOAD, CRITICAL_MS, ORDINARY_MS = 0.05, 1.0, 5.0  # load; mean times on the link, exponential
#: 99th percentile of a critical message's latency on an empty link, in ms.
EMPTY_P99_MS = CRITICAL_MS * float(np.log(100))


def cobham(load: float) -> tuple[float, float]:
    """Mean waits of critical and of ordinary messages, in ms, without interruption (Cobham, 1954).

    From full load on the server always finds an ordinary message; what a critical one waits for is then the rest of
    whatever is being served, and those before it.
    """
    first, second = CRITICAL_LOAD, load - CRITICAL_LOAD
    if load >= 1:
        return (first * CRITICAL_MS + (1 - first) * ORDINARY_MS) / (1 - first), np.inf
    rest = first * CRITICAL_MS + second * ORDINARY_MS  # sum of rate times second moment over two, for exponentials
    return rest / (1 - first), rest / ((1 - first) * (1 - load))


class _Link:
    """One link in SimPy: a heap of waiting messages, a server, and an interruption where the discipline asks for it."""

    def __init__(self, env, discipline: str):
        self.env, self.discipline, self.waiting, self.done = env, discipline, [], []
        self.idle, self.serving, self.n = env.event(), None, 0
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

    def serve(self):
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
        "p99": p99, "times_empty": p99 / EMPTY_P99_MS,
    }


def _priority_summary(records: list[dict]) -> dict:
    summary = {}
    for discipline in ("in order", "first", "interrupt", "all critical"):
        chosen = [r for r in records if r["task"]["discipline"] == discipline and r["task"]["load"] > 1]
        summary[discipline.replace(" ", "_")] = {
            key: _interval([r[key] for r in chosen]) for key in ("critical_wait", "p99", "times_empty")}
    by_load = {}
    for load in sorted({r["task"]["load"] for r in records}):
        chosen = [r for r in records if r["task"]["discipline"] == "first" and r["task"]["load"] == load]
        row = {"exact": [w if np.isfinite(w) else None for w in cobham(load)]}
        row |= {name: _interval([r[name] for r in chosen]) for name in ("critical_wait", "ordinary_wait")}
        by_load[str(load)] = row
    return summary | {"by_load": by_load, "empty_p99": EMPTY_P99_MS}


LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.2)


def _priority_tasks() -> list[dict]:
    tasks = [{"seed": seed, "load": load, "discipline": "first", "critical": 20_000}
             for load in LOADS for seed in SEEDS]
    return tasks + [{"seed": seed, "load": 1.2, "discipline": discipline, "critical": 20_000}
                    for discipline in ("in order", "interrupt", "all critical") for seed in SEEDS]


STUDIES = {
    study.name: study
    for study in (
        Study("survey_completion",
              lambda: [{"seed": seed, "dimension": d, "shuffled": False} for d in (2, 4, 8, 16, 32) for seed in SEEDS]
              + [{"seed": seed, "dimension": DIMENSION, "shuffled": True} for seed in SEEDS],
              completion, _completion_summary, "TransE on a city's captions: rank of facts that no caption states"),
        Study("survey_federated",
              lambda: [{"seed": seed, "rounds": 40, "steps": 10, "same_data": same}
                       for same in (False, True) for seed in SEEDS],
              federated, _federated_summary, "four nodes with a district each: alone, averaged, together"),
        Study("survey_updates",
              lambda: [{"seed": seed, "kappa": kappa, "horizon": 100_000} for kappa in (*KAPPAS, 0.0)
                       for seed in SEEDS],
              update_run, _update_summary, "cost of knowledge over the update interval, closed form and simulation"),
        Study("survey_versions",
              lambda: [{"seed": seed, "sequences": 20, "edits": 10} for seed in SEEDS],
              version_run, _version_summary, "random edits of a graph: differences and roll-back"),
        Study("survey_matching",
              lambda: [{"seed": seed, "networks": 20, "equal": equal} for equal in (False, True) for seed in SEEDS],
              matching_run, _matching_summary, "user association by knowledge matching, by channel and by best SNR"),
        Study("survey_offloading",
              lambda: [{"seed": seed, "link": link, "tasks": 50_000} for link in (LINK_RATE, 1e-6) for seed in SEEDS],
              offloading_run, _offloading_summary, "computing on the device, at the edge, and the best split"),
        Study("survey_off_peak",
              lambda: [{"seed": seed, "days": 20, "flat": flat} for flat in (False, True) for seed in SEEDS],
              off_peak_run, _off_peak_summary, "updates at once and at night on a link with a daily load"),
        Study("survey_priority", _priority_tasks, priority_run, _priority_summary,
              "safety-critical messages in order, first, and with interruption"),
    )
}
