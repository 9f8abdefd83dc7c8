"""The errata page is put together from the papers' folders, and states what ``tests/test_errata_<key>.py`` prove."""

import re
from pathlib import Path

import pytest

from semcom_utils.ledger import LedgerError, errata, load_ledger
from semcom_utils.ledger.errata import errata_numbers, errata_prose, fill
from semcom_utils.paths import PAPERS, papers

HERE = Path(__file__).parent
WITH_ERRATA = [key for key in papers() if (PAPERS / key / "errata.md").is_file()]


def test_every_paper_has_its_section_in_the_ledgers_order():
    page = errata()
    assert "{{" not in page
    names = [claims[0].paper.name for key, claims in load_ledger().items() if key in WITH_ERRATA]
    assert re.findall(r"^## (.*)$", page, re.M) == names


@pytest.mark.parametrize("paper", WITH_ERRATA)
def test_a_papers_errata_name_existing_tests_and_every_contradicted_claim(paper):
    page = errata_prose(paper)
    proofs = (HERE / f"test_errata_{paper}.py").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)`", page)
    # nothing is proved that the page does not state, and the other way round
    assert named and set(named) == set(re.findall(r"^def (test_\w+)", proofs, re.M))
    assert re.findall(r"^### (.*)$", page, re.M)[0] == "Shown by a derivation or a run"
    contradicted = [claim.id for claim in load_ledger()[paper] if claim.verdict.startswith("contradicted")]
    assert all(f"#claim-{name}" in page for name in contradicted)


@pytest.mark.parametrize("paper", WITH_ERRATA)
def test_every_number_is_quoted(paper):
    """A number that the prose has lost is dead code."""
    prose = (PAPERS / paper / "errata.md").read_text(encoding="utf-8")
    quoted = set(re.findall(r"\{\{(\w+):", prose))
    assert quoted <= set(errata_numbers(paper))
    assert bool(quoted) == bool(errata_numbers(paper))


def test_a_number_that_is_not_computed_is_refused(tmp_path):
    template = tmp_path / "errata.md"
    template.write_text("It needs {{qam_db:.2f}} dB.", encoding="utf-8")
    assert fill(template, errata_numbers("aigc_scm")) == "It needs 4.77 dB."
    template.write_text("It needs {{nonsense:.2f}} dB.", encoding="utf-8")
    with pytest.raises(LedgerError, match="nonsense.*there are: capacity_10_db, qam_db"):
        fill(template, errata_numbers("aigc_scm"))


def test_papers_are_known_by_their_packages():
    with pytest.raises(LedgerError, match="got 'nobody'"):
        errata_numbers("nobody")
    with pytest.raises(LedgerError, match="got '../isgc'"):
        errata_prose("../isgc")
    assert errata_prose("foundations") is None and errata_numbers("foundations") == {}
