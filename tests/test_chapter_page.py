"""Head and foot of every chapter, what is folded on its page, and the links to the glossary."""

import copy
import re
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document

import chapter_page
from chapter_page import ChapterError, dress, fold, glossary_terms, in_words, link_terms, page, reading, summary
from notebook_checks import code_cells, stored
from run_notebooks import note_cost

ROOT = Path(__file__).parents[1]
TEXTS = sorted((ROOT / "notebooks").glob("*.md"))
SITE = ROOT / "_build" / "html" / "notebooks"
#: Chapters that are being rewritten, and get head and foot with that.
PENDING = {"10_isgc"}
each_chapter = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
FIELDS = {
    "paper": "foundations",
    "goals": ["Do this.", "Do that."],
    "needs": ["{doc}`01_digital_link`"],
    "measures": "A thing.",
    "run": {"seconds": 90, "gigabytes": 1.25, "machine": "two cores"},
    "remember": ["This is so.", "That is not."],
    "next": ["{doc}`02_toy_world`: why."],
}


def chapter(folder, fields):
    text = folder / "20_new.md"
    text.write_text(f"---\n{yaml.safe_dump({'chapter': fields})}---\n\n# A title\n\nFirst.\n", encoding="utf-8")
    return text


@each_chapter
def test_every_chapter_has_head_and_foot(text):
    assert (page(text) is None) == (text.stem in PENDING)


@pytest.mark.parametrize("name", chapter_page.PAGE_FIELDS)
def test_a_missing_or_wrong_field_is_named(name, tmp_path):
    assert page(chapter(tmp_path, FIELDS)).title == "A title"
    for wrong in (None, [], 3, ["only one", 2]):
        fields = copy.deepcopy(FIELDS) | {name: wrong}
        if wrong is None:
            del fields[name]
        with pytest.raises(ChapterError, match=rf"20_new\.md: chapter\.{name} must be"):
            page(chapter(tmp_path, fields))


@pytest.mark.parametrize("name", ["needs", "next"])
def test_what_to_know_and_where_to_go_are_linked(name, tmp_path):
    with pytest.raises(ChapterError, match=f"chapter.{name} .* with a link"):
        page(chapter(tmp_path, FIELDS | {name: ["Something else."]}))


def test_a_measured_run_is_noted(tmp_path):
    text = chapter(tmp_path, {k: v for k, v in FIELDS.items() if k != "run"})
    with pytest.raises(ValueError, match="20_new.md must have one line"):
        note_cost(text, 61.4, 1.26, "two cores")
    source = text.read_text(encoding="utf-8").replace("  paper:", "  run: {seconds: 1}\n  paper:")
    text.write_text(source + "\n---\n\n  run: {not: this}\n", encoding="utf-8")
    note_cost(text, 61.4, 1.26, "two cores")
    assert (page(text).seconds, page(text).gigabytes, page(text).machine) == (61, 1.3, "two cores")
    assert "run: {not: this}" in text.read_text(encoding="utf-8")


def test_a_chapter_that_says_nothing_yet_has_no_head(tmp_path):
    assert page(chapter(tmp_path, {"paper": "isgc"})) is None


def test_the_citation_follows_the_citation_file(tmp_path):
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    one = page(chapter(tmp_path, FIELDS))
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    said = chapter_page.citation(tmp_path, one, "https://example.org/x.html")
    assert all(part in said for part in (about["authors"][0]["name"], about["title"], about["version"], "“A title”"))
    assert "https://example.org/x.html" in said
    (tmp_path / "CITATION.cff").write_text("title: A book\nauthors: [{name: Us}]\n", encoding="utf-8")
    with pytest.raises(ChapterError, match="CITATION.cff: version"):
        chapter_page.citation(tmp_path, one, "")


def test_reading_time_counts_prose_and_no_exercises():
    def prose(source):
        return {"cell_type": "markdown", "metadata": {}, "source": source}

    cells = [prose("# One two\n\nThree $x^2$ four.\n\n$$\na = b\n$$ (eq-x)\n\nFive."), prose("Six seven.")]
    assert reading(cells) == (8, 1)  # a formula in the line is a word
    exercise = prose("```{exercise}\n:label: e\n\nMany words stand here.\n```\n\n```{solution-start} e\n```\nAnd here.")
    after = [prose("More."), prose("```{solution-end}\n```\n\nNot counted: it ends a solution.")]
    assert reading([*cells, exercise, *after, prose("Eight.")])[0] - reading(cells)[0] <= 4


@pytest.mark.parametrize(
    ("seconds", "said"), [(8, "a few seconds"), (30, "half a minute"), (70, "a minute"), (131, "2 minutes")]
)
def test_times_in_words(seconds, said):
    assert in_words(seconds) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import numpy as np\nfrom a import b\nuse_house_style()", "imports"),
        ("use_house_style()\nwarnings.filterwarnings('ignore')\nLINES = (1, 2)", "set-up"),
        ("fig, ax = plt.subplots()\nax.plot(x)\nplt.show()", "figure"),
        ("claims_table('isgc')", "table"),
        ("for claim in claims:\n    display(verdict_box(claim))", "verdict"),
        ("a = f(x)\nfor k in y:\n    glue(k, y[k])\nglue('b', a)", "numbers"),
        ("runs = load_result('a/b')['summary']\npd.DataFrame(runs).round(2)", "table"),
    ],
)
def test_what_is_not_the_mathematics_is_folded(code, said):
    assert said in summary(code)


