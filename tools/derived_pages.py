"""What the book derives from its own sources: whole pages, and the tables of README, index and table of contents.

    python tools/derived_pages.py [--check]

Sources are the front matter and the titles of ``notebooks/*.md``, the ``paper`` block of ``data/claims/*.yml``,
``references.bib``, the packages of ``semcom_utils`` and the ``STUDIES`` that they list, the stored results. ``make
book`` runs this first. Whole pages are not tracked. In tracked files only what stands between the marks ``derived:
NAME`` and ``derived: end`` is written; with ``--check`` nothing is, and a stale file fails. Only files that change are
touched, so that nothing is built twice.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import yaml
from pybtex.database import parse_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's package, whatever is installed

from chapter_page import PAGE_FIELDS, front_matter  # noqa: E402
from semcom_utils.ledger import VERDICTS, LedgerError, Paper, errata, findings, load_ledger, scoreboard  # noqa: E402
from semcom_utils.ledger.claims import parse_yaml  # noqa: E402
from semcom_utils.ledger.findings import filled  # noqa: E402
from semcom_utils.paths import BOOK, NOTEBOOKS, RESULTS, ROOT, papers  # noqa: E402
from semcom_utils.prose import speak_utf8
from semcom_utils.studies import catalogue  # noqa: E402

PACKAGE = ROOT / "semcom_utils"
MADE_BY = "<!-- `make book` makes this page (tools/derived_pages.py): edit {sources} instead. -->"
#: Parts of the book in their order; a part that a chapter's front matter names comes after them.
FOUNDATIONS, THE_PAPERS = "Foundations", "The papers"
#: What a chapter's front matter may say of it under ``chapter``.
FIELDS = ("paper", "sections", "part", "summary", *PAGE_FIELDS)
#: Rooms of the package in the order in which the page of utilities shows them, with headings.
ROOMS = {
    "tools": "Tools that know nobody",
    "semantic": "Semantic level",
    "physical": "Physical level",
    "generation": "Generation level",
    "effectiveness": "Effectiveness",
    "toyworld": "Toy world",
    "control": "Control",
    "studies": "Long runs",
    "ledger": "Claim ledger",
    "papers": "The papers",
}


#: A verdict's colour in the figure of the index: as in ledger.css, and the ink that can be read on it.
VERDICT_COLOURS = {
    "reproduced": ("#009e73", "#000"),
    "holds by derivation": ("url(#stripes)", "#000"),
    "direction holds at reduced scale": ("#0072b2", "#fff"),
    "partly": ("#e69f00", "#000"),
    "not reproduced": ("#d55e00", "#000"),
    "contradicted by the paper itself": ("#b0407a", "#fff"),
    "not testable here": ("#6b6b6b", "#fff"),
    "not attempted": ("#d4d8df", "#000"),
}


@dataclass(frozen=True)
class Chapter:
    """A chapter as its text tells of itself."""

    stem: str
    title: str
    paper: str
    sections: str
    part: str
    summary: str


def chapter(text: Path) -> Chapter:
    """Read a chapter's front matter and title.

    Raises
    ------
    SystemExit
        If the front matter lacks ``chapter: {paper: ...}``, names an unknown paper or field, or there is no title.
    """
    front, body = front_matter(text)
    about = front.get("chapter")
    if not isinstance(about, dict) or about.get("paper") not in papers():
        got = about.get("paper") if isinstance(about, dict) else about
        raise SystemExit(
            f"{text.name}: the front matter must have  chapter: {{paper: KEY}}  with a package of semcom_utils/papers "
            f"({', '.join(papers())}), got {got!r}"
        )
    if unknown := sorted(set(about) - set(FIELDS)):
        raise SystemExit(f"{text.name}: chapter may have the fields {', '.join(FIELDS)}, got {', '.join(unknown)}")
    title = re.search(r"^# (.+)$", body, re.M)
    if title is None:
        raise SystemExit(f"{text.name}: a chapter must have a title, a line that begins with '# '")
    part = about.get("part") or (FOUNDATIONS if about["paper"] == "foundations" else THE_PAPERS)
    fields = {name: str(about.get(name, "")) for name in ("sections", "summary")}
    return Chapter(text.stem, title[1].strip(), about["paper"], part=part, **fields)


def chapters() -> list[Chapter]:
    """All chapters, in the order of the book: by part, then by file name."""
    found = [chapter(text) for text in sorted(NOTEBOOKS.glob("*.md"))]
    parts = list(dict.fromkeys([FOUNDATIONS, THE_PAPERS, *(one.part for one in found)]))
    return sorted(found, key=lambda one: parts.index(one.part))


@cache
def about_papers() -> dict[str, Paper]:
    """What the ledger says of each paper, by key, in its order."""
    return {key: claims[0].paper for key, claims in load_ledger().items()}


def cited(key: str) -> str:
    """A paper as a link: its authors and year, and where it can be read.

    Raises
    ------
    SystemExit
        If ``references.bib`` has no such entry, or the entry neither an address nor a DOI.
    """
    entries = parse_file(str(ROOT / "references.bib")).entries
    if key not in entries:
        raise SystemExit(f"references.bib has no entry {key}, which a file of data/claims cites")
    entry = entries[key]
    names = [" ".join(author.last_names) for author in entry.persons["author"]]
    who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{names[0]} et al."
    fields = entry.fields
    arxiv = re.search(r"arXiv:(\d+\.\d+)", fields.get("journal", ""))
    address = fields.get("url") or (f"https://arxiv.org/abs/{arxiv[1]}" if arxiv else None)
    address = address or (f"https://doi.org/{fields['doi']}" if "doi" in fields else None)
    if address is None:
        raise SystemExit(f"references.bib: {key} has no url, doi, or arXiv number in its journal to link to")
    return f"[{who}, {fields['year']}]({address})"


def readme_table() -> str:
    """README's table of chapters with their badges, and the papers whose chapter is not written.

    The badges open the edition, once it is out (``date-released`` in ``CITATION.cff``), and until then the branch.
    """
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    colab = settings["url"].replace("https://github.com/", "https://colab.research.google.com/github/")
    badge = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    opens = f"v{about['version']}" if about.get("date-released") else settings["branch"]
    known = about_papers()
    lines = ["| Chapter | Paper | Run it |", "| --- | --- | --- |"]
    for one in chapters():
        paper = cited(known[one.paper].cite) if one.paper in known and not known[one.paper].own else "foundation"
        paper = "all of the papers" if one.paper in known and known[one.paper].own else paper
        paper += f", {one.sections}" if one.sections else ""
        run = f"{badge}({colab}/blob/{opens}/notebooks/{one.stem}.ipynb)"
        lines.append(f"| [{one.title}](notebooks/{one.stem}.md) | {paper} | {run} |")
    planned = [cited(about.cite) for about in known.values() if not about.own and not _written(about)]
    if planned:
        lines += ["", f"Planned: the chapters on the experiments of {_listed(planned)}."]
    return "\n".join(lines)


def index_table() -> str:
    """The index's table: each paper, what it asks, and its chapters."""
    lines = ["| Paper | Asks | Chapter |", "| --- | --- | --- |"]
    every = chapters()
    for key, about in about_papers().items():
        if not about.question:
            raise SystemExit(f"data/claims/{key}.yml: paper.question must be what the paper asks, for the index")
        own = [f"{{doc}}`../notebooks/{one.stem}`" for one in every if one.paper == key]
        main = f"{{doc}}`../{about.chapter}`" if _written(about) else "planned"
        parts = [name for name in own if name != main]
        more = "; parts of it: " if main == "planned" else ", with "
        cell = f"{main}{more}{', '.join(parts)}" if parts else main
        lines.append(f"| {'all of them' if about.own else f'{{cite:t}}`{about.cite}`'} | {about.question} | {cell} |")
    return "\n".join(lines)


