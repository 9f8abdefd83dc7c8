"""The studies of the survey's information chapters: the grammar, the coder's records and the code over the channel."""

import numpy as np
import pytest

from semcom_utils.effectiveness.age import error_by_age, error_by_incorrectness
from semcom_utils.experiments import survey_information as study
from semcom_utils.experiments.__main__ import study as named
from semcom_utils.experiments.runner import task_key
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
    [((0, 0.5, 0.1, 0.1), "n must be"), ((9, 1.5, 0.1, 0.1), "rate must be"), ((9, 0.5, 1.1, 0), "lost must be")],
)
def test_code_block_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        study.code_block(*arguments, np.random.default_rng(0))


@pytest.mark.parametrize("name", list(study.STUDIES))
def test_tasks_are_different_and_registered(name):
    tasks = named(name).tasks()
    assert len({task_key(task) for task in tasks}) == len(tasks)


def test_matched_threshold_and_eagerness_match():
    for n in (1, 2, 7):
        theta = study.matched_threshold(n, 0.1, 0.8)
        by_need = error_by_incorrectness(0.1, 0.8, threshold=theta)
        assert by_need["error"] == pytest.approx(error_by_age(n, 0.1, 0.8)["error"])
        s = study.matched_eagerness(n, 0.1, 0.8)
        assert error_by_incorrectness(0.1, 0.8, s)["error"] == pytest.approx(error_by_age(n, 0.1, 0.8)["error"])


def test_three_senders_do_what_the_closed_forms_say():
    record = study.two_state_run({"threshold": 3, "change": 0.2, "success": 0.6, "slots": 60_000, "seed": 3})
    age = error_by_age(3, 0.2, 0.6)
    need = error_by_incorrectness(0.2, 0.6, threshold=study.matched_threshold(3, 0.2, 0.6))
    coin = error_by_incorrectness(0.2, 0.6, study.matched_eagerness(3, 0.2, 0.6))
    assert need["rate"] == pytest.approx(coin["rate"]) and need["aoii"] < 0.8 * coin["aoii"]
    assert record["rate_coin"] == pytest.approx(coin["rate"], abs=0.01)
    assert record["aoii_coin"] == pytest.approx(coin["aoii"], rel=0.06)
    assert record["rate_age"] == pytest.approx(age["rate"], abs=0.01)
    assert record["error_age"] == pytest.approx(age["error"], abs=0.015)
    assert record["rate_need"] == pytest.approx(need["rate"], abs=0.01)
    assert record["aoii_need"] == pytest.approx(need["aoii"], rel=0.06)


def test_where_everything_changes_both_send_always():
    record = study.two_state_run({"threshold": 1, "change": 1.0, "success": 1.0, "slots": 500, "seed": 3})
    assert record["rate_age"] == record["rate_need"] == 1 and record["error_need"] == record["error_age"] == 0


def test_control_loss_of_a_forgetful_system_does_not_depend_on_age():
    record = study.control_run({"growth": 0.0, "arrival": 0.5, "systems": 2000, "slots": 60, "seed": 1})
    assert np.array(record["loss"])[:4] == pytest.approx(np.ones(4), abs=0.05)


def test_faults_missed_by_clock_and_event_are_as_computed():
    record = study.faults_run({"period": 5, "slots": 1_000_000, "seed": 9})
    expected = study.missed_by_clock(5, **study.MACHINE)
    assert record["missed_clock"] == pytest.approx(expected, abs=0.04)
    assert record["missed_event"] == pytest.approx(expected, abs=0.04)
    assert record["missed_random"] > 0.9 and record["ratio"] < 0.1
    assert study.matched_alarm(1, **study.MACHINE) == pytest.approx(study.MACHINE["alarm"])


def test_slope_is_that_of_numpy_and_its_interval_widens_with_the_level():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 50))
    y = 2 * x + z + rng.normal(size=50)
    slope = study.slope_interval(y, x)
    assert slope["estimate"] == pytest.approx(np.polyfit(x, y, 1)[0])
    wide = study.slope_interval(y, x, level=0.999)
    assert wide["low"] < slope["low"] < slope["high"] < wide["high"]


def test_an_intervention_cuts_the_arrow_from_the_weather():
    data = study.link_data(20_000, np.random.default_rng(1), 2.0)
    assert np.corrcoef(data["weather"], data["power"])[0, 1] == pytest.approx(2 / 5**0.5, abs=0.02)
    done = study.link_data(20_000, np.random.default_rng(1), 2.0, power=3.0)
    assert (done["power"] == 3).all() and done["snr"].mean() == pytest.approx(18, abs=0.1)


def test_causal_run_has_the_wrong_sign_only_by_regression():
    record = study.causal_run({"samples": 5000, "answer": 2.0, "level": 0.95, "seed": 1})
    assert record["regression"]["high"] < 0 < 0.8 < record["intervention"]["low"]
    assert record["adjusted"]["estimate"] == pytest.approx(1, abs=0.05)
