"""Ages of information against closed forms, limits and hand-made cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from semcom_utils.effectiveness.age import (
    QUEUES,
    age_penalty,
    average_age,
    error_by_age,
    error_by_incorrectness,
    mean_age,
    mean_delay,
    simulate_queue,
)
from semcom_utils.papers.gai_semcom_networks.information_effectiveness import matched_threshold


def test_beta_solves_its_equation():
    for rho in (0.05, 0.3, 0.7, 0.95):
        beta = brentq(lambda b, rho=rho: b - np.exp(-(1 - b) / rho), 0, 1 - 1e-6)
        assert mean_delay(rho, queue="D/M/1") == pytest.approx(1 / (1 - beta), rel=1e-6)
        assert mean_age(rho, queue="D/M/1") == pytest.approx(0.5 / rho + 1 / (1 - beta), rel=1e-6)


def test_minimum_of_mm1_is_near_0_53():
    best = minimize_scalar(mean_age, bounds=(0.05, 0.95), method="bounded").x
    assert best == pytest.approx(0.531, abs=1e-3)


@given(st.floats(0.02, 0.98), st.floats(0.1, 10))
def test_regular_arrivals_are_fresher_and_dropping_fresher_still(rho, mu):
    random, regular, newest = (mean_age(rho, mu, queue=queue) for queue in QUEUES)
    assert regular < random and newest <= random
    assert mean_age(rho, mu) == pytest.approx(mean_age(rho) / mu)


@pytest.mark.parametrize("queue", QUEUES)
def test_simulation_agrees_with_closed_forms(queue):
    rng = np.random.default_rng(3)
    ages, delays = [], []
    for _ in range(12):
        born, got = simulate_queue(0.6, 1500, rng, 2.0, queue=queue)
        assert (got > born).all() and (np.diff(got) > 0).all()
        ages.append(average_age(born, got, got[100], got[-1]))
        delays.append(np.mean((got - born)[100:]))
    for measured, exact in ((ages, mean_age(0.6, 2.0, queue=queue)), (delays, mean_delay(0.6, 2.0, queue=queue))):
        assert abs(np.mean(measured) - exact) < 4 * np.std(measured) / len(measured) ** 0.5


def test_only_preemption_loses_updates():
    rng = np.random.default_rng(4)
    assert [len(simulate_queue(0.8, 400, rng, queue=q)[0]) for q in QUEUES][:2] == [400, 400]
    served = len(simulate_queue(0.8, 4000, rng, queue="preemptive")[0]) / 4000
    assert served == pytest.approx(1 / 1.8, abs=0.04)  # served before the next arrival: mu / (mu + lambda)


def test_area_under_the_sawtooth_by_hand():
    # arrives at 1 (born 0) and at 3 (born 2): age 1 -> 3 on [1, 3], then 1 -> 2 on [3, 4]
    assert average_age([0, 2], [1, 3], 1, 4) == pytest.approx((4 + 1.5) / 3)
    # one that is late and older changes nothing
    assert average_age([2, 0, 1], [3, 1, 3.5], 1, 4) == pytest.approx((4 + 1.5) / 3)


@given(st.floats(0.01, 0.5), st.floats(0.1, 1))
def test_sending_always_and_sending_when_wrong_serve_the_receiver_alike(p, q):
    always, needed = error_by_age(1, p, q), error_by_incorrectness(p, q)
    assert always["error"] == pytest.approx(needed["error"], abs=1e-12)
    assert always["rate"] == pytest.approx(1.0)
    assert needed["rate"] <= 0.5 + 1e-12
    assert needed["aoii"] >= needed["error"] - 1e-12


def markov(a, b, n=4000):
    """Mean of the age of incorrectness from its transition matrix."""
    matrix = np.zeros((n, n))
    matrix[0, 1], matrix[0, 0] = a, 1 - a
    for k in range(1, n - 1):
        matrix[k, k + 1], matrix[k, 0] = b, 1 - b
    matrix[-1, 0] = 1
    pi = np.ones(n) / n
    for _ in range(200):
        pi = pi @ matrix
    return pi @ np.arange(n)


def test_age_of_incorrectness_against_its_markov_chain():
    p, q, s = 0.2, 0.7, 0.9
    a, b = p * (1 - s * q), (1 - p) * (1 - s * q)
    assert error_by_incorrectness(p, q, s)["aoii"] == pytest.approx(markov(a, b, 120), abs=1e-9)


def chain(p, q, sends, slots=1500, size=80):
    """Error, messages a slot and mean AoII of any rule on age and AoII, from the chain of both (age, AoII)."""
    pi, rate = np.zeros((size, size)), 0.0
    pi[0, 0] = 1
    age, aoii = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    for _ in range(slots):
        before = np.zeros_like(pi)  # after the source's change, before this slot's message
        before[1:, 0] = (1 - p) * pi[:-1, 0] + p * pi[:-1, 1:].sum(1)
        before[1:, 1] = p * pi[:-1, 0]
        before[1:, 2:] = (1 - p) * pi[:-1, 1:-1]
        sent = before * sends(age, aoii)
        pi, rate = before - q * sent, sent.sum() / before.sum()
        pi[0, 0] += q * sent.sum()
        pi /= pi.sum()
    return {"error": 1 - pi[:, 0].sum(), "rate": rate, "aoii": (pi * aoii).sum()}


@pytest.mark.parametrize("theta, s", [(1.0, 1.0), (3.0, 1.0), (2.3, 1.0), (1.6, 0.5)])
def test_threshold_on_incorrectness_against_the_chain(theta, s):
    p, q, n = 0.2, 0.7, int(theta)
    rule = chain(p, q, lambda age, aoii: s * (aoii >= n) * np.where(aoii == n, 1 - (theta - n), 1.0))
    assert error_by_incorrectness(p, q, s, theta) == pytest.approx(rule, abs=1e-5)  # ages are cut at 80


def test_clock_and_threshold_of_equal_error_tie_at_two_and_differ_beyond():
    p, q = 0.1, 0.8
    for n, tie in ((1, True), (2, True), (5, False)):
        theta = matched_threshold(n, p, q)
        clock, need = chain(p, q, lambda age, aoii, n=n: age >= n), error_by_incorrectness(p, q, threshold=theta)
        assert clock["error"] == pytest.approx(error_by_age(n, p, q)["error"], abs=1e-6)
        assert need["error"] == pytest.approx(clock["error"], abs=1e-6) and need["rate"] < clock["rate"]
        assert (need["aoii"] == pytest.approx(clock["aoii"], abs=1e-6)) == tie and need["aoii"] < clock["aoii"] + 1e-6


def test_rare_reports_leave_a_coin_toss():
    assert error_by_age(100_000, 0.3, 1.0)["error"] == pytest.approx(0.5, abs=1e-4)
    assert error_by_incorrectness(0.3, 1e-9)["error"] == pytest.approx(0.5, abs=1e-6)


@given(st.integers(0, 20), st.floats(-1.5, 1.5))
def test_penalty_is_the_sum(age, a):
    assert age_penalty(age, a, 2.0) == pytest.approx(2 * sum(a ** (2 * i) for i in range(age)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mean_age(1.0), "load must be below 1"),
        (lambda: mean_age(0.0), "load must be above 0"),
        (lambda: mean_age(0.5, queue="M/G/1"), "queue must be one of"),
        (lambda: mean_delay(0.5, -1.0), "service_rate must be"),
        (lambda: simulate_queue(0.5, 0, np.random.default_rng(0)), "updates must be"),
        (lambda: average_age([0, 1], [1], 1, 2), "vectors of one length"),
        (lambda: average_age([2], [1], 1, 2), "received must not be before generated"),
        (lambda: average_age([0], [1], 0, 2), "start must be"),
        (lambda: average_age([0], [1], 1, 1), "end must be"),
        (lambda: error_by_age(0, 0.1, 0.5), "threshold must be"),
        (lambda: error_by_age(1, 0.0, 0.5), "change must be"),
        (lambda: error_by_incorrectness(0.1, 1.5), "success must be"),
        (lambda: error_by_incorrectness(0.1, 0.5, 0.0), "eagerness must be"),
        (lambda: error_by_incorrectness(0.1, 0.5, threshold=0.5), "threshold must be"),
        (lambda: age_penalty(0.5, 1.0), "age must be whole"),
        (lambda: age_penalty(1, np.nan), "growth must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
