"""The exact optimum against a general convex solver, its edges, and what it refuses."""

import warnings
from functools import cache

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils.control.allocation import (
    InfeasibleAllocationError,
    fastest_allocation,
    optimal_allocation,
    pull_back,
    smallest_latency_budget,
    transmission_time,
)


def program(hops, loaded, earns, load):
    """The problem as a solver takes it: what each share of the bandwidth earns, and the loads of the loaded hops."""
    x = cp.Variable(hops)
    constraints = [cp.sum(x) <= 1, x >= 0]
    if loaded:
        constraints.append(load @ cp.inv_pos(x[list(loaded)]) <= 1)
    return cp.Problem(cp.Maximize(earns @ x), constraints)


@cache
def open_program(hops, loaded):
    """The same with its numbers left open: brought into the solver's form once for all with the same hops loaded."""
    earns = cp.Parameter(hops, nonneg=True)
    load = cp.Parameter(len(loaded), nonneg=True) if loaded else None
    return program(hops, loaded, earns, load), earns, load


def by_solver(a, b, bandwidth, tau, anew=False):
    """The same problem for an interior-point solver, which knows nothing of our formulas; utility, and whether sure.

    With ``anew`` the problem is put together for this instance alone, which takes four times as long.
    """
    loaded = tuple(np.flatnonzero(b).tolist())
    load = b[list(loaded)] / bandwidth / tau
    if anew:
        problem = program(len(a), loaded, a, load)
    else:
        problem, earns, open_load = open_program(len(a), loaded)
        earns.value = a
        if loaded:
            open_load.value = load
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it may be inaccurate: the status says so too
        problem.solve(solver="CLARABEL")
    return problem.value * bandwidth, problem.status == "optimal"


def random_instance(rng):
    hops = int(rng.integers(1, 6))
    a, b = rng.uniform(0, 5, hops), rng.uniform(0, 2, hops)
    kind = rng.integers(6)
    if kind == 0:
        a[:] = a[0]  # all hops earn the same
    if kind == 1 and hops > 1:
        a[1] = a[0] = a.max()  # a tie at the top
    if kind == 2:
        b[rng.integers(hops)] = 0.0  # a hop without load
    if kind == 3:
        a[rng.integers(hops)] = 0.0  # a hop that earns nothing
    bandwidth = rng.uniform(0.5, 20)
    slack = rng.choice([1.0001, 1.01, 1.3, 3.0, 30.0])
    return a, b, bandwidth, max(smallest_latency_budget(b, bandwidth), 1e-3) * slack


def test_agrees_with_a_general_convex_solver_on_a_thousand_instances():
    rng = np.random.default_rng(1)
    for _ in range(1000):
        a, b, bandwidth, tau = random_instance(rng)
        w, utility = optimal_allocation(a, b, bandwidth, tau)
        assert w.sum() <= bandwidth * (1 + 1e-9) and (w >= 0).all()
        assert transmission_time(b, w) <= tau * (1 + 1e-8)
        assert utility == pytest.approx(a @ w)
        other, sure = by_solver(a, b, bandwidth, tau)  # next to the edge of feasibility it is good to 1e-4 only
        if not sure or utility < other * (1 - 1e-5) - 1e-6:  # scaled otherwise, it stops short once in 500 instances
            other, sure = by_solver(a, b, bandwidth, tau, anew=True)
        assert sure
        assert utility == pytest.approx(other, rel=2e-4, abs=1e-6), (a, b, bandwidth, tau)
        assert utility >= other * (1 - 1e-5) - 1e-6, (a, b, bandwidth, tau)


def test_kkt_conditions_hold():
    """Stationarity: a_i + mu b_i / W_i^2 is the same lambda on every hop."""
    rng = np.random.default_rng(3)
    a, b = rng.uniform(0, 5, (500, 4)), rng.uniform(0.1, 2, (500, 4))
    tau = smallest_latency_budget(b, 7.0) * rng.uniform(1.01, 5, 500)
    w, _ = optimal_allocation(a, b, 7.0, tau)
    slope = b / w**2
    mu = (a.max(-1) - a.min(-1)) / (slope[np.arange(500), a.argmin(-1)] - slope[np.arange(500), a.argmax(-1)])
    price = a + mu[:, None] * slope
    assert (mu > 0).all() and np.ptp(price, -1).max() < 1e-6 * price.max()


def test_batches_broadcast_and_equal_single_calls():
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0, 5, (4, 1, 3)), rng.uniform(0.1, 1, (2, 3))
    w, utility = optimal_allocation(a, b, 5.0, np.array([2.0, np.inf]))
    assert w.shape == (4, 2, 3) and utility.shape == (4, 2)
    for i in range(4):
        single, _ = optimal_allocation(a[i, 0], b[0], 5.0, 2.0)
        np.testing.assert_allclose(w[i, 0], single, rtol=1e-9)


def test_no_limit_gives_all_to_the_hop_that_earns_most():
    w, utility = optimal_allocation([1.0, 3.0, 2.0], [9.0, 9.0, np.inf], 10.0, np.inf)
    np.testing.assert_array_equal(w, [0, 10, 0])
    assert utility == 30


def test_edge_of_feasibility_gives_the_fastest_allocation():
    b = np.array([1.0, 4.0, 9.0])
    w, _ = optimal_allocation([1.0, 2.0, 3.0], b, 6.0, smallest_latency_budget(b, 6.0))
    np.testing.assert_allclose(w, [1, 2, 3], rtol=1e-6)


