"""The multiple-choice knapsack: one option for each service, the most quality that a budget of bits buys.

Exact by enumeration, which needs no proof, and by dynamic programming, which goes on where enumeration stops; the
greedy rule by marginal quality per bit, which needs neither; a price of bits, which lets every service choose for
itself; and the best option that is the same for all.
"""

from __future__ import annotations

from itertools import product
from math import gcd

import numpy as np
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, one_of, positive_integer

__all__ = ["ENUMERABLE", "common_choice", "greedy_choice", "knapsack_optimum", "priced_choice"]

#: Joint choices up to which ``method="auto"`` enumerates.
ENUMERABLE = 20_000


@checked
def knapsack_optimum(
    quality: ArrayLike, bits: ArrayLike, budget: int, *, method: str = "auto"
) -> tuple[np.ndarray, float]:
    r"""The choice of the greatest total quality within the budget.

    .. math:: \max_{c} \sum_s q_{s, c_s} \quad\text{subject to}\quad \sum_s b_{s, c_s} \le B

    Dynamic programming: with :math:`V_s(b)` the greatest quality of the first :math:`s` services on :math:`b` bits,
    :math:`V_s(b) = \max_c \{V_{s-1}(b - b_{s,c}) + q_{s,c}\}`.

    Parameters
    ----------
    quality : array_like, ``[services, options]``
        Quality of each service under each option.
    bits : array_like of int, ``[services, options]``
        What the option costs.
    budget : int
        Bits for all services together.
    method : {"auto", "enumerate", "dynamic"}
        "auto" enumerates up to :data:`ENUMERABLE` joint choices.

    Returns
    -------
    choice : numpy.ndarray of int, ``[services]``
        The option of each service; of equally good choices the one that is first in lexicographic order under
        enumeration, any of them under dynamic programming.
    value : float
        Its total quality.

    Raises
    ------
    ValueError
        If no choice fits the budget, or an argument is not as described.

    References
    ----------
    Kellerer, Pferschy and Pisinger, *Knapsack Problems*, 2004, chapter 11.

    Examples
    --------
    >>> choice, value = knapsack_optimum([[5, 4], [5, 1]], [[8, 4], [8, 4]], 12)
    >>> choice.tolist(), value
    ([1, 0], 9.0)
    """
    q, b, budget = _problem(quality, bits, budget)
    one_of("method", method, ("auto", "enumerate", "dynamic"))
    if method == "auto":
        method = "enumerate" if q.shape[1] ** q.shape[0] <= ENUMERABLE else "dynamic"
    choice = _enumerated(q, b, budget) if method == "enumerate" else _dynamic(q, b, budget)
    return choice, float(q[np.arange(len(q)), choice].sum())


@checked
def greedy_choice(quality: ArrayLike, bits: ArrayLike, budget: int) -> np.ndarray:
    """The choice of a rule that needs no search: begin with the cheapest options, buy where a bit brings the most.

    Parameters
    ----------
    quality, bits, budget
        As for :func:`knapsack_optimum`.

    Returns
    -------
    numpy.ndarray of int, ``[services]``
        Always within the budget.

    Raises
    ------
    ValueError
        As :func:`knapsack_optimum`.
    """
    q, b, budget = _problem(quality, bits, budget)
    cheapest = b == b.min(1, keepdims=True)
    return _bought(np.where(cheapest, q, -np.inf).argmax(1), q, b, budget)  # of equally cheap ones the best


@checked
def priced_choice(quality: ArrayLike, bits: ArrayLike, budget: int) -> np.ndarray:
    r"""Every service for itself at one price of bits, the lowest price at which all of them together keep the budget.

    .. math:: c_s(\lambda) = \arg\max_c \{q_{s,c} - \lambda b_{s,c}\}

    The price is the budget's Lagrange multiplier, found by halving an interval; what is left of the budget is spent as
    :func:`greedy_choice` does. Its cost grows along a line with the services, and what it misses of the optimum is at
    most what one service can gain.

    Parameters
    ----------
    quality, bits, budget
        As for :func:`knapsack_optimum`.

    Returns
    -------
    numpy.ndarray of int, ``[services]``
        Always within the budget.

    Raises
    ------
    ValueError
        As :func:`knapsack_optimum`.

    References
    ----------
    H. Everett, "Generalized Lagrange multiplier method for solving problems of optimum allocation of resources", 1963.

    Examples
    --------
    >>> priced_choice([[5, 4], [5, 1]], [[8, 4], [8, 4]], 12).tolist()
    [1, 0]
    """
    q, b, budget = _problem(quality, bits, budget)
    rows = np.arange(len(q))
    order = np.argsort(b, axis=1, kind="stable")  # of equally good options the cheapest
    q_sorted, b_sorted = np.take_along_axis(q, order, 1), np.take_along_axis(b, order, 1)

    def at(price: float) -> np.ndarray:
        return (q_sorted - price * b_sorted).argmax(1)

    choice = at(0.0)
    if b_sorted[rows, choice].sum() > budget:
        low, high = 0.0, 1.0
        while b_sorted[rows, at(high)].sum() > budget:
            low, high = high, 8 * high
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if b_sorted[rows, at(middle)].sum() > budget else (low, middle)
        choice = at(high)
    return _bought(order[rows, choice], q, b, budget)


