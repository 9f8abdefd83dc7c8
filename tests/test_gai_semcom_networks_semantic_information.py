"""The world that the chapter "Semantic information" runs in, at a size of seconds."""

import numpy as np
import pytest

from semcom_utils.papers.gai_semcom_networks import semantic_information as study
from semcom_utils.semantic.information import channel_capacity, meaning_capacity


def test_grammar_is_a_distribution_and_unambiguous():
    text, meaning, probability = study.sentences()
    assert len(study.scenes()) == 54 and len(set(text)) == len(text) == 1680
    assert np.bincount(meaning, probability) == pytest.approx(np.ones(54))
    assert study.scene_frequencies().sum(1).tolist() == [10_000] * 4
    text, meaning, probability = study.sentences(synonyms=False)
    assert meaning.tolist() == list(range(54)) and probability.tolist() == [1.0] * 54


def test_words_occur_in_their_sentences():
    text, meaning, _ = study.sentences()
    for sentence, m in zip(text[::37], meaning[::37], strict=True):
        for attribute, value in zip(study.WORDS, study.scenes()[m], strict=True):
            assert any(word in sentence.replace(",", " ").replace(":", " ").split()
                       for word in study.WORDS[attribute][value])  # fmt: skip


def test_knowledge_saves_bits_and_wrong_knowledge_costs_scenes():
    record = study.knowledge_run({"messages": 1000, "block": 100, "seed": 5})
    assert record["errors"] == 0 and record["saved"] > 0.7
    assert record["errors_if_it_differs"] > record["errors_one_by_one"] > 0.9


def test_partly_heard_is_a_channel_with_the_capacity_of_its_closed_form():
    channel, meanings = study.partly_heard(0.25, 0.5)
    assert channel.shape == (4, 7) and channel.sum(1) == pytest.approx(np.ones(4))
    assert channel_capacity(channel)[0] == pytest.approx(2 * 0.75 - 0.5, abs=1e-8)
    with pytest.raises(ValueError, match="paraphrased must be"):
        study.partly_heard(0.8, 0.3)


def test_search_over_all_inputs_against_hand_and_optimiser():
    assert study.uneven_by_grid(0.2, 0.3, 0.01) == pytest.approx(1, abs=1e-3)  # the meanings alone limit
    assert study.uneven_by_grid(0.9, 0.0, 0.01) == pytest.approx(0.2, abs=1e-3)  # Shannon's limit alone: 2 (1 - 0.9)
    both = study.uneven_by_grid(0.4, 0.3, 0.002)
    assert meaning_capacity(study.partly_heard(0.4, 0.3)[0], study.UNEVEN)[0] == pytest.approx(both, abs=2e-4)
    assert both < 0.899  # below Shannon's 0.9


@pytest.mark.parametrize("rows", [np.eye(70), np.ones((9, 9)), np.zeros((3, 5)), np.tri(130)])
def test_rank_of_known_matrices(rows):
    assert study._rank(rows.astype(np.uint8)) == np.linalg.matrix_rank(rows)


def test_rank_over_two_elements_differs_from_the_reals():
    rows = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], np.uint8)  # the sum of all rows is even
    assert study._rank(rows) == 2 and np.linalg.matrix_rank(rows) == 3


def test_code_below_and_above_capacity():
    rng = np.random.default_rng(2)
    below = [study.code_block(600, 0.75, 0.4, 0.3, rng)["distinct"] for _ in range(5)]
    above = [study.code_block(600, 1.0, 0.4, 0.3, rng)["decoded"] for _ in range(5)]
    fixed = [study.code_block(600, 0.75, 0.4, 0.3, rng, "fixed")["decoded"] for _ in range(5)]
    assert all(below) and not any(above) and not any(fixed)


@pytest.mark.parametrize(
    "arguments, message",
    [((0, 0.5, 0.1, 0.1), "n must be"), ((9, 2.5, 0.1, 0.1), "rate must be"), ((9, 0.5, 1.1, 0), "lost must be")],
)
def test_code_block_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        study.code_block(*arguments, np.random.default_rng(0))
