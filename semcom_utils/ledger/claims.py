"""Reading the claims: one YAML file per paper, checked against ``schema.json`` before anything uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from semcom_utils.checks import checked

__all__ = [
    "Claim",
    "LedgerError",
    "Paper",
    "claims_folder",
    "load_claims",
    "load_ledger",
    "parse_yaml",
    "repository_root",
]


class LedgerError(ValueError):
    """A claims or results file that the ledger cannot use; the message names the file, the claim and the field."""


@dataclass(frozen=True)
class Paper:
    """What a claims file says about its paper (see ``schema.json`` for more on each field).

    Attributes
    ----------
    key : str
        The claims file's name without its ending.
    prefix : str
        What the ids of the claims start with, before a hyphen.
    name, title : str
        What the book calls the paper, and the paper's own title.
    number : int
        Its place in the ledger's order.
    scope : str
        Which parts of the paper the claims cover.
    cite : str
        Its key in ``references.bib``; empty for the book's own sentences.
    chapter : str, optional
        The chapter's notebook, without its ending.
    question : str, optional
        What the paper asks, in one sentence.
    own : bool
        Whether these are the book's own sentences about the papers, which are counted apart from the papers' claims.
    """

    key: str
    prefix: str
    name: str
    title: str
    number: int
    scope: str
    cite: str = ""
    chapter: str | None = None
    question: str | None = None
    own: bool = False


@dataclass(frozen=True)
class Claim:
    """One claim, as written in its file; the nested mappings keep the file's field names and cannot be changed.

    Attributes
    ----------
    paper : Paper
        The paper that claims it.
    id : str
        Unique in the ledger; starts with the paper's prefix.
    verdict : str
        The stored verdict, one of ``VERDICTS``.
    statement : str
        The claim in the book's own words.
    where : mapping
        ``section``, and ``figure``, ``table`` or ``equation``.
    kind : str
        ``equation``, ``number``, ``ordering``, ``trend`` or ``cost``.
    role : str
        ``central`` or ``supporting``.
    printed : mapping
        The ``value`` that the paper prints, its ``unit``, and how it was ``obtained``.
    setting : mapping
        ``text``, what our run sets, and its ``deviations`` from the paper.
    acceptance : mapping
        The test: ``text``, the day it was ``committed``, ``checks``, ``verdict_if`` and ``history``.
    seeds : int or str, optional
        How many, or a pointer to the number or to the list.
    estimate : tuple of mapping
        Our numbers: pointers into the results, with their label, unit and format.
    evidence : tuple of mapping
        Results, tests and notebook cells that bear the claim out or refute it.
    wall_time_s : float or str, optional
        In seconds, or a pointer into the results.
    counter_check : str, optional
        What would have refuted it.
    control : mapping
        The negative control: ``text``, and ``checks`` that must not all hold.
    explanation, note, reason : str, optional
        Why the verdict is what it is; a remark; why it is not testable here, or not attempted.
    """

    paper: Paper
    id: str
    verdict: str
    statement: str
    where: Mapping
    kind: str
    role: str
    printed: Mapping
    setting: Mapping = field(default_factory=dict)
    acceptance: Mapping = field(default_factory=dict)
    seeds: int | str | None = None
    estimate: tuple = ()
    evidence: tuple = ()
    wall_time_s: float | str | None = None
    counter_check: str | None = None
    control: Mapping = field(default_factory=dict)
    explanation: str | None = None
    note: str | None = None
    reason: str | None = None

    @property
    def checks(self) -> tuple:
        """The machine-readable part of the acceptance test: a tuple of mappings, empty if there is none."""
        return self.acceptance.get("checks", ())


def repository_root() -> Path:
    """Return the folder that holds ``data/claims``: the checkout this package lies in, or the one we stand in.

    Colab installs a copy of the package outside the checkout, so the working directory and its parents come second.

    Returns
    -------
    Path

    Raises
    ------
    LedgerError
        If no folder of these has ``data/claims``.
    """
    for folder in (Path(__file__).resolve().parents[2], Path.cwd(), *Path.cwd().parents):
        if (folder / "data" / "claims").is_dir():
            return folder
    raise LedgerError(f"no data/claims in the package's checkout, nor in {Path.cwd()} or above it")


@checked
def claims_folder(folder: str | Path | None = None) -> Path:
    """The folder of the claims files.

    Parameters
    ----------
    folder : str or Path, optional
        The checkout's ``data/claims`` if None.

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
    return repository_root() / "data" / "claims" if folder is None else Path(folder)


