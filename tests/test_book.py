"""The built site has every page and figure, its links lead somewhere, and a browser shows it without the network."""

import gzip
import importlib
import pkgutil
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from selenium.webdriver.support.ui import WebDriverWait

import semcom_utils
from notebook_checks import code_cells, has_figure, stored
from semcom_utils.ledger import load_ledger
from site_checks import (
    PHONE,
    figure_count,
    link_problems,
    page_problems,
    pages_to_open,
    served,
)
from site_pages import pinned

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
FILES = re.findall(r"'(?:file|root)': '([^']+)'", str(TOC))
CHAPTERS = [file for file in FILES if file.startswith("notebooks/")]
PARTS = 6


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
        links = re.findall(rf'href="{door}([^"]*){chapter}\.ipynb"', page)
        assert links, f"no button to {door}"
        assert all(re.search(rf"/{pinned()}[/?]", link) for link in links), "the links are not pinned to what was built"


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


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_in_a_browser(chrome, address, part):
    """In parts, for several workers; one test a page would start a browser each."""
    opened = pages_to_open(SITE)
    assert len(opened) >= len(FILES)
    found = {str(page.relative_to(SITE)): page_problems(chrome, address + page.relative_to(SITE).as_posix(), SITE)
             for page in opened[part::PARTS]}  # fmt: skip
    assert found and not {page: problems for page, problems in found.items() if problems}


FAULTY = """<!DOCTYPE html><html lang="en" data-theme="light"><head><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1" />
<style>[data-theme="dark"] body {{ background: #222; color: #fff; }} [data-theme="dark"] .pale {{ color: #444; }}
.wide {{ overflow-x: auto; width: 90%; }} .wide div {{ width: {width}px; }}</style></head>
<body><main><h1>A page</h1><p class="pale">Pale in the dark.</p>{buttons}<div class="wide"><div>wide</div></div>
</main></body></html>"""
BUTTON = '<button class="b"><i></i>{}</button>'
TERM = f"<dt>a</dt><dd>{BUTTON}</dd>"


@pytest.mark.parametrize(
    ("change", "finds"),
    [
        ({}, []),
        ({"buttons": BUTTON.format("named") * 40 + BUTTON.format("") + BUTTON.format("named")}, ["button-name"]),
        ({"buttons": f"<dl>{TERM.format('x') * 9}{TERM.format('')}{TERM.format('x')}</dl>"}, ["button-name"]),
        ({"buttons": '<p><button tabindex="3">x</button></p>' * 3}, ["tabindex"]),
        ({"width": 700}, ["scrolls, but not by keyboard"]),  # fits a desk, not a phone
        ({"buttons": '<p style="color: #bbb; background: #fff">pale</p>' * 9}, ["light: color-contrast"]),
        ({"buttons": "<p>" + "x" * 4000 + "</p>"}, ["a phone's width"]),
    ],
    ids=["whole", "name", "term", "tabindex", "scroll", "contrast", "wide"],
)
def test_checks_of_a_page_can_fail(chrome, tmp_path, change, finds):
    """Pale text in the dark is in all of them: it has to be found at both widths."""
    page = FAULTY.format(**{"buttons": "", "width": 20, **change})
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    with served(tmp_path) as url:
        problems = page_problems(chrome, f"{url}page.html")
        heavy = page_problems(chrome, f"{url}page.html", tmp_path)
    assert heavy == problems, "the page is light"
    pale = [text for text in problems if "Pale in the dark" in text]
    assert [text.partition(": ")[0] for text in pale] == ["axe, phone, dark", "axe, desk, dark"]
    rest = [text for text in problems if text not in pale]
    assert bool(rest) == bool(finds), rest
    for name in finds:
        assert any(name in text for text in rest), rest


def test_a_heavy_page_is_told(chrome, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["site_checks"], "WEIGHT_LIMIT", 50)
    (tmp_path / "page.html").write_text(FAULTY.format(buttons="", width=20), encoding="utf-8")
    with served(tmp_path) as url:
        assert any("weighs" in text for text in page_problems(chrome, f"{url}page.html", tmp_path))


FILTERED = """
const form = document.querySelector(".ledger-filter");
for (const [name, value] of Object.entries(arguments[0])) form.elements[name].value = value;
form.dispatchEvent(new Event("change"));
const cards = Array.from(document.querySelectorAll(".ledger-card[id]"));
return [cards.filter((card) => card.checkVisibility()).map((card) => card.id), form.querySelector("output").value];
"""


