"""The closed forms against independent computations, and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from semcom_utils.physical import (
    capacity_awgn,
    ergodic_capacity_rayleigh,
    finite_blocklength_error,
    finite_blocklength_rate,
    min_snr_db,
    outage_probability_rayleigh,
    uncoded_bit_error_rate,
)

SNRS = [-25.0, -10.0, 0.0, 4.77, 10.0, 25.0]


def over_fading(function, snr_db):
    """The mean of ``function(snr)`` over the exponential distribution of |h|^2, by quadrature."""
    mean = 10 ** (snr_db / 10)
    return quad(lambda g: math.exp(-g) * function(g * mean), 0, 60, limit=400, epsabs=1e-13)[0]


def test_capacity_at_points_known_by_hand():
    assert capacity_awgn(0.0) == pytest.approx(1.0)
    assert capacity_awgn(10 * math.log10(3)) == pytest.approx(2.0)
    assert capacity_awgn(-60.0) == pytest.approx(1e-6 * math.log2(math.e), rel=1e-5)
    assert capacity_awgn(np.zeros((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("snr_db", SNRS)
def test_ergodic_capacity_is_the_mean_over_the_fading(snr_db):
    expected = over_fading(lambda snr: math.log2(1 + snr), snr_db)
    assert ergodic_capacity_rayleigh(snr_db) == pytest.approx(expected, rel=1e-7)
    assert ergodic_capacity_rayleigh(snr_db) < capacity_awgn(snr_db)  # Jensen


def test_ergodic_capacity_at_very_low_and_very_high_snr():
    assert ergodic_capacity_rayleigh(-60.0) == pytest.approx(1e-6 * math.log2(math.e), rel=1e-5)
    euler = 0.5772156649015329
    assert ergodic_capacity_rayleigh(120.0) == pytest.approx(math.log2(1e12) - euler * math.log2(math.e), rel=1e-9)


@pytest.mark.parametrize("snr_db", [-5.0, 5.0, 15.0])
def test_dispersion_is_the_variance_of_the_information_density(snr_db):
    """Codewords of constant power: V is the variance per use of log p(y|x) / q(y), which is simulated here."""
    rng, snr, n, trials = np.random.default_rng(7), 10 ** (snr_db / 10), 50, 40_000
    x = np.full(n, math.sqrt(snr), dtype=complex)
    w = (rng.standard_normal((trials, n)) + 1j * rng.standard_normal((trials, n))) / math.sqrt(2)
    density = (np.log2(1 + snr) + (np.abs(x + w) ** 2 / (1 + snr) - np.abs(w) ** 2) * math.log2(math.e)).sum(1)
    rate = lambda epsilon: finite_blocklength_rate(snr_db, n, epsilon)  # noqa: E731
    root_v = (rate(0.5) - rate(norm.sf(1.0))) * math.sqrt(n)  # Q^-1 is 0 and 1
    assert density.mean() / n == pytest.approx(capacity_awgn(snr_db), rel=0.01)
    assert density.var() / n == pytest.approx(root_v**2, rel=0.03)  # four standard deviations of the estimate


def test_finite_blocklength_rate_is_the_real_formula_with_twice_the_uses():
    n, epsilon, snr = 300, 1e-3, 10**0.4
    dispersion = snr * (snr + 2) / (2 * (snr + 1) ** 2) * math.log2(math.e) ** 2  # per real use
    real = 2 * n * 0.5 * math.log2(1 + snr) - math.sqrt(2 * n * dispersion) * norm.isf(epsilon) + 0.5 * math.log2(n)
    assert finite_blocklength_rate(4.0, n, epsilon) == pytest.approx(real / n)


def test_finite_blocklength_rate_tends_to_capacity():
    gaps = capacity_awgn(5.0) - finite_blocklength_rate(5.0, np.array([1e2, 1e4, 1e6, 1e8]), 1e-3)
    assert (np.diff(gaps) < 0).all() and (gaps > 0).all() and gaps[-1] < 1e-3


@settings(max_examples=60, deadline=None)
@given(
    snr_db=st.floats(-5, 40),
    n=st.integers(50, 100_000),
    epsilon=st.floats(1e-9, 0.4),
)
def test_inverses_return_to_where_they_started(snr_db, n, epsilon):
    assert min_snr_db(capacity_awgn(snr_db)) == pytest.approx(snr_db, abs=1e-8)
    assert min_snr_db(ergodic_capacity_rayleigh(snr_db), channel="rayleigh-fast") == pytest.approx(snr_db, abs=1e-6)
    rate = finite_blocklength_rate(snr_db, n, epsilon)
    if rate > 0.6 * capacity_awgn(snr_db):  # where the approximation means something
        back = min_snr_db(rate, block_length=n, error_probability=epsilon)
        assert back == pytest.approx(snr_db, abs=1e-6)
        assert finite_blocklength_error(snr_db, n, rate) == pytest.approx(epsilon, rel=1e-6)
    back = min_snr_db(1.5, channel="rayleigh-block", error_probability=epsilon)
    assert outage_probability_rayleigh(back, 1.5) == pytest.approx(epsilon, rel=1e-9)


def test_min_snr_db_broadcasts_and_keeps_scalars():
    assert min_snr_db(2.0) == pytest.approx(10 * math.log10(3))
    assert np.ndim(min_snr_db(2.0, block_length=256, error_probability=1e-2)) == 0
    table = min_snr_db(np.array([[1.0], [2.0]]), block_length=np.array([64, 256, 1024]), error_probability=1e-2)
    assert table.shape == (2, 3)
    assert (np.diff(table, axis=1) < 0).all() and (np.diff(table, axis=0) > 0).all()
    assert (table > min_snr_db(np.array([[1.0], [2.0]]))).all()


def test_outage_is_the_probability_that_the_coefficient_is_too_small():
    gain = np.random.default_rng(3).exponential(size=200_000)
    simulated = (np.log2(1 + gain * 10) < 2).mean()
    assert outage_probability_rayleigh(10.0, 2.0) == pytest.approx(simulated, abs=0.004)


def test_uncoded_error_rates_known_from_the_textbook():
    assert uncoded_bit_error_rate(1, 10.0) == pytest.approx(norm.sf(math.sqrt(20)))
    assert uncoded_bit_error_rate(2, 10.0) == pytest.approx(norm.sf(math.sqrt(10)))
    x = math.sqrt(10**1.2 / 5)
    sixteen = (3 * norm.sf(x) + 2 * norm.sf(3 * x) - norm.sf(5 * x)) / 4
    assert uncoded_bit_error_rate(4, 12.0) == pytest.approx(sixteen)
    assert uncoded_bit_error_rate(1, 10.0, channel="rayleigh-fast") == pytest.approx(0.5 * (1 - math.sqrt(10 / 11)))


@pytest.mark.parametrize("order", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("snr_db", [-10.0, 8.0, 20.0])
def test_uncoded_rayleigh_is_the_awgn_rate_averaged_over_the_fading(order, snr_db):
    expected = over_fading(lambda snr: uncoded_bit_error_rate(order, 10 * math.log10(max(snr, 1e-30))), snr_db)
    assert uncoded_bit_error_rate(order, snr_db, channel="rayleigh-fast") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("order", [1, 2, 4, 6, 8])
def test_uncoded_error_rate_starts_at_a_half_and_falls(order):
    rates = uncoded_bit_error_rate(order, np.linspace(-80, 20, 300))
    assert rates[0] == pytest.approx(0.5, abs=1e-3) and (np.diff(rates) < 0).all()


BAD = [
    ("snr_db", lambda: capacity_awgn(math.nan)),
    ("snr_db", lambda: capacity_awgn("ten")),
    ("snr_db", lambda: ergodic_capacity_rayleigh([0.0, math.inf])),
    ("snr_db", lambda: uncoded_bit_error_rate(4, math.nan)),
    ("bits_per_symbol", lambda: uncoded_bit_error_rate(3, 0.0)),
    ("channel", lambda: uncoded_bit_error_rate(4, 0.0, channel="rician")),
    ("block_length", lambda: finite_blocklength_rate(0.0, 0, 0.1)),
    ("block_length", lambda: finite_blocklength_rate(0.0, 10.5, 0.1)),
    ("error_probability", lambda: finite_blocklength_rate(0.0, 100, 0.0)),
    ("error_probability", lambda: finite_blocklength_rate(0.0, 100, 1.0)),
    ("rate", lambda: finite_blocklength_error(0.0, 100, -1.0)),
    ("rate", lambda: outage_probability_rayleigh(0.0, 0.0)),
    ("rate", lambda: min_snr_db(0.0)),
    ("rate", lambda: min_snr_db(0.001, block_length=100, error_probability=0.5)),
    ("rate", lambda: min_snr_db(140.0, block_length=100, error_probability=0.1)),
    ("rate", lambda: min_snr_db(200.0, channel="rayleigh-fast")),
    ("rate", lambda: min_snr_db(1e-30, channel="rayleigh-fast")),
    ("rate", lambda: min_snr_db([1.0, 2000.0])),
    ("rate", lambda: min_snr_db(2000.0, channel="rayleigh-block", error_probability=0.1)),
    ("channel", lambda: min_snr_db(1.0, channel="AWGN")),
    ("error_probability", lambda: min_snr_db(1.0, block_length=100)),
    ("error_probability", lambda: min_snr_db(1.0, error_probability=0.1)),
    ("error_probability", lambda: min_snr_db(1.0, channel="rayleigh-block")),
    ("block_length", lambda: min_snr_db(1.0, channel="rayleigh-fast", block_length=100)),
]


def test_highest_rates_have_finite_answers():
    assert min_snr_db(1000.0) == pytest.approx(10 * 1000 * math.log10(2))
    high = min_snr_db(130.0, channel="rayleigh-fast")
    assert ergodic_capacity_rayleigh(high) == pytest.approx(130.0) and high > min_snr_db(130.0)


@pytest.mark.parametrize(("name", "call"), BAD)
def test_bad_arguments_are_named(name, call):
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        call()