@checked
def load_claims(paper: str | Path) -> list[Claim]:
    """Read the claims of one paper.

    Parameters
    ----------
    paper : str or Path
        A paper's key, such as ``"isgc"`` for ``data/claims/isgc.yml``, or the path of a claims file.

    Returns
    -------
    list of Claim
        In the file's order.

    Raises
    ------
    LedgerError
        If the file is missing, is not YAML, breaks the schema (the message names claim and field), names an id twice,
        or has an id that does not start with the paper's prefix.
    ValueError
        If ``paper`` is neither a string nor a path.
    """
    if not isinstance(paper, str | Path):
        raise ValueError(f"paper must be a key such as 'isgc' or the path of a claims file, got {paper!r}")
    path = Path(paper)
    if path.suffix not in {".yml", ".yaml"}:
        path = claims_folder() / f"{paper}.yml"
    if not path.is_file():
        have = ", ".join(sorted(p.stem for p in path.parent.glob("*.yml"))) or "no claims files"
        raise LedgerError(f"{path.name}: no such claims file; the folder has {have}")
    return list(_read(path.read_text(encoding="utf-8"), path.name))


# A chapter shows twenty verdicts, and to check a file against the schema takes a good part of a second. Claims are
# frozen, so that they can be shared.
@lru_cache(maxsize=64)
def _read(text: str, name: str) -> tuple[Claim, ...]:
    document = parse_yaml(text, name)
    error = best_match(_validator().iter_errors(document))
    if error is not None:
        raise LedgerError(f"{name}: {_explain(error, document)}")
    about = Paper(**document["paper"])
    if about.key != Path(name).stem:
        raise LedgerError(f"{name}: paper.key: must be the file's name, {Path(name).stem!r}, got {about.key!r}")
    claims = [_claim(entry, about) for entry in document["claims"]]
    seen = set()
    for claim in claims:
        if claim.id in seen:
            raise LedgerError(f"{name}: claim {claim.id}: this id is used twice")
        if not claim.id.startswith(f"{about.prefix}-"):
            raise LedgerError(f"{name}: claim {claim.id}: an id of this file must start with '{about.prefix}-'")
        seen.add(claim.id)
    return tuple(claims)


@checked
def load_ledger(folder: str | Path | None = None) -> dict[str, list[Claim]]:
    """Read all claims files of a folder, in the order of the papers' numbers.

    Parameters
    ----------
    folder : str or Path, optional
        The checkout's ``data/claims`` if None.

    Returns
    -------
    dict of str to list of Claim
        From the paper's key to its claims.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        As :func:`load_claims`; also if the folder holds no claims file, or if two files share an id, prefix or number.
    """
    folder = claims_folder(folder)
    papers = [load_claims(path) for path in sorted(folder.glob("*.yml"))]
    if not papers:
        raise LedgerError(f"{folder}: no claims files (*.yml) here")
    papers.sort(key=lambda claims: claims[0].paper.number)
    for what in ("prefix", "number"):
        owners: dict[object, Paper] = {}
        for claims in papers:
            about = claims[0].paper
            if (other := owners.setdefault(getattr(about, what), about)) is not about:
                raise LedgerError(f"{about.key}.yml: paper.{what}: {getattr(about, what)!r} is that of {other.key}.yml")
    return {claims[0].paper.key: claims for claims in papers}


# a base of a fixed name would leave either libyaml's fast loader or machines without libyaml out
class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as people mean it: dates stay text, 1e-3 is a number, and a key given twice is an error."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_YAML_1_2_FLOAT = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _YAML_1_2_FLOAT, list("-+0123456789"))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            mark = node.value[i][0].start_mark
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@checked
def parse_yaml(text: str, name: str) -> Any:
    """Parse a claims file's text: dates stay text, and ``1e-3`` is a number.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        The file's name, for the error message.

    Returns
    -------
    object
        Mappings, lists, strings and numbers, as the text has them.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If it is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise LedgerError(f"{name}: {line}{getattr(error, 'problem', None) or error}") from None


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8")))


def _explain(error: ValidationError, document: Any) -> str:
    """Say which claim and which field breaks the schema, and how."""
    where = list(error.absolute_path)
    text = ""
    if len(where) >= 2 and where[0] == "claims":
        entry = document["claims"][where[1]]
        name = entry.get("id") if isinstance(entry, Mapping) else None
        text = f"claim {name}: " if isinstance(name, str) else f"claim number {where[1] + 1}: "
        where = where[2:]
    return f"{text}{'.'.join(map(str, where)) + ': ' if where else ''}{error.message}"


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _claim(entry: Mapping, about: Paper) -> Claim:
    if isinstance(entry.get("estimate"), Mapping):
        entry = {**entry, "estimate": [entry["estimate"]]}
    known = {f.name for f in fields(Claim)}
    return Claim(paper=about, **{key: _frozen(value) for key, value in entry.items() if key in known})
