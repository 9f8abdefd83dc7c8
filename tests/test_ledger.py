"""The claim ledger: the committed one holds, and everything that could be wrong with one is found."""

import json
import os
import re
import subprocess
import warnings
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from semcom_utils import ledger as package
from semcom_utils.ledger import (
    VERDICTS,
    LedgerError,
    check_ledger,
    claims_table,
    errata,
    estimates,
    ledger_notes,
    load_claims,
    load_ledger,
    resolve,
    scoreboard,
    slug,
    update_ledger,
    verdict,
    verdict_box,
)
from semcom_utils.ledger import __main__ as command_line
from semcom_utils.ledger import verdicts as verdicts_module

ROOT = Path(__file__).parents[1]
GAIN = {"name": "a gain", "value": "run.json#/gain/low", "op": ">", "bound": 0}
SIZE = {"name": "its size", "value": "run.json#/gain/estimate", "op": "within", "bound": [7, 9]}


# --- a small ledger to break -----------------------------------------------------------------------------------------
def entry(**changes) -> dict:
    """A claim that is valid as it stands; a change to None leaves the field out."""
    base = {
        "id": "toy-gain",
        "verdict": "reproduced",
        "statement": "The new method gains eight percent.",
        "where": {"section": "IV", "figure": "Fig. 2"},
        "kind": "number",
        "role": "central",
        "printed": {"value": 8.3, "unit": "%", "obtained": "text"},
        "acceptance": {"text": "A gain of about that size.", "committed": "2026-11-22", "checks": [GAIN, SIZE]},
        "estimate": {"at": "run.json#/gain", "unit": "%", "format": ".1f"},
        "evidence": [{"results": "run.json#/gain"}],
        "counter_check": "No gain.",
    }
    return {key: value for key, value in (base | changes).items() if value is not None}


@pytest.fixture
def toy(tmp_path):
    """Write a ledger of one paper with these claims beside a results file; return both folders."""

    def write(*claims, results=None, key="toy", number=0):
        folder, results_dir = tmp_path / "claims", tmp_path / "results"
        folder.mkdir(exist_ok=True)
        results_dir.mkdir(exist_ok=True)
        about = {"key": key, "prefix": key, "name": "Toy", "title": "T", "cite": "toy", "number": number, "scope": "s"}
        text = yaml.safe_dump({"paper": about, "claims": list(claims)}, sort_keys=False, allow_unicode=True)
        (folder / f"{key}.yml").write_text(text, encoding="utf-8")
        if results is not None:
            (results_dir / "run.json").write_text(json.dumps(results), encoding="utf-8")
        return folder, results_dir

    return write


GOOD = {"gain": {"estimate": 8.1, "low": 6.9, "high": 9.4}, "untrained": {"low": -3.0}}


def problems(folders) -> str:
    return "\n".join(map(str, check_ledger(*folders)))


# --- the committed ledger --------------------------------------------------------------------------------------------
def test_every_stored_verdict_follows_and_all_evidence_exists():
    assert not problems((None, None))


