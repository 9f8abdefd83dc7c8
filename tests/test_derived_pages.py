"""Tables and pages that the book derives are up to date, and a new paper needs no other file than its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import derived_pages
from derived_pages import PAGES, TABLES, between_marks, chapter, cited, modules, text_of
from semcom_utils.paths import papers
from semcom_utils.studies import catalogue

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_tables_of_tracked_files_are_up_to_date(path):
    assert path.read_text(encoding="utf-8") == text_of(path), "run: make book, or tools/derived_pages.py"


def test_whole_pages_are_not_tracked():
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        if page.parent.name == "api":  # a page for each package, found by a pattern
            assert "book/api/" in ignored and "book/api/%.md" in makefile
        else:
            assert name in ignored and name in makefile, f"{name} must stand in .gitignore and the Makefile's DERIVED"


def test_the_pages_of_utilities_have_every_module_once():
    pages = [page for page in PAGES if page.stem == "api" or page.parent.name == "api"]
    lines = "".join(text_of(page) for page in pages).splitlines()
    shown = [line.split(":: ")[1] for line in lines if line.startswith(".. automodule::")]
    there = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "semcom_utils").rglob("*.py")
        if path.stem == "__init__" or not path.stem.startswith("_")
    }
    assert len(shown) == len(set(shown)) and set(shown) == there


def test_private_modules_and_folders_are_left_out(tmp_path, monkeypatch):
    package = tmp_path / "semcom_utils"
    for name in (
        "a/__init__.py",
        "a/b.py",
        "a/_c.py",
        "a/__main__.py",
        "a/_d/__init__.py",
        "a/e/f.py",
        "a/g/__init__.py",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).touch()
    monkeypatch.setattr(derived_pages, "PACKAGE", package)
    assert list(modules(package / "a")) == ["semcom_utils.a", "semcom_utils.a.b", "semcom_utils.a.g"]


def test_the_list_of_studies_has_each():
    page = text_of(ROOT / "book" / "studies_list.md")
    assert all(f"| `{name}` | {entry.about} |" in page for name, entry in catalogue().items())
    assert page.count("\n| `") == len(catalogue())


def test_a_tables_place_is_found_by_its_marks():
    text = "a\n<!-- derived: x, from y -->\nold\n<!-- derived: end -->\nb\n<!-- derived: z -->\n<!-- derived: end -->\n"
    new = between_marks(text, "x", "new", "page.md")
    assert new == text.replace("old\n", "\nnew\n\n") and between_marks(new, "x", "new", "page.md") == new
    assert "  # derived: x\nnew\n  # derived: end" in between_marks(
        "  # derived: x\n  # derived: end\n", "x", "new", "a.yml"
    )
    for wrong in ("no marks", "<!-- derived: x -->\nno end\n", text + text):
        with pytest.raises(SystemExit, match="page.md must have the marks 'derived: x'"):
            between_marks(wrong, "x", "new", "page.md")


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("second_run: {seed: 1}", "must have  chapter: .paper: KEY.* got None"),
        ("chapter: isgc", "got 'isgc'"),
        ("chapter: {paper: nobody}", "aigc_scm, book, foundations, .* got 'nobody'"),
        ("chapter: {paper: isgc, colour: red}", "fields paper, sections, part, summary, .*got colour"),
    ],
)
def test_a_front_matter_that_says_too_little(tmp_path, front, message):
    text = tmp_path / "99_tiny.md"
    text.write_text(f"---\n{front}\n---\n\n# Tiny\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=f"99_tiny.md: .*{message}"):
        chapter(text)


def test_a_chapter_without_a_title_and_a_paper_without_an_entry(tmp_path):
    text = tmp_path / "99_tiny.md"
    text.write_text("---\nchapter: {paper: isgc}\n---\n\nNo heading.\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="must have a title"):
        chapter(text)
    with pytest.raises(SystemExit, match="references.bib has no entry nobody2026"):
        cited("nobody2026")


#: All that a new paper brings: its text, its claims, its package, its reference.
TINY = {
    "notebooks/98_tiny.md": """---
chapter: {paper: tiny, sections: II}
---

# A tiny chapter

{cite:t}`doe2026tiny` counts.
""",
    "data/claims/tiny.yml": """
paper:
  key: tiny
  prefix: tiny
  name: Tiny paper
  title: On Very Small Things
  cite: doe2026tiny
  number: 98
  chapter: notebooks/98_tiny
  question: How small can a paper be?
  scope: All of it.
