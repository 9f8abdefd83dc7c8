"""From numbers to verdicts: nobody types a verdict that the results do not give."""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from pathlib import Path
from typing import Any

import yaml

from semcom_utils.checks import checked

from .claims import Claim, LedgerError, claims_folder, load_ledger, repository_root
from .precedence import precedence_faults, precedence_notes

__all__ = [
    "VERDICTS",
    "CheckOutcome",
    "Estimate",
    "Problem",
    "Verdict",
    "check_ledger",
    "check_outcome",
    "estimates",
    "ledger_notes",
    "resolve",
    "results_folder",
    "update_ledger",
    "verdict",
]

#: The closed list, from the best news to no news.
VERDICTS = (
    "reproduced",
    "holds by derivation",
    "direction holds at reduced scale",
    "partly",
    "not reproduced",
    "contradicted by the paper itself",
    "not testable here",
    "not attempted",
)
#: What the outcome of the checks means where a claim does not say otherwise (``acceptance.verdict_if``).
VERDICT_IF = {"all": "reproduced", "some": "partly", "none": "not reproduced"}
WITHOUT_CHECKS = ("not attempted", "not testable here", "contradicted by the paper itself")
COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class CheckOutcome:
    """One comparison, with its numbers filled in.

    Attributes
    ----------
    name : str
        What the check is called; its value's text where it has no name.
    value : float
        What is compared.
    op : str
        ``>=``, ``>``, ``<=``, ``<``, ``==`` or ``within``.
    bound : float or (float, float)
        What it is compared with: with ``within`` the lower and the upper bound.
    holds : bool
        The outcome.
    """

    name: str
    value: float
    op: str
    bound: float | tuple[float, float]
    holds: bool


@dataclass(frozen=True)
class Verdict:
    """What follows for a claim.

    Attributes
    ----------
    name : str
        One of ``VERDICTS``.
    outcomes : tuple of CheckOutcome
        One for each check; empty where the claim has none, or waits.
    waits_for : tuple of str
        Names of the results files that do not exist yet.
    """

    name: str
    outcomes: tuple[CheckOutcome, ...] = ()
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """One of our numbers, as a page shows it.

    Attributes
    ----------
    value : float
        The estimate, in ``unit``.
    low, high : float or None
        Ends of its interval; None where the results give none.
    label, unit : str
        May be empty.
    format : str
        A format specification, such as ``.3g``.
    """

    value: float
    low: float | None
    high: float | None
    label: str
    unit: str
    format: str


@dataclass(frozen=True)
class Problem:
    """Something in the ledger that does not hold.

    Attributes
    ----------
    file : str
        The claims file's name.
    claim : str
        The claim's id.
    message : str
        What is wrong with it.
    """

    file: str
    claim: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: claim {self.claim}: {self.message}"


@checked
def results_folder(folder: str | Path | None = None) -> Path:
    """The folder of the results files.

    Parameters
    ----------
    folder : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If ``folder`` is None and there is no checkout (:func:`repository_root`).
    """
    return repository_root() / "data" / "results" if folder is None else Path(folder)


@checked
def resolve(pointer: str, results_dir: str | Path | None = None) -> Any:
    """Return what a pointer such as ``"isgc/training.json#/summary/ppo/share/low"`` points at.

    Parameters
    ----------
    pointer : str
        A results file, ``#``, and a JSON pointer (RFC 6901: ``~1`` is a slash within a key, ``~0`` a tilde).
    results_dir : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    object
        A number, string, list or dict, as JSON has them.

    Raises
    ------
    FileNotFoundError
        If the results file does not exist.
    LedgerError
        If the file is not JSON, or if the pointer dangles: the message says at which step and what was there.
    ValueError
        If ``pointer`` names no JSON file.
    """
    if not isinstance(pointer, str) or ".json#" not in pointer:
        raise ValueError(f"pointer must read like 'file.json#/key/key', got {pointer!r}")
    name, _, path = pointer.partition("#")
    here = _results(results_folder(results_dir) / name)
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, list) and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        elif isinstance(here, dict) and key in here:
            here = here[key]
        else:
            there = ", ".join(list(here)[:8]) or "nothing" if isinstance(here, dict) else f"a {type(here).__name__}"
            raise LedgerError(f"{pointer}: there is no {key!r} in it; at that place it has {there}")
    return here