def test_free_hop_takes_what_the_budget_leaves():
    w, utility = optimal_allocation([1.0, 5.0], [2.0, 0.0], 10.0, 0.5)
    np.testing.assert_allclose(w, [4, 6])
    assert utility == pytest.approx(34)


def test_infeasible_names_the_smallest_budget_that_would_do():
    with pytest.raises(InfeasibleAllocationError, match=r"smallest budget that would do is 3\.6 s") as caught:
        optimal_allocation([1, 1, 1], [1.0, 4.0, 9.0], 10.0, 3.0)
    assert caught.value.smallest_budget == pytest.approx(3.6)
    optimal_allocation([1, 1, 1], [1.0, 4.0, 9.0], 10.0, caught.value.smallest_budget)
    with pytest.raises(InfeasibleAllocationError, match="index \\(1,\\)"):
        optimal_allocation(np.ones((2, 2)), np.ones((2, 2)), 10.0, [1.0, 0.1])
    with pytest.raises(InfeasibleAllocationError):
        optimal_allocation([1.0, 1.0], [1.0, np.inf], 10.0, 5.0)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("price_rates", ([1, np.nan, 1], [1, 1, 1], 1.0, 1e3)),
        ("price_rates", ([1, -1, 1], [1, 1, 1], 1.0, 1e3)),
        ("price_rates", ("abc", [1, 1, 1], 1.0, 1e3)),
        ("price_rates", (3.0, [1, 1, 1], 1.0, 1e3)),
        ("latency_loads", ([1, 1, 1], [1, -1, 1], 1.0, 1e3)),
        ("latency_loads", ([1, 1, 1], [1, 1], 1.0, 1e3)),
        ("bandwidth", ([1, 1], [1, 1], -1.0, 1e3)),
        ("bandwidth", ([1, 1], [1, 1], np.inf, 1e3)),
        ("latency_budget", ([1, 1], [1, 1], 1.0, 0.0)),
        ("latency_budget", ([1, 1], [1, 1], 1.0, np.nan)),
        ("latency_budget", ([1, 1], [1, 1], np.ones(2), np.ones(3))),
    ],
)
def test_bad_input_names_the_argument(name, arguments):
    with pytest.raises(ValueError, match=name):
        optimal_allocation(*arguments)


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(max_examples=300, deadline=None)
@given(a=st.lists(numbers, max_size=4), b=st.lists(numbers, max_size=4), w=numbers, tau=numbers)
def test_any_input_gives_an_optimum_or_a_value_error(a, b, w, tau):
    try:
        allocation, utility = optimal_allocation(a, b, w, tau)
    except ValueError:
        return
    assert np.isfinite(allocation).all() and np.isfinite(utility) and (allocation >= 0).all()
    assert allocation.sum() <= w * (1 + 1e-6)


positive = st.floats(0.01, 100)


@settings(max_examples=200, deadline=None)
@given(
    a=st.lists(st.floats(0, 100), min_size=3, max_size=3),
    b=st.lists(positive, min_size=3, max_size=3),
    split=st.lists(st.floats(0.001, 1), min_size=3, max_size=3),
    slack=st.floats(1.001, 50),
)
def test_no_feasible_split_earns_more(a, b, split, slack):
    tau = float(smallest_latency_budget(b, 10.0)) * slack
    _, best = optimal_allocation(a, b, 10.0, tau)
    w = 10.0 * np.array(split) / sum(split)
    pulled = pull_back(w, b, 10.0, tau)
    assert transmission_time(b, pulled) <= tau * (1 + 1e-9)
    assert best >= (np.array(a) * pulled).sum() * (1 - 1e-7) - 1e-9


def test_layer_keeps_feasible_proposals_and_finds_the_boundary():
    rng = np.random.default_rng(5)
    b = np.exp(rng.normal(size=(2000, 3)))
    tau = smallest_latency_budget(b, 10.0) * rng.uniform(1.05, 4, 2000)
    w = 10.0 * rng.dirichlet(np.ones(3) * 0.5, 2000)
    pulled = pull_back(w, b, 10.0, tau)
    inside = transmission_time(b, w) <= tau
    np.testing.assert_array_equal(pulled[inside], w[inside])
    np.testing.assert_allclose(transmission_time(b, pulled)[~inside], tau[~inside], rtol=1e-6)
    np.testing.assert_allclose(pulled.sum(-1), 10.0)


def test_layer_answers_corners_outages_and_hopeless_budgets():
    b = np.array([1.0, 4.0, 9.0])
    corner = pull_back([0.0, 10.0, 0.0], b, 10.0, 4.0)
    assert transmission_time(b, corner) == pytest.approx(4.0, rel=1e-6)
    np.testing.assert_allclose(pull_back([0.0, 10.0, 0.0], b, 10.0, 3.0), fastest_allocation(b, 10.0))
    np.testing.assert_allclose(pull_back([0.0, 10.0, 0.0], b, 10.0, -1.0), fastest_allocation(b, 10.0))
    assert np.isfinite(pull_back([2.0, 6.0, 2.0], [1.0, np.inf, 1.0], 10.0, 4.0)).all()


def test_a_loaded_hop_without_bandwidth_takes_for_ever():
    assert transmission_time([1.0, 0.0], [0.0, 0.0]) == np.inf
    assert transmission_time([0.0, 2.0], [0.0, 4.0]) == 0.5
