r"""Which scheme when: fronts, the best within a budget, and a choice for each picture.

A budget B is what a picture may take on average, in complex channel uses. Within it stand

- the best *fixed* scheme: one for all pictures, whose mean uses are at most B;
- the *oracle*, which knows for each picture what every scheme will give: :math:`\max \sum_i q_{i s_i}` subject to
  :math:`\sum_i u_{i s_i} \le N B`, a knapsack with one choice a picture, solved by one price of a channel use
  (:func:`semcom_utils.control.knapsack.priced_choice`);
- a *learned chooser*, which sees what a sender knows at once (:data:`.measures.FEATURES`), predicts each scheme's
  answer by ridge regression and its cost by its mean, and takes what is worth most at the price that keeps the budget
  on the pictures it was taught with. It is judged on subjects that it was not taught with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, one_of, positive_integer, real_number
from semcom_utils.control.knapsack import priced_choice
from semcom_utils.statistics import student_interval

from .comparison import FAMILIES, Table
from .measures import QUESTIONS, UNITS

__all__ = ["BUDGETS", "Best", "best_within", "chosen_by_learning", "front", "gains", "lead", "oracle"]

#: Complex channel uses a picture.
BUDGETS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
#: Groups of subjects, one of which is left out at a time; weight of the ridge.
FOLDS, RIDGE = 10, 10.0


class Best(NamedTuple):
    """The best fixed scheme within a budget.

    Attributes
    ----------
    name, family : str
    value : float
        Its mean answer.
    rivals : tuple of str
        Schemes of *other* families within the budget that are not clearly worse: the interval over groups of the
        paired difference holds zero.
    """

    name: str
    family: str
    value: float
    rivals: tuple[str, ...]


@checked
def front(uses: ArrayLike, quality: ArrayLike) -> list[int]:
    """Which schemes no other surpasses: cheaper ones are worse.

    Parameters
    ----------
    uses, quality : array_like
        ``[schemes]``.

    Returns
    -------
    list of int
        From the cheapest to the best.

    Raises
    ------
    ValueError
        If there is not one number of each for every scheme.

    Examples
    --------
    >>> front([10, 20, 15, 30], [0.5, 0.4, 0.6, 0.9])
    [0, 2, 3]
    """
    u, q = finite_array("uses", uses), finite_array("quality", quality)
    if u.ndim != 1 or u.shape != q.shape:
        raise ValueError(f"quality must be one number for each of {u.shape} uses, got {q.shape}")
    kept: list[int] = []
    for k in np.lexsort((-q, u)).tolist():
        if not kept or q[k] > q[kept[-1]]:
            kept.append(k)
    return kept


def _affordable(table: Table, budget: float) -> np.ndarray:
    return np.flatnonzero(table.uses.mean(0) <= real_number("budget", budget, low=0))


@checked
def best_within(table: Table, question: str, budget: float) -> Best | None:
    """The best scheme for a question whose mean uses keep a budget.

    Parameters
    ----------
    table : Table
    question : str
        Key of :data:`.measures.QUESTIONS`.
    budget : float
        Mean complex channel uses a picture.

    Returns
    -------
    Best or None
        None if no scheme is within the budget.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    if not isinstance(table, Table):
        raise ValueError(f"table must be a Table, got {type(table).__name__}")
    table = table.asked(one_of("question", question, QUESTIONS))
    within = _affordable(table, budget)
    if not len(within):
        return None
    values = table.by_group(table.answers[question])
    first = int(within[np.argmax(table.mean(question)[within])])
    family = FAMILIES.get(table.names[first], table.names[first])
    rivals = []
    for k in within.tolist():
        if FAMILIES.get(table.names[k], table.names[k]) != family:
            low = student_interval(values[:, first] - values[:, k])["low"]
            if low is None or low <= 0:
                rivals.append(table.names[k])
    return Best(table.names[first], family, float(table.mean(question)[first]), tuple(rivals))


@checked
def lead(table: Table, question: str, budget: float, ours: Sequence[str], theirs: Sequence[str]) -> dict:
    """By how much the best of some schemes is ahead of the best of others within a budget.

    The best are chosen on one half of the subjects and compared on the other, and the other way round, so that being
    chosen is no advantage.

    Parameters
    ----------
    table : Table
    question : str
        Key of :data:`.measures.UNITS`.
    budget : float
        Mean complex channel uses a picture.
    ours, theirs : sequence of str
        Names of schemes, or of families.

    Returns
    -------
    dict
        ``estimate``, ``low``, ``high`` over groups of pictures. A side with nothing within the budget shows nothing:
        its answers are 0.

    Raises
    ------
    ValueError
        If an argument is none of these.
    """
    if not isinstance(table, Table):
        raise ValueError(f"table must be a Table, got {type(table).__name__}")
    table = table.asked(one_of("question", question, UNITS))
    values, uses = table.by_group(table.answers[question]), table.by_group(table.uses)
    budget = real_number("budget", budget, low=0)
    known = {*table.names, *FAMILIES, *FAMILIES.values()}
    for name in (*ours, *theirs):
        if name not in known:
            raise ValueError(f"ours and theirs must be names of schemes or families, got {name!r}")
    half = np.arange(len(values)) % 2 == 0
    sides = []
    for group in (ours, theirs):
        member = np.array([name in group or FAMILIES.get(name) in group for name in table.names])
        side = np.zeros(len(values))
        for chosen_on in (half, ~half):
            part = chosen_on if chosen_on.any() else ~chosen_on
            within = np.flatnonzero(member & (uses[part].mean(0) <= budget))
            if len(within):
                side[~chosen_on] = values[~chosen_on, within[np.argmax(values[part][:, within].mean(0))]]
        sides.append(side)
    return student_interval(sides[0] - sides[1])


