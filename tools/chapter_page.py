"""What a chapter's page has beside its cells: a head and a foot, folded code, links to the glossary, hints on hovering.

A Sphinx extension. The notebooks stay as they were run: head and foot come from the ``chapter`` mapping in the front
matter of ``notebooks/NN_name.md``, and what a cell is for is read off its code. ``CONTRIBUTING.md`` names the fields.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import SphinxError

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "notebooks/"
GLOSSARY = "book/glossary"
#: Fields of ``chapter`` that make a page's head and foot; a chapter has all of them, or is not finished.
PAGE_FIELDS = ("goals", "needs", "measures", "run", "remember", "next")
LINK = re.compile(r"\{(?:doc|ref|eq|numref)\}`[^`]+`|\]\([^)]+\)")
#: Words a minute with a pencil in hand, and what a displayed formula counts for.
PACE, FORMULA = 150, 30


class ChapterError(SphinxError):
    """A field of a chapter's front matter is missing or wrong."""

    category = "Chapter"


@dataclass(frozen=True)
class Page:
    """What the head and the foot of a chapter say; strings are MyST, as in the chapter."""

    title: str
    paper: str
    goals: list[str]
    needs: list[str]
    measures: str
    seconds: float
    gigabytes: float
    machine: str
    remember: list[str]
    next: list[str]


# --- front matter ---------------------------------------------------------------------------------------------------


def front_matter(text: Path) -> tuple[dict, str]:
    """Front matter of a chapter's text, and what comes after it."""
    found = re.match(r"---\n(.*?\n)---\n(.*)", text.read_text(encoding="utf-8"), re.S)
    return (yaml.safe_load(found[1]), found[2]) if found else ({}, text.read_text(encoding="utf-8"))


def page(text: Path) -> Page | None:
    """What a chapter says of itself; None where it says nothing yet.

    Raises
    ------
    ChapterError
        If some of the fields are there and others not, or one is wrong: the message names chapter and field.
    """
    front, body = front_matter(text)
    about = front.get("chapter") or {}
    if not any(name in about for name in PAGE_FIELDS):
        return None

    def wrong(name: str, expected: str) -> ChapterError:
        return ChapterError(f"{text.name}: chapter.{name} must be {expected}, got {about.get(name)!r}")

    def sentences(name: str, few: int, many: int, expected: str, linked: bool = False) -> list[str]:
        given = about.get(name)
        if not isinstance(given, list) or not few <= len(given) <= many or not all(isinstance(x, str) for x in given):
            raise wrong(name, f"a list of {few} to {many} {expected}")
        if linked and not any(LINK.search(x) for x in given):
            raise wrong(name, f"a list of {few} to {many} {expected}, at least one with a link such as {{doc}}`...`")
        return [x.strip() for x in given]

    run = about.get("run")
    if (
        not isinstance(run, dict)
        or set(run) != {"seconds", "gigabytes", "machine"}
        or not all(isinstance(run[k], int | float) and run[k] > 0 for k in ("seconds", "gigabytes"))
        or not isinstance(run["machine"], str)
    ):
        raise wrong("run", "{seconds: measured, gigabytes: measured, machine: the machine in words}")
    measures = about.get("measures")
    if not isinstance(measures, str) or not measures.strip():
        raise wrong("measures", "a sentence on what the chapter measures")
    title = re.search(r"^# (.+)$", body, re.M)
    return Page(
        title[1].strip() if title else text.stem,
        str(about.get("paper", "")),
        sentences("goals", 2, 4, "things that a reader will be able to do"),
        sentences("needs", 1, 5, "things that a reader should know", linked=True),
        measures.strip(),
        float(run["seconds"]),
        float(run["gigabytes"]),
        run["machine"].strip(),
        sentences("remember", 2, 4, "sentences to remember"),
        sentences("next", 1, 3, "ways to go on", linked=True),
    )


# --- times ----------------------------------------------------------------------------------------------------------