def index_found() -> str:
    """The index's first lines: how far the book has come, a sentence a paper, and the figure of the verdicts."""
    ledger, found, every = load_ledger(), findings(), chapters()
    claims = [claim for entries in ledger.values() for claim in entries if not claim.paper.own]
    own = [claim for entries in ledger.values() for claim in entries if claim.paper.own]
    tried = sum(claim.verdict not in ("not attempted", "not testable here") for claim in claims)
    besides = f" It adds {len(own)} sentences of its own that compare them." if own else ""
    lines = [
        f"This book takes {len(claims)} claims from {len({claim.paper.key for claim in claims})} papers and gives "
        f"{tried} of them a verdict, by runs that anybody can repeat and by derivations.{besides} "
        "{numref}`fig-verdicts` counts the verdicts; what was found, in a sentence each:",
        "",
    ]
    for key, entries in ledger.items():
        about = entries[0].paper
        own = next((one.stem for one in every if one.paper == key), None)
        name = f"[{about.name}](../{about.chapter}.md)" if _written(about) else about.name
        name = f"[{about.name}](../notebooks/{own}.md)" if own and not _written(about) else name
        lines.append(f"- **{name}.** {found.get(key, about.question or about.title)}")
    last = ", and one for the book's own sentences" if own else ""
    told = " ".join(f"{entries[0].paper.name}: {_counted(entries)}." for entries in ledger.values())
    lines += [
        "",
        "```{figure} _static/verdicts.svg",
        ":name: fig-verdicts",
        f":alt: One bar a paper{last}, cut into its verdicts. {told}",
        ":width: 560px",
        "",
        f"What became of each paper's claims, one bar a paper{last}. {{doc}}`scoreboard` lists every claim with its "
        "test, its verdict and its numbers.",
        "```",
    ]
    return "\n".join(lines)