@pytest.mark.parametrize("from_a_file", [False, True], ids=["server", "file"])
def test_scoreboard_can_be_filtered(chrome, address, from_a_file):
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.get(f"{SITE.as_uri()}/book/scoreboard.html" if from_a_file else f"{address}book/scoreboard.html")
    ledger = [claim for claims in load_ledger().values() for claim in claims]
    for wish in ({}, {"role": "central"}, {"paper": "ISGC"}, {"verdict": "partly", "role": "supporting"}):
        shown, says = chrome.execute_script(FILTERED, {"paper": "", "verdict": "", "role": "", **wish})
        kinds = {
            claim.id: {"paper": claim.paper.name, "verdict": claim.verdict, "role": claim.role} for claim in ledger
        }
        expected = [f"claim-{name}" for name, kind in kinds.items() if wish.items() <= kind.items()]
        assert expected and shown == expected
        assert says == f"{len(expected)} of {len(ledger)} claims"
    hidden = next(claim.id for claim in ledger if claim.verdict != "partly")
    chrome.execute_script("location.hash = arguments[0]", f"#claim-{hidden}")
    seen = "return document.getElementById(arguments[0]).checkVisibility()"
    WebDriverWait(chrome, 10).until(lambda driver: driver.execute_script(seen, f"claim-{hidden}"))


def test_scoreboard_is_whole_without_its_script():
    page = (SITE / "book" / "scoreboard.html").read_text(encoding="utf-8")
    ledger = [claim for claims in load_ledger().values() for claim in claims]
    cards = re.findall(r'<article class="ledger-card"[^>]*>', page)
    assert len(cards) == len(ledger) and not [card for card in cards if "hidden" in card]