def reading(cells: list[dict]) -> tuple[int, int]:
    """Words and displayed formulas of a notebook's prose; exercises and their solutions are not counted."""
    words = formulas = 0
    for cell, _ in outside_solutions(cells):
        if cell["cell_type"] != "markdown":
            continue
        prose = re.sub(r"^```+\{(?:exercise|solution).*?^```+$", "", _source(cell), flags=re.M | re.S)
        formulas += len(re.findall(r"^\$\$", prose, re.M)) // 2
        prose = re.sub(r"^\$\$.*?^\$\$.*?$|^```+\S*$|^\|[-| :]+\|$|^\([^)\n]*\)=$", "", prose, flags=re.M | re.S)
        prose = re.sub(r"\$[^$]+\$|\{[\w:]+\}`[^`]+`|`[^`]+`", " x ", prose)
        words += len(re.findall(r"\w[\w'’-]*", prose))
    return words, formulas


def in_words(seconds: float) -> str:
    """A measured time as one says it: 3 minutes, half a minute."""
    if seconds < 45:
        return "half a minute" if seconds > 20 else "a few seconds"
    minutes = round(seconds / 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"


# --- cells ----------------------------------------------------------------------------------------------------------


def _source(cell: dict) -> str:
    return cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])


def outside_solutions(cells: list[dict]) -> Iterator[tuple[dict, bool]]:
    """Cells that are not part of an exercise's solution, and whether their code may be folded."""
    inside = False
    for cell in cells:
        source = _source(cell) if cell["cell_type"] == "markdown" else ""
        marks = re.findall(r"^```+\{solution-(start|end)\}", source, re.M)
        if not inside:
            yield cell, cell["cell_type"] == "code"
        if marks:
            inside = marks[-1] == "start"


def _called(node: ast.AST) -> str:
    """Name of what a statement calls: ``glue`` of ``glue(...)``, the first name of a chain of methods."""
    node = node.value if isinstance(node, ast.Expr) else node
    name = ""
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = ast.unparse(node.func)
        node = node.func if isinstance(node, ast.Call) else node.value
    return name


def _only_calls(node: ast.stmt, name: str) -> bool:
    if isinstance(node, ast.For):
        return all(_only_calls(inner, name) for inner in node.body)
    return isinstance(node, ast.Expr) and _called(node) == name


def _length(node: ast.stmt) -> int:
    return node.end_lineno - node.lineno + 1


SET_UP = {"use_house_style", "one_thread", "torch.set_num_threads", "warnings.filterwarnings"}
LEDGER = {"claims_table": "Show the call of this table", "verdict_box": "Show the call of this verdict"}


def stored_names(source: str, known: set[str]) -> set[str]:
    """Names that hold a stored run, or a part of one, after a cell; ``known`` are those before it."""
    names = set(known)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            given = {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            names = names | given if _is_stored(node.value, names) else names - given
    return names - {"_"}


def _is_stored(node: ast.expr, known: set[str]) -> bool:
    """Whether an expression is what a stored run holds, and nothing computed from it."""
    if isinstance(node, ast.Tuple | ast.List):
        return any(_is_stored(part, known) for part in node.elts)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _is_stored(node.elt, known)
    while isinstance(node, ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name) and node.id in known or _called(node) in ("load_result", "json.loads")


def reads_stored(nodes_: list[ast.stmt], known: set[str]) -> bool:
    """Whether code reads a stored run, or a name that holds one."""
    return any(
        isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and inner.id in known | {"load_result", "json"}
        for node in nodes_
        for inner in ast.walk(node)
    )


def shows_a_value(source: str) -> bool:
    """Whether a cell ends with a value that the notebook shows: a table, nearly always."""
    body = ast.parse(source).body
    return bool(body) and isinstance(body[-1], ast.Expr) and _called(body[-1]) not in ("print", "glue", "plt.show")


def summary(source: str, figure: bool = False, stored: set[str] = frozenset()) -> str | None:
    """What stands on the fold over a cell that is not the chapter's mathematics; None for one that stays open.

    Parameters
    ----------
    source : str
        The cell's code.
    figure : bool
        Whether the cell's metadata names a figure.
    stored : set of str
        Names that hold stored runs (:func:`stored_names`).
    """
    body = ast.parse(source).body
    if not body:
        return None
    if figure or any(_called(node) == "plt.show" for node in body):
        return "Show the code of this figure"
    imports = [isinstance(node, ast.Import | ast.ImportFrom) for node in body]
    if imports[0] and 2 * sum(imports) >= len(body):
        return "Show the imports"
    called = [_called(node) for node in body]
    if set(called) & SET_UP and all(name in SET_UP or isinstance(node, ast.Assign)
                                    for name, node in zip(called, body, strict=True)):  # fmt: skip
        return "Show the set-up"
    shown = {name for node in ast.walk(ast.parse(source)) for name in [_called(node)] if name in LEDGER}
    if shown and sum(map(_length, body)) <= 5:
        return LEDGER[shown.pop()]
    glued = sum(_length(node) for node in body if _only_calls(node, "glue"))
    if 2 * glued >= sum(map(_length, body)):
        return "Show where the numbers of the text come from"
    defines = any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)
    if shows_a_value(source) and not defines and reads_stored(body, stored):
        return "Show how this table is made"
    return None


