"""Every study of the book: a small version runs from end to end, and every stored summary follows from its records."""

import json
import math

import pytest

from semcom_utils.studies import catalogue, find, load_result, run_study, task_key
from semcom_utils.studies.runner import file_hash

#: Small versions that take more than three seconds, imports of model libraries included.
SLOW = {
    "aigc_scm/denoising",
    "aigc_scm/feedback",
    "aigc_scm/latency",
    "aigc_scm/prompt_selection",
    "aigc_scm/alignment",
    "aigc_scm/baselines",
    "aigc_scm/link",
    "aigc_scm/psnr_triples",
    "aigc_scm/receivers",
    "foundations/digital_link",
    "gai_semcom_networks/completion",
    "gai_semcom_networks/families",
    "gai_semcom_networks/smart_city",
    "gai_semcom_networks/transceiver_costs",
    "gai_semcom_networks/transceiver_curves",
    "gai_semcom_networks/transceiver_frames",
    "gai_semcom_networks/transceiver_prompts",
    "isgc/denoising_steps",
    "isgc/coordination",
    "isgc/focus",
    "semaigc_root/ablation",
    "semaigc_root/decoding",
    "semaigc_root/frameworks",
    "semaigc_root/learning",
    "semaigc_root/pictures",
    "semaigc_root/pixels",
    "semaigc_root/readings",
    "semaigc_root/receiver",
    "semcom_for_aigc/entropy",
    "semcom_for_aigc/personalisation",
    "semcom_for_aigc/precision",
    "semcom_for_aigc/security",
    "semcom_for_aigc/allocation",
    "semcom_for_aigc/allocation_rates",
    "semcom_for_aigc/services",
    "semcom_for_aigc/adapter_rates",
    "semcom_for_aigc/adapters",
    "semcom_for_aigc/quality",
}
#: What no task of a study says, for its small version: how many steps pictures take.
FEWER = {"semcom_utils.papers.semcom_for_aigc.scenario.STEPS": 2}


def same(a, b, relative=1e-6):
    """Whether two summaries say the same; decimals to a part in a million."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k], relative) for k in a)
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isclose(a, b, rel_tol=relative, abs_tol=1e-9)
    return a == b


@pytest.mark.parametrize("name", catalogue())
def test_stored_summary_follows_from_the_stored_records(name):
    study, stored = find(name), load_result(name)
    assert [task_key(r["task"]) for r in stored["records"]] == [task_key(t) for t in study.tasks()], "run it again"
    again = json.loads(json.dumps(study.summarise(stored["records"])))
    assert same(again, stored["summary"])


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in catalogue()])
def test_one_seed_of_a_small_version_runs_from_end_to_end(name, tmp_path, monkeypatch):
    """What would make the study unable to run again shows here: its tasks, its run, its summary, what it reads."""
    for constant, value in FEWER.items():
        monkeypatch.setattr(constant, value)
    study, stored = find(name), load_result(name)
    assert study.small, f"{name} has no small version"
    seeds = 1 if any("seed" in task for task in study.tasks()) else None  # of one seed alone: all of its tasks
    result = run_study(study, jobs=1, seeds=seeds, small=True, folder=tmp_path, progress=False)
    assert result["summary"].keys() == stored["summary"].keys()
    assert 0 < len(result["records"]) <= len(stored["records"])
    assert {key for r in result["records"] for key in r} == {key for r in stored["records"] for key in r}


@pytest.mark.parametrize("name", catalogue())
def test_what_a_study_reads_is_what_it_read(name):
    """A result whose inputs have changed since has to run again (`reads`), or to be summed up anew (`compares`)."""
    study, origin = find(name), load_result(name)["provenance"]
    for other in (*study.reads, *study.compares):
        assert other in catalogue() and other != name
    inputs = origin.get("reads", {}) | origin.get("summary", {}).get("compares", {})
    assert inputs == {other: file_hash(other) for other in inputs}
