"""The ledger as people read it: the tables of a chapter, a single claim, the scoreboard page."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from semcom_utils.checks import checked

from .claims import Claim, Paper, load_claims, load_ledger, repository_root
from .findings import findings
from .verdicts import VERDICTS, Estimate, Verdict, estimates, resolve, verdict

__all__ = ["claims_table", "scoreboard", "slug", "verdict_box"]

#: What each verdict means, as the scoreboard explains it.
MEANING = {
    "reproduced": "the acceptance test holds, in the paper's setting, and the run could have failed it.",
    "holds by derivation": "an identity or theorem, or a simulation of the formula's own model, where the paper prints "
    "no setting; the checks guard our code, and nothing that was run could have refuted the statement.",
    "direction holds at reduced scale": "the effect is there, on smaller models or data than the paper's; its size "
    "cannot be compared.",
    "partly": "some parts of the acceptance test hold, others fail; the entry says which.",
    "not reproduced": "the test ran and failed; the entry says what we think is the reason, and how that was tested.",
    "contradicted by the paper itself": "an equation or a number that cannot hold together with the rest of the paper; "
    "a test of this repository proves it.",
    "not testable here": "something needed is missing; the entry names it.",
    "not attempted": "the test is written down, the run that decides it has not been made yet.",
}


@checked
def slug(verdict_name: str) -> str:
    """A verdict's CSS class without its prefix.

    Parameters
    ----------
    verdict_name : str
        One of ``VERDICTS``.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> slug("not reproduced")
    'not-reproduced'
    """
    return verdict_name.replace(" ", "-")


class _Shown:
    """Something for a notebook to display: HTML where there is a browser, plain text elsewhere."""

    def __init__(self, page: str, text: str):
        self._page, self._text = page, text

    def _repr_html_(self) -> str:
        return self._page

    def __repr__(self) -> str:
        return self._text


@checked
def claims_table(paper: str | Path, *, verdicts: bool = False, role: str | None = None) -> _Shown:
    """Show a paper's claims as a table: at the head of a chapter what is claimed, at its foot what became of it.

    Parameters
    ----------
    paper : str or Path
        A paper's key, such as ``"isgc"``, or the path of a claims file.
    verdicts : bool
        Add our estimate with its interval and the verdict (the foot of a chapter).
    role : {"central", "supporting"}, optional
        Only these claims; all of them if None.

    Returns
    -------
    object
        Displays as an HTML table in a notebook and in the book (rows become cards on a phone), as text elsewhere. The
        output depends on the ledger and the results only, so it can be compared from run to run.

    Raises
    ------
    LedgerError
        If the claims file cannot be read, or if a pointer dangles.
    ValueError
        If ``paper`` is neither a string nor a path, or ``role`` is unknown.
    """
    claims = load_claims(paper)
    if role not in (None, "central", "supporting"):
        raise ValueError(f"role must be 'central', 'supporting' or None, got {role!r}")
    claims = [claim for claim in claims if role in (None, claim.role)]
    about = claims[0].paper if claims else load_claims(paper)[0].paper
    heads = ["Claim", "Printed", *(["Ours", "Verdict"] if verdicts else [])]
    rows, lines = [], []
    for claim in claims:
        where = f'<span class="ledger-where">{_esc(_where(claim))}</span>'
        cells = [f"{_esc(claim.statement)} {where}", _esc(_printed(claim))]
        if verdicts:
            cells += [_ours(claim), _badge(claim.verdict)]
        rows.append(cells)
        tagged = (f'<td data-label="{head}">{cell}</td>' for head, cell in zip(heads, cells, strict=True))
        lines.append(f"<tr>{''.join(tagged)}</tr>")
    what = "claims and verdicts" if verdicts else "claims"
    page = [
        f'<table class="ledger-table"><caption>{_esc(about.name)}: {what} ({_count(claims)})</caption>',
        "<thead><tr>" + "".join(f'<th scope="col">{h}</th>' for h in heads) + "</tr></thead>",
        "<tbody>",
        *lines,
        "</tbody></table>",
    ]
    plain = [f"{about.name}: {what} ({_count(claims)})"]
    for claim, cells in zip(claims, rows, strict=True):
        ours = f" | ours: {_plain(cells[2])} | {claim.verdict}" if verdicts else ""
        plain.append(f"- {claim.statement} ({_where(claim)}; printed: {_printed(claim)}){ours}")
    return _Shown("\n".join(page), "\n".join(plain))


@checked
def verdict_box(claim_id: str) -> _Shown:
    """Show one claim with its verdict, numbers, test and reasons, as the scoreboard shows it.

    Parameters
    ----------
    claim_id : str
        Such as ``"isgc-gain-percent"``.

    Returns
    -------
    object
        Displays as the claim's card in a notebook and in the book, as text elsewhere.

    Raises
    ------
    ValueError
        If no claim has this id.
    LedgerError
        If the ledger cannot be read, or if a pointer dangles.
    """
    for claims in load_ledger().values():
        for claim in claims:
            if claim.id == claim_id:
                text = f"{claim.id}: {claim.verdict}\n{claim.statement}\nprinted: {_printed(claim)}"
                ours = _plain(_ours(claim))
                return _Shown(_card(claim, anchor=False), f"{text}\nours: {ours}" if ours else text)
    raise ValueError(f"claim_id must be the id of a claim in the ledger, got {claim_id!r}")


@checked
def scoreboard(folder: str | Path | None = None, results_dir: str | Path | None = None) -> str:
    """Return the text of the scoreboard page (MyST), made from the ledger and the results alone.

    Parameters
    ----------
    folder, results_dir : str or Path, optional
        The checkout's ``data/claims`` and ``data/results`` if None.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    LedgerError
        If a claims file cannot be read, if a claim without checks has a verdict that needs them, or if a pointer
        dangles.
    """
    ledger = load_ledger(folder)
    claims = [claim for entries in ledger.values() for claim in entries if not claim.paper.own]
    own = [claim for entries in ledger.values() for claim in entries if claim.paper.own]
    besides = f", and {len(own)} sentences of its own that compare them" if own else ""
    found = findings(results_dir=results_dir) if folder is None else {}  # of these papers, not of another ledger's
    lines = [
        "<!-- `make book` makes this page from data/claims/*.yml and data/results: edit those. -->",
        "# Scoreboard",
        "",
        f"This book lists {len(claims)} claims of the five papers, {_number(claims, 'central')} of them central"
        f"{besides}. Each claim that a run can decide has a test that was written down before that run, with every "
        "later change beside it, and a verdict that code computes from the stored results; a test fails where a stored "
        "verdict does not follow from its numbers, or where a check could not have come out otherwise. "
        "Another page tells [how an entry is written](ledger_format.md), and the [errata](errata.md) list what the "
        "papers themselves contradict.",
        "",
        "## In a minute",
        "",
        *(
            f"- [{entries[0].paper.name}](#ledger-{entries[0].paper.prefix}): {_sentence(found.get(key), entries)}"
            f"\n  {_bar(entries)}"
            for key, entries in ledger.items()
        ),
        "",
        "## All papers",
        "",
        *_totals(claims),
        "",
        *([f"The book's own sentences are not among them: {_tally(own)}.", ""] if own else []),
        "What the verdicts mean:",
        "",
        *(f"- {_badge(name)} {MEANING[name]}" for name in VERDICTS),
        "",
        '<div id="ledger-filter"></div>',  # scoreboard.js puts the filters here
        "",
    ]
    for entries in ledger.values():
        about = entries[0].paper
        lines += [
            f"(ledger-{about.prefix})=",
            f"## {about.name}",
            "",
            (f"{{cite:t}}`{about.cite}`: " if about.cite else "")
            + f"*{about.title}*. {_chapter_sentence(about, entries)}",
            "",
            f"{about.scope} {_tally(entries)[0].upper()}{_tally(entries)[1:]}.",
            "",
            *(f"{_card(claim, results_dir=results_dir)}\n" for claim in entries),
        ]
    return "\n".join(lines).rstrip() + "\n"


def _esc(text: object) -> str:
    return html.escape(str(text), quote=True)


def _plain(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.replace("<br>", "; ")))


def _badge(name: str) -> str:
    return f'<span class="verdict-{slug(name)}">{name}</span>'


def _where(claim: Claim) -> str:
    parts = [f"sec. {claim.where['section']}"]
    return ", ".join(parts + [claim.where[k] for k in ("figure", "table", "equation") if k in claim.where])


def _printed(claim: Claim) -> str:
    value, unit = claim.printed["value"], claim.printed.get("unit", "")
    value = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{value}{'' if unit == '%' or not unit else ' '}{unit}"


def _estimate(e: Estimate) -> str:
    text = format(e.value, e.format)
    if e.low is not None:
        text += f" [{e.low:{e.format}}, {e.high:{e.format}}]"
    unit = f"{'' if e.unit == '%' else ' '}{e.unit}" if e.unit else ""
    return f"{e.label + ': ' if e.label else ''}{text}{unit}"


def _ours(claim: Claim, results_dir: str | Path | None = None) -> str:
    return "<br>".join(_esc(_estimate(e)) for e in estimates(claim, results_dir))


def _number(claims: list[Claim], role: str) -> int:
    return sum(claim.role == role for claim in claims)


def _count(claims: list[Claim]) -> str:
    decided = sum(claim.verdict != "not attempted" for claim in claims)
    return f"{len(claims)} claims, {_number(claims, 'central')} central; {decided} of {len(claims)} decided"


def _tally(claims: list[Claim]) -> str:
    counts = Counter(claim.verdict for claim in claims)
    found = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    return f"of {len(claims)} claims ({_number(claims, 'central')} central), {found}"


def _sentence(found: str | None, claims: list[Claim]) -> str:
    tally = _tally(claims)
    return f"{found} {tally[0].upper()}{tally[1:]}." if found else f"{tally}."


def _bar(claims: list[Claim]) -> str:
    """A stacked bar; the sentence above it says the same in words, so that a screen reader skips it."""
    counts = Counter(claim.verdict for claim in claims)
    parts = (
        f'<i class="ledger-{slug(name)}" style="width:{100 * counts[name] / len(claims):.1f}%"></i>'
        for name in VERDICTS
        if counts[name]
    )
    return f'<span class="ledger-bar" aria-hidden="true">{"".join(parts)}</span>'


def _totals(claims: list[Claim]) -> list[str]:
    total = Counter(claim.role for claim in claims)
    heads = f"Central, of {total['central']} | Supporting, of {total['supporting']} | All, of {len(claims)}"
    table = [f"| Verdict | {heads} |", "|---|---:|---:|---:|"]
    for name in VERDICTS:
        counts = Counter(claim.role for claim in claims if claim.verdict == name)
        table.append(f"| {_badge(name)} | {counts['central']} | {counts['supporting']} | {counts.total()} |")
    return table


def _chapter_exists(chapter: str | None) -> bool:
    # its text, not its notebook: a chapter's first run must show what its second will
    return chapter is not None and (repository_root() / f"{chapter}.md").is_file()


def _chapter_sentence(about: Paper, claims: Sequence[Claim]) -> str:
    if _chapter_exists(about.chapter):
        return f"[Read the chapter](../{about.chapter}.ipynb)."
    named = dict.fromkeys(e["notebook"] for claim in claims for e in claim.evidence if "notebook" in e)
    parts = [f"[{part.rpartition('/')[2]}](../{part}.ipynb)" for part in named if _chapter_exists(part)]
    return f"Chapters on parts of it: {', '.join(parts)}." if parts else "Its chapter is not written yet."


def _card(claim: Claim, *, anchor: bool = True, results_dir: str | Path | None = None) -> str:
    """One claim as HTML in one block (no blank line in it, so that Markdown leaves it alone)."""
    outcome = verdict(claim, results_dir)
    facts = [("Printed", _esc(_printed(claim))), ("Ours", _ours(claim, results_dir))]
    facts.append(("Why", _esc(claim.explanation or claim.reason or "")))
    more = [("Test", _esc(claim.acceptance.get("text", "")) + _amended(claim))]
    more.append(("Checks", "<br>".join(_esc(_check(claim, i, outcome)) for i in range(len(claim.checks)))))
    more.append(("Setting", _esc(claim.setting.get("text", ""))))
    more.append(("Deviations", "<br>".join(_esc(d) for d in claim.setting.get("deviations", ()))))
    more.append(("Would refute it", _esc(claim.counter_check or "")))
    more.append(("Negative control", _esc(claim.control.get("text", ""))))
    more.append(("Seeds", _seeds(claim, results_dir)))
    more.append(("Wall time", _wall_time(claim, results_dir)))
    more.append(("Evidence", "<br>".join(f"<code>{_esc(_evidence(e))}</code>" for e in claim.evidence)))
    more.append(("Note", _esc(claim.note or "")))
    # in a chapter no anchor and no link: the box must not depend on which chapters exist while it is run
    identity, link = (f' id="claim-{claim.id}"', _link(claim)) if anchor else ("", "")
    head = f"<strong>{_esc(claim.id)}</strong> · {claim.role} · {claim.kind} · {_esc(_where(claim))}"
    kinds = f' data-paper="{_esc(claim.paper.name)}" data-verdict="{claim.verdict}" data-role="{claim.role}"'
    lines = [
        f'<article class="ledger-card"{identity}{kinds if anchor else ""}>',
        f'<p class="ledger-head">{_badge(claim.verdict)} {head}{link}</p>',
        f"<p>{_esc(claim.statement)}</p>",
        _facts(facts),
    ]
    if _facts(more):
        lines += ["<details><summary>How it is tested</summary>", _facts(more), "</details>"]
    return "\n".join([*lines, "</article>"])


def _facts(pairs: Iterable[tuple[str, str]]) -> str:
    filled = [(name, text) for name, text in pairs if text]
    if not filled:
        return ""
    return "<dl>\n" + "\n".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in filled) + "\n</dl>"


def _link(claim: Claim) -> str:
    named = [e for e in claim.evidence if _chapter_exists(e.get("notebook"))]
    if named:
        cell = next((f"#{e['cell']}" for e in named if "cell" in e), "")
        return f' · <a href="../{named[0]["notebook"]}.html{_esc(cell)}">chapter</a>'
    if _chapter_exists(claim.paper.chapter):
        return f' · <a href="../{claim.paper.chapter}.html">chapter</a>'
    return ""


def _amended(claim: Claim) -> str:
    if not claim.acceptance:
        return ""
    text = f" (written down {claim.acceptance['committed']}"
    for change in claim.acceptance.get("history", ()):
        what, why = change["change"].rstrip("."), change["reason"].rstrip(".")
        text += _esc(f"; changed {change['date']}: {what}. Reason: {why}")
        if earlier := change.get("was", {}).get("checks"):
            text += _esc(f". The checks were: {'; '.join(map(_in_words, earlier))}")
    return text + ")"


def _check(claim: Claim, i: int, outcome: Verdict) -> str:
    check = claim.checks[i]
    op = {">=": "≥", "<=": "≤", "==": "="}.get(check["op"], check["op"])
    if outcome.outcomes:
        o = outcome.outcomes[i]
        bound = f"[{o.bound[0]:.4g}, {o.bound[1]:.4g}]" if isinstance(o.bound, tuple) else f"{o.bound:.4g}"
        return f"{o.name}: {o.value:.4g} {op} {bound} {'holds' if o.holds else 'fails'}"
    return _in_words(check)


def _in_words(check: Mapping) -> str:
    """A check with its pointers, without their numbers."""
    op = {">=": "≥", "<=": "≤", "==": "="}.get(check["op"], check["op"])
    bounds = check["bound"] if isinstance(check["bound"], tuple) else (check["bound"],)
    bound = ", ".join(b if isinstance(b, str) else f"{b:,}" if isinstance(b, int) else f"{b:g}" for b in bounds)
    return f"{check.get('name', check['value'])}: {check['value']} {op} {f'[{bound}]' if op == 'within' else bound}"


def _seeds(claim: Claim, results_dir: str | Path | None) -> str:
    seeds = _at(claim.seeds, results_dir)
    return str(len(seeds) if isinstance(seeds, list) else seeds or "")


def _wall_time(claim: Claim, results_dir: str | Path | None) -> str:
    seconds = _at(claim.wall_time_s, results_dir)
    if seconds is None:
        return ""
    unit, size = ("s", 1) if seconds < 120 else ("min", 60) if seconds < 7200 else ("h", 3600)
    return f"{seconds / size:.3g} {unit}"


def _at(value: object, results_dir: str | Path | None) -> Any:
    """What a pointer points at (None while its file does not exist), anything else as it is."""
    try:
        return resolve(value, results_dir) if isinstance(value, str) else value
    except FileNotFoundError:
        return None


def _evidence(entry: Mapping) -> str:
    if "notebook" in entry:
        return f"{entry['notebook']}{' ' + entry['cell'] if 'cell' in entry else ''}"
    return entry.get("results") or entry["test"]
