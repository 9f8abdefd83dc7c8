"""The studies behind the chapter "Knowledge management" (VI-B of the survey).

Completion, federation, updates, versions. Each is small, seconds on one core; they are stored so that the ledger can
be checked against them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.stats import gamma

from semcom_utils.checks import checked, finite_array, real_number
from semcom_utils.semantic import embedding, knowledge
from semcom_utils.semantic.knowledge import Triple
from semcom_utils.statistics import highest, iqm_interval, lowest
from semcom_utils.studies import Study

__all__ = [
    "DISTRICTS",
    "INTERVALS",
    "KAPPAS",
    "STUDIES",
    "best_update_interval",
    "city",
    "completion",
    "federated",
    "indexed",
    "stale_share",
    "update_cost",
    "update_run",
    "version_run",
]

SEEDS = range(100, 110)  # the settings below were tried out on seeds 0 to 2
DIMENSION = 4


# --- knowledge: a city in captions -----------------------------------------------------------------------------------

PLACES = ("library", "school", "mill", "market", "theatre", "garden", "museum", "chapel")
NAMES = ("Cedar", "Elm", "Oak", "Harbour", "King's", "Silver", "Station", "Rose")
DISTRICTS = ("Old Town", "Docks", "Heights", "Meadows")


@checked
def city(rng: np.random.Generator, held_out: float = 0.1) -> tuple[list[str], list[Triple]]:
    """Captions of a city on a grid of 8 x 8 places, in four districts, and the facts that no caption states.

    A tenth of the neighbourhoods is held out in both directions: "A is north of B" would give away "B is south of A".

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws which place stands where, what is held out, and the wording.
    held_out : float
        Share of the neighbourhoods, and of the districts, that stay unsaid, in [0, 1].

    Returns
    -------
    captions : list of str
        One a place of which something is said, in the grammar of :func:`semcom_utils.semantic.knowledge.parse_caption`.
    unsaid : list of Triple
        Sorted.

    Raises
    ------
    ValueError
        If ``rng`` is no ``numpy.random.Generator``, or ``held_out`` no share.
    """
    real_number("held_out", held_out, low=0, high=1)
    names = np.array([f"{name} {place}" for place in PLACES for name in NAMES])[rng.permutation(64)]
    grid = names.reshape(8, 8)
    neighbours = [(a, "south of", "north of", b) for a, b in zip(grid[1:].ravel(), grid[:-1].ravel(), strict=True)]
    neighbours += [(a, "east of", "west of", b) for a, b in zip(grid[:, 1:].ravel(), grid[:, :-1].ravel(), strict=True)]
    districts = [Triple(str(grid[y, x]), "in", DISTRICTS[2 * (y // 4) + x // 4]) for y in range(8) for x in range(8)]
    said: list[Triple] = []
    unsaid: list[Triple] = []
    for i, (a, there, back, b) in zip(rng.permutation(len(neighbours)), neighbours, strict=True):
        hidden = i < held_out * len(neighbours)
        (unsaid if hidden else said).extend((Triple(str(a), there, str(b)), Triple(str(b), back, str(a))))
    for i, fact in zip(rng.permutation(64), districts, strict=True):
        (unsaid if i < held_out * 64 else said).append(fact)
    wordings = {r: [w for w, meant in knowledge.RELATIONS.items() if meant == r] for _, r, _ in said}
    captions = []
    for name in grid.ravel():
        facts = [f"{rng.choice(wordings[r])} the {t}" for h, r, t in said if h == name]
        if facts:
            text = " and ".join(filter(None, (", ".join(facts[:-1]), facts[-1])))
            captions.append(f"The {name} {rng.choice(['is', 'lies'])} {text}.")
    return captions, sorted(unsaid)


@checked
def indexed(*lists: Sequence[tuple[str, str, str]]) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Triples as indices.

    Parameters
    ----------
    *lists : sequence of tuple of str
        Triples (head, relation, tail); one or more lists, which share their names.

    Returns
    -------
    arrays : list of numpy.ndarray
        One a list, int ``[n, 3]``: head, relation, tail.
    entities, relations : list of str
        Names in the order of the indices.

    Raises
    ------
    ValueError
        If ``lists`` are not lists of triples.

    Examples
    --------
    >>> indexed([Triple("mill", "north of", "school")])
    ([array([[0, 0, 1]])], ['mill', 'school'], ['north of'])
    """
    entities = sorted({name for triples in lists for h, _, t in triples for name in (h, t)})
    relations = sorted({r for triples in lists for _, r, _ in triples})
    e, r = ({name: i for i, name in enumerate(names)} for names in (entities, relations))
    rows = ([(e[h], r[k], e[t]) for h, k, t in triples] for triples in lists)
    return [np.array(part, dtype=np.int64).reshape(-1, 3) for part in rows], entities, relations


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
        ``seed``, ``dimension``; ``shuffled`` for the negative control, in which tails change places while learning;
        ``steps`` of learning instead of 400, optionally.

    Returns
    -------
    dict
        ``mrr``, ``hits10``, ``random_mrr`` (of random ranks), and how ``times_random`` the first is.
    """
    torch.set_num_threads(1)
    facts, asked, entities, relations, _, generator = _learned_city(task["seed"])
    learned = facts.copy()
    if task["shuffled"]:
        learned[:, 2] = learned[np.random.default_rng(task["seed"]).permutation(len(learned)), 2]
    sizes = len(entities), len(relations)
    start = embedding.initial(*sizes, task["dimension"], generator)
    model = embedding.train(start, learned, generator, steps=task.get("steps", 400))
    rank = embedding.ranks(model, asked, facts)
    random = embedding.expected_random_mrr(asked, facts, *sizes)
    mrr = float(np.mean(1 / rank))
    return {"mrr": mrr, "hits10": float(np.mean(rank <= 10)), "random_mrr": random, "times_random": mrr / random}


def _completion_summary(records: list[dict]) -> dict:
    def part(dimension, shuffled):
        chosen = [r for r in records if (r["task"]["dimension"], r["task"]["shuffled"]) == (dimension, shuffled)]
        return {key: iqm_interval([r[key] for r in chosen]) for key in ("mrr", "hits10", "random_mrr", "times_random")}

    dimensions = sorted({r["task"]["dimension"] for r in records})
    return {
        **part(DIMENSION, False),
        "shuffled": part(DIMENSION, True),
        "by_dimension": {str(d): part(d, False) for d in dimensions},
    }


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
        return {
            "met": [float(row[m].mean()) for row, m in zip(rows, met, strict=True)],
            "new": [float(row[~m].mean()) for row, m in zip(rows, met, strict=True)],
        }

    # both questions of a fact, tail and head, in the order of ranks
    met = [np.tile(np.isin(asked[:, [0, 2]], shard[:, [0, 2]]).all(1), 2) for shard in shards]
    local = np.stack(
        [reciprocal(embedding.train(start, shard, generator, steps=task["rounds"] * task["steps"])) for shard in shards]
    )
    shared = start
    for _ in range(task["rounds"]):
        models = [embedding.train(shared, shard, generator, steps=task["steps"]) for shard in shards]
        shared = embedding.average(shared, models, shards)
    everything = np.unique(np.concatenate(shards), axis=0)
    central = embedding.train(start, everything, generator, steps=task["rounds"] * task["steps"])
    sent = 2 * task["rounds"] * len(shards) * (len(entities) + len(relations)) * DIMENSION
    after = reciprocal(shared)
    by = {
        f"{name}_{group}": value
        for name, rows in (("local", local), ("shared", [after] * len(shards)))
        for group, value in split(rows).items()
    }
    expert = local[np.tile(node[asked[:, 0]], 2), np.arange(2 * len(asked))]
    return {
        "local": local.mean(1).tolist(),
        "shared": float(after.mean()),
        "central": float(reciprocal(central).mean()),
        "numbers_sent": sent,
        "met_share": [float(m.mean()) for m in met],
        "expert": float(expert.mean()),
        **by,
    }


def _federated_summary(records: list[dict]) -> dict:
    def part(same):
        chosen = [r for r in records if r["task"]["same_data"] == same]
        gains = [iqm_interval([r["shared"] - r["local"][k] for r in chosen]) for k in range(4)]
        groups = {}
        for group in ("met", "new"):
            before, after = (np.array([r[f"{name}_{group}"] for r in chosen]) for name in ("local", "shared"))
            change = [iqm_interval(column) for column in (after - before).T]
            groups[group] = {
                "local": iqm_interval(before.mean(1)),
                "shared": iqm_interval(after.mean(1)),
                "gain": iqm_interval((after - before).mean(1)),
                "gains": change,
                "gain_worst_node": lowest(change),
            }
        return {
            "gain_worst_node": lowest(gains),
            "gains": gains,
            **groups,
            "met_share": iqm_interval([float(np.mean(r["met_share"])) for r in chosen]),
            "expert": iqm_interval([r["expert"] for r in chosen]),
            "gain_over_expert": iqm_interval([r["shared"] - r["expert"] for r in chosen]),
            "local": iqm_interval([float(np.mean(r["local"])) for r in chosen]),
            "shared": iqm_interval([r["shared"] for r in chosen]),
            "central": iqm_interval([r["central"] for r in chosen]),
        }

    return {**part(False), "same_data": part(True), "numbers_sent": records[0]["numbers_sent"]}


# --- knowledge: when to update ---------------------------------------------------------------------------------------

#: Updates cost this many times what one stale item costs in a mean time between its changes, over all items: kappa.
KAPPAS = (0.02, 0.1, 0.3)
INTERVALS = np.geomspace(0.05, 20, 241)  # in mean times between changes of an item


@checked
def stale_share(x: ArrayLike) -> np.ndarray:
    r"""Mean share of the items that are stale, :math:`1 - (1 - e^{-x}) / x` with :math:`x = \lambda T`.

    Parameters
    ----------
    x : array_like
        Interval between updates, in mean times between changes of an item, above 0.

    Returns
    -------
    numpy.ndarray
        In (0, 1), of the shape of ``x``.

    Raises
    ------
    ValueError
        If ``x`` is not above 0.

    Examples
    --------
    >>> float(round(stale_share(1.0), 4))
    0.3679
    """
    x = finite_array("x", x, low=0, low_open=True)
    return 1 + np.expm1(-x) / x


@checked
def update_cost(interval: ArrayLike, kappa: float) -> np.ndarray:
    """Cost per time of updates at an interval: their own, and that of what is stale meanwhile.

    Parameters
    ----------
    interval : array_like
        In mean times between changes of an item (1 / lambda), above 0.
    kappa : float
        What an update costs, over what all items cost when stale for a mean time between changes; at least 0.

    Returns
    -------
    numpy.ndarray
        In units of what all items cost when stale, of the shape of ``interval``.

    Raises
    ------
    ValueError
        If ``interval`` is not above 0, or ``kappa`` negative.
    """
    real_number("kappa", kappa, low=0)
    x = finite_array("interval", interval, low=0, low_open=True)
    return kappa / x + stale_share(x)


@checked
def best_update_interval(kappa: float) -> float:
    r"""The minimiser of :func:`update_cost`: :math:`1 - (1 + x) e^{-x} = \kappa`, infinite from :math:`\kappa = 1` on.

    The left side is the distribution function of a gamma variable of shape 2, so its quantile is the answer.

    Parameters
    ----------
    kappa : float
        What an update costs, over what all items cost when stale for a mean time between changes; at least 0.

    Returns
    -------
    float
        In mean times between changes of an item.

    Raises
    ------
    ValueError
        If ``kappa`` is negative.
    """
    real_number("kappa", kappa, low=0)
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
        costs = [iqm_interval(c) for c in np.array([r["cost"] for r in chosen]).T[::12]]
        summary["kappa"][str(kappa)] = {"ratio": iqm_interval([r["ratio"] for r in chosen]), "every_12th_cost": costs}
    low, high = INTERVALS[0], INTERVALS[-1]
    paid = [r["best"] for r in records if r["task"]["kappa"]]
    free = [r["best"] for r in records if not r["task"]["kappa"]]
    ratios = [part["ratio"] for part in summary["kappa"].values()]
    return summary | {
        "lowest_ratio": lowest(ratios)["low"],
        "highest_ratio": highest(ratios)["high"],
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

    Returns
    -------
    dict
        Shares of the sequences: ``undone``, ``rolled_back`` and ``same_in_either_order``.
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
    return {
        name: float(np.mean([r[name] for r in records])) for name in ("undone", "rolled_back", "same_in_either_order")
    }


STUDIES = {
    "completion": Study(
        lambda: (
            [{"seed": seed, "dimension": d, "shuffled": False} for d in (2, 4, 8, 16, 32) for seed in SEEDS]
            + [{"seed": seed, "dimension": DIMENSION, "shuffled": True} for seed in SEEDS]
        ),
        completion,
        _completion_summary,
        small={"+steps": 5},
    ),
    "federated": Study(
        lambda: [
            {"seed": seed, "rounds": 40, "steps": 10, "same_data": same} for same in (False, True) for seed in SEEDS
        ],
        federated,
        _federated_summary,
        small={"rounds": 2, "steps": 2},
    ),
    "updates": Study(
        lambda: [{"seed": seed, "kappa": kappa, "horizon": 100_000} for kappa in (*KAPPAS, 0.0) for seed in SEEDS],
        update_run,
        _update_summary,
        small={"horizon": 200},
    ),
    "versions": Study(
        lambda: [{"seed": seed, "sequences": 20, "edits": 10} for seed in SEEDS],
        version_run,
        _version_summary,
        small={"sequences": 2, "edits": 3},
    ),
}