@pytest.mark.parametrize(
    "code",
    [
        "alpha = now / then\nx_s = alpha * x_0\nprint(x_s)",
        "def step(x, t):\n    return x - t",
        "rows = [f(x) for x in grid]\npd.DataFrame(rows)",  # computed here, not read from a stored run
        "runs = load_result('a/b')\nprint(f(runs))",
        "def share(x):\n    return x.mean()\n\nruns = load_result('a/b')\nshare(runs)",
        "y = f(x)\nz = y**2\nprint(z)\nglue('z', z)",
    ],
)
def test_the_mathematics_stays_open(code):
    assert summary(code) is None


def test_names_that_hold_stored_runs():
    known = chapter_page.stored_names("runs = load_result('a')\nfirst, x = runs['one'], 2\ny = f(runs)", set())
    assert known == {"runs", "first", "x"}  # f(runs) is computed
    assert chapter_page.stored_names("runs = simulate()", known) == {"first", "x"}
    assert "table" in summary("pd.DataFrame(first)", stored=known)


def test_tags_in_the_text_have_the_last_word():
    def cell(tags, source, **more):
        return {"cell_type": "code", "metadata": {"tags": tags, **more}, "source": source}

    cells = [
        cell([], "plt.show()"), cell(["open-input"], "plt.show()"), cell(["hide-input"], "def f(x):\n    return x"),
        cell(["parameters"], "import a"), cell(["remove-cell"], "import a"),
        cell(["hide-input"], "x = 1", mystnb={"code_prompt_show": "Show the world"}),
    ]  # fmt: skip
    fold(cells)
    said = [one["metadata"].get("mystnb", {}).get("code_prompt_show") for one in cells]
    assert said == ["Show the code of this figure", None, "Show the set-up", None, None, "Show the world"]
    assert cells[5]["metadata"]["mystnb"]["code_prompt_hide"] == "Hide the world"


def test_a_solution_is_folded_once():
    """Its own box opens it; the code in it is what the reader opened it for."""
    prose = [{"cell_type": "markdown", "metadata": {}, "source": f"```{{solution-{word}}} x\n```"}
             for word in ("start", "end")]  # fmt: skip
    code = [{"cell_type": "code", "metadata": {}, "source": "plt.show()"} for _ in range(2)]
    fold([prose[0], code[0], prose[1], code[1]])
    assert "mystnb" not in code[0]["metadata"] and "mystnb" in code[1]["metadata"]


@each_chapter
def test_a_dressed_chapter_keeps_its_cells(text):
    before = stored(text)
    after = nbformat.from_dict(dress(copy.deepcopy(before), text.stem, page(text), "Cite."))
    assert [cell.source for cell in code_cells(before)] == [cell.source for cell in code_cells(after)]
    assert [cell.outputs for cell in code_cells(before)] == [cell.outputs for cell in code_cells(after)]
    marks = [i for i, cell in enumerate(after.cells) if "chapter-parameters" in cell.source]
    assert len(marks) == 1 and "parameters" in after.cells[marks[0] + 1].metadata.tags
    for cell in code_cells(after):
        figure = "figure" in cell.metadata.get("mystnb", {})
        assert not figure or "hide-input" in cell.metadata.tags


@each_chapter
def test_every_figure_is_referenced_in_the_text(text):
    notebook = stored(text)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    figures = [cell.metadata.get("mystnb", {}).get("figure", {}).get("name") for cell in code_cells(notebook)]
    missing = [name for name in figures if name and f"{{numref}}`{name}`" not in prose]
    assert text.stem in PENDING or not missing


def document(*paragraphs):
    doctree = new_document("x", get_default_settings())
    section = nodes.section("", nodes.title("", "The SNR of a title"))
    for text in paragraphs:
        section += text if isinstance(text, nodes.Node) else nodes.paragraph("", text)
    doctree += section
    return doctree


def linked(doctree):
    return [(x["reftarget"], x.astext()) for x in doctree.findall(chapter_page.addnodes.pending_xref)]


def test_first_uses_of_terms_are_linked_once():
    prose = "Latents at an SNR; a latent, the SNR again.", "Block error rates of a code."
    doctree = document(nodes.literal_block("", "SNR = 3"), *prose)
    found = link_terms(doctree, ["SNR", "latent", "block error rate", "QAM"], "notebooks/x")
    assert found == ["latent", "SNR", "block error rate"]
    assert linked(doctree) == [("latent", "Latents"), ("SNR", "SNR"), ("block error rate", "Block error rates")]
    assert "a latent, the SNR again" in doctree.astext()  # the text itself is as it was


def test_terms_are_whole_words_and_not_links_already():
    link = nodes.paragraph("", "", nodes.reference("", "semantic entropy", refuri="x"))
    doctree = document("SNRs in a pre-latent world, ledgers.", link, "capacity of a link")
    assert link_terms(doctree, ["latent", "semantic entropy"], "notebooks/x") == []
    assert link_terms(document("Edge AIGC is a name."), ["AIGC"], "notebooks/x") == []
    assert link_terms(document("Its entropies"), ["entropy"], "notebooks/x") == ["entropy"]


def test_the_glossary_is_read():
    terms = glossary_terms(ROOT / "book" / "glossary.md")
    assert {"SNR", "latent", "age of information"} <= set(terms) and len(terms) > 40


@each_chapter
def test_the_built_page_shows_it(text):
    html = (SITE / f"{text.stem}.html").read_text(encoding="utf-8")
    assert ("chapter-head" in html) == ("chapter-foot" in html) == (text.stem not in PENDING)
    assert html.count('id="parameters-') == 1
    folds = re.findall(r'<details class="chapter-fold[^>]*>\s*<summary>(.*?)</summary>', html, re.S)
    assert len(folds) > 5 and all(
        said.startswith('<span class="collapsed">Show ') and "aria-label" not in said for said in folds
    )
    assert "#term-" in html  # first uses are linked
