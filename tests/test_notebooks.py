"""Every chapter, as stored, is what its text says, was run from top to bottom, and has the form of a chapter.

nbval, in the same pytest run, executes the stored notebooks again and compares outputs (conftest.py says how).
"""

import re
from pathlib import Path

import pytest
import yaml

from derived_pages import PAGES
from notebook_checks import form_problems, output_problems, pair_problems, parameter_problems, stored

ROOT = Path(__file__).parents[1]
TEXTS = sorted((ROOT / "notebooks").glob("*.md"))
each_chapter = pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)


def test_there_are_chapters_and_each_is_a_pair():
    assert TEXTS
    assert {path.stem for path in TEXTS} == {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_the_table_of_contents_names_every_chapter():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = re.findall(r"'(?:file|root)': '([^']+)'", str(toc))
    assert {file for file in files if file.startswith("notebooks/")} == {f"notebooks/{text.stem}" for text in TEXTS}
    pages = {*(ROOT / "book").glob("*.md"), *PAGES}
    pages = {page for page in pages if page.suffix == ".md" and not page.stem.endswith(".in")}
    pages = {f"{page.relative_to(ROOT).with_suffix('')}" for page in pages}
    assert {file for file in files if file.startswith("book/")} == pages


@each_chapter
def test_text_and_notebook_are_in_step(text):
    assert not pair_problems(text)


@each_chapter
def test_stored_outputs_are_whole(text):
    assert not output_problems(stored(text))


@each_chapter
def test_form(text):
    problems = form_problems(stored(text))
    assert not problems


@each_chapter
def test_second_run_changes_parameters_that_exist(text):
    assert not parameter_problems(text)