def _results(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such results file")
    return _parsed(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=64)
def _parsed(path: Path, _mtime_ns: int, _size: int) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LedgerError(f"{path.name}: not JSON: {error}") from None


def _number(value: object, results_dir: str | Path | None) -> float:
    found = resolve(value, results_dir) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, Real) or not math.isfinite(found):
        raise LedgerError(f"{value}: a check needs a finite number, got {str(found)[:60]}")
    return float(found)


@checked
def check_outcome(check: Mapping, results_dir: str | Path | None = None) -> CheckOutcome:
    """Fill a check's numbers in and compare.

    Parameters
    ----------
    check : mapping
        As the schema has it: ``value``, ``op``, ``bound``, and ``tol`` with ``==``.
    results_dir : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    CheckOutcome

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    FileNotFoundError
        If a results file does not exist.
    LedgerError
        If something of this is missing, a pointer dangles or does not point at a finite number, or bounds are the
        wrong way round.
    """
    wants = {"value", "op", "bound", *(["tol"] if check.get("op") == "==" else [])}
    if not wants <= check.keys() or check["op"] not in {*COMPARE, "within", "=="}:
        raise LedgerError(f"check must hold {', '.join(sorted(wants))}, got {dict(check)!r:.200}")
    value, op = _number(check["value"], results_dir), check["op"]
    bound: float | tuple[float, float]
    if op == "within":
        low, high = (_number(b, results_dir) for b in check["bound"])
        if low > high:
            raise LedgerError(f"within [{low:g}, {high:g}]: the lower bound is above the upper one")
        bound, holds = (low, high), low <= value <= high
    else:
        bound = _number(check["bound"], results_dir)
        holds = abs(value - bound) <= check["tol"] if op == "==" else COMPARE[op](value, bound)
    return CheckOutcome(check.get("name", str(check["value"])), value, op, bound, bool(holds))


def _files(pointers: Iterable[object]) -> set[str]:
    return {p.partition("#")[0] for p in pointers if isinstance(p, str) and ".json#" in p}


@checked
def verdict(claim: Claim, results_dir: str | Path | None = None) -> Verdict:
    """Compute a claim's verdict from the numbers of the results files.

    Parameters
    ----------
    claim : Claim
        With ``acceptance.checks``, or with a verdict that needs none.
    results_dir : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    Verdict
        With checks: ``acceptance.verdict_if`` for all, some or none of them holding; ``not attempted`` while a results
        file that they name does not exist (``waits_for`` lists the files). Without checks: the claim's own verdict.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If a claim without checks claims a verdict that needs them, if a pointer dangles, or if it does not point at a
        finite number; the message names the claim.
    """
    try:
        if not claim.checks:
            if claim.verdict not in WITHOUT_CHECKS:
                raise LedgerError(f"{claim.verdict!r} needs acceptance.checks that it follows from")
            return Verdict(claim.verdict)
        folder = results_folder(results_dir)
        missing = tuple(sorted(name for name in _files(_operands(claim.checks)) if not (folder / name).is_file()))
        if missing:
            return Verdict("not attempted", waits_for=missing)
        outcomes = tuple(check_outcome(check, results_dir) for check in claim.checks)
    except LedgerError as error:
        raise LedgerError(f"claim {claim.id}: {error}") from None
    held = sum(o.holds for o in outcomes)
    case = "all" if held == len(outcomes) else "some" if held else "none"
    return Verdict({**VERDICT_IF, **claim.acceptance.get("verdict_if", {})}[case], outcomes)