claims:
  - id: tiny-two
    verdict: not attempted
    statement: Two is more than one.
    where: {section: II}
    kind: ordering
    role: central
    printed: {value: more, obtained: text}
    acceptance:
      text: It is.
      committed: 2026-11-26
      checks: [{value: tiny/count.json#/summary/two, op: ">", bound: 1}]
    counter_check: Two that are one.
""",
    "semcom_utils/papers/tiny/__init__.py": '''"""Tiny paper (Doe, 2026)."""

from semcom_utils.studies.entry import Entry

__all__ = ["STUDIES"]

STUDIES = {"count": Entry("counting", "one and two, counted")}
''',
    "semcom_utils/papers/tiny/counting.py": '''"""Counting."""

from semcom_utils.studies import Study

__all__ = ["STUDIES", "count"]


def count(task: dict) -> dict:
    """Count to two."""
    return {"two": 2}


STUDIES = {"count": Study(lambda: [{"seed": 0}], count, lambda records: {"two": records[0]["two"]})}
''',
    "semcom_utils/papers/tiny/errata.py": '''"""The numbers of errata.md."""

__all__ = ["numbers"]


def numbers() -> dict[str, float]:
    """Two."""
    return {"two": 2.0}
''',
    "semcom_utils/papers/tiny/errata.md": "### Found by reading\n\n- One and one is {{two:.1f}}.\n",
}
ENTRY = """
@misc{doe2026tiny,
  author = {Doe, Jane},
  title  = {On Very Small Things},
  url    = {https://example.org/tiny},
  year   = {2026}
}
"""


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A copy of the repository with the tiny paper, and what its files were before the tool ran."""
    folder = tmp_path_factory.mktemp("copy") / "book"
    heavy = shutil.ignore_patterns(".*", "_build", "models", "images", "_static", "*.ipynb", "__pycache__", "scratch")
    shutil.copytree(ROOT, folder, ignore=heavy)
    for page in PAGES:  # a clean clone has none of them
        (folder / page.relative_to(ROOT)).unlink(missing_ok=True)
    for name, text in TINY.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with (folder / "references.bib").open("a", encoding="utf-8") as file:
        file.write(ENTRY)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command(folder, "tools/derived_pages.py")
    return folder, before


def command(folder, *words):
    environment = os.environ | {"PYTHONPATH": f"{folder}:{folder / 'tools'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_new_paper_is_in_every_table_and_page(grown):
    folder, _ = grown

    def read(name):
        return (folder / name).read_text(encoding="utf-8")

    readme = read("README.md")
    assert "| [A tiny chapter](notebooks/98_tiny.md) | [Doe, 2026](https://example.org/tiny), II |" in readme
    assert "/notebooks/98_tiny.ipynb)" in readme
    assert "| {cite:t}`doe2026tiny` | How small can a paper be? | {doc}`../notebooks/98_tiny` |" in read(
        "book/index.md"
    )
    contents = yaml.safe_load(read("_toc.yml"))
    (part,) = [part for part in contents["parts"] if {"file": "notebooks/98_tiny"} in part["chapters"]]
    assert part["caption"] == "The papers"
    assert ".. automodule:: semcom_utils.papers.tiny.counting\n   :members:" in read("book/api/papers.md")
    listed = read("book/studies_list.md")
    assert "## Tiny paper\n" in listed and "| `tiny/count` | one and two, counted |  | not run yet |" in listed
    assert 'id="claim-tiny-two"' in read("book/scoreboard.md")
    assert "## Tiny paper\n\n{cite:t}`doe2026tiny`.\n\n### Found by reading\n\n- One and one is 2.0." in read(
        "book/errata.md"
    )


@pytest.mark.slow
def test_a_new_paper_needs_no_other_file(grown):
    folder, before = grown
    written = {path for path in folder.rglob("*") if path.is_file() and before.get(path) != path.read_bytes()}
    expected = {folder / path.relative_to(ROOT) for path in (*PAGES, *TABLES)}
    assert {path for path in written if "__pycache__" not in path.parts} == expected


@pytest.mark.slow
def test_a_new_papers_study_is_listed_and_runs(grown):
    folder, _ = grown
    assert "tiny/count" in command(folder, "-m", "semcom_utils.studies")
    run = ("-m", "semcom_utils.studies", "tiny/count", "--jobs", "1")
    assert "tiny/count: 1 records" in command(folder, *run)
    page = command(folder, "-c", "import derived_pages; print(derived_pages.studies_list())")
    assert "| `tiny/count` | one and two, counted | 1 | 0.0 |" in page
    assert "tiny" not in papers()  # ... and all of that was in the copy
