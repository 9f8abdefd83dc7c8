"""Entropies, capacities and codes of ``semcom_utils.semantic.information`` against closed forms and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semcom_utils.semantic.information import (
    arithmetic_decode,
    arithmetic_encode,
    channel_capacity,
    entropy,
    huffman_lengths,
    meaning_capacity,
    mutual_information,
    semantic_entropy,
    similarity_entropy,
)

WEIGHTS = st.lists(st.integers(1, 1000), min_size=2, max_size=12)


def normal(weights):
    return np.array(weights, float) / sum(weights)


def h(p):
    return entropy([p, 1 - p])


def test_entropy_of_known_distributions():
    assert entropy(np.full(8, 1 / 8)) == pytest.approx(3)
    assert entropy([0.5, 0.25, 0.25, 0.0]) == pytest.approx(1.5)
    assert entropy([1.0]) == 0


def test_mutual_information_of_a_binary_symmetric_channel():
    assert mutual_information([[0.45, 0.05], [0.05, 0.45]]) == pytest.approx(1 - h(0.1))
    assert mutual_information(np.full((2, 3), 1 / 6)) == pytest.approx(0, abs=1e-12)


@given(WEIGHTS, st.integers(0, 5))
def test_chain_rule_of_wordings_and_meanings(weights, shift):
    p, g = normal(weights), (np.arange(len(weights)) + shift) // 3
    given_meaning = sum(p[g == m].sum() * entropy(p[g == m] / p[g == m].sum()) for m in np.unique(g))
    assert entropy(p) == pytest.approx(semantic_entropy(p, g) + given_meaning)
    assert similarity_entropy(p, np.eye(len(p))) == pytest.approx(entropy(p))
    assert similarity_entropy(p, (g[:, None] == g).astype(float)) == pytest.approx(semantic_entropy(p, g))


@given(WEIGHTS)
def test_more_likeness_never_means_more_information(weights):
    p, z = normal(weights), np.eye(len(weights))
    values = [similarity_entropy(p, (1 - a) * z + a) for a in (0, 0.3, 0.7, 1)]
    assert all(b <= a + 1e-12 for a, b in zip(values, values[1:], strict=False))
    assert values[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("e", [0.0, 0.1, 0.3, 0.5])
def test_capacity_of_known_channels(e):
    assert channel_capacity([[1 - e, e], [e, 1 - e]])[0] == pytest.approx(1 - h(e), abs=1e-8)
    assert channel_capacity([[1 - e, e, 0], [0, e, 1 - e]])[0] == pytest.approx(1 - e, abs=1e-8)
    z = np.log2(1 + (1 - e) * e ** (e / (1 - e)))
    assert channel_capacity([[1, 0], [e, 1 - e]])[0] == pytest.approx(z, abs=1e-8)


def test_capacity_of_an_asymmetric_channel_beats_every_input_on_a_grid():
    channel = np.array([[0.8, 0.15, 0.05], [0.1, 0.3, 0.6]])
    grid = np.linspace(0.01, 0.99, 199)
    best = max(mutual_information(np.array([[q], [1 - q]]) * channel) for q in grid)
    capacity, p = channel_capacity(channel)
    assert best <= capacity + 1e-9 and capacity - best < 1e-4
    assert mutual_information(p[:, None] * channel) == pytest.approx(capacity, abs=1e-8)


def test_slow_convergence_is_an_error():
    with pytest.raises(RuntimeError, match="no convergence"):
        channel_capacity([[0.8, 0.2], [0.1, 0.9]], max_steps=1)


def partly_heard(lost, paraphrased):
    """Two meanings, two words each: word heard, only its meaning heard, nothing heard."""
    heard = 1 - lost - paraphrased
    return np.hstack([heard * np.eye(4), paraphrased * np.kron(np.eye(2), np.ones((2, 1))), np.full((4, 1), lost)])


@pytest.mark.parametrize("lost, paraphrased", [(0.4, 0.3), (0.0, 0.0), (0.2, 0.1), (0.1, 0.9), (0.7, 0.0)])
def test_meaning_capacity_closed_form(lost, paraphrased):
    capacity, p = meaning_capacity(partly_heard(lost, paraphrased), [0, 0, 1, 1])
    assert capacity == pytest.approx(min(1, 2 * (1 - lost) - paraphrased), abs=1e-6)
    assert p.sum() == pytest.approx(1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(1, 20), min_size=3, max_size=3), min_size=2, max_size=4))
def test_meaning_capacity_lies_below_both_limits_and_equals_shannons_without_synonyms(rows):
    channel = np.array(rows, float) / np.sum(rows, 1, keepdims=True)
    shannon = channel_capacity(channel, 1e-7, 1_000_000)[0]
    assert meaning_capacity(channel, np.arange(len(channel)))[0] == pytest.approx(shannon, abs=1e-6)
    some = meaning_capacity(channel, np.arange(len(channel)) // 2)[0]
    assert -1e-9 <= some <= min(shannon + 1e-6, np.log2((len(channel) + 1) // 2) + 1e-9)


def test_the_optimiser_alone_finds_shannons_capacity_without_synonyms():
    channel = partly_heard(0.4, 0.3)
    assert meaning_capacity(channel, np.arange(4), shortcut=False)[0] == pytest.approx(0.9, abs=1e-6)


def test_meaning_capacity_where_meanings_bind_unequally():
    """A noiseless channel with synonyms: every meaning equally likely, log2 of their number."""
    assert meaning_capacity(np.eye(6), [0, 0, 0, 0, 1, 2])[0] == pytest.approx(np.log2(3), abs=1e-6)


@given(WEIGHTS)
def test_huffman_is_complete_and_within_a_bit(weights):
    p = normal(weights)
    length = huffman_lengths(p)
    assert np.sum(2.0**-length) == pytest.approx(1)
    assert entropy(p) - 1e-9 <= p @ length < entropy(p) + 1


def test_huffman_by_hand():
    assert huffman_lengths([0.4, 0.3, 0.2, 0.1]).tolist() == [1, 2, 3, 3]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=8).filter(sum), st.data())
def test_arithmetic_code_round_trip_and_length(frequencies, data):
    possible = [i for i, f in enumerate(frequencies) if f]
    symbols = data.draw(st.lists(st.sampled_from(possible), min_size=1, max_size=60))
    code = arithmetic_encode(symbols, frequencies)
    assert arithmetic_decode(code, len(symbols), frequencies).tolist() == symbols
    ideal = -np.log2(np.array(frequencies)[symbols] / sum(frequencies)).sum()
    assert ideal - 1e-6 <= len(code) <= ideal + 2


def test_arithmetic_code_with_a_table_for_each_message():
    rng = np.random.default_rng(1)
    tables = rng.integers(1, 50, (300, 7))
    symbols = np.array([rng.choice(7, p=row / row.sum()) for row in tables])
    code = arithmetic_encode(symbols, tables)
    assert np.array_equal(arithmetic_decode(code, 300, tables), symbols)
    assert (arithmetic_decode(code, 300, tables[:, ::-1]) != symbols).mean() > 0.5  # other tables: nonsense, no error


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: entropy([0.5, 0.6]), "p must be probabilities that sum to 1"),
        (lambda: entropy([1.5, -0.5]), "p must be at least 0"),
        (lambda: mutual_information([0.5, 0.5]), "joint must be a matrix"),
        (lambda: semantic_entropy([0.5, 0.5], [0]), "meanings must be 2 whole numbers"),
        (lambda: semantic_entropy([0.5, 0.5], [0, -1]), "meanings must be"),
        (lambda: similarity_entropy([0.5, 0.5], [[1, 2], [2, 1]]), "similarity must be"),
        (lambda: channel_capacity([[0.5, 0.4]]), "channel must be a matrix whose rows sum to 1"),
        (lambda: channel_capacity(np.eye(2), tolerance=0), "tolerance must be"),
        (lambda: meaning_capacity(np.eye(2), [0, 1, 2]), "meanings must be 2"),
        (lambda: huffman_lengths([1.0]), "p must be a vector of at least two"),
        (lambda: arithmetic_encode([0, 3], [1, 1]), "symbols must be below 2"),
        (lambda: arithmetic_encode([0, 1], [1, 0]), "of frequency above 0, got 1"),
        (lambda: arithmetic_encode([0.5], [1, 1]), "symbols must be a sequence of whole numbers"),
        (lambda: arithmetic_encode([0], [0, 0]), "frequencies must be"),
        (lambda: arithmetic_encode([0], [[1, 1], [1, 1]]), "one row for each of the 1"),
        (lambda: arithmetic_decode("012", 1, [1, 1]), "code must be"),
        (lambda: arithmetic_decode("01", 0, [1, 1]), "n must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
