"""What the book found about each paper, in one sentence whose numbers come from the results.

``data/findings.yml`` holds the sentences, by paper: ``{name:format}`` is a number, and ``numbers`` says where in
``data/results`` it stands. A paper may have several sentences; the first whose results are all there is taken, so that
a page tells no more than has been run.
"""

from __future__ import annotations

import re
from pathlib import Path

from semcom_utils.checks import checked
from semcom_utils.paths import ROOT

from .claims import Claim, LedgerError, load_ledger, parse_yaml
from .verdicts import resolve

__all__ = ["FINDINGS", "filled", "findings"]

#: The sentences.
FINDINGS = ROOT / "data" / "findings.yml"
_FIELD = re.compile(r"\{(\w+)(?::[^{}]*)?\}")


@checked
def findings(file: str | Path | None = None, results_dir: str | Path | None = None) -> dict[str, str]:
    """One sentence a paper, by its key, with its numbers.

    Parameters
    ----------
    file : str or Path, optional
        The checkout's ``data/findings.yml`` if None.
    results_dir : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    dict of str to str
        In the order of the ledger; a paper without a sentence is left out.

    Raises
    ------
    ValueError
        If an argument is not of its kind, or there is no such file.
    LedgerError
        If the file names an unknown paper, a sentence has a digit outside its braces or a name without a pointer, no
        sentence of a paper has all its results, or a pointer dangles.
    """
    path = Path(FINDINGS if file is None else file)
    if not path.is_file():
        raise ValueError(f"file must be a file that exists, got {str(path)!r}")
    ledger = load_ledger()
    entries = parse_yaml(path.read_text(encoding="utf-8"), path.name) or {}
    if unknown := sorted(set(entries) - set(ledger)):
        raise LedgerError(f"{path.name}: {', '.join(unknown)} is no paper of the ledger ({', '.join(ledger)})")
    return {
        key: _chosen(f"{path.name}: {key}", entries[key], ledger[key], results_dir) for key in ledger if key in entries
    }


@checked
def filled(
    sentence: str, numbers: dict[str, str], where: str = "sentence", results_dir: str | Path | None = None
) -> str:
    """A sentence with its numbers, and names, from the results.

    Parameters
    ----------
    sentence : str
        ``{name:format}`` stands for what the pointer of that name finds; no digit is typed.
    numbers : dict of str to str
        Name -> pointer into ``data/results``.
    where : str
        What an error calls it.
    results_dir : str or Path, optional
        The checkout's ``data/results`` if None.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    FileNotFoundError
        If a result is not there.
    LedgerError
        If the sentence has a digit outside its braces, a name has no pointer, or a pointer dangles.
    """
    sentence = " ".join(sentence.split())
    _check(where, sentence, set(numbers))
    return _minus(sentence.format(**{name: resolve(pointer, results_dir) for name, pointer in numbers.items()}))


def _check(where: str, sentence: str, known: set[str]) -> None:
    if typed := re.search(r"\d", _FIELD.sub("", sentence)):
        raise LedgerError(f"{where}: {typed[0]} is typed into the sentence; a number comes from the results")
    if unknown := sorted(set(_FIELD.findall(sentence)) - known):
        raise LedgerError(f"{where}: numbers has no pointer for {', '.join(unknown)}")


def _minus(text: str) -> str:
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)


def _chosen(where: str, choices: list, claims: list[Claim], results_dir: str | Path | None) -> str:
    counts = {
        "claims": len(claims),
        "central": sum(claim.role == "central" for claim in claims),
        "open": sum(claim.verdict == "not attempted" for claim in claims),
    }
    missing = []
    for choice in choices:
        sentence, numbers = " ".join(choice["sentence"].split()), choice.get("numbers", {})
        _check(where, sentence, {*numbers, *counts})
        try:
            found = {name: resolve(pointer, results_dir) for name, pointer in numbers.items()}
        except FileNotFoundError as error:
            missing.append(str(error))
            continue
        return _minus(sentence.format(**counts, **found))
    raise LedgerError(f"{where}: no sentence has all its results: {'; '.join(missing)}")