def test_the_ledger_covers_the_five_papers():
    ledger = load_ledger()
    assert list(ledger)[:5] == ["isgc", "semcom_for_aigc", "aigc_scm", "gai_semcom_networks", "semaigc_root"]
    assert [key for key, claims in ledger.items() if claims[0].paper.own] == ["book"] == list(ledger)[5:]
    for claims in ledger.values():
        assert sum(claim.role == "central" for claim in claims) >= 3
        assert all(claim.acceptance or claim.verdict in verdicts_module.WITHOUT_CHECKS for claim in claims)
    cited = re.findall(r"^@\w+\{([^,]+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.M)
    assert {about.cite for claims in ledger.values() if not (about := claims[0].paper).own} <= set(cited)


def test_scoreboard_shows_every_claim_with_its_verdict_and_the_denominators():
    ledger, page = load_ledger(), scoreboard()
    claims = [claim for entries in ledger.values() for claim in entries]
    for claim in claims:
        card = page.split(f'id="claim-{claim.id}"')[1].split("</article>")[0]
        assert f'<span class="verdict-{slug(claim.verdict)}">{claim.verdict}</span>' in card
    rows = re.findall(r"^\| <span class=\"verdict-[^|]*\| (\d+) \| (\d+) \| (\d+) \|$", page, re.M)
    assert len(rows) == len(VERDICTS)
    papers, own = ([claim for claim in claims if claim.paper.own is which] for which in (False, True))
    central = sum(claim.role == "central" for claim in papers)
    assert sum(int(row[2]) for row in rows) == len(papers)
    assert f"Central, of {central} |" in page
    assert f"lists {len(papers)} claims of the five papers, {central} of them central, and {len(own)} sentences" in page
    assert f"The book's own sentences are not among them: of {len(own)} claims" in page


def test_a_ledger_without_sentences_of_its_own_speaks_of_none(toy):
    page = scoreboard(*toy(entry(), results=GOOD))
    assert "lists 1 claims of the five papers, 1 of them central. Each" in page and "own sentences" not in page


def test_every_verdict_has_a_colour_in_both_modes():
    css = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    bars = (ROOT / "book" / "_static" / "ledger.css").read_text(encoding="utf-8")
    background = {"light": "#ffffff", "dark": "#121212"}
    for name in VERDICTS:
        for mode in ("light", "dark"):
            rules = re.findall(r"([^{}]*)\{([^{}]*)\}", css)
            scope = 'data-theme="dark"' if mode == "dark" else None
            found = [
                body for selector, body in rules
                if re.search(rf"\.verdict-{slug(name)}(?![\w-])", selector) and (scope or "") in selector
                and (scope is not None or "data-theme" not in selector)
            ]  # fmt: skip
            assert found, f"{name} has no colour in {mode} mode"
            colour = re.search(r"(?<!-)color: *(#\w{6})", found[0])[1]
            ground = re.search(r"background: *(#\w{6})", found[0])
            assert contrast(colour, ground[1] if ground else background[mode]) >= 4.5, (name, mode)
        assert f".ledger-{slug(name)} " in bars


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio of two colours such as ``#0072b2``."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# --- how a verdict follows -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ({"estimate": 8.1, "low": 6.9, "high": 9.4}, "reproduced"),
        ({"estimate": 3.0, "low": 1.0, "high": 5.0}, "partly"),
        ({"estimate": 3.0, "low": -1.0, "high": 7.0}, "not reproduced"),
    ],
)
def test_verdict_follows_from_the_checks(toy, gain, expected):
    folder, results = toy(entry(verdict="not attempted"), results={"gain": gain})
    assert verdict(load_claims(folder / "toy.yml")[0], results).name == expected


def test_verdict_if_renames_the_outcomes(toy):
    acceptance = entry()["acceptance"] | {"verdict_if": {"all": "direction holds at reduced scale"}}
    folder, results = toy(entry(acceptance=acceptance, verdict="direction holds at reduced scale"), results=GOOD)
    assert not problems((folder, results))


def test_flipped_verdict_fails(toy):
    for wrong in ("partly", "not reproduced", "direction holds at reduced scale", "not attempted"):
        text = problems(toy(entry(verdict=wrong), results=GOOD))
        assert "toy-gain" in text and f"'{wrong}' does not follow" in text and "'reproduced'" in text


def test_changed_result_fails(toy):
    assert not problems(toy(entry(), results=GOOD))
    text = problems(toy(entry(), results={"gain": {"estimate": 8.1, "low": -0.1, "high": 9.4}}))
    assert "'reproduced' does not follow" in text and "a gain: -0.1 > 0 fails" in text


def test_missing_results_file_names_claim_and_file(toy):
    folders = toy(entry())
    assert verdict(load_claims(folders[0] / "toy.yml")[0], folders[1]).waits_for == ("run.json",)
    text = problems(folders)
    assert "toy-gain" in text and "run.json does not exist" in text
    assert not problems(toy(entry(verdict="not attempted")))  # before the run this is how it should be


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        ("run.json#/gain/lowest", "there is no 'lowest' in it; at that place it has estimate, low, high"),
        ("run.json#/gain/low/deeper", "there is no 'deeper' in it; at that place it has a float"),
        ("run.json#/gain", "needs a finite number"),
        ("run.json#/list/7", "there is no '7'"),
        ("run.json#/broken", "needs a finite number"),
        ("run.json#/flag", "needs a finite number"),
    ],
)
def test_dangling_pointer_is_explained(toy, pointer, message):
    check = GAIN | {"value": pointer}
    results = GOOD | {"list": [1, 2], "broken": float("nan"), "flag": True}
    text = problems(toy(entry(acceptance=entry()["acceptance"] | {"checks": [check]}), results=results))
    assert "toy-gain" in text and message in text and pointer in text


