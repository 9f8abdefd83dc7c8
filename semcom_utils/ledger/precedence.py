"""Was the test there before the run? Each record names the commit it was made at; the test committed there is compared.

A test that has changed since needs a history entry of that day or a later one which says what it was
(``acceptance.history[*].was``), and going back through these entries must lead to the very test of the commit. What
cannot be compared, for want of the commit or of its name, is told by :func:`precedence_notes`; it never passes in
silence.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from semcom_utils.checks import checked

from .claims import Claim, parse_yaml

__all__ = ["precedence_faults", "precedence_notes"]

UNKNOWN = "unknown"
#: The parts of a test that a machine reads, and what stands for one that is absent.
PARTS: dict[str, object] = {"checks": [], "verdict_if": {}}
#: The parts of a history entry that may not be reworded afterwards.
ENTRY = ("date", "change", "reason")


@checked
def precedence_faults(
    claim: Claim, results: Mapping[str, Mapping], renamed: Mapping[str, str], root: Path
) -> list[str]:
    """Compare a claim's test and its history with those committed where its results were made.

    Parameters
    ----------
    claim : Claim
        A decided claim with checks.
    results : mapping of str to mapping
        From the name of each results file that the checks point at to its content.
    renamed : mapping of str to str
        Former names of results, without ``.json``, to today's.
    root : Path
        The checkout.

    Returns
    -------
    list of str
        What does not hold; empty if all commits at hand had this test, or one that the history leads back to.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    faults = []
    for name, result in results.items():
        if dirty := sum(bool(meta.get("uncommitted_changes")) for meta in _metas(result) if _knows_its_code(meta)):
            faults.append(
                f"acceptance: {dirty} records of {name} were made with changes that are in no commit, so none shows "
                "the test before the run; run the study again from a clean checkout"
            )
        for commit in _commits(result):
            if not _at_hand(root, commit):
                continue  # precedence_notes tells
            then = _committed(root, commit, f"data/claims/{claim.paper.key}.yml")
            entry: dict = next((e.get("acceptance", {}) for e in then["claims"] if e["id"] == claim.id), {})
            day = _day(root, commit)
            faults += [
                f"{fault} (results: {name}, made at {commit[:10]} of {day})"
                for fault in _differences(claim.acceptance, _plain(entry, renamed), day)
            ]
    return list(dict.fromkeys(faults))


@checked
def precedence_notes(results: Mapping[str, Mapping], root: Path) -> list[str]:
    """Tell what is not known of the commits that results were made at.

    Parameters
    ----------
    results : mapping of str to mapping
        From the names of results files to their content.
    root : Path
        The checkout.

    Returns
    -------
    list of str
        One line for each results file of which something is to be told: a commit that is not at hand (in a shallow
        clone or an unpacked archive), records of several commits, without a commit, or with uncommitted changes.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    notes = []
    for name, result in results.items():
        metas, commits, told = _metas(result), _commits(result), []
        if absent := [commit for commit in commits if not _at_hand(root, commit)]:
            told.append(
                f"made at {_short(absent)}, not at hand here (a shallow clone, or none): whether its tests were "
                "committed before it was NOT checked; git fetch --unshallow brings the history"
            )
        if not commits:
            told.append("names no commit: whether its tests were committed before it was NOT checked")
        if len(own := {commit for meta in metas if (commit := _commit(meta))}) > 1:
            told.append(f"records of {len(own)} commits, {_short(sorted(own))}; each is compared")
        if silent := sum(not _commit(meta) for meta in metas):
            rest = f", {_short(commits)} of the result stands for them" if commits else ""
            told.append(f"{silent} of {len(metas)} records name no commit{rest}")
        if dirty := sum(bool(meta.get("uncommitted_changes")) for meta in metas):
            told.append(f"{dirty} of {len(metas)} records were made with uncommitted changes")
        if dark := sum(meta.get("uncommitted_changes") is None for meta in metas):
            told.append(f"{dark} of {len(metas)} records do not say whether there were uncommitted changes")
        notes += [f"{name}: {'; '.join(told)}"] if told else []
    return notes


def _differences(acceptance: Mapping, then: Mapping, day: str) -> Iterable[str]:
    """Today's test and history against those of a commit; ``then`` is plain and has today's names."""
    today = _plain(acceptance, {})
    history, before = today.get("history", []), then.get("history", [])
    kept = [[entry[part] for part in ENTRY] for entry in history[: len(before)]]
    if kept != [[entry[part] for part in ENTRY] for entry in before]:
        yield "acceptance.history: an entry that stood there is gone or reworded; a history is only ever added to"
    for entry in history[len(before) :]:
        if entry["date"] < day:
            yield f"acceptance.history: the entry of {entry['date']} is older than the run, but was not there then"
    test = {part: today.get(part) or empty for part, empty in PARTS.items()}
    wanted = {part: then.get(part) or empty for part, empty in PARTS.items()}
    changes = [entry for entry in history[len(before) :] if "was" in entry]
    while test != wanted:
        if not changes:
            yield (
                "acceptance: not the test that was committed when its results were made, and no entry of "
                "acceptance.history says by `was` what it was then"
            )
            return
        test = {**test, **{part: value or PARTS[part] for part, value in changes.pop()["was"].items()}}


def _plain(value: object, renamed: Mapping[str, str]) -> Any:
    """Lists and dicts in place of frozen ones, and pointers with the names that results have today."""
    if isinstance(value, Mapping):
        return {key: _plain(item, renamed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, renamed) for item in value]
    if isinstance(value, str) and ".json#" in value:
        name, _, pointer = value.partition(".json#")
        return f"{renamed.get(name, name)}.json#{pointer}"
    return value


def _metas(result: Mapping) -> list[Mapping]:
    return [record.get("meta", {}) for record in result.get("records", ()) if isinstance(record, Mapping)]


def _knows_its_code(meta: Mapping) -> bool:
    """Whether the engine that hashes a study's code made the record; those of edition 0.1.0 were migrated."""
    return meta.get("code", UNKNOWN) != UNKNOWN


def _commit(meta: Mapping) -> str | None:
    # the former runner added words such as "+ uncommitted changes"
    found = re.match(r"[0-9a-f]{7,40}\b", str(meta.get("commit", "")))
    return found[0] if found else None


def _commits(result: Mapping) -> list[str]:
    """Every commit that a result or one of its records names, sorted."""
    metas = [result.get("provenance", {}), *_metas(result)]
    return sorted({commit for meta in metas if (commit := _commit(meta))})


def _short(commits: Iterable[str]) -> str:
    return ", ".join(commit[:10] for commit in commits)


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, None where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, encoding="utf-8")
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout


@lru_cache(maxsize=256)
def _at_hand(root: Path, commit: str) -> bool:
    return _git(root, "cat-file", "-e", f"{commit}^{{commit}}") is not None


@lru_cache(maxsize=256)
def _committed(root: Path, commit: str, path: str) -> dict:
    """A claims file as of a commit, ``{"claims": []}`` if it was not there yet."""
    shown = _git(root, "show", f"{commit}:{path}")
    return {"claims": []} if shown is None else parse_yaml(shown, path)


@lru_cache(maxsize=256)
def _day(root: Path, commit: str) -> str:
    return (_git(root, "show", "-s", "--format=%cs", commit) or "").strip()
