"""The multiple-choice knapsack: enumeration, dynamic programming and HiGHS agree; greedy fits and never beats them."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from semcom_utils.control.knapsack import greedy_choice, knapsack_optimum


def problem(seed, services=4, options=5, most=200):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(services, options)), rng.integers(0, most, (services, options))


def by_highs(quality, bits, budget):
    """The same by integer programming, as an outside judge."""
    s, f = quality.shape
    one_each = np.kron(np.eye(s), np.ones(f))
    found = milp(
        -quality.ravel(),
        constraints=[LinearConstraint(one_each, 1, 1), LinearConstraint(bits.reshape(1, -1), 0, budget)],
        integrality=np.ones(s * f),
        bounds=Bounds(0, 1),
    )
    return -found.fun


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), spare=st.integers(0, 400))
def test_enumeration_and_dynamic_programming_agree(seed, spare):
    quality, bits = problem(seed)
    budget = int(bits.min(1).sum()) + spare
    values = []
    for method in ("enumerate", "dynamic"):
        choice, value = knapsack_optimum(quality, bits, budget, method=method)
        assert bits[np.arange(4), choice].sum() <= budget
        assert value == pytest.approx(quality[np.arange(4), choice].sum())
        values.append(value)
    assert values[0] == pytest.approx(values[1])
    assert quality[np.arange(4), greedy_choice(quality, bits, budget)].sum() <= values[0] + 1e-9
    assert bits[np.arange(4), greedy_choice(quality, bits, budget)].sum() <= budget


@pytest.mark.parametrize("seed", range(3))
def test_integer_programming_agrees(seed):
    quality, bits = problem(seed, services=12, options=8)
    budget = int(bits.mean(1).sum() * 0.7)
    assert knapsack_optimum(quality, bits, budget)[1] == pytest.approx(by_highs(quality, bits, budget), abs=1e-4)


def test_a_hundred_services_in_under_a_second():
    quality, bits = problem(1, services=100, options=16, most=2000)
    began = time.process_time()
    knapsack_optimum(quality, bits, 60_000)
    assert time.process_time() - began < 1


def test_greedy_can_lose_and_without_a_budget_nothing_is_chosen_against():
    quality, bits = np.array([[0.0, 6.0, 10.0]]), np.array([[0, 5, 10]])
    assert greedy_choice(quality, bits, 10).tolist() == [2]
    quality, bits = np.array([[0.0, 2.0], [0.0, 10.0]]), np.array([[0, 1], [0, 10]])
    assert greedy_choice(quality, bits, 10).tolist() == [1, 0]  # it buys the better rate first, and is then too poor
    assert knapsack_optimum(quality, bits, 10)[0].tolist() == [0, 1]
    free = 10 + 1  # a budget for everything: each service takes its own best
    assert knapsack_optimum(quality, bits, free)[0].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("quality", "bits", "budget", "message"),
    [
        ([[1.0, 2.0]], [[5, 9]], 4, "budget must be at least 5"),
        ([1.0, 2.0], [5, 9], 9, r"quality must be \[services, options\]"),
        ([[1.0, 2.0]], [[5]], 9, "bits must have the shape"),
        ([[1.0, 2.0]], [[5, 8.5]], 9, "bits must be whole"),
        ([[1.0, 2.0]], [[-5, 8]], 9, "bits must"),
        ([[1.0, np.nan]], [[5, 8]], 9, "quality must"),
        ([[1.0, 2.0]], [[5, 8]], 9.5, "budget must"),
    ],
)
def test_bad_input_is_named(quality, bits, budget, message):
    for solve in (knapsack_optimum, greedy_choice):
        with pytest.raises(ValueError, match=message):
            solve(quality, bits, budget)