@pytest.mark.parametrize("field", ["estimate", "seeds", "wall_time_s", "evidence"])
def test_pointers_outside_the_checks_must_resolve_too(toy, field):
    value = {"estimate": {"at": "run.json#/nothing"}, "evidence": [{"results": "run.json#/nothing"}]}
    assert "nothing" in problems(toy(entry(**{field: value.get(field, "run.json#/nothing")}), results=GOOD))


def test_results_that_are_not_json(toy):
    folder, results = toy(entry(), results=GOOD)
    (results / "run.json").write_text("{", encoding="utf-8")
    assert "run.json: not JSON" in problems((folder, results))


def test_rewritten_results_are_read_again(toy):
    folder, results = toy(entry(), results=GOOD)
    assert not problems((folder, results))
    (results / "run.json").write_text(json.dumps({"gain": {"estimate": 0.25, "low": -1, "high": 1}}), encoding="utf-8")
    assert "does not follow" in problems((folder, results))


def test_estimates_carry_interval_and_unit(toy):
    folder, results = toy(entry(), results=GOOD)
    claim = load_claims(folder / "toy.yml")[0]
    (found,) = estimates(claim, results)
    assert (found.value, found.low, found.high, found.unit) == (8.1, 6.9, 9.4, "%")
    assert estimates(claim, results / "elsewhere") == []
    page = scoreboard(folder, results)
    assert "<dd>8.1 [6.9, 9.4]%</dd>" in page and "its size: 8.1 within [7, 9] holds" in page


def test_estimate_without_its_other_end(toy):
    text = problems(toy(entry(), results={"gain": {"estimate": 8.1, "low": 6.9}}))
    assert "needs estimate, or estimate, low and high" in text


def test_negative_control_must_fail_its_test(toy):
    control = {"text": "an untrained method", "checks": [GAIN | {"value": "run.json#/untrained/low"}]}
    assert not problems(toy(entry(control=control), results=GOOD))
    text = problems(toy(entry(control=control), results=GOOD | {"untrained": {"low": 2.0}}))
    assert "the negative control passes" in text
    assert "control: run.json#/untrained/low" in problems(toy(entry(control=control), results={"gain": GOOD["gain"]}))


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"test": "tests/test_errata.py::test_that_is_not_there"}, "there is no test"),
        ({"test": "tests/test_nowhere.py::test_that_is_not_there"}, "there is no test"),
        ({"notebook": "notebooks/99_nowhere"}, "there is no notebook"),
        ({"results": "run.json#/gain"}, "needs a 'test' entry"),
    ],
)
def test_contradiction_needs_its_proof(toy, evidence, message):
    claim = entry(
        verdict="contradicted by the paper itself", acceptance=None, estimate=None, explanation="2 is not 3.",
        evidence=[evidence],
    )  # fmt: skip
    assert message in problems(toy(claim, results=GOOD))


def test_tests_are_found_by_their_definition():
    assert verdicts_module._test_exists(ROOT, "tests/test_ledger.py::test_flipped_verdict_fails")
    assert not verdicts_module._test_exists(ROOT, "tests/test_ledger.py::test_flipped")
    assert not verdicts_module._test_exists(ROOT, "tests/test_ledger.py::GAIN")


NUMBERS = st.floats(-1e6, 1e6)


@given(value=NUMBERS, bound=NUMBERS, op=st.sampled_from([">=", ">", "<=", "<"]))
def test_comparisons_and_their_opposites(value, bound, op):
    opposite = {">=": "<", ">": "<=", "<=": ">", "<": ">="}[op]
    holds, fails = (
        verdicts_module.check_outcome({"value": value, "op": o, "bound": bound}, None) for o in (op, opposite)
    )
    assert holds.holds != fails.holds
    assert holds.holds == eval(f"{value!r} {op} {bound!r}")  # noqa: S307 (two numbers and an operator of ours)


@given(value=NUMBERS, low=NUMBERS, width=st.floats(0, 1e6))
def test_within_is_at_least_and_at_most(value, low, width):
    high = low + width
    within = verdicts_module.check_outcome({"value": value, "op": "within", "bound": (low, high)}, None)
    assert within.holds == (low <= value <= high)
    middle = {"value": value, "op": "==", "bound": low, "tol": width}
    assert verdicts_module.check_outcome(middle, None).holds == (abs(value - low) <= width)


