"""Figures that a reader moves: their numbers are Python's, and they work with and without a server and a script."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from semcom_utils.control.allocation import optimal_allocation, smallest_latency_budget
from semcom_utils.effectiveness.age import QUEUES, mean_age
from semcom_utils.papers.isgc.scenario import IsgcConstants, allocation_problem, sample_states
from semcom_utils.papers.semaigc_root import scenario as root
from semcom_utils.papers.semaigc_root.workload import moving_figure
from semcom_utils.physical.limits import capacity_awgn, finite_blocklength_rate

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
HOMES = {
    "isgc-triangle": "notebooks/10_isgc",
    "short-blocks": "notebooks/01_digital_link",
    "best-split": "notebooks/14_semaigc_root",
    "age": "notebooks/13b_information_effectiveness",
}


@pytest.fixture(scope="module")
def js(chrome):
    """The models alone, on a page of a file: ``js(name, list of arguments)`` gives the list of results."""
    chrome.get((ROOT / "book" / "_static" / "favicon.svg").as_uri())
    chrome.execute_script((ROOT / "book" / "_static" / "figures" / "models.js").read_text(encoding="utf-8"))

    def call(name, arguments):
        script = "return JSON.parse(arguments[1]).map((given) => window.bookModels[arguments[0]](...given))"
        return chrome.execute_script(script, name, json.dumps(arguments))

    return call


def close(ours, theirs):
    return np.allclose(np.array(ours, float), theirs, rtol=1e-6, atol=1e-9)


def test_allocations_are_those_of_the_library(js):
    rng = np.random.default_rng(0)
    problem = allocation_problem(sample_states(300, rng))
    a, b, W, tau = (problem[k] for k in ("price_rates", "latency_loads", "bandwidth", "latency_budget"))
    least = smallest_latency_budget(b, W)
    solvable = least * 1.001 < tau
    assert 100 < solvable.sum() < 300
    got = js("optimalAllocation", [[x.tolist(), y.tolist(), w, t] for x, y, w, t in zip(a, b, W, tau, strict=True)])
    assert [w is None for w in got] == (least > tau).tolist()
    w, earned = optimal_allocation(a[solvable], b[solvable], W[solvable], tau[solvable])
    ours = np.array([x for x, can in zip(got, solvable, strict=True) if can])
    assert close((ours * a[solvable]).sum(-1), earned) and close(ours, w)
    assert close(js("smallestLatencyBudget", [[y.tolist(), w] for y, w in zip(b, W, strict=True)]), least)
    for prices in ([0.0, 0.0, 0.0], [2.0, 2.0, 2.0]):  # a tie: nothing to earn by moving the band
        assert close(js("optimalAllocation", [[prices, [1.0, 4.0, 4.0], 10.0, 9.0]])[0], [2, 4, 4])


def test_rates_are_those_of_the_library(js):
    rng = np.random.default_rng(1)
    snr, n = rng.uniform(-10, 30, 200), rng.integers(50, 20_000, 200)
    error = 10 ** rng.uniform(-6, -1, 200)
    assert close(js("capacityAwgn", [[x] for x in snr]), capacity_awgn(snr))
    asked = [[x, int(k), e] for x, k, e in zip(snr, n, error, strict=True)]
    assert close(js("finiteBlocklengthRate", asked), finite_blocklength_rate(snr, n, error))


def test_splits_are_those_of_the_library(js):
    data, constants = moving_figure(), root.RootConstants()
    states = root.sample_states(60, np.random.default_rng(2))
    success = root.interpolated_success(*(data["success"][k] for k in ("splits", "snrs_db", "table")))
    for table, p in ((data["success"], success), (None, None)):
        theirs = root.expected_satisfaction(states, p, constants)
        asked = [
            [a, dict(zip(root.STATE, state.tolist(), strict=True)), table, data["constants"]]
            for state in states
            for a in range(21)
        ]
        assert close(js("expectedSatisfaction", asked), theirs.ravel())
    asked = [[a, state, k] for a, state, _, k in asked]
    assert close(js("latency", asked), root.latency(np.arange(21), states[:, None], constants).ravel())


def test_ages_are_those_of_the_library(js):
    loads = np.linspace(0.03, 0.97, 40)
    for queue in QUEUES:
        assert close(js("meanAge", [[rho, 1.7, queue] for rho in loads]), mean_age(loads, 1.7, queue=queue))


def test_comparison_can_fail(js):
    """A model with one wrong sign, on the same page."""
    assert not close(js("meanAge", [[0.5, 1.0, "M/M/1"]]), mean_age(0.5, queue="D/M/1"))
    assert not close(js("finiteBlocklengthRate", [[5.0, 200, 1e-3]]), finite_blocklength_rate(5.0, 200, 1.1e-3))


def test_constants_of_the_page_are_those_of_the_chapter():
    page = (SITE / f"{HOMES['isgc-triangle']}.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'data-figure="isgc-triangle".*?<script type="application/json">(.*?)</script>', page, re.S)
    assert json.loads(data) == {"data": list(IsgcConstants().data), "bandwidth": IsgcConstants().bandwidth}


@pytest.mark.parametrize("name", HOMES)
def test_figure_moves_when_opened_from_a_file(chrome, name):
    """Each slider, by the keyboard, changes the drawing or the words, most both; none is nameless."""
    chrome.get((SITE / f"{HOMES[name]}.html").as_uri())
    place = f'.interactive[data-figure="{name}"]'
    seen = f"const e = document.querySelector('{place}');"
    seen += "return [e.querySelector('svg').innerHTML, e.querySelector('.interactive-words').textContent]"
    before = chrome.execute_script(seen)
    assert before[0].count("<") > 10 and re.search(r"\d", before[1])
    sliders = chrome.find_elements("css selector", f"{place} input[type=range]")
    assert len(sliders) >= 2
    told = 0
    for slider in sliders:
        assert slider.accessible_name.strip()
        slider.send_keys("\ue014" * 4)  # arrow to the right
        now = chrome.execute_script(seen)
        assert now != before, slider.accessible_name
        assert "NaN" not in now[1] and "Infinity" not in now[1], now[1]
        told += now[0] != before[0] and now[1] != before[1]
        before = now
    assert told >= len(sliders) / 2
    for key in ("\ue011", "\ue010"):  # to the least of all, and to the greatest
        for slider in sliders:
            slider.send_keys(key)
        said = chrome.execute_script(seen)[1]
        assert not re.search("NaN|Infinity|undefined", said), said


def test_without_scripts_the_still_is_named():
    for name, home in HOMES.items():
        page = (SITE / f"{home}.html").read_text(encoding="utf-8")
        (inside,) = re.findall(rf'data-figure="{name}"[^>]*>(.*?)</div>', page, re.S)
        assert re.search(r"Its still is .*?<a [^>]*href=\"#fig-", inside, re.S), inside


def test_pages_without_a_figure_load_none_of_it():
    page = (SITE / "book" / "glossary.html").read_text(encoding="utf-8")
    assert "figures/models.js" not in page and "figures/figures.css" not in page
