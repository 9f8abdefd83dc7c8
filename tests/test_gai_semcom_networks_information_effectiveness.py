"""The worlds that the chapter "Information effectiveness" runs in, at a size of seconds."""

import numpy as np
import pytest

from semcom_utils.effectiveness.age import error_by_age, error_by_incorrectness
from semcom_utils.papers.gai_semcom_networks import information_effectiveness as study
from semcom_utils.statistics import slope_interval


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
    slope = slope_interval(y, x)
    assert slope["estimate"] == pytest.approx(np.polyfit(x, y, 1)[0])
    wide = slope_interval(y, x, level=0.999)
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