KEYS = st.text("ab/~01", max_size=4)


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8))
def test_every_place_of_a_document_can_be_pointed_at(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("results")
    (folder / "any.json").write_text(json.dumps(document), encoding="utf-8")

    def walk(here, pointer):
        assert resolve(f"any.json#{pointer}", folder) == here
        if isinstance(here, dict):
            for key, inner in here.items():
                walk(inner, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")

    walk(document, "")


def test_bounds_the_wrong_way_round(toy):
    checks = [SIZE | {"bound": [9, 7]}]
    text = problems(toy(entry(acceptance=entry()["acceptance"] | {"checks": checks}), results=GOOD))
    assert "the lower bound is above the upper one" in text


# --- what the schema refuses -----------------------------------------------------------------------------------------
def acceptance(**changes):
    return {key: value for key, value in (entry()["acceptance"] | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"verdict": "probably"}, "verdict"),
        ({"kind": "hunch"}, "kind"),
        ({"role": "minor"}, "role"),
        ({"statement": "  "}, "statement"),
        ({"where": {"figure": "Fig. 2"}}, "where"),
        ({"where": None}, "where"),
        ({"printed": {"value": 8.3}}, "obtained"),
        ({"colour": "green"}, "colour"),
        ({"id": "Toy Gain"}, "Toy Gain"),
        ({"seeds": 0}, "seeds"),
        ({"estimate": {"at": 8.1}}, "estimate"),
        ({"estimate": {"at": "run.json#/gain", "format": ".2q"}}, "estimate"),
        ({"evidence": [{"results": "/etc/passwd#/x"}]}, "evidence"),
        ({"evidence": [{"results": "../run.json#/x"}]}, "evidence"),
        ({"evidence": None}, "evidence"),
        ({"counter_check": None}, "counter_check"),
        ({"acceptance": None}, "acceptance"),
        ({"acceptance": acceptance(checks=None)}, "checks"),
        ({"acceptance": acceptance(checks=[])}, "checks"),
        ({"acceptance": acceptance(committed="last week")}, "committed"),
        ({"acceptance": acceptance(checks=[GAIN | {"op": "!="}])}, "op"),
        ({"acceptance": acceptance(checks=[GAIN | {"value": "run.json/gain"}])}, "value"),
        ({"acceptance": acceptance(checks=[GAIN | {"bound": [1, 2]}])}, "bound"),
        ({"acceptance": acceptance(checks=[GAIN | {"op": "=="}])}, "tol"),
        ({"acceptance": acceptance(checks=[SIZE | {"bound": 7}])}, "bound"),
        ({"acceptance": acceptance(verdict_if={"all": "splendid"})}, "verdict_if"),
        ({"acceptance": acceptance(verdict_if={"some": "reproduced"})}, "verdict_if"),
        ({"verdict": "not testable here", "acceptance": None, "evidence": None}, "reason"),
        ({"verdict": "contradicted by the paper itself"}, "explanation"),
        ({"verdict": "holds by derivation"}, "explanation"),
        ({"acceptance": acceptance(history=[{"date": "2026-11-30", "change": "c", "reason": "r", "was": {}}])}, "was"),
        ({"acceptance": acceptance(history=[{"date": "2026-11-30", "change": "c", "reason": "r", "was": 1}])}, "was"),
    ],
)
def test_schema_violation_names_claim_and_field(toy, change, named):
    folder, _ = toy(entry(**change))
    with pytest.raises(LedgerError, match=r"toy\.yml: claim ") as error:
        load_claims(folder / "toy.yml")
    assert named in str(error.value)
    if "id" not in change:
        assert "toy-gain" in str(error.value)


def test_a_valid_entry_is_valid(toy):
    assert not problems(toy(entry(), results=GOOD))


def test_duplicate_ids_and_foreign_prefixes(toy):
    folder, _ = toy(entry(), entry())
    with pytest.raises(LedgerError, match="claim toy-gain: this id is used twice"):
        load_claims(folder / "toy.yml")
    folder, _ = toy(entry(id="other-gain"))
    with pytest.raises(LedgerError, match="claim other-gain: an id of this file must start with 'toy-'"):
        load_claims(folder / "toy.yml")


def test_two_files_with_one_number(toy):
    toy(entry())
    folder, _ = toy(entry(id="boy-gain"), key="boy")
    with pytest.raises(LedgerError, match=r"paper\.number"):
        load_ledger(folder)