@checked
def estimates(claim: Claim, results_dir: str | Path | None = None) -> list[Estimate]:
    """Our numbers for a claim, read from the results.

    Parameters
    ----------
    claim : Claim
        Its ``estimate`` points at the numbers.
    results_dir : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    list of Estimate
        Empty while one of the files does not exist.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If a pointer dangles, or points neither at a number nor at an object with ``estimate`` (and ``low``, ``high``).
    """
    found = []
    for entry in claim.estimate:
        try:
            at = resolve(entry["at"], results_dir)
        except FileNotFoundError:
            return []
        parts = at if isinstance(at, dict) else {"estimate": at}
        if "estimate" not in parts or ("low" in parts) != ("high" in parts):
            raise LedgerError(f"claim {claim.id}: {entry['at']}: needs estimate, or estimate, low and high")
        value, low, high = (
            _number(parts[k], results_dir) if not isinstance(parts.get(k), str | None) else None
            for k in ("estimate", "low", "high")
        )
        if value is None:
            raise LedgerError(f"claim {claim.id}: {entry['at']}: the estimate is not a number")
        label, unit, spec = entry.get("label", ""), entry.get("unit", ""), entry.get("format", ".3g")
        found.append(Estimate(value, low, high, label, unit, spec))
    return found


@checked
def check_ledger(folder: str | Path | None = None, results_dir: str | Path | None = None) -> list[Problem]:
    """List what does not hold in the ledger: verdicts that do not follow, pointers that dangle, absent evidence.

    Parameters
    ----------
    folder, results_dir : str or Path, optional
        The checkout's ``data/claims`` and ``data/results`` if None.

    Returns
    -------
    list of Problem
        Empty if every stored verdict follows from the numbers and every piece of evidence of a decided claim exists.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If a claims file cannot be read at all (see :func:`load_claims`), or a results file is not JSON.
    FileNotFoundError
        If a results file is removed while it is being read.
    """
    problems = []
    for key, claims in load_ledger(folder).items():
        for claim in claims:
            problems += [Problem(f"{key}.yml", claim.id, text) for text in _faults(claim, results_dir)]
    return problems


def _faults(claim: Claim, results_dir: str | Path | None) -> list[str]:
    try:
        computed = verdict(claim, results_dir)
    except LedgerError as error:
        return [str(error).removeprefix(f"claim {claim.id}: ")]
    faults = []
    if computed.name != claim.verdict:
        if computed.waits_for:
            why = f"{', '.join(computed.waits_for)} does not exist; until it does the claim is 'not attempted'"
        else:
            why = f"the numbers give {computed.name!r} ({_tell(computed.outcomes)})"
        faults.append(f"the stored verdict {claim.verdict!r} does not follow: {why}")
    if _is_decided(claim):
        faults += _missing_evidence(claim, results_dir)
        if computed.outcomes:
            results = _contents(sorted(_files(_operands(claim.checks))), results_dir)
            faults += precedence_faults(claim, results, _renamed(results_dir), repository_root())
    return faults


def _tell(outcomes: Iterable[CheckOutcome]) -> str:
    def bound(o: CheckOutcome) -> str:
        return f"[{o.bound[0]:g}, {o.bound[1]:g}]" if isinstance(o.bound, tuple) else f"{o.bound:g}"

    return "; ".join(f"{o.name}: {o.value:g} {o.op} {bound(o)} {'holds' if o.holds else 'fails'}" for o in outcomes)


def _missing_evidence(claim: Claim, results_dir: str | Path | None) -> list[str]:
    """Every pointer of a decided claim resolves, every test and notebook cell it names exists."""
    faults, root = [], repository_root()
    pointers = [claim.seeds, claim.wall_time_s, *(e["results"] for e in claim.evidence if "results" in e)]
    for pointer in (p for p in pointers if isinstance(p, str)):
        try:
            resolve(pointer, results_dir)
        except (FileNotFoundError, LedgerError) as error:
            faults.append(str(error))
    try:
        if claim.estimate and not estimates(claim, results_dir):
            faults.append("estimate: a results file that it names does not exist")
    except LedgerError as error:
        faults.append(str(error).removeprefix(f"claim {claim.id}: "))
    if claim.control:
        try:
            outcomes = [check_outcome(check, results_dir) for check in claim.control["checks"]]
            if all(o.holds for o in outcomes):
                faults.append(f"the negative control passes, so the test shows nothing ({_tell(outcomes)})")
        except (FileNotFoundError, LedgerError) as error:
            faults.append(f"control: {error}")
    tests = [e["test"] for e in claim.evidence if "test" in e]
    faults += [f"evidence: there is no test {test}" for test in tests if not _test_exists(root, test)]
    for entry in (e for e in claim.evidence if "notebook" in e):
        text, cell = root / f"{entry['notebook']}.md", entry.get("cell", "")
        if not text.is_file():
            faults.append(f"evidence: there is no notebook {entry['notebook']}.md")
        elif cell not in text.read_text(encoding="utf-8"):
            faults.append(f"evidence: {entry['notebook']}.md has no cell or figure named {cell!r}")
    needed = "test" if claim.verdict == "contradicted by the paper itself" and not claim.checks else "results"
    if not any(needed in e for e in claim.evidence):
        faults.append(f"evidence: {claim.verdict!r} needs a {needed!r} entry")
    return faults


