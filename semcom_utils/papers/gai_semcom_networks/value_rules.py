"""Who is served next: by age, by value, always the same, or by the best rule there is.

The second study behind the chapter "Information effectiveness" (V of the survey). Two linear systems share a link that
carries one reading a slot; a rule sees both ages and says whose reading is sent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semcom_utils.checks import checked, one_of, positive_integer, real_number
from semcom_utils.effectiveness.age import age_penalty
from semcom_utils.statistics import highest, lowest, student_interval
from semcom_utils.studies import Study

__all__ = ["ARRIVAL", "GROWTHS", "RULES", "STUDIES", "best_rule", "rule_table", "value_run"]

#: Probability that a reading arrives; ages are followed up to here, where losing all is out of the question.
ARRIVAL, LIMIT = 0.7, 60
#: Growth of the first system; the second has 1.1.
GROWTHS, SECOND = (0.6, 0.8, 0.9, 1.0, 1.05, 1.1), 1.1
RULES = ("age", "value", "first", "second", "best")
#: What looks at no age or at ages alone; the timetable serves the second n times and then the first.
RIVALS, TURNS = ("age", "first", "second", "timetable"), range(1, 11)


def _penalties(first: float, second: float) -> np.ndarray:
    for name, growth in (("first", first), ("second", second)):
        real_number(name, growth, low=-100, high=100)
    return np.array([age_penalty(np.arange(LIMIT + 2), growth) for growth in (first, second)])


@checked
def best_rule(first: float, second: float, arrival: float = ARRIVAL, rounds: int = 400) -> np.ndarray:
    """The rule with the least mean loss, by relative value iteration over both ages.

    Parameters
    ----------
    first, second : float
        Growths of the two systems, from -100 to 100.
    arrival : float
        Probability that what is sent arrives.
    rounds : int
        Of the iteration.

    Returns
    -------
    numpy.ndarray
        Int ``[LIMIT, LIMIT]``: who is served, 0 or 1, by both ages, counted from one slot.

    Raises
    ------
    ValueError
        If ``arrival`` is no probability, a growth out of its range, or ``rounds`` no positive whole number.
    """
    positive_integer("rounds", rounds)
    real_number("arrival", arrival, low=0, high=1)
    f = _penalties(first, second)
    older = np.minimum(np.arange(LIMIT) + 1, LIMIT - 1)  # index i stands for an age of i + 1
    now = f[0, 1 : LIMIT + 1, None] + f[1, None, 1 : LIMIT + 1]
    ahead = np.zeros((LIMIT, LIMIT))
    for _ in range(rounds):
        lost = now[np.ix_(older, older)] + ahead[np.ix_(older, older)]
        got = [
            now[0, older][None, :] + ahead[0, older][None, :] + np.zeros((LIMIT, 1)),
            now[older, 0][:, None] + ahead[older, 0][:, None] + np.zeros((1, LIMIT)),
        ]
        choices = np.array([arrival * g + (1 - arrival) * lost for g in got])
        ahead = choices.min(0)
        ahead -= ahead[0, 0]
    return choices.argmin(0)


@checked
def rule_table(rule: str, first: float, second: float) -> np.ndarray:
    """Who is served, by both ages.

    Parameters
    ----------
    rule : str
        One of ``RULES``: the oldest reading (of equal ones the first system's); the one by whose arrival the
        penalty of the next slot falls most; always the first or always the second; or the best rule there is.
    first, second : float
        Growths of the two systems, from -100 to 100.

    Returns
    -------
    numpy.ndarray
        Int ``[LIMIT, LIMIT]``, as of :func:`best_rule`.

    Raises
    ------
    ValueError
        If the rule is unknown, or a growth out of its range.
    """
    one_of("rule", rule, RULES)
    penalties = _penalties(first, second)
    age = np.arange(1, LIMIT + 1)
    if rule == "best":
        return best_rule(first, second)
    if rule in ("first", "second"):
        return np.full((LIMIT, LIMIT), RULES.index(rule) - 2)
    worth = np.stack([age, age]) if rule == "age" else penalties[:, age + 1] - 1.0
    return (worth[1][None, :] > worth[0][:, None]).astype(int)


def _drive(arrives: list[bool], penalties: np.ndarray, choose: Callable[[int, list[int]], int]) -> dict:
    """Mean loss, and how often the first is served, if a rule chooses by the slot and both ages."""
    a, b = penalties.tolist()
    age, loss, first = [1, 1], 0.0, 0
    for slot, arrive in enumerate(arrives):
        chosen = choose(slot, age)
        first += chosen == 0
        if arrive:
            age[chosen] = 0
        age = [min(age[0] + 1, LIMIT), min(age[1] + 1, LIMIT)]
        loss += a[age[0]] + b[age[1]]
    return {"loss": loss / len(arrives), "first_served": first / len(arrives)}


def _by_ages(table: list[list[int]]) -> Callable[[int, list[int]], int]:
    return lambda slot, age: table[age[0] - 1][age[1] - 1]


def _in_turns(n: int) -> Callable[[int, list[int]], int]:
    return lambda slot, age: int(slot % (n + 1) < n)


def value_run(task: dict) -> dict:
    """All rules on the same losses of the link.

    The timetable is the best of ten, chosen afterwards on these very losses, which is generous.

    Parameters
    ----------
    task : dict
        ``first``: growth of the first system; ``slots`` and ``seed``.

    Returns
    -------
    dict
        For each rule the mean ``loss`` of both systems a slot, and the share of slots in which the first is served.

    Raises
    ------
    ValueError
        If a growth is out of its range.
    """
    growths = task["first"], SECOND
    arrives = (np.random.default_rng(task["seed"]).random(task["slots"]) < ARRIVAL).tolist()
    f, out = _penalties(*growths), {}
    for rule in RULES:
        out[rule] = _drive(arrives, f, _by_ages(rule_table(rule, *growths).tolist()))
    timetables = (_drive(arrives, f, _in_turns(n)) for n in TURNS)
    return out | {"timetable": min(timetables, key=lambda run: run["loss"])}


def _summarise(records: list[dict]) -> dict:
    summary: dict = {}
    for first in GROWTHS:
        chosen = [r for r in records if r["task"]["first"] == first]
        loss = {rule: np.array([r[rule]["loss"] for r in chosen]) for rule in (*RULES, "timetable")}
        summary[f"growth_{first}"] = {
            "loss": {rule: student_interval(values) for rule, values in loss.items()},
            "first_served": {rule: student_interval([r[rule]["first_served"] for r in chosen]) for rule in loss},
            # by how many percent a rival loses more than the rule by value, and that more than the best rule
            "more": {rule: student_interval(100 * (loss[rule] / loss["value"] - 1)) for rule in RIVALS},
            "above_best": student_interval(100 * (loss["value"] / loss["best"] - 1)),
        }
    parts = list(summary.values())
    return summary | {
        "least_more": lowest(part["more"][rule] for part in parts for rule in RIVALS),
        "most_above_best": highest(part["above_best"] for part in parts),
    }


STUDIES = {
    "value_rules": Study(
        lambda: [
            {"first": first, "slots": 50_000, "seed": 47_000 + 100 * i + k}
            for i, first in enumerate(GROWTHS)
            for k in range(10)
        ],
        value_run,
        _summarise,
        small={"slots": 200},
    )
}
