"""The proofs behind the errata of ISGC (Lin et al. 2023): an error shown there is shown here.

A claim of the ledger with the verdict "contradicted by the paper itself" names its proof in this file.
"""

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import linprog

from semcom_utils.papers.isgc.errata import numbers
from semcom_utils.papers.isgc.scenario import PAPER_STATES, STATE, IsgcConstants, paper_states, spectral_rates


def _outside(order):
    """Of each component, how many of Fig. 5's four values lie outside the range that section IV-C prints."""
    printed = IsgcConstants.as_printed()
    ranges = {"H_s^a": printed.entropy, "K_s^a": printed.symbols}
    ranges |= {name: printed.gain if name.startswith("g") else printed.power for name in STATE if name[0] in "gp"}
    columns = {name: paper_states(order)[:, STATE.index(name)] for name in ranges}
    return {name: int(((columns[name] <= low) | (columns[name] >= high)).sum()) for name, (low, high) in ranges.items()}


def test_isgc_printed_states_break_the_printed_ranges():
    fits = dict.fromkeys(("H_s^a", "g_a^m", "p_a^m", "g_m^s", "p_m^s"), 0) | {"K_s^a": 4}
    assert _outside("printed") == fits | {"p_a^m": 4, "g_m^s": 4}
    assert _outside("corrected") == fits  # gain, gain, power, power
    assert 0.8 < numbers()["k_min"] < numbers()["k_max"] < 1


def test_isgc_signs_of_the_noise_are_unlikely_under_a_normal_distribution():
    drawn = [values[i] for values in PAPER_STATES.values() for i in (1, 2)]
    assert sum(x > 0 for x in drawn) == 8
    assert numbers()["sign_odds"] == 256 == 2 ** len(drawn)


def test_isgc_mean_of_one_over_k_diverges():
    eps, k = sp.symbols("epsilon k", positive=True)
    truncated = sp.integrate(1 / k, (k, eps, sp.Rational(4, 5))) / sp.Rational(4, 5)
    assert sp.limit(truncated, eps, 0, "+") == sp.oo
    # The other reading has a finite mean: E[1/K] over (0.8, 1) is 5 ln(5/4).
    finite = 5 * sp.integrate(1 / k, (k, sp.Rational(4, 5), 1))
    assert float(finite) == pytest.approx(numbers()["mean_one_over_k"])
    # And what that does to a run: the largest of n rewards carries a share of their sum that does not go to zero.
    rng = np.random.default_rng(0)
    share = {}
    for low, high in [(0.0, 0.8), (0.8, 1.0)]:
        rewards = 1 / rng.uniform(low, high, size=(200, 10_000))
        share[low] = np.median(rewards.max(axis=1) / rewards.sum(axis=1))
    assert share[0.0] > 0.05 and share[0.8] < 2e-4


def test_isgc_semantic_rate_needs_bandwidth_in_the_numerator():
    H, W, K = sp.symbols("H W K", positive=True)
    literal, usual = H / (W * K), W * H / K
    assert sp.diff(literal, W).is_negative and sp.diff(usual, W).is_positive
    # An amount per second becomes 60 times as much per minute; W (symbols per second) does too, H and K do not.
    assert sp.simplify(usual.subs(W, 60 * W) / usual) == 60
    assert sp.simplify(literal.subs(W, 60 * W) / literal) == sp.Rational(1, 60)


def _sum_optimum(a):
    """Maximise sum a_i W_i over the simplex."""
    return linprog(-a, A_eq=np.ones((1, a.size)), b_eq=[1]).x


def _max_min_optimum(a):
    """Maximise t subject to a_i W_i >= t over the simplex."""
    n = a.size
    rows = np.hstack([-np.diag(a), np.ones((n, 1))])
    return linprog(np.r_[np.zeros(n), -1], A_ub=rows, b_ub=np.zeros(n), A_eq=np.r_[np.ones(n), 0][None], b_eq=[1]).x[:n]


def test_isgc_sum_and_max_min_want_opposite_allocations():
    rng = np.random.default_rng(1)
    for a in rng.uniform(0.5, 3, size=(20, 3)):
        total, fair = _sum_optimum(a), _max_min_optimum(a)
        np.testing.assert_allclose(total, a == a.max(), atol=1e-9)
        np.testing.assert_allclose(fair, (1 / a) / (1 / a).sum(), rtol=1e-6)
        best = a.argmax()
        worse = a * np.where(np.arange(3) == best, 0.1, 1)  # the best hop's channel fails
        assert _sum_optimum(worse)[best] < total[best]  # the sum takes bandwidth away from it,
        assert _max_min_optimum(worse)[best] > fair[best]  # the smallest utility wants it to have more


def test_isgc_fig5_states_alone_can_make_the_ordering():
    states = list(PAPER_STATES.values())
    assert len(set(states)) == 4  # no state is shared between the methods
    # One rule that ignores the state, the equal split, where the semantic hop carries the price: utility ~ H/K.
    utility = {name: values[0] / values[7] for name, values in PAPER_STATES.items()}
    assert min(utility["Diffusion 1"], utility["Diffusion 2"]) > max(utility["PPO 1"], utility["PPO 2"])
    # With equal prices and the fitting order, the best hop's rate per hertz (the optimum without a time limit, per unit
    # of bandwidth) is higher in each PPO state than in the diffusion state of the same number.
    best = dict(zip(PAPER_STATES, spectral_rates(paper_states()).max(axis=-1), strict=True))
    assert best["PPO 1"] > best["Diffusion 1"] and best["PPO 2"] > best["Diffusion 2"]