def test_missing_folder_file_or_argument(tmp_path):
    with pytest.raises(LedgerError, match="no claims files"):
        load_ledger(tmp_path)
    with pytest.raises(LedgerError, match=r"isgcc\.yml: no such claims file; the folder has .*isgc"):
        load_claims("isgcc")
    with pytest.raises(ValueError, match="paper must be"):
        load_claims(3)
    with pytest.raises(ValueError, match="pointer must read like"):
        resolve("run.json")
    with pytest.raises(ValueError, match="claim_id must be the id of a claim"):
        verdict_box("isgc-nothing")
    with pytest.raises(ValueError, match="role must be"):
        claims_table("isgc", role="minor")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paper: {key: toy", "toy.yml: line "),
        ("paper: 3\nclaims: []", "toy.yml: "),
        ("[1, 2]", "toy.yml: "),
        ("claims: []\nclaims: []", "the key 'claims' is given twice"),
    ],
)
def test_broken_yaml(tmp_path, text, message):
    (tmp_path / "toy.yml").write_text(text, encoding="utf-8")
    with pytest.raises(LedgerError, match=re.escape(message)):
        load_claims(tmp_path / "toy.yml")


def test_yaml_as_people_mean_it():
    read = package.claims.parse_yaml("a: 2026-11-22\nb: 1e-3\nc: -2E+4\nd: run.json#/x", "toy.yml")
    assert read == {"a": "2026-11-22", "b": 1e-3, "c": -2e4, "d": "run.json#/x"}


# --- the acceptance test comes before the run ------------------------------------------------------------------------
@pytest.fixture
def history(toy, monkeypatch, tmp_path):
    """A git repository with a commit for each earlier claim; a results file whose last record was made at the last."""

    def git(*words):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        environment = os.environ | {
            "GIT_COMMITTER_DATE": "2026-11-25T12:00:00Z",
            "GIT_AUTHOR_DATE": "2026-11-25T12:00:00Z",
        }
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()

    def write(*before, after, metas=(), renamed=None, **results):
        git("init", "-q")
        commits = []
        for i, earlier in enumerate(before):
            folder, _ = toy(earlier) if earlier else toy(entry(id="toy-other", verdict="not attempted"))
            (tmp_path / "data" / "claims").mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / "claims" / "toy.yml").write_text((folder / "toy.yml").read_text(encoding="utf-8"))
            git("add", "data")
            git("commit", "-qm", f"test {i}", "--allow-empty")
            commits.append(git("rev-parse", "HEAD"))
        records = [{"task": {}, "values": {}, "meta": {"commit": c, "uncommitted_changes": None}} for c in commits]
        for record, meta in zip(records, metas, strict=False):
            record["meta"] |= meta
        folders = toy(after, results=GOOD | {"provenance": {"commit": commits[-1]}, "records": records} | results)
        if renamed:
            (folders[1] / "renamed.json").write_text(json.dumps(renamed), encoding="utf-8")
        return folders

    monkeypatch.setattr(verdicts_module, "repository_root", lambda: tmp_path)
    return write


UNTESTED = entry(verdict="not attempted")
#: The test before a change, and the history entry that tells of it.
NARROW = {"verdict": "not attempted", "acceptance": acceptance(checks=[GAIN, SIZE | {"bound": [8.2, 8.4]}])}
CHANGE = {"date": "2026-11-30", "change": "wider bound", "reason": "one point was never meant"}
WAS = {"checks": [GAIN, SIZE | {"bound": [8.2, 8.4]}]}


def changed(*entries, **more):
    return entry(acceptance=acceptance(history=list(entries), **more))


def test_test_as_committed_before_the_run(history):
    assert not problems(history(UNTESTED, after=entry()))


@pytest.mark.parametrize("before", [entry(**NARROW), None])
def test_test_changed_after_the_run_is_found(history, before):
    text = problems(history(before, after=entry()))
    assert "not the test that was committed when its results were made" in text and "run.json, made at" in text


def test_test_changed_after_the_run_with_its_reason(history):
    folders = history(entry(**NARROW), after=changed(CHANGE | {"was": WAS}))
    assert not problems(folders)
    page = scoreboard(*folders)
    assert "changed 2026-11-30: wider bound" in page and "within [8.2, 8.4]" in page


