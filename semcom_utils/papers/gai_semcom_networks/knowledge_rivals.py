"""Vectors against rules, on a graph made for translations and on one that is not, with errors and gaps that grow.

The second study behind the chapter "Knowledge management" (VI-B of the survey): TransE as the chapter trains it, with
the original's vectors of length one, and regularised; and rules along paths, which learn nothing by gradient.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch

from semcom_utils.checks import checked, one_of, positive_integer, real_number
from semcom_utils.papers.gai_semcom_networks.knowledge_management import city, indexed
from semcom_utils.semantic import embedding, knowledge, rules
from semcom_utils.semantic.knowledge import Triple
from semcom_utils.statistics import iqm_interval
from semcom_utils.studies import Study

__all__ = ["ERRORS", "GAPS", "METHODS", "STUDIES", "WORLDS", "draw_map", "family", "misread", "rivals_run", "world"]

SEEDS = range(100, 110)  # the settings below were tried out on seeds 0 to 2
WORLDS = ("city", "family")
#: What a place that is, say, north of another adds to its place on the map.
STEPS = {"north of": (0, 1), "south of": (0, -1), "east of": (1, 0), "west of": (-1, 0)}
#: Method -> settings of :func:`embedding.initial` and :func:`embedding.train`; those of the rules are `mine`'s own.
#: The map is the city's alone: it is told what the four directions mean.
METHODS: dict[str, dict] = {
    "map": {},
    "rules": {},
    "free": {"dimension": 4},
    "unit": {"dimension": 4, "unit": True, "margin": 0.3},
    "regularised": {"dimension": 32},
}
#: Of the regularised vectors; each world has its own.
DECAY = {"city": 0.03, "family": 0.003}
ERRORS, GAPS = (0.0, 0.1, 0.4), (0.1, 0.5)


@checked
def family(rng: np.random.Generator, couples: int = 8) -> list[Triple]:
    """A family over four generations, as facts of eight relations, most of which join one to many.

    Couples have one to three children, who marry outside of their own family where somebody is left to marry.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws children and weddings.
    couples : int
        In the first generation.

    Returns
    -------
    list of Triple
        All that is true, sorted; persons have numbers for names.

    Raises
    ------
    ValueError
        If ``rng`` is no ``numpy.random.Generator``, or ``couples`` no positive whole number.
    """
    positive_integer("couples", couples)
    number = itertools.count()
    parents: dict[int, tuple[int, int]] = {}
    married = [(next(number), next(number)) for _ in range(couples)]
    pairs = list(married)
    for _ in range(3):
        grown: list[int] = []
        for pair in married:
            for _ in range(int(rng.integers(1, 4))):
                child = next(number)
                parents[child] = pair
                grown.append(child)
        rng.shuffle(grown)
        married = []
        while grown:
            one = grown.pop()
            other = next((p for p in grown if parents[p] != parents[one]), None)
            if other is not None:
                grown.remove(other)
                married.append((one, other))
        pairs += married
    facts = {(a, "married to", b) for pair in pairs for a, b in (pair, pair[::-1])}
    children: dict[tuple[int, int], list[int]] = {}
    for child, pair in parents.items():
        children.setdefault(pair, []).append(child)
    siblings = {(a, b) for group in children.values() for a, b in itertools.permutations(group, 2)}
    facts |= {(a, "sibling of", b) for a, b in siblings}
    for child, pair in parents.items():
        for parent in pair:
            facts |= {(parent, "parent of", child), (child, "child of", parent)}
            for grand in parents.get(parent, ()):
                facts |= {(grand, "grandparent of", child), (child, "grandchild of", grand)}
            for a, b in siblings:
                if a == parent:
                    facts |= {(b, "aunt or uncle of", child), (child, "niece or nephew of", b)}
    return sorted(Triple(f"person {a}", r, f"person {b}") for a, r, b in facts)


@checked
def misread(said: list[Triple], error: float, rng: np.random.Generator) -> list[Triple]:
    """What an extractor that errs makes of facts: of those that it gets wrong half have another relation, half a tail.

    Parameters
    ----------
    said : list of Triple
        What the text says.
    error : float
        Share of the facts that are read wrong, in [0, 1].
    rng : numpy.random.Generator
        Draws which, and what they become.

    Returns
    -------
    list of Triple
        As many, in the same order.

    Raises
    ------
    ValueError
        If ``error`` is out of its range, ``rng`` no generator, or ``said`` offers nothing that a fact could be mistaken
        for: another relation, and a tail that is neither its own nor its head.
    """
    real_number("error", error, low=0, high=1)
    relations, tails = (sorted({t[i] for t in said}) for i in (1, 2))
    if error and (len(relations) < 2 or any(set(tails) <= {h, t} for h, _, t in said)) and said:
        raise ValueError("said must offer each fact another relation and another tail to be mistaken for, got none")
    heard = []
    for h, r, t in said:
        if rng.random() < error:
            if rng.random() < 0.5:
                r = str(rng.choice([other for other in relations if other != r]))
            else:
                t = str(rng.choice([other for other in tails if other not in (h, t)]))
        heard.append(Triple(h, r, t))
    return heard


@checked
def world(name: str, error: float, gap: float, seed: int) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """What is known, and what is asked.

    Whatever joins two persons of the family stays unsaid together, as the city leaves both directions unsaid.

    Parameters
    ----------
    name : str
        One of ``WORLDS``.
    error, gap : float
        Shares of the facts that are read wrong, and that stay unsaid.
    seed : int
        Of everything that is drawn, at least 0.

    Returns
    -------
    known, asked : numpy.ndarray
        Int ``[n, 3]`` and ``[m, 3]``: facts as they were read, and unsaid facts as they are.
    entities, relations : list of str
        Their names, in the order of the indices.

    Raises
    ------
    ValueError
        If the name is unknown, or a share out of its range.
    """
    rng = np.random.default_rng(positive_integer("seed", seed, low=0))
    real_number("error", error, low=0, high=1)
    real_number("gap", gap, low=0, high=1, low_open=True, high_open=True)
    if one_of("name", name, WORLDS) == "city":
        captions, unsaid = city(rng, gap)
        said = sorted(triple for caption in captions for triple in knowledge.parse_caption(caption))
    else:
        facts = family(rng)
        joined = sorted({frozenset((h, t)) for h, _, t in facts}, key=sorted)
        hidden = {joined[i] for i in rng.permutation(len(joined))[: round(gap * len(joined))]}
        said = [t for t in facts if {t.head, t.tail} not in hidden]
        unsaid = [t for t in facts if {t.head, t.tail} in hidden]
    (known, _, asked), entities, relations = indexed(misread(said, error, rng), said, unsaid)
    return known, asked, entities, relations


@checked
def draw_map(known: np.ndarray, entities: list[str], relations: list[str], rounds: int = 30) -> rules.PathRules:
    """Put the city on a map by what the directions mean, with as few contradictions as can be, and read it off.

    Least absolute deviations, by least squares whose weights follow the misfit. A fact about a direction is believed
    the more, the nearer the two places are to one step apart; one about a district by the districts of the five
    nearest places.

    Parameters
    ----------
    known : numpy.ndarray
        Int ``[n, 3]``.
    entities, relations : list of str
        Names in the order of the indices; "in" is one of the relations.
    rounds : int
        Of new weights.

    Returns
    -------
    PathRules
        Beliefs in all facts.

    Raises
    ------
    ValueError
        If ``known`` does not index these names, "in" is not among ``relations``, or ``rounds`` is no positive number.
    """
    positive_integer("rounds", rounds)
    entities, relations = list(entities), list(relations)
    for name, names in (("entities", entities), ("relations", relations)):
        if not names:
            raise ValueError(f"{name} must hold at least one name, got none")
    if "in" not in relations:
        raise ValueError(f"relations must hold 'in', got {relations!r}"[:200])
    embedding.indices(known, len(entities), len(relations), "known")
    n = len(entities)
    near = known[[relations[r] in STEPS for r in known[:, 1]]]
    rows = np.zeros((len(near), n))
    rows[np.arange(len(near)), near[:, 0]], rows[np.arange(len(near)), near[:, 2]] = 1.0, -1.0
    step = np.array([STEPS.get(r, (0, 0)) for r in relations], float)
    wanted, weight = step[near[:, 1]], np.ones(len(near))
    for _ in range(rounds):
        normal = rows.T @ (weight[:, None] * rows) + 1e-6 * np.eye(n)
        place = np.linalg.solve(normal, rows.T @ (weight[:, None] * wanted))
        weight = 1.0 / np.maximum(np.abs(rows @ place - wanted).sum(1), 0.05)
    apart = place[:, None] - place  # [head, tail, 2]
    belief = torch.stack([-torch.tensor(np.abs(apart - d).sum(-1)) for d in step]).float()
    inside = relations.index("in")
    district = np.zeros((n, n))
    said = known[known[:, 1] == inside]
    district[said[:, 0], said[:, 2]] = 1.0
    distance = np.abs(apart).sum(-1) + 1e9 * (district.sum(1) == 0)
    nearest = np.argsort(distance, axis=1)[:, :5]
    belief[inside] = torch.tensor(district[nearest].sum(1)).float()
    return rules.PathRules(belief)


def rivals_run(task: dict) -> dict:
    """One method on one world; the filtered rank of what stayed unsaid.

    Parameters
    ----------
    task : dict
        ``world``, ``error``, ``gap``, ``method`` (a key of :data:`METHODS`) and ``seed``; ``steps`` of learning
        instead of 400, optionally; ``shuffled`` for the control, in which tails change places before learning.

    Returns
    -------
    dict
        ``mrr``, and how ``times_random`` it is.
    """
    torch.set_num_threads(1)
    known, asked, entities, relations = world(task["world"], task["error"], task["gap"], task["seed"])
    sizes = len(entities), len(relations)
    learned = known.copy()
    if task.get("shuffled"):
        learned[:, 2] = learned[np.random.default_rng(task["seed"]).permutation(len(learned)), 2]
    model: embedding.Scorer
    if task["method"] == "map":
        model = draw_map(learned, entities, relations)
    elif task["method"] == "rules":
        model = rules.mine(learned, *sizes)
    else:
        settings = {"steps": 400} | METHODS[task["method"]] | {k: task[k] for k in ("steps",) if k in task}
        if task["method"] == "regularised":
            settings["decay"] = DECAY[task["world"]]
        generator = torch.Generator().manual_seed(task["seed"])
        start = embedding.initial(*sizes, settings.pop("dimension"), generator)
        model = embedding.train(start, learned, generator, **settings)
    mrr = float(np.mean(1 / embedding.ranks(model, asked, known)))
    return {"mrr": mrr, "times_random": mrr / embedding.expected_random_mrr(asked, known, *sizes)}


#: (world, error, gap): errors grow while a tenth stays unsaid, gaps grow while all is read right.
SETTINGS = [("city", error, GAPS[0]) for error in ERRORS] + [("city", 0.0, GAPS[1])]
SETTINGS += [("family", 0.0, gap) for gap in GAPS]


def _asked(method: str, where: str, error: float, gap: float) -> bool:
    """Whether a method is run in a setting: the map and the free vectors in the city alone, those with the original's
    constraint in the first setting alone, the free ones there, too."""
    first = (error, gap) == (ERRORS[0], GAPS[0])
    return (where == "city" or method not in ("map", "free")) and (method not in ("free", "unit") or first)


def _summarise(records: list[dict]) -> dict:
    def of(method, where, error, gap, shuffled=False):
        wanted = (method, where, error, gap, shuffled)
        keys = ("method", "world", "error", "gap", "shuffled")
        return [r for r in records if tuple(r["task"].get(k, False) for k in keys) == wanted]

    summary: dict = {}
    for where in WORLDS:
        table: dict = {}
        for name, error, gap in SETTINGS:
            if name != where:
                continue
            rows = {m: of(m, where, error, gap) for m in METHODS if _asked(m, where, error, gap)}
            part: dict = {m: {k: iqm_interval([r[k] for r in row]) for k in ("mrr", "times_random")}
                          for m, row in rows.items()}  # fmt: skip
            part["vectors_ahead"] = iqm_interval(
                [v["mrr"] - r["mrr"] for v, r in zip(rows["regularised"], rows["rules"], strict=True)]
            )
            table[f"error_{error}_gap_{gap}"] = part
        shuffled = of("regularised", where, 0.0, GAPS[0], True)
        summary[where] = table | {"shuffled": iqm_interval([r["times_random"] for r in shuffled])}
    return summary


STUDIES = {
    "rivals": Study(
        lambda: (
            [
                {"world": name, "error": error, "gap": gap, "method": method, "seed": seed}
                for name, error, gap in SETTINGS
                for method in METHODS
                if _asked(method, name, error, gap)
                for seed in SEEDS
            ]
            + [
                {"world": name, "error": 0.0, "gap": GAPS[0], "method": "regularised", "shuffled": True, "seed": seed}
                for name in WORLDS
                for seed in SEEDS
            ]
        ),
        rivals_run,
        _summarise,
        small={"+steps": 5},
    )
}
