"""Every check of every decided claim, and of its control, can be turned round (``perturbations.py`` states by what)."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from perturbations import PERTURBATIONS, perturbed_summary, remembered
from semcom_utils.ledger import load_ledger
from semcom_utils.ledger.verdicts import check_outcome
from semcom_utils.paths import RESULTS
from semcom_utils.statistics import iqm, iqm_interval, mean_interval

DECIDED = {claim.id: claim for claims in load_ledger().values() for claim in claims if claim.checks}
#: Studies whose summary alone takes seconds.
LONG = (
    "isgc/",
    "semaigc_root/pictures",
    "semaigc_root/frameworks",
    "semaigc_root/learning",
    "semaigc_root/receiver",
    "semaigc_root/ablation",
    "book/comparison",
)


def marked(claim_id: str) -> object:
    studies = [p.study for p in PERTURBATIONS.get(claim_id, ())]
    slow = pytest.mark.slow if any(study.startswith(LONG) for study in studies) else ()
    return pytest.param(claim_id, marks=slow)


def checks_of(claim) -> list:
    """The checks of a claim's test and of its control."""
    return [*claim.checks, *claim.control.get("checks", ())]


def outcomes(claim, folder: Path) -> list[bool]:
    return [check_outcome(check, folder).holds for check in checks_of(claim)]


def with_summary(folder: Path, study: str, summary: dict) -> Path:
    """The stored results, but for the summary of one study."""
    for path in RESULTS.rglob("*.json"):
        copy = folder / path.relative_to(RESULTS)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if copy != folder / f"{study}.json":
            copy.symlink_to(path)
    (folder / f"{study}.json").write_text(json.dumps({"summary": summary}), encoding="utf-8")
    return folder


def stuck_checks(claim, perturbations, folder: Path) -> list[str]:
    """Names of the checks that hold, or fail, under all perturbations as they do on the stored results."""
    stored, turned = outcomes(claim, RESULTS), set()
    for i, perturbation in enumerate(perturbations):
        now = outcomes(claim, with_summary(folder / str(i), perturbation.study, perturbed_summary(perturbation)))
        turned |= {k for k, (before, after) in enumerate(zip(stored, now, strict=True)) if before != after}
    return [check.get("name", check["value"]) for k, check in enumerate(checks_of(claim)) if k not in turned]


@pytest.mark.parametrize("claim_id", map(marked, DECIDED))
def test_each_check_can_be_turned_round(claim_id, tmp_path):
    assert claim_id in PERTURBATIONS, f"state in tests/perturbations.py what makes each check of {claim_id} fail"
    assert not stuck_checks(DECIDED[claim_id], PERTURBATIONS[claim_id], tmp_path)


def test_a_check_that_nothing_turns_is_found(tmp_path):
    """Such as a share that the code sets to zero, or a check that no perturbation of its claim touches."""
    claim = DECIDED["gsn-versions"]
    constant = {"name": "set by the code", "value": 0, "op": ">=", "bound": 0.5}
    blind = replace(claim, acceptance={"checks": (*claim.checks, constant)})
    assert stuck_checks(blind, PERTURBATIONS["gsn-versions"], tmp_path / "constant") == ["set by the code"]
    assert len(stuck_checks(claim, (), tmp_path / "none")) == len(checks_of(claim))


def test_only_decided_claims_have_perturbations():
    assert set(PERTURBATIONS) == set(DECIDED)


def test_an_interval_that_is_remembered_is_the_one_of_these_numbers():
    numbers = ([1.0, 2.0, 3.0, 5.0, 8.0], [1.0, 2.0, 3.0, 5.0, 9.0], [1, 2, 3, 5, 8], [True, False, True])
    for _ in range(2):
        for values in numbers:
            assert remembered(values, iqm, None, 0.95) == iqm_interval(values)
            assert remembered(values, np.mean, None, 0.9) == mean_interval(values, level=0.9)
    many = np.random.default_rng(0).normal(size=40)
    assert remembered(many, iqm, np.random.default_rng(1), 0.95) != remembered(many, iqm, None, 0.95)


def test_a_perturbation_leaves_the_stored_records_alone():
    from perturbations import records_of

    (first, *_) = PERTURBATIONS["gsn-versions"]
    before = json.dumps(records_of(first.study))
    perturbed_summary(first)
    assert json.dumps(records_of(first.study)) == before