@checked
def oracle(table: Table, question: str, budget: float) -> np.ndarray:
    """For each picture the scheme that a sender would take who knew what each will give.

    Parameters
    ----------
    table : Table
    question : str
        Key of :data:`.measures.QUESTIONS`.
    budget : float
        Mean complex channel uses a picture.

    Returns
    -------
    numpy.ndarray of int
        ``[pictures]``, places in ``table.names``.

    Raises
    ------
    ValueError
        If an argument is none of these, or no choice keeps the budget.
    """
    if not isinstance(table, Table):
        raise ValueError(f"table must be a Table, got {type(table).__name__}")
    table = table.asked(one_of("question", question, QUESTIONS))
    # More than the dearest scheme takes is as good as any.
    most = min(real_number("budget", budget, low=0), float(table.uses.max()) + 1)
    tenths = int(10 * most * len(table.uses))
    return priced_choice(table.answers[question], np.ceil(10 * table.uses).astype(int), tenths)


@checked
def chosen_by_learning(
    table: Table, question: str, budget: float, known: ArrayLike, *, folds: int = FOLDS, ridge: float = RIDGE
) -> np.ndarray:
    """For each picture the scheme that a chooser takes who was taught with other subjects' pictures.

    Parameters
    ----------
    table : Table
    question : str
        Key of :data:`.measures.QUESTIONS`.
    budget : float
        Mean complex channel uses a picture.
    known : array_like
        ``[pictures, features]``.
    folds : int
        Groups of subjects; each is left out once.
    ridge : float
        Weight of the ridge, at least 1e-6, on features of unit variance.

    Returns
    -------
    numpy.ndarray of int
        ``[pictures]``. The budget is kept on the pictures that it was taught with; on the others about.

    Raises
    ------
    ValueError
        If an argument is none of these, or there is one group alone.
    """
    if not isinstance(table, Table):
        raise ValueError(f"table must be a Table, got {type(table).__name__}")
    table = table.asked(one_of("question", question, QUESTIONS))
    x = finite_array("known", known)
    if x.ndim != 2 or len(x) != len(table.uses):
        raise ValueError(f"known must be [{len(table.uses)}, features], got shape {x.shape}")
    real_number("ridge", ridge, low=1e-6), real_number("budget", budget, low=0)
    there = np.unique(table.groups)
    if len(there) < 2:
        raise ValueError("table must hold pictures of at least two groups, to learn from the others, got one")
    groups = np.array_split(there, min(positive_integer("folds", folds, low=2), len(there)))
    choice = np.zeros(len(x), int)
    for group in groups:
        out = np.isin(table.groups, group)
        mean, spread = x[~out].mean(0), np.where(x[~out].std(0) > 1e-9, x[~out].std(0), 1)
        rows = np.column_stack([np.ones(len(x)), (x - mean) / spread])
        inner, q = rows[~out], table.answers[question][~out]
        penalty = ridge * np.diag([0.0, *np.ones(x.shape[1])])
        weights = np.linalg.solve(inner.T @ inner + penalty, inner.T @ q)
        cost = table.uses[~out].mean(0)
        price = _price(inner @ weights, table.uses[~out], cost, float(budget))
        choice[out] = (rows[out] @ weights - price * cost).argmax(1)
    return choice


def _price(predicted: np.ndarray, uses: np.ndarray, cost: np.ndarray, budget: float) -> float:
    """The lowest price of a channel use at which what is chosen keeps the budget."""

    def spent(price: float) -> float:
        return float(np.take_along_axis(uses, (predicted - price * cost).argmax(1)[:, None], 1).mean())

    if spent(0.0) <= budget:
        return 0.0
    low, high = 0.0, 1e-4
    while spent(high) > budget and high < 1e6:  # at a price beyond that the cheapest is taken, whatever it gives
        high *= 4
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > budget else (low, middle)
    return high


@checked
def gains(table: Table, question: str, budget: float, known: ArrayLike) -> dict:
    """What choosing the scheme for each picture gains over the best fixed one.

    Parameters
    ----------
    table : Table
    question : str
        Key of :data:`.measures.QUESTIONS`.
    budget : float
        Mean complex channel uses a picture.
    known : array_like
        ``[pictures, features]``.

    Returns
    -------
    dict
        ``fixed``, the name; means of ``fixed_value``, ``oracle_value``, ``learned_value``; intervals over groups of
        pictures of ``oracle`` and ``learned`` less the fixed one; ``learned_uses``, mean.

    Raises
    ------
    ValueError
        If an argument is none of these, or nothing keeps the budget.
    """
    fixed = best_within(table, question, budget)
    table, rows = table.asked(question), ~np.isnan(table.answers[question]).any(1)
    if fixed is None:
        raise ValueError(f"budget must be within reach of the cheapest scheme, got {budget}")
    features = finite_array("known", known)
    if features.ndim != 2 or len(features) != len(rows):
        raise ValueError(f"known must be [{len(rows)}, features], got shape {features.shape}")
    values, known = table.answers[question], features[rows]
    rows = np.arange(len(table.uses))
    base = values[:, table.column(fixed.name)]
    best = values[rows, oracle(table, question, budget)]
    if len(np.unique(table.groups)) > 1:
        choice = chosen_by_learning(table, question, budget, known)
    else:  # nobody to learn from
        choice = np.full(len(rows), table.column(fixed.name))
    learned = values[rows, choice]
    return {
        "fixed": fixed.name,
        "fixed_value": float(base.mean()),
        "oracle_value": float(best.mean()),
        "learned_value": float(learned.mean()),
        "oracle": student_interval(table.by_group(best - base)),
        "learned": student_interval(table.by_group(learned - base)),
        "learned_uses": float(table.uses[rows, choice].mean()),
    }
