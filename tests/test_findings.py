"""The sentence on each paper takes its numbers from the results, and says no more than has been run."""

import json
import sys

import pytest

from semcom_utils.ledger import LedgerError, findings, load_ledger
from semcom_utils.ledger.findings import FINDINGS
from semcom_utils.paths import BOOK, RESULTS

POINTER = "isgc/some.json#/summary/share"


@pytest.fixture(scope="module")
def ledger():
    return load_ledger()


@pytest.fixture(autouse=True)
def read_once(monkeypatch, ledger):
    """The ledger takes a second to read, and each call would."""
    monkeypatch.setattr(sys.modules["semcom_utils.ledger.findings"], "load_ledger", lambda: ledger)


def written(tmp_path, text):
    file = tmp_path / "findings.yml"
    file.write_text(text, encoding="utf-8")
    return file


def stored(tmp_path, **summary):
    folder = tmp_path / "results"
    (folder / "isgc").mkdir(parents=True, exist_ok=True)
    (folder / "isgc" / "some.json").write_text(json.dumps({"summary": summary}), encoding="utf-8")
    return folder


def results_but(tmp_path, paper, name):
    """The checkout's results by links, and of one paper copies without ``name``; where that file may be written."""
    folder = tmp_path / "results"
    (folder / paper).mkdir(parents=True)
    for path in RESULTS.iterdir():
        if path.name != paper:
            (folder / path.name).symlink_to(path)
    for path in (RESULTS / paper).glob("*.json"):
        if path.name != name:
            (folder / paper / path.name).symlink_to(path)
    return folder, folder / paper / name


def test_every_paper_has_its_sentence_on_the_scoreboard(ledger):
    found, page = findings(), (BOOK / "scoreboard.md").read_text(encoding="utf-8")
    assert list(found) == list(ledger)
    for sentence in found.values():
        assert sentence.endswith(".") and len(sentence) < 330, sentence
        assert page.index("## In a minute") < page.index(sentence) < page.index("## All papers")


def test_a_number_is_that_of_the_results(tmp_path):
    file = written(tmp_path, f"isgc:\n  - sentence: It earns {{a:.0%}} of it.\n    numbers: {{a: {POINTER}}}\n")
    assert findings(file, stored(tmp_path, share=0.25)) == {"isgc": "It earns 25% of it."}
    assert findings(file, stored(tmp_path, share=-0.5)) == {"isgc": "It earns \N{MINUS SIGN}50% of it."}


def test_a_changed_result_changes_the_real_sentences(tmp_path):
    folder, file = results_but(tmp_path, "semaigc_root", "frameworks.json")
    stored = json.loads((RESULTS / "semaigc_root" / "frameworks.json").read_text(encoding="utf-8"))
    stored["summary"]["measured"]["frameworks"]["edge"]["satisfaction"]["estimate"] = 0.123
    file.write_text(json.dumps(stored), encoding="utf-8")
    assert "12.3%" in findings(results_dir=folder)["semaigc_root"]


def test_without_a_result_the_next_sentence_is_taken(tmp_path, ledger):
    text = (
        f"isgc:\n  - sentence: It earns {{a:.0%}}.\n    numbers: {{a: {POINTER}}}\n"
        "  - sentence: Of {claims} claims, {open} are open.\n"
    )
    claims = ledger["isgc"]
    still = sum(claim.verdict == "not attempted" for claim in claims)
    (tmp_path / "empty").mkdir()
    found = findings(written(tmp_path, text), tmp_path / "empty")
    assert found == {"isgc": f"Of {len(claims)} claims, {still} are open."}
    assert findings(written(tmp_path, text), stored(tmp_path, share=1.0)) == {"isgc": "It earns 100%."}


def test_isgc_compares_learners_only_by_the_study_that_gave_all_the_same_effort(tmp_path):
    folder, file = results_but(tmp_path, "isgc", "equal_penalty.json")
    assert "PPO" not in findings(results_dir=folder)["isgc"]
    shares = {
        name: {"share": {"estimate": share}} for name, share in (("diffusion", 0.31), ("ppo", 0.42), ("equal", 0.1))
    }
    file.write_text(json.dumps({"summary": shares}), encoding="utf-8")
    sentence = findings(results_dir=folder)["isgc"]
    assert "31%" in sentence and "PPO 42%" in sentence


@pytest.mark.parametrize(
    "text, says",
    [
        ("isgc:\n  - sentence: It earns 93% of it.\n", "is typed"),
        ("isgc:\n  - sentence: It earns {a:.0%}.\n", "no pointer for a"),
        ("nobody:\n  - sentence: Nothing.\n", "nobody is no paper"),
        ("isgc:\n  - sentence: It earns {a}.\n    numbers: {a: 'isgc/none.json#/a'}\n", "no sentence has all"),
        (f"isgc:\n  - sentence: It earns {{a}}.\n    numbers: {{a: '{POINTER}/deeper'}}\n", "there is no 'deeper'"),
    ],
)
def test_a_sentence_that_cannot_be_told_is_an_error(tmp_path, text, says):
    with pytest.raises(LedgerError, match=says):
        findings(written(tmp_path, text), stored(tmp_path, share=0.25))


def test_the_file_is_where_readers_of_the_ledger_look():
    assert FINDINGS.is_file() and FINDINGS.parent.name == "data"