def test_a_test_that_was_there_in_words_only(history):
    words = entry(verdict="not attempted", acceptance=acceptance(checks=None))
    assert "not the test" in problems(history(words, after=changed(CHANGE)))
    assert not problems(history(words, after=changed(CHANGE | {"was": {"checks": []}})))


@pytest.mark.parametrize(
    "told",
    [
        CHANGE,  # a change is told of, not what it was
        CHANGE | {"was": {"checks": [GAIN]}},  # it was something else
        CHANGE | {"was": {"verdict_if": {"all": "partly"}}},  # another part of the test
    ],
)
def test_a_history_that_does_not_explain_the_difference(history, told):
    assert "no entry of acceptance.history says by `was`" in problems(history(entry(**NARROW), after=changed(told)))


def test_a_change_may_not_be_dated_before_the_run(history):
    text = problems(history(entry(**NARROW), after=changed(CHANGE | {"date": "2026-11-24", "was": WAS})))
    assert "the entry of 2026-11-24 is older than the run, but was not there then" in text and "of 2026-11-25" in text


def test_history_is_only_ever_added_to(history):
    before = changed(CHANGE | {"was": WAS})
    assert not problems(history(before, after=before))
    for after in (changed(CHANGE | {"reason": "another"}), entry()):
        assert "an entry that stood there is gone or reworded" in problems(history(before, after=after))


def test_verdict_if_is_part_of_the_test(history):
    after = entry(verdict="holds by derivation", explanation="Two and two.", acceptance=acceptance())
    after["acceptance"]["verdict_if"] = {"all": "holds by derivation"}
    assert "not the test" in problems(history(UNTESTED, after=after))
    after["acceptance"]["history"] = [CHANGE | {"was": {"verdict_if": {}}}]
    assert not problems(history(UNTESTED, after=after))


def test_the_commit_of_each_record_is_looked_at(history):
    """The result's own commit had the test; the first of its records was made before it did."""
    folders = history(entry(**NARROW), UNTESTED, after=entry())
    assert problems(folders).count("not the test") == 1
    assert not problems(history(entry(**NARROW), UNTESTED, after=changed(CHANGE | {"was": WAS})))


def test_two_changes_one_after_the_other(history):
    second = CHANGE | {"was": {"checks": [GAIN]}, "date": "2026-12-01"}
    before = entry(**NARROW), entry(verdict="not attempted", acceptance=acceptance(checks=[GAIN], history=[CHANGE]))
    first = CHANGE | {"was": WAS}
    assert not problems(history(*before, after=changed(first, second)))
    assert "not the test" in problems(history(*before, after=changed(first)))


def test_results_that_were_renamed(history):
    """The committed test points at the name that the results had then."""
    then = json.loads(json.dumps(UNTESTED).replace("run.json", "old_run.json"))
    assert "not the test" in problems(history(then, after=entry()))
    assert not problems(history(then, after=entry(), renamed={"old_run": "run"}))


def test_what_the_check_cannot_vouch_for_is_told(history, capsys, monkeypatch):
    def notes(*before, **more):
        folders = history(*before, after=entry(), **more)
        assert not problems(folders)
        return ledger_notes(*folders)

    clean = {"uncommitted_changes": False}
    assert notes(UNTESTED, metas=[clean]) == []
    assert "records of 2 commits" in notes(UNTESTED, UNTESTED, metas=[clean, clean])[0]
    assert "1 of 1 records do not say whether there were uncommitted changes" in notes(UNTESTED)[0]
    assert (
        "1 of 1 records were made with uncommitted changes" in notes(UNTESTED, metas=[{"uncommitted_changes": True}])[0]
    )
    assert "1 of 1 records name no commit, " in notes(UNTESTED, metas=[clean | {"commit": "unknown"}])[0]
    (note,) = notes(UNTESTED, metas=[clean | {"commit": "unknown"}], provenance={"commit": "unknown"})
    assert "run.json: names no commit" in note and "was NOT checked" in note
    folders = history(UNTESTED, after=entry(), metas=[clean | {"commit": "0" * 40}])  # as in a shallow clone
    (note,) = ledger_notes(*folders)
    assert "0000000000, not at hand here" in note and "was NOT checked" in note
    monkeypatch.setattr(command_line, "ledger_notes", lambda: ledger_notes(*folders))
    monkeypatch.setattr(command_line, "check_ledger", lambda: [])
    assert command_line.main(["check"]) == 0
    assert f"note: {note}" in capsys.readouterr().out