def fold(cells: list[dict]) -> None:
    """Mark, in place, the cells whose code is folded, with the words that stand on the fold."""
    stored: set[str] = set()
    for cell, may_fold in outside_solutions(cells):
        tags = cell["metadata"].setdefault("tags", [])
        if not may_fold or not _source(cell).strip() or "parameters" in tags or "remove-cell" in tags:
            continue
        about = cell["metadata"].get("mystnb", {})
        said = about.get("code_prompt_show") or summary(_source(cell), "figure" in about, stored)
        stored = stored_names(_source(cell), stored)
        if "hide-input" in tags:
            said = said or ("Show how this table is made" if shows_a_value(_source(cell)) else "Show the set-up")
        if said and "open-input" not in tags:
            cell["metadata"]["tags"] = [*(tag for tag in tags if tag != "hide-input"), "hide-input"]
            cell["metadata"]["mystnb"] = {
                **about,
                "code_prompt_show": said,
                "code_prompt_hide": said.replace("Show", "Hide", 1),
            }


# --- head and foot --------------------------------------------------------------------------------------------------


def _listed(items: list[str]) -> str:
    return f": {items[0]}" if len(items) == 1 else "\n".join([f": - {items[0]}", *(f"  - {x}" for x in items[1:])])


def head(one: Page, words: int, formulas: int, parameters: str) -> str:
    """MyST of a chapter's head."""
    minutes = max(5, 5 * round((words + FORMULA * formulas) / PACE / 5))
    return f"""
:::::{{container}} chapter-head

You will be able to
{_listed(one.goals)}

You should know
{_listed(one.needs)}

What is measured
: {one.measures}

Time and memory
: About {minutes} minutes to read ({round(words, -2):,} words; the exercises are not counted), {in_words(one.seconds)}
  to run ({one.machine}), {one.gigabytes:.1f} GB of memory. To run it yourself, open it by the rocket above, change
  the {{ref}}`parameters <{parameters}>` if you like, and run all.

:::::
"""


def citation(root: Path, one: Page, address: str) -> str:
    """How to cite a chapter, from ``CITATION.cff``.

    Raises
    ------
    ChapterError
        If the file lacks authors, a title or a version.
    """
    about = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    for name in ("authors", "title", "version"):
        if not about.get(name):
            raise ChapterError(f"CITATION.cff: {name} is missing, so that {one.title!r} cannot say how to cite it")
    names = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in about["authors"]]
    date = str(about.get("date-released", ""))[:4]
    edition = f"edition {about['version']}" + (f", {date}" if date else "")
    return f"{', '.join(names)}: “{one.title}”. In *{about['title']}*, {edition}. <{address}>"


def foot(one: Page, cite: str, key: str | None) -> str:
    """MyST of a chapter's foot; ``key`` is the bibliography's entry of the paper it treats, if any."""
    paper = f" The paper is {{cite:t}}`{key}`." if key else ""
    return f"""
## What to remember

:::::{{container}} chapter-foot

{chr(10).join(f"- {x}" for x in one.remember)}

Where to go next
{_listed(one.next)}

To cite this chapter
: {cite}{paper}

:::::
"""


