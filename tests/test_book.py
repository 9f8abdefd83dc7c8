"""The built site has every page and figure, its links lead somewhere, and a browser shows it without the network."""

import importlib
import os
import pkgutil
import re
from pathlib import Path

import pytest
import yaml

import semcom_utils
from notebook_checks import code_cells, has_figure, stored
from site_checks import BrowserMissing, browser, figure_count, link_problems, page_problems, pages, served

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
FILES = re.findall(r"'(?:file|root)': '([^']+)'", str(TOC))
CHAPTERS = [file for file in FILES if file.startswith("notebooks/")]


@pytest.fixture(scope="module")
def chrome():
    try:
        with browser() as driver:
            yield driver
    except BrowserMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def address():
    with served(SITE) as url:
        yield url


@pytest.mark.parametrize("file", FILES)
def test_page_is_there(file):
    assert (SITE / f"{file}.html").stat().st_size > 5000


def test_front_door():
    """The root page leads to the preface, and the mathematics is served from the site itself."""
    assert "book/index.html" in (SITE / "index.html").read_text(encoding="utf-8")
    assert (SITE / "_static" / "mathjax" / "tex-chtml.js").is_file()


def test_mathjax_finds_what_it_loads_by_itself():
    """An extension that a macro calls for (\\boldsymbol, \\cancel) and that is missing leaves the whole page raw."""
    folder = SITE / "_static" / "mathjax"
    (table,) = re.findall(r"autoload:\(0,\w+\.expandable\)\(\{(.*?)\}\)", (folder / "tex-chtml.js").read_text("utf-8"))
    named = set(re.findall(r"(\w+):\[", table))
    assert "boldsymbol" in named
    built_in = {"newcommand"}
    there = {path.stem for path in (folder / "input" / "tex" / "extensions").glob("*.js")}
    assert named - built_in <= there


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_stored_figure_is_on_the_page(chapter):
    figures = sum(has_figure(cell) for cell in code_cells(stored(ROOT / f"{chapter}.md")))
    assert figures > 0
    assert figure_count(SITE / f"{chapter}.html") == figures


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_can_be_launched(chapter):
    page = (SITE / f"{chapter}.html").read_text(encoding="utf-8")
    for door in ("https://colab.research.google.com/github/", "https://mybinder.org/v2/gh/"):
        assert re.search(rf'href="{door}[^"]*{chapter}\.ipynb"', page), f"no button to {door}"


def test_every_public_function_and_class_is_documented():
    """Under its full name, which is that of the module that defines it."""
    found = [page.read_text(encoding="utf-8") for page in (SITE / "book" / "api").glob("*.html")]
    documented = {name for page in found for name in re.findall(r'id="(semcom_utils[\w.]*)"', page)}
    offered = set()
    for found in pkgutil.walk_packages(semcom_utils.__path__, "semcom_utils."):
        if found.ispkg or found.name.rpartition(".")[2].startswith("_"):
            continue
        module = importlib.import_module(found.name)
        offered |= {f"{found.name}.{name}" for name in module.__all__ if callable(getattr(module, name))}
    assert len(offered) > 200
    assert not offered - documented


def test_links_lead_somewhere():
    assert not link_problems(SITE)


def test_every_page_in_a_browser(chrome, address):
    """One test for all pages: a browser is slow to start."""
    found = {str(page.relative_to(SITE)): page_problems(chrome, address + page.relative_to(SITE).as_posix(), SITE)
             for page in pages(SITE)}  # fmt: skip
    assert len(found) >= len(FILES)
    assert not {page: problems for page, problems in found.items() if problems}