def _counted(claims: list) -> str:
    counts = Counter(claim.verdict for claim in claims)
    return f"{len(claims)} claims, {', '.join(f'{counts[name]} {name}' for name in VERDICTS if counts[name])}"


def verdicts_figure() -> str:
    """The index's figure, as SVG: a bar for each paper, cut into its verdicts, with their numbers."""
    ledger = load_ledger()
    width, bar, row, top = 540, 26, 58, 20
    parts, y = [], top
    for entries in ledger.values():
        counts = Counter(claim.verdict for claim in entries)
        parts.append(f'<text x="0" y="{y}">{html.escape(entries[0].paper.name)}</text>')
        x = 0.0
        for name in VERDICTS:
            if counts[name]:
                colour, ink = VERDICT_COLOURS[name]
                share = width * counts[name] / len(entries)
                parts.append(f'<rect x="{x:.1f}" y="{y + 7}" width="{share:.1f}" height="{bar}" fill="{colour}"/>')
                halo = ' stroke="#fff" stroke-width="4" paint-order="stroke"' if colour.startswith("url") else ""
                where = f'x="{x + share / 2:.1f}" y="{y + 25}"'
                parts.append(f'<text {where} fill="{ink}" text-anchor="middle"{halo}>{counts[name]}</text>')
                x += share
        y += row
    shown = [
        name for name in VERDICTS if any(claim.verdict == name for entries in ledger.values() for claim in entries)
    ]
    y += 8
    for i, name in enumerate(shown):
        x, at = (i % 2) * 275, y + (i // 2) * 25
        parts.append(f'<rect x="{x}" y="{at - 13}" width="16" height="16" fill="{VERDICT_COLOURS[name][0]}"/>')
        parts.append(f'<text x="{x + 23}" y="{at}" font-size="15">{name}</text>')
    height = y + (len(shown) + 1) // 2 * 25 - 10
    stripes = '<path d="M-2 2 4-4M0 8 8 0M4 12 12 4" stroke="#56b4e9" stroke-width="2"/>'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 0 {width + 20} {height}" font-size="16" '
            'font-family="system-ui, sans-serif" fill="#1b1f24">',
            f'<defs><pattern id="stripes" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="#fff"/>{stripes}</pattern></defs>',
            f'<rect x="-10" width="{width + 20}" height="{height}" fill="#fff"/>',
            '<g stroke="none">',
            *parts,
            "</g>",
            "</svg>",
            "",
        ]
    )


def index_foundations() -> str:
    """The index's list of the foundation chapters."""
    found = [one for one in chapters() if one.paper == "foundations"]
    return "\n".join(f"- {{doc}}`../notebooks/{one.stem}`{': ' + one.summary if one.summary else ''}" for one in found)


