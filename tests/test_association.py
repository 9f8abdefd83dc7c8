"""User association: exact against every possibility, and the queues of the chapter against their closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from semcom_utils.control.association import (
    best_association,
    fair_association,
    message_rates,
    messages,
    split_bandwidth,
)
from semcom_utils.control.queueing import departures
from semcom_utils.papers.gai_semcom_networks import resource_allocation as study


def random_problem(seed, users=5, stations=3):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.01, 1, (users, stations)) ** 2, rng.uniform(0.5, 2, stations)


def every_association(users, stations):
    return (np.array(choice) for choice in itertools.product(range(stations), repeat=users))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), tightness=st.floats(0, 1.2))
def test_best_is_the_best_of_all(seed, tightness):
    s, budget = random_problem(seed)
    minimum = tightness * 0.05
    totals = []
    for station in every_association(*s.shape):
        got = messages(s, station, split_bandwidth(s, station, budget, minimum))
        if got.min() >= minimum - 1e-12:
            totals.append(got.sum())
    if not totals:
        with pytest.raises(ValueError, match="minimum"):
            best_association(s, budget, minimum)
        return
    station, bandwidth = best_association(s, budget, minimum)
    got = messages(s, station, bandwidth)
    assert got.sum() == pytest.approx(max(totals), rel=1e-6)
    assert got.min() >= minimum * (1 - 1e-6)
    assert (np.bincount(station, bandwidth, minlength=len(budget)) <= budget * (1 + 1e-9)).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_fair_is_the_fairest_of_all(seed):
    s, budget = random_problem(seed)

    def value(station):
        share = budget / np.maximum(np.bincount(station, minlength=len(budget)), 1)
        return np.log(messages(s, station, share[station])).sum()

    station, bandwidth = fair_association(s, budget)
    assert np.log(messages(s, station, bandwidth)).sum() == pytest.approx(max(map(value, every_association(*s.shape))))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), minimum=st.floats(0, 0.02))
def test_split_is_the_linear_programme(seed, minimum):
    s, budget = random_problem(seed)
    station = np.random.default_rng(seed).integers(3, size=5)
    own = s[np.arange(5), station]
    member = (station[:, None] == np.arange(3)).T.astype(float)
    programme = linprog(-own, A_ub=member, b_ub=budget, bounds=[(minimum / rate, None) for rate in own])
    got = messages(s, station, split_bandwidth(s, station, budget, minimum))
    if programme.success:
        assert got.sum() == pytest.approx(-programme.fun)
        assert got.min() >= minimum - 1e-12
    else:
        assert got.min() < minimum


def test_an_overloaded_station_shares_the_shortage():
    bandwidth = split_bandwidth([[1.0], [0.5], [0.0]], [0, 0, 0], [3.0], 2.0)
    assert bandwidth.tolist() == pytest.approx([1.0, 2.0, 0.0])


def test_message_rates():
    assert message_rates([[0.0]], 0.5, 10).item() == pytest.approx(0.05)
    assert message_rates([[0.0, 10.0]], [[0.0, 1.0]], 1)[0].tolist() == pytest.approx([0, np.log2(11)])


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: message_rates([[0.0]], 1.5, 1), "matching"),
        (lambda: message_rates([[0.0]], 1, 0), "bits_per_message"),
        (lambda: best_association([1.0], [1.0]), "rates"),
        (lambda: best_association([[1.0]], [1.0, 2.0]), "budgets"),
        (lambda: best_association([[-1.0]], [1.0]), "rates"),
        (lambda: best_association([[1.0], [1.0]], [1.0], 0.6), "minimum 0.6 cannot be given to all 2 users"),
        (lambda: best_association([[1.0], [0.0]], [1.0], 0.1), "minimum 0.1 is out of reach for user 1"),
        (lambda: fair_association([[0.0]], [1.0]), "rates"),
        (lambda: split_bandwidth([[1.0]], [1], [1.0]), "station"),
        (lambda: split_bandwidth([[1.0]], [0.0], [1.0]), "station"),
        (lambda: split_bandwidth([[1.0]], [0], [1.0], -1.0), "minimum"),
    ],
)
def test_bad_inputs(call, names):
    with pytest.raises(ValueError, match=names):
        call()


# --- the chapter's queues --------------------------------------------------------------------------------------------


def test_departures_are_lindleys():
    rng = np.random.default_rng(0)
    arrivals, service = np.sort(rng.uniform(0, 50, 60)), rng.exponential(size=60)
    free, expected = 0.0, []
    for a, s in zip(arrivals, service, strict=True):
        free = max(a, free) + s
        expected.append(free)
    assert departures(arrivals, service) == pytest.approx(expected)


def test_best_split_is_the_minimum_and_moves_the_right_way():
    for link in (2.0, 5.0, 20.0):
        share = study.best_split(link)
        grid = np.linspace(0, 1, 2001)
        assert study.split_latency(share, link) <= np.nanmin(study.split_latency(grid, link)) + 1e-9
    assert study.best_split(1e-6) == 0
    assert study.best_split(2.0) < study.best_split(20.0)


def test_priority_queue_against_cobham():
    """Mean waits of four seeds together, both classes, well inside five standard errors."""
    runs = [
        study.priority_run({"seed": seed, "load": 0.7, "discipline": "first", "critical": 3000}) for seed in range(4)
    ]
    for name, exact in zip(("critical", "ordinary"), study.waits(0.7), strict=True):
        waits = [run[f"{name}_wait"] for run in runs]
        assert np.mean(waits) == pytest.approx(exact, rel=0.15), name


def test_interruption_makes_the_rest_invisible():
    """Critical messages then see an M/M/1 queue of their own: mean latency 1 / (1 - load)."""
    run = study.priority_run({"seed": 5, "load": 1.2, "discipline": "interrupt", "critical": 20_000})
    assert run["critical_wait"] + 1 == pytest.approx(1 / (1 - study.CRITICAL_LOAD), rel=0.05)


def test_off_peak_shifts_only_updates():
    runs = [study.off_peak_run({"seed": 3, "days": 2, "flat": flat}) for flat in (False, True)]
    assert runs[0]["at_once"] > runs[0]["off_peak"] > 0
    assert all(run["packets"] > 50_000 for run in runs)