def dress(notebook: dict, stem: str, one: Page | None, cite: str = "", key: str | None = None) -> dict:
    """A notebook as the page shows it: folded, its parameters marked, with head and foot where the chapter has them."""
    cells = notebook["cells"]
    fold(cells)
    words, formulas = reading(cells)

    def prose(source: str) -> dict:
        return {"cell_type": "markdown", "id": f"page-{len(source)}", "metadata": {}, "source": source}

    label = f"parameters-{stem}"
    mark = f"({label})=\n:::{{container}} chapter-parameters\n**Parameters**: change these and run again.\n:::"
    for i, cell in enumerate(cells):
        if "parameters" in cell["metadata"].get("tags", []):
            cells.insert(i, prose(mark))
            break
    if one is not None:
        source = _source(cells[0])
        table = re.search(r"^\|", source, re.M)  # the introduction's own table of questions comes after the head
        cut = table.start() if table else len(source)
        cells[0]["source"] = source[:cut].rstrip() + "\n" + head(one, words, formulas, label) + "\n" + source[cut:]
        cells.append(prose(foot(one, cite, key)))
    return notebook


def dress_source(app, docname: str, source: list[str]) -> None:
    """Sphinx's ``source-read``: a chapter's notebook gets what its page has beside the cells."""
    if not docname.startswith(FOLDER):
        return
    text = Path(app.srcdir) / f"{docname}.md"
    if not text.is_file() or not source[0].lstrip().startswith("{"):
        return
    for file in (text, Path(app.srcdir) / "CITATION.cff"):
        app.env.note_dependency(str(file))
    one, cite, key = page(text), "", None
    if one is not None:
        base = app.config.html_baseurl
        repository = app.config.html_theme_options
        home = f"{repository.get('repository_url', '')}/blob/{repository.get('repository_branch') or 'main'}"
        address = f"{base.rstrip('/')}/{docname}.html" if base else f"{home}/{docname}.md"
        cite = citation(Path(app.srcdir), one, address)
        claims = Path(app.srcdir) / "data" / "claims" / f"{one.paper}.yml"
        if claims.is_file():
            key = yaml.safe_load(claims.read_text(encoding="utf-8"))["paper"].get("cite")
    source[0] = json.dumps(dress(json.loads(source[0]), Path(docname).name, one, cite, key))


# --- the first use of a term ----------------------------------------------------------------------------------------

#: Words before or after a term that make it another one: "computing capacity" is no channel's, "Edge AIGC" is a name.
OTHER_SENSE = {
    "capacity": r"(?<!computing )(?<!'s )(?<!its )(?<!of its )(?<!without ){}(?! of a (?:server|link))",
    "AIGC": r"(?<!Edge )(?<!Local )(?<!tuning )(?<!for ){}",
    "cliff": r"(?<!no ){}",
    "environment": r"(?<!clean ){}",
}


def glossary_terms(glossary: Path) -> list[str]:
    """Terms that the book's glossary explains."""
    block = re.search(r"```\{glossary\}\n(.*?)\n```", glossary.read_text(encoding="utf-8"), re.S)
    lines = block[1].splitlines() if block else []
    return [line for line in lines if line and not line.startswith((" ", ":"))]


def term_pattern(term: str) -> re.Pattern:
    """A term in running text: its first letter small or large, an acronym as it is, with or without a plural."""
    words = re.escape(term).replace(r"\ ", r"\s+")
    if not term[:2].isupper() and not term[1:2].isupper():
        words = f"[{term[0].lower()}{term[0].upper()}]{words[1:]}"
    plural = words[:-1] + "(?:y|ies)" if term.endswith("y") and term[-2] not in "aeiou" else words + "(?:s|es)?"
    return re.compile(OTHER_SENSE.get(term, "{}").format(rf"(?<![\w-]){plural}(?![\w-])"))


#: In these no term is linked: headings, links, code, formulas, captions (a figure stands alone), what a cell printed.
NO_TERMS = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.math_block,
            nodes.caption, nodes.table, nodes.raw, nodes.target, nodes.rubric, addnodes.pending_xref,
            addnodes.download_reference)  # fmt: skip
NO_TERMS_IN = {"cell", "chapter-head", "chapter-foot"}


def _left_alone(node: nodes.Node) -> bool:
    while node is not None:
        if isinstance(node, NO_TERMS) or NO_TERMS_IN & set(getattr(node, "attributes", {}).get("classes", [])):
            return True
        node = node.parent
    return False