def contents() -> str:
    """The table of contents' parts that hold chapters."""
    lines, part = [], None
    for one in chapters():
        if one.part != part:
            part = one.part
            lines += [f"  - caption: {json.dumps(part, ensure_ascii=False)}", "    numbered: 1", "    chapters:"]
        lines.append(f"      - file: notebooks/{one.stem}")
    return "\n".join(lines)


def rooms() -> list[str]:
    """The rooms of the package, the tools among them, in the order of the pages that document them."""
    there = {path.parent.name for path in PACKAGE.glob("*/__init__.py") if not path.parent.name.startswith("_")}
    return ["tools", *(room for room in ROOMS if room in there), *sorted(there - set(ROOMS))]


def _title(room: str) -> str:
    return ROOMS.get(room, room.capitalize())


def api() -> str:
    """The page that leads to the pages of utilities, one a room: all on one would keep a browser busy for minutes."""
    lines = [
        MADE_BY.format(sources="the docstrings of semcom_utils"),
        "# Utilities",
        "",
        "What the chapters import. The pages are made from the docstrings, which give shapes, units, errors and the "
        "source of each equation. {doc}`levels` says what is kept in which room, and who may know whom.",
        "",
        *(f"- {{doc}}`{_title(room)} <api/{room}>`" for room in rooms()),
        "",
        "```{eval-rst}",
        ".. automodule:: semcom_utils",
        "```",
    ]
    return "\n".join(lines) + "\n"


def api_room(room: str) -> str:
    """The page of a room: every module of it that is not private."""
    if room == "tools":
        found = [f"semcom_utils.{path.stem}" for path in sorted(PACKAGE.glob("*.py")) if not path.stem.startswith("_")]
    else:
        found = list(modules(PACKAGE / room))
    lines = [MADE_BY.format(sources="the docstrings of semcom_utils"), f"# {_title(room)}", ""]
    for module in found:
        lines += _automodule(module)
    return "\n".join(lines).rstrip() + "\n"


def api_contents() -> str:
    """The table of contents' part of the pages of utilities."""
    return "\n".join(["        sections:", *(f"          - file: book/api/{room}" for room in rooms())])


def modules(folder: Path) -> Iterator[str]:
    """Names of a package and of its modules, packages in packages included; what begins with ``_`` is private."""
    yield ".".join(folder.relative_to(PACKAGE.parent).parts)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("_"):
            continue
        if path.suffix == ".py":
            yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        elif (path / "__init__.py").is_file():
            yield from modules(path)


def _automodule(module: str) -> list[str]:
    """A package shows what it is, a module what it offers: a thing is documented where it is defined, once."""
    package = (ROOT.joinpath(*module.split("."))).is_dir()
    members = [] if package else ["   :members:"]
    heading = f"## {module.removeprefix('semcom_utils.')}"
    return [heading, "", "```{eval-rst}", f".. automodule:: {module}", *members, "```", ""]


def studies_list() -> str:
    """The page that lists the studies, with what the stored run of each took."""
    known = about_papers()
    lines = [
        MADE_BY.format(sources="STUDIES in semcom_utils/papers/*/__init__.py"),
        "# List of studies",
        "",
        "The long runs behind the chapters. Each has a name, and one command runs it, or goes on where it was stopped:",
        "",
        "```sh",
        "python -m semcom_utils.studies isgc/training          # the study, into data/results",
        "python -m semcom_utils.studies isgc/training --small  # a version of a few seconds, into scratch",
        "```",
        "",
        "A task is one seed of one setting; tasks run side by side, one a core. Minutes are the work of the stored "
        "run, all tasks added up, on processors that were shared with other work.",
        "",
    ]
    groups: dict[str, list[str]] = {}
    for name, entry in catalogue().items():
        tasks, minutes = _stored_cost(name)
        row = f"| `{name}` | {entry.about} | {tasks} | {minutes} |"
        groups.setdefault(name.partition("/")[0], []).append(row)
    for key in sorted(groups, key=lambda key: (key in known, list(known).index(key) if key in known else 0)):
        title = known[key].name if key in known else key.replace("_", " ").capitalize()
        lines += [f"## {title}", "", "| Study | About | Tasks | Minutes |", "| --- | --- | ---: | ---: |"]
        lines += [*groups[key], ""]
    return "\n".join(lines).rstrip() + "\n"