@checked
def ledger_notes(folder: str | Path | None = None, results_dir: str | Path | None = None) -> list[str]:
    """Tell what the ledger cannot vouch for, beside what does not hold (:func:`check_ledger`).

    Parameters
    ----------
    folder, results_dir : str or Path, optional
        The checkout's ``data/claims`` and ``data/results`` if None.

    Returns
    -------
    list of str
        For the results of decided claims: commits that are not at hand to compare a test with, records of several
        commits, without a commit, or made with uncommitted changes.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If a claims file or a results file cannot be read.
    FileNotFoundError
        If a results file is removed while it is being read.
    """
    decided = [c for claims in load_ledger(folder).values() for c in claims if c.checks and _is_decided(c)]
    names = sorted({name for claim in decided for name in _files(_operands(claim.checks))})
    return precedence_notes(_contents(names, results_dir), repository_root())


def _is_decided(claim: Claim) -> bool:
    return claim.verdict not in {"not attempted", "not testable here"}


def _contents(names: Iterable[str], results_dir: str | Path | None) -> dict[str, dict]:
    """The results files of these names that exist and are objects."""
    folder, found = results_folder(results_dir), {}
    for name in names:
        if (folder / name).is_file() and isinstance(content := _results(folder / name), dict):
            found[name] = content
    return found


def _renamed(results_dir: str | Path | None) -> dict[str, str]:
    """Former names of results to today's, as ``tools/migrate_results.py`` keeps them."""
    path = results_folder(results_dir) / "renamed.json"
    return _results(path) if path.is_file() else {}


def _operands(checks: Iterable[Mapping]) -> list:
    """Values and bounds of some checks, numbers and pointers alike."""
    return [b for c in checks for b in (c["value"], *(c["bound"] if c["op"] == "within" else (c["bound"],)))]


def _test_exists(root: Path, node: str) -> bool:
    file, *names = node.split("::")
    path = root / file
    if not path.is_file():
        return False
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for name in names:
        match = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name]
        if not match:
            return False
        body = match[0].body
    return True


@checked
def update_ledger(folder: str | Path | None = None, results_dir: str | Path | None = None) -> list[tuple[Claim, str]]:
    """Write the computed verdicts into the claims files, leaving every other character as it is.

    Parameters
    ----------
    folder, results_dir : str or Path, optional
        The checkout's ``data/claims`` and ``data/results`` if None.

    Returns
    -------
    list of (Claim, str)
        The claims whose verdict changed, as they were, and their new verdict.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        As :func:`load_ledger` and :func:`verdict`; files written before that keep their new verdicts.
    """
    changed = []
    folder = claims_folder(folder)
    for key, claims in load_ledger(folder).items():
        path = folder / f"{key}.yml"
        text = path.read_text(encoding="utf-8")
        document = yaml.compose(text)
        assert document is not None  # an empty file has no claims: load_ledger would have refused it
        entries = next(value for name, value in document.value if name.value == "claims").value
        edits = []
        for claim, entry in zip(claims, entries, strict=True):
            new = verdict(claim, results_dir).name
            if new != claim.verdict:
                node = next(value for name, value in entry.value if name.value == "verdict")
                edits.append((node.start_mark.index, node.end_mark.index, new))
                changed.append((claim, new))
        for start, end, new in reversed(edits):
            text = text[:start] + new + text[end:]
        if edits:
            path.write_text(text, encoding="utf-8")
    return changed
