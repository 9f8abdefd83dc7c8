"""The errata page: ``book/errata.in.md`` with the errata of every paper, found under ``semcom_utils/papers``.

A paper's folder holds ``errata.md``, the prose, in which each ``{{name:format}}`` is a number, and ``errata.py``, whose
``numbers()`` computes them, so that nobody types a result there either. Tests named ``tests/test_errata_<key>.py``
prove what the prose states.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from semcom_utils.checks import checked
from semcom_utils.paths import BOOK, PAPERS, papers

from .claims import LedgerError, load_ledger

__all__ = ["errata", "errata_numbers", "errata_prose", "fill"]

#: Where the frame takes the papers' errata.
MARKER = "{{papers}}"


def _key(paper: str) -> str:
    if paper not in papers():
        raise LedgerError(f"paper must be the key of a package under semcom_utils/papers, got {paper!r}")
    return paper


@checked
def errata_numbers(paper: str) -> dict[str, float]:
    """The numbers that a paper's errata quote.

    Parameters
    ----------
    paper : str
        A key, such as ``"isgc"``.

    Returns
    -------
    dict of str to float
        Empty if the paper's package has no ``errata.py``.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If there is no such package.
    """
    if not (PAPERS / _key(paper) / "errata.py").is_file():
        return {}
    return import_module(f"semcom_utils.papers.{paper}.errata").numbers()


@checked
def errata_prose(paper: str) -> str | None:
    """A paper's errata with their numbers, or None if it has none.

    Parameters
    ----------
    paper : str
        A key, such as ``"isgc"``.

    Returns
    -------
    str or None

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If there is no such package, or the prose quotes a number that is not computed.
    """
    path = PAPERS / _key(paper) / "errata.md"
    return fill(path, errata_numbers(paper)) if path.is_file() else None


@checked
def fill(template: str | Path, numbers: dict[str, float]) -> str:
    """A template's text with every ``{{name:format}}`` replaced by its number.

    Parameters
    ----------
    template : str or Path
        The template's file.
    numbers : dict of str to float
        By name.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If the template quotes a number that is not among them.
    FileNotFoundError
        If there is no such file.
    """
    path = Path(template)
    if not path.is_file():
        raise FileNotFoundError(f"template must be a file that is there, got {str(template)!r}")

    def number(match: re.Match) -> str:
        name, spec = match.group(1), match.group(2)
        if name not in numbers:
            have = ", ".join(sorted(numbers)) or "none"
            raise LedgerError(f"{path.parent.name}/{path.name}: no number is called {name!r}; there are: {have}")
        return format(numbers[name], spec)

    return re.sub(r"\{\{(\w+):([^}]*)\}\}", number, path.read_text(encoding="utf-8"))


def errata() -> str:
    """The text of the errata page (MyST): the frame with the errata of every paper, in the ledger's order.

    Returns
    -------
    str

    Raises
    ------
    LedgerError
        If a paper has errata and no claims (a heading takes name and citation from ``data/claims/<key>.yml``), or
        quotes a number that is not computed.
    """
    about = {key: claims[0].paper for key, claims in load_ledger().items()}
    prose = {key: text for key in papers() if (text := errata_prose(key)) is not None}
    if unknown := sorted(set(prose) - set(about)):
        raise LedgerError(f"{unknown[0]} has errata.md and no data/claims/{unknown[0]}.yml, which names and cites it")
    sections = [
        f"## {about[key].name}\n\n{{cite:t}}`{about[key].cite}`.\n\n{prose[key].strip()}"
        for key in about
        if key in prose
    ]
    frame = (BOOK / "errata.in.md").read_text(encoding="utf-8")
    return frame.replace(MARKER, "\n\n".join(sections))