def which_scheme() -> str:
    """The page that says in plain words when to use which scheme; sentences and pointers are in a file of data."""
    path = ROOT / "data" / "which_scheme.yml"
    told = parse_yaml(path.read_text(encoding="utf-8"), path.name)
    verdicts = {claim.id: claim.verdict for entries in load_ledger().values() for claim in entries}
    lines = [MADE_BY.format(sources="data/which_scheme.yml and data/results"), "# When to use which scheme", ""]
    lines += [" ".join(told["first"].split()), ""]
    for part in told["answers"]:
        lines += [f"## {part['question']}", ""]
        for entry in part["sentences"]:
            where = f"{path.name}: {part['question']}"
            sentence = filled(entry["sentence"], entry.get("numbers", {}), where)
            tested = [_verdict_link(where, one, verdicts) for one in entry.get("claims", [])]
            lines += [f"- {sentence}" + (f" ({'; '.join(tested)})" if tested else "")]
        lines.append("")
    lines += [" ".join(told["last"].split()), ""]
    return "\n".join(lines)


def _verdict_link(where: str, claim: str, verdicts: dict[str, str]) -> str:
    if claim not in verdicts:
        raise SystemExit(f"{where}: claims must be of the ledger, got {claim!r}")
    return f'<a href="scoreboard.html#claim-{claim}">tested</a>: {verdicts[claim]}'


def _stored_cost(name: str) -> tuple[str, str]:
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        return "", "not run yet"
    result = json.loads(path.read_text(encoding="utf-8"))
    minutes = result["provenance"]["wall_time_s"] / 60
    return f"{len(result['records']):,}", f"{minutes:.1f}" if minutes < 10 else f"{minutes:,.0f}"


def _written(about: Paper) -> bool:
    return about.chapter is not None and (ROOT / f"{about.chapter}.md").is_file()


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


#: Whole pages, not tracked, and the functions that write them.
PAGES = {
    BOOK / "api.md": api,
    **{BOOK / "api" / f"{room}.md": partial(api_room, room) for room in rooms()},
    BOOK / "errata.md": errata,
    BOOK / "scoreboard.md": scoreboard,
    BOOK / "studies_list.md": studies_list,
    BOOK / "which_scheme.md": which_scheme,
    BOOK / "_static" / "verdicts.svg": verdicts_figure,
}
#: Tracked files, and the functions that write what stands between their marks.
TABLES = {
    ROOT / "README.md": {"chapters": readme_table},
    BOOK / "index.md": {"found": index_found, "papers": index_table, "foundations": index_foundations},
    ROOT / "_toc.yml": {"chapters": contents, "utilities": api_contents},
}


def between_marks(text: str, name: str, new: str, file: str) -> str:
    """A text with ``new`` between its marks ``derived: NAME`` and ``derived: end``, which stay.

    Raises
    ------
    SystemExit
        If the text does not have these marks, once.
    """
    pattern = re.compile(rf"(^[^\n]*derived: {name}\b[^\n]*\n).*?(^[^\n]*derived: end\b)", re.M | re.S)
    if len(pattern.findall(text)) != 1:
        raise SystemExit(f"{file} must have the marks 'derived: {name}' and 'derived: end', once")
    blank = "" if file.endswith(".yml") else "\n"  # Markdown parts a comment from a table by an empty line
    return pattern.sub(lambda match: f"{match[1]}{blank}{new}\n{blank}{match[2]}", text)


def text_of(path: Path) -> str:
    """The text that a derived file, or one with a derived part, should have."""
    if path in PAGES:
        return PAGES[path]()
    text = path.read_text(encoding="utf-8")
    for name, make in TABLES[path].items():
        text = between_marks(text, name, make(), path.name)
    return text


def main(argv: list[str] | None = None) -> int:
    speak_utf8()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a tracked table is stale")
    check = parser.parse_args(argv).check
    try:
        texts = {path: text_of(path) for path in (TABLES if check else {**PAGES, **TABLES})}
    except LedgerError as error:
        raise SystemExit(str(error)) from None
    old = [p for p, text in texts.items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    for path in old:
        print(f"{path.relative_to(ROOT)} {'is stale: make book' if check else 'written'}")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(texts[path], encoding="utf-8")
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