@pytest.mark.parametrize("from_a_file", [False, True], ids=["server", "file"])
def test_search_leads_to_sections_and_shows_words(chrome, address, from_a_file):
    chrome.get_log("browser")
    start = f"{SITE.as_uri()}/" if from_a_file else address
    chrome.get(f"{start}search.html?q=exact+optimum")
    results = chrome.find_elements("css selector", "#search-results li")
    assert len(results) > 3
    for result in results[:5]:
        marked = [word.text.lower() for word in result.find_elements("css selector", "mark")]
        link = result.find_element("css selector", "a").get_attribute("href")
        assert marked or "optim" in result.text.lower()
        page, anchor = link.removeprefix(start).split("#")
        assert f'id="{unquote(anchor)}"' in (SITE / page).read_text(encoding="utf-8"), link
    first = results[0].find_element("css selector", "a").get_attribute("href")
    chrome.get(first)
    assert chrome.current_url == first
    chrome.get(f"{start}search.html?q=qwertzuiop")
    assert "No sections" in chrome.find_element("css selector", "#search-results [role=status]").text
    assert not [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.parametrize("asked", ["semcom_utils", "text-to-image", "3.5 dB"])
def test_search_takes_names_with_marks_in_them(chrome, address, asked):
    chrome.get_log("browser")
    chrome.get(f"{address}search.html?q={asked}")
    assert chrome.find_elements("css selector", "#search-results [role=status]"), "the search has stopped"
    if asked != "3.5 dB":
        assert len(chrome.find_elements("css selector", "#search-results li")) > 3
    assert not [entry for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]


def test_words_of_the_search_are_few_enough_to_load():
    assert len(gzip.compress((SITE / "searchsections.js").read_bytes())) < 500_000
    assert {page for page in FILES if f'["{page}.html"' not in (SITE / "searchsections.js").read_text("utf-8")} == set()


def test_keyboard_stops_at_no_formula_and_finds_named_buttons(chrome, address):
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.get(f"{address}notebooks/10_isgc.html")
    chrome.execute_async_script("const done = arguments[0]; wholePage().then(() => setTimeout(done, 400))")
    stops = """return Array.from(document.querySelectorAll("mjx-container"), (formula) =>
      [formula.tabIndex >= 0 && formula.scrollWidth <= formula.clientWidth,
       !!formula.querySelector("mjx-assistive-mml math")])"""
    formulas = chrome.execute_script(stops)
    assert len(formulas) > 100
    assert not any(stop for stop, _ in formulas) and all(read for _, read in formulas)
    names = "return Array.from(document.querySelectorAll(arguments[0]), (button) => button.getAttribute('aria-label'))"
    copy, toggles = (chrome.execute_script(names, f"main button.{kind}") for kind in ("copybtn", "toggle-button"))
    assert len(copy) > 10 and len(set(copy)) == len(copy)
    assert len(toggles) >= 2 and len(set(toggles)) == len(toggles) and all("Exercise" in name for name in toggles)
    seen = """const shown = (one) => one.checkVisibility();
      const button = Array.from(document.querySelectorAll("button.copybtn")).find(shown);
      button.focus({ focusVisible: true });
      button.style.transition = "none"; return getComputedStyle(button).opacity"""
    assert chrome.execute_script(seen) == "1"


LATE = """const there = "MathJax" in window && "typesetPromise" in MathJax;
return [document.querySelectorAll("script[data-late]").length, there,
  document.querySelectorAll("mjx-container").length, document.querySelectorAll(".math").length]"""


def _until(chrome, script: str, patience_s: float = 60) -> None:
    WebDriverWait(chrome, patience_s).until(lambda _: chrome.execute_script(f"return {script}"))


def test_formulas_come_when_they_are_near_and_all_of_them_once_somebody_reads(chrome, address):
    """Nothing of MathJax before; the theme's scripts after the first paint."""
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    chrome.get(f"{address}notebooks/10_isgc.html")
    _until(chrome, "!document.querySelector('script[data-late=theme]') && !!document.querySelector('button.copybtn')")
    painted, asked = chrome.execute_script(
        """const asked = performance.getEntriesByType("resource").filter((one) => one.name.includes("bootstrap.js"));
        return [performance.getEntriesByName("first-contentful-paint")[0].startTime, asked[0].startTime]"""
    )
    assert painted < asked
    late, mathjax, formulas, places = chrome.execute_script(LATE)
    assert late == 1 and not mathjax and formulas == 0 and places > 50, "the first formula is far below"
    chrome.execute_script("document.querySelector('.math').scrollIntoView({ behavior: 'instant' })")
    _until(chrome, "!!document.querySelector('.math mjx-container')")
    _until(chrome, "!document.querySelector('.math:not(:has(mjx-container))')")


def test_without_mathjax_a_formula_is_the_tex_that_it_was(chrome, address):
    chrome.execute_cdp_cmd("Network.enable", {})
    chrome.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*tex-chtml.js*"]})
    try:
        chrome.get(f"{address}notebooks/10_isgc.html")
        chrome.execute_async_script("wholePage().then(arguments[0])")
        assert chrome.execute_script("return document.documentElement.dataset.formulas") is None
        assert "\\frac" in chrome.execute_script("return document.querySelector('main').textContent")
    finally:
        chrome.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        chrome.get_log("browser")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_has_its_colours_before_the_themes_scripts(chrome, address, scheme):
    """As the system has it, or as the reader chose: the scripts that would say so come after the first paint."""
    chrome.execute_cdp_cmd("Network.enable", {})
    chrome.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*pydata-sphinx-theme.js*"]})
    chrome.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    other = {"light": "dark", "dark": "light"}[scheme]
    try:
        for chosen, shown in (("auto", scheme), (other, other)):
            chrome.get(f"{address}404.html")
            chrome.execute_script("localStorage.setItem('mode', arguments[0])", chosen)
            chrome.get(f"{address}book/index.html")
            assert chrome.execute_script("return document.documentElement.dataset.theme") == shown
    finally:
        chrome.execute_script("localStorage.clear()")
        chrome.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        chrome.get_log("browser")


ON_PAPER = """
const cut = Array.from(document.querySelectorAll("main pre, main .pst-scrollable-table-container")).filter((box) =>
  box.checkVisibility() && box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible");
return [document.documentElement.dataset.theme, document.querySelectorAll("main details:not([open])").length,
  cut.length, getComputedStyle(document.querySelector("main pre")).whiteSpace];
"""
UNSET_ON_PAPER = """
const unset = Array.from(document.querySelectorAll(".math:not(:has(mjx-container))"));
const small = unset.filter((formula) => getComputedStyle(formula).fontSize !==
  getComputedStyle(formula.parentElement).fontSize || formula.scrollHeight > formula.clientHeight + 1);
return [unset.length, small.length];
"""


def test_paper_loses_nothing_and_is_white(chrome, address):
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.get(f"{address}notebooks/10_isgc.html")
    chrome.execute_script("document.documentElement.dataset.theme = 'dark'; dispatchEvent(new Event('beforeprint'))")
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert chrome.execute_script(ON_PAPER) == ["light", 0, 0, "pre-wrap"]
        unset, small = chrome.execute_script(UNSET_ON_PAPER)
        assert unset > 50 and small == 0, "a formula that MathJax has not set yet is TeX, and whole"
    finally:
        chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    chrome.execute_script("dispatchEvent(new Event('afterprint'))")
    assert chrome.execute_script("return document.documentElement.dataset.theme") == "dark"