def link_terms(doctree: nodes.document, terms: list[str], docname: str) -> list[str]:
    """Link the first use of each term in a chapter's prose to the glossary; give the terms that were found."""
    patterns = {term: term_pattern(term) for term in sorted(terms, key=len, reverse=True)}
    found = []
    for text in list(doctree.findall(nodes.Text)):
        if not patterns or _left_alone(text.parent):
            continue
        parts, rest = [], str(text)
        while rest:
            hits = [(hit.start(), -len(hit[0]), term, hit) for term, p in patterns.items() if (hit := p.search(rest))]
            if not hits:
                break
            start, _, term, hit = min(hits, key=lambda one: one[:2])
            link = addnodes.pending_xref(
                "", nodes.inline("", hit[0], classes=["xref", "std", "std-term"]), refdomain="std", reftype="term",
                reftarget=term, refexplicit=True, refwarn=True, refdoc=docname,
            )  # fmt: skip
            parts += [nodes.Text(rest[:start]), link]
            rest = rest[hit.end() :]
            del patterns[term]
            found.append(term)
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(rest)])
    return found


def link_first_uses(app, doctree: nodes.document) -> None:
    """Sphinx's ``doctree-read``: first uses of the glossary's terms in a chapter become links."""
    if app.env.docname.startswith(FOLDER):
        glossary = Path(app.srcdir) / f"{GLOSSARY}.md"
        app.env.note_dependency(str(glossary))
        link_terms(doctree, glossary_terms(glossary), app.env.docname)


# --- hints on hovering ----------------------------------------------------------------------------------------------


def hint(text: str, most: int = 220) -> str:
    """A text on one line, cut at a word."""
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def number_lines(doctree: nodes.document) -> None:
    """Give each line of a cell's code and print an element of its own, so that a wrapped line can be set in."""
    kinds = ("cell_code_source", "cell_code_output")
    boxes = [box for box in doctree.findall(nodes.container) if box.get("nb_element") in kinds]
    blocks = [block for box in boxes for block in box.findall(nodes.literal_block)]
    for k, block in enumerate(blocks):
        block["highlight_args"] = {**block.get("highlight_args", {}), "linespans": f"c{k}"}


def explanations(app) -> dict[str, str]:
    """What the glossary says of its terms, by their anchors."""
    if not hasattr(app, "glossary_hints"):
        found = {}
        if GLOSSARY in app.env.found_docs:
            for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
                meant = hint(next(item.findall(nodes.definition)).astext())
                found |= {name: meant for term in item.findall(nodes.term) for name in term["ids"]}
        app.glossary_hints = found
    return app.glossary_hints


def finish(app, doctree: nodes.document, docname: str) -> None:
    """Sphinx's ``doctree-resolved``: links to a term say on hovering what it means (references do so by themselves)."""
    if docname.startswith(FOLDER):
        number_lines(doctree)
        for link in doctree.findall(nodes.reference):
            file, _, anchor = link.get("refuri", "").partition("#")
            if file.endswith(f"{GLOSSARY}.html") and anchor in explanations(app):
                link["reftitle"] = explanations(app)[anchor]


# --- the fold in HTML -----------------------------------------------------------------------------------------------


def visit_fold(self, node: nodes.Element) -> None:
    """A fold whose name is what it says: the two prompts are text, and only one of them is shown."""
    classes = " ".join(node["classes"])
    self.body.append(f'<details class="chapter-fold hide {classes}">\n<summary>')
    for name, state in (("prompt_show", "collapsed"), ("prompt_hide", "expanded")):
        self.body.append(f'<span class="{state}">{escape(node[name])}</span>')
    self.body.append("</summary>\n")


def depart_fold(self, node: nodes.Element) -> None:
    self.body.append("</details>\n")


def setup(app):
    from myst_nb.sphinx_ import HideCodeCellNode

    app.setup_extension("myst_nb")
    app.connect("source-read", dress_source)
    app.connect("doctree-read", link_first_uses)
    app.connect("doctree-resolved", finish)
    app.add_node(HideCodeCellNode, override=True, html=(visit_fold, depart_fold))
    app.add_css_file("chapter.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