@checked
def common_choice(quality: ArrayLike, bits: ArrayLike, budget: int) -> np.ndarray:
    """The same option for every service: the one of the greatest total quality within the budget.

    Parameters
    ----------
    quality, bits, budget
        As for :func:`knapsack_optimum`; option c means the same for every service.

    Returns
    -------
    numpy.ndarray of int, ``[services]``
        All equal.

    Raises
    ------
    ValueError
        As :func:`knapsack_optimum`, and if no common option keeps the budget.
    """
    q, b, budget = _problem(quality, bits, budget)
    fits = b.sum(0) <= budget
    if not fits.any():
        raise ValueError(f"budget must be at least {b.sum(0).min()}, the bits of the cheapest option, got {budget}")
    return np.full(len(q), np.where(fits, q.sum(0), -np.inf).argmax())


def _bought(choice: np.ndarray, q: np.ndarray, b: np.ndarray, budget: int) -> np.ndarray:
    """Better options for as long as one fits, each time where a bit brings the most."""
    choice, rows = choice.copy(), np.arange(len(q))
    while True:
        more_bits = b - b[rows, choice][:, None]
        gain = q - q[rows, choice][:, None]
        left = budget - b[rows, choice].sum()
        possible = (gain > 0) & (more_bits <= left)
        if not possible.any():
            return choice
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(possible, np.where(more_bits > 0, gain / np.maximum(more_bits, 1), np.inf), -np.inf)
        service, option = np.unravel_index(rate.argmax(), rate.shape)
        choice[service] = option


def _problem(quality: ArrayLike, bits: ArrayLike, budget: int) -> tuple[np.ndarray, np.ndarray, int]:
    q, b = finite_array("quality", quality), finite_array("bits", bits, low=0)
    if q.ndim != 2 or not q.size:
        raise ValueError(f"quality must be [services, options], got shape {q.shape}")
    if b.shape != q.shape:
        raise ValueError(f"bits must have the shape of quality, {q.shape}, got {b.shape}")
    if np.any(b != np.round(b)):
        raise ValueError("bits must be whole numbers")
    b = b.astype(np.int64)
    budget = positive_integer("budget", budget, low=0)
    if b.min(1).sum() > budget:
        raise ValueError(f"budget must be at least {b.min(1).sum()}, the bits of the cheapest choice, got {budget}")
    return q, b, budget


def _enumerated(q: np.ndarray, b: np.ndarray, budget: int) -> np.ndarray:
    rows = np.arange(len(q))
    choices = np.array(list(product(range(q.shape[1]), repeat=len(q))))
    cost = b[rows, choices].sum(1)
    value = np.where(cost <= budget, q[rows, choices].sum(1), -np.inf)
    return choices[value.argmax()]


def _dynamic(q: np.ndarray, b: np.ndarray, budget: int) -> np.ndarray:
    budget = min(budget, int(b.max(1).sum()))
    unit = gcd(*b.ravel().tolist()) or 1  # bits come in multiples of this: fewer columns
    b, columns = b // unit, budget // unit + 1
    value = np.zeros(columns)
    chosen = np.zeros((len(q), columns), np.int16 if q.shape[1] > 127 else np.int8)
    for s in range(len(q)):
        best = np.full(columns, -np.inf)
        for option in range(q.shape[1]):
            cost = b[s, option]
            if cost >= columns:
                continue
            candidate = value[: columns - cost] + q[s, option]
            better = candidate > best[cost:]
            best[cost:][better] = candidate[better]
            chosen[s, cost:][better] = option
        value = best
    choice, left = np.empty(len(q), int), int(value.argmax())
    for s in reversed(range(len(q))):
        choice[s] = chosen[s, left]
        left -= b[s, choice[s]]
    return choice