def test_an_unpacked_archive_says_that_nothing_was_compared(toy, monkeypatch, tmp_path):
    monkeypatch.setattr(verdicts_module, "repository_root", lambda: tmp_path)
    folders = toy(entry(), results=GOOD | {"provenance": {"commit": "1" * 40}, "records": []})
    assert not problems(folders)
    assert "not at hand here" in ledger_notes(*folders)[0]


def test_a_record_that_knows_its_code_may_not_hide_changes(history):
    """Records of edition 0.1.0 do not know their code; whoever runs a study today can run it from a clean checkout."""
    dirty = {"uncommitted_changes": True, "code": "unknown"}
    assert not problems(history(UNTESTED, after=entry(), metas=[dirty]))
    text = problems(history(UNTESTED, after=entry(), metas=[dirty | {"code": "0123abcd"}]))
    assert "1 records of run.json were made with changes that are in no commit" in text


def test_the_committed_ledger_tells_what_it_cannot_vouch_for():
    notes = ledger_notes()
    assert any(
        note.startswith("gai_semcom_networks/families.json: ") and "records of 4 commits" in note for note in notes
    )
    if absent := [note for note in notes if "not at hand" in note]:
        warnings.warn(f"the tests' commits are not in this clone: {absent[0]}", stacklevel=1)


# --- writing verdicts, showing claims --------------------------------------------------------------------------------
def test_update_changes_the_verdict_and_nothing_else(toy):
    claims = [entry(verdict="not attempted"), entry(id="toy-second"), entry(id="toy-third", verdict="partly")]
    folder, results = toy(*claims, results=GOOD)
    path = folder / "toy.yml"
    before = "# a comment ᾱ\n" + path.read_text(encoding="utf-8").replace("role: central", "role:   central  # odd", 1)
    path.write_text(before, encoding="utf-8")
    changed = update_ledger(folder, results)
    assert [(claim.id, new) for claim, new in changed] == [("toy-gain", "reproduced"), ("toy-third", "reproduced")]
    after = before.replace("not attempted", "reproduced").replace("verdict: partly", "verdict: reproduced")
    assert path.read_text(encoding="utf-8") == after
    assert not problems((folder, results)) and not update_ledger(folder, results)


def test_tables_are_the_same_each_time_and_hold_every_claim():
    claims = load_claims("isgc")
    for keywords in ({}, {"verdicts": True}, {"role": "central"}):
        table = claims_table("isgc", **keywords)
        assert table._repr_html_() == claims_table("isgc", **keywords)._repr_html_()
        kept = [claim for claim in claims if keywords.get("role") in (None, claim.role)]
        assert table._repr_html_().count("<tr>") == len(kept) + 1
        assert all(claim.statement in repr(table) for claim in kept)
        assert "<caption>" in table._repr_html_() and 'scope="col"' in table._repr_html_()
    assert "contradicted by the paper itself" in repr(claims_table("isgc", verdicts=True))
    box = verdict_box("isgc-gain-percent")
    assert "isgc-gain-percent" in box._repr_html_() and "8.3" in repr(box)


def test_text_of_a_claim_cannot_become_markup(toy):
    folder, results = toy(entry(statement="a < b & <script>x</script>"), results=GOOD)
    assert "a &lt; b &amp; &lt;script&gt;" in scoreboard(folder, results)
    assert "<script>" not in claims_table(folder / "toy.yml")._repr_html_()


def test_command_line(capsys, monkeypatch, toy):
    assert command_line.main(["check"]) == 0
    assert "every stored verdict follows" in capsys.readouterr().out
    assert command_line.main(["scoreboard"]) == 0
    assert capsys.readouterr().out == scoreboard()
    assert command_line.main(["errata"]) == 0
    assert capsys.readouterr().out == errata()
    assert command_line.main(["table", "isgc"]) == 0
    assert "ISGC: claims and verdicts" in capsys.readouterr().out
    assert command_line.main(["table", "nothing"]) == 1
    assert "no such claims file" in capsys.readouterr().err
    folders = toy(entry(verdict="partly"), results=GOOD)
    monkeypatch.setattr(command_line, "check_ledger", lambda: check_ledger(*folders))
    assert command_line.main(["check"]) == 1
    assert "'partly' does not follow" in capsys.readouterr().err
