"""The proofs behind book/errata.md: every error that the page states is shown here by a derivation or a short run.

A claim of the ledger with the verdict "contradicted by the paper itself" names its proof in this file.
"""

import numpy as np
import sympy as sp
from scipy.optimize import linprog

# --- ISGC (Lin et al. 2023), section IV-C: the four states of Fig. 5, in the order in which they are printed ---------
ISGC_STATES = {
    "PPO 1": [1.17, 0.66, 1.97, 0.30, 0.24, 4.76, 4.46, 0.91, 8.03, 15.28],
    "PPO 2": [1.40, 0.30, 0.65, 0.58, 0.16, 3.42, 4.69, 0.89, 7.49, 15.24],
    "Diffusion 1": [1.80, 1.05, 0.47, 0.05, 0.0004, 4.23, 4.58, 0.91, 5.02, 19.73],
    "Diffusion 2": [1.52, 0.12, 1.23, 0.03, 0.14, 4.83, 3.86, 0.96, 9.93, 18.42],
}
ISGC_PRINTED_ORDER = ["H", "sigma_a", "sigma_m", "g_a", "p_a", "g_m", "p_m", "K", "C_a", "C_m"]
ISGC_FITTING_ORDER = ["H", "sigma_a", "sigma_m", "g_a", "g_m", "p_a", "p_m", "K", "C_a", "C_m"]
ISGC_RANGES = {"H": (1, 2), "K": (0, 0.8), "g_a": (0, 1), "p_a": (3, 5), "g_m": (0, 1), "p_m": (3, 5)}


def _outside(order, name):
    """How many of the four printed values of a component lie outside its printed range."""
    low, high = ISGC_RANGES[name]
    return sum(not low < values[order.index(name)] < high for values in ISGC_STATES.values())


def test_isgc_printed_states_break_the_printed_ranges():
    assert {name: _outside(ISGC_PRINTED_ORDER, name) for name in ISGC_RANGES} == {
        "H": 0, "K": 4, "g_a": 0, "p_a": 4, "g_m": 4, "p_m": 0,
    }  # fmt: skip
    # Gain, gain, power, power: everything fits, except K.
    assert {name: _outside(ISGC_FITTING_ORDER, name) for name in ISGC_RANGES} == {
        "H": 0, "K": 4, "g_a": 0, "p_a": 0, "g_m": 0, "p_m": 0,
    }  # fmt: skip
    assert all(0.8 < values[ISGC_PRINTED_ORDER.index("K")] < 1 for values in ISGC_STATES.values())


def test_isgc_signs_of_the_noise_are_unlikely_under_a_normal_distribution():
    drawn = [values[i] for values in ISGC_STATES.values() for i in (1, 2)]
    assert sum(x > 0 for x in drawn) == 8
    assert 0.5 ** len(drawn) == 1 / 256


def test_isgc_mean_of_one_over_k_diverges():
    eps, k = sp.symbols("epsilon k", positive=True)
    truncated = sp.integrate(1 / k, (k, eps, sp.Rational(4, 5))) / sp.Rational(4, 5)
    assert sp.limit(truncated, eps, 0, "+") == sp.oo
    # The other reading has a finite mean: E[1/K] over (0.8, 1) is 5 ln(5/4).
    assert sp.simplify(sp.integrate(1 / k, (k, sp.Rational(4, 5), 1)) * 5 - 5 * sp.log(sp.Rational(5, 4))) == 0
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
    states = list(ISGC_STATES.values())
    assert all(a != b for i, a in enumerate(states) for b in states[i + 1 :])  # no method shares a state with the other
    # One rule that ignores the state, the equal split, where the semantic hop carries the price: utility ~ H/K.
    utility = {name: values[0] / values[7] for name, values in ISGC_STATES.items()}
    assert min(utility["Diffusion 1"], utility["Diffusion 2"]) > max(utility["PPO 1"], utility["PPO 2"])
    # With equal prices and the fitting order, the best hop's rate per hertz (the optimum without a time limit, per unit
    # of bandwidth) is higher in each PPO state than in the diffusion state of the same number.
    best = {}
    for name, v in ISGC_STATES.items():
        s = dict(zip(ISGC_FITTING_ORDER, v, strict=True))
        hops = [s["H"] / s["K"], *(np.log2(1 + s[f"g_{i}"] * s[f"p_{i}"] / s[f"sigma_{i}"] ** 2) for i in "am")]
        best[name] = max(hops)
    assert best["PPO 1"] > best["Diffusion 1"] and best["PPO 2"] > best["Diffusion 2"]
