"""What each page of the site has beside its text: description, address, foot; and what it does not carry along."""

import re
import subprocess
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from docutils.core import publish_doctree
from PIL import Image
from sphinx.errors import SphinxError

import site_pages
import site_styles
from book_pdf import WHOLE, pages_in_order, printed, whole
from site_checks import Gathered, pages
from site_pages import description, finished, sections, size_of, source_to_edit

ROOT = Path(__file__).parents[1]
SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
BASE, REPOSITORY = CONFIG["html"]["baseurl"], CONFIG["repository"]["url"]
FILES = pages_in_order()


@pytest.fixture(scope="module")
def heads():
    """The head of each page of the contents, parsed: without its body, which is long."""
    found = {}
    for file in FILES:
        text = (SITE / f"{file}.html").read_text(encoding="utf-8")
        found[file] = BeautifulSoup(text[: text.index("</head>")], "html.parser")
    return found


def test_each_page_says_what_it_is(heads):
    seen = {}
    for file, head in heads.items():
        (tag,) = head.select('meta[name="description"]')
        assert 40 <= len(tag["content"]) <= site_pages.DESCRIPTION, file
        assert not re.search(r"\\[a-z]+|\{[a-z:]+\}`|\s\s", tag["content"]), f"{file}: {tag['content']}"
        assert head.select_one('meta[property="og:description"]')["content"] == tag["content"]
        seen.setdefault(tag["content"], []).append(file)
    assert not [files for files in seen.values() if len(files) > 1], "pages with one description"


def test_each_page_has_its_own_address_and_a_picture_if_it_shows_one(heads):
    for file, head in heads.items():
        assert head.select_one('link[rel="canonical"]')["href"] == f"{BASE}{file}.html"
        assert head.select_one('meta[property="og:url"]')["content"] == f"{BASE}{file}.html"
        assert head.select_one('meta[property="og:title"]')["content"]
        assert "five papers reproduced" in head.select_one('meta[property="og:site_name"]')["content"]
        picture = head.select_one('meta[property="og:image"]')
        assert picture is not None or not file.startswith("notebooks/"), f"{file} shows figures"
        if picture is not None:
            assert (SITE / picture["content"].removeprefix(BASE)).is_file()
            assert head.select_one('meta[property="og:image:alt"]')["content"].strip()


def test_each_page_tells_its_edition_and_where_to_edit_it():
    edition = re.escape(str(yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"]))
    for file in FILES:
        page = (SITE / f"{file}.html").read_text(encoding="utf-8")
        (foot,) = re.findall(r'<p class="edition">.*?</p>', page, re.S)
        assert re.search(rf"Edition {edition}\b", foot), file
        assert "MIT licence" in foot and "CC BY 4.0" in foot and "book/accessibility.html" in foot
        if site_pages.commit() is not None:
            assert re.search(r"commit <a [^>]*>[0-9a-f]{7,}</a> of 20\d\d-\d\d-\d\d", foot), file
        edit = re.search(rf'href="{REPOSITORY}/edit/{CONFIG["repository"]["branch"]}/([^"]+)"', foot)
        made = file.startswith("book/api") or file in (
            "book/scoreboard",
            "book/studies_list",
            "book/errata",
            "book/which_scheme",
        )
        assert bool(edit) != made, file
        assert made or (ROOT / edit[1]).is_file(), edit[1]
        assert made or edit[1].endswith(".md"), "people edit a chapter's text, not its notebook"


def test_the_foot_tells_the_commit_that_is_checked_out():
    found = site_pages.commit()
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    assert (found is None) == bool(done.returncode)
    assert found is None or done.stdout.startswith(found[1].rstrip("+"))


def test_the_map_of_the_site_lists_every_page_once():
    tree = ET.parse(SITE / "sitemap.xml")
    listed = [tag.text for tag in tree.iter("{http://www.sitemaps.org/schemas/sitemap/0.9}loc")]
    assert sorted(listed) == sorted(f"{BASE}{file}.html" for file in FILES)


def test_what_servers_look_for_is_there():
    assert f"Sitemap: {BASE}sitemap.xml" in (SITE / "robots.txt").read_text(encoding="utf-8")
    assert (SITE / ".nojekyll").is_file()
    missing = BeautifulSoup((SITE / "404.html").read_text(encoding="utf-8"), "html.parser")
    links = [tag["href"] for tag in missing.select("a[href]")]
    assert len(links) >= 3  # whole addresses: the page is shown at whatever depth was asked for
    assert all(link.startswith(BASE) and (SITE / link.removeprefix(BASE)).is_file() for link in links)


def test_pages_carry_no_script_that_they_do_not_need():
    for page in pages(SITE):
        name, text = page.relative_to(SITE).as_posix(), page.read_text(encoding="utf-8")
        assert "fontawesome.js" not in text, name
        assert ("searchindex.js" in text) <= (name == "search.html"), name
        assert "searchtools.js" not in text and "language_data.js" not in text, name
        assert 'rel="preload"' not in text, f"{name}: what waits for the page came before its styles"
        has_formula = bool(re.search(r'class="math ', text))
        assert ("mathjax/tex-chtml.js" in text) == has_formula, name
        assert not has_formula or text.index("/site.js") < text.index("/tex-chtml.js"), f"{name}: site.js sets formulas"
        waits = re.findall(r"<script(?![^>]*(?:defer|type=\"text/plain\" data-late))[^>]* src=\"([^\"]+)\"", text)
        assert all("documentation_options.js" in script for script in waits), f"{name} waits for {waits}"


def test_a_page_waits_for_one_style_sheet(heads):
    for file, head in heads.items():
        sheets = [link["href"].partition("?")[0] for link in head.select('link[rel="stylesheet"]')]
        assert [Path(sheet).name for sheet in sheets] == [site_styles.SHEET], file
        assert (SITE / file).parent.joinpath(sheets[0]).resolve() == (SITE / "_static" / site_styles.SHEET).resolve()


def test_the_style_sheet_has_all_rules_and_the_icons_that_pages_show():
    from fontTools.ttLib import TTFont

    static = SITE / "_static"
    text = (static / site_styles.SHEET).read_text("utf-8")
    for mark in (".bd-article", ".highlight .k", "button.copybtn", ".sd-card", ".ledger-card", ".toggle-button"):
        assert mark in text, mark
    for address in re.findall(r"url\((?!\"?data:)([^)]+)\)", text):
        assert (static / address.strip("\"'")).is_file(), address
    shown = {name for page in pages(SITE) for name in re.findall(r'class="[^"]*\b(fa-[\w-]+)', page.read_text("utf-8"))}
    drawn = {name.strip(".").split(":")[0] for rule in site_styles.ICON.findall(text) for name in rule[0].split(",")}
    styles = {"fa-solid", "fa-regular", "fa-lg", "fa-fw", "fa-brands"}
    assert len(shown) > 8 and not shown - drawn - styles and len(drawn) < 100
    signs = TTFont(static / site_styles.FONT).getBestCmap()
    lacks = {code for name, code in site_styles.ICON.findall(text) if int(code.strip("\\ "), 16) not in signs}
    assert len(signs) > 10 and not lacks
    assert (static / site_styles.FONT).stat().st_size < 10_000


def test_style_sheets_are_put_together_in_the_theme_s_order(tmp_path):
    for name in site_styles.SHEETS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'@charset "UTF-8";.{Path(name).stem.split(".")[0]}{{}}', "utf-8")
    (tmp_path / "styles" / "theme.css").write_text('@import "../basic.css";', "utf-8")
    (tmp_path / "basic.css").write_text("a{background:url(file.png)}", "utf-8")
    (tmp_path / "mystnb.css").rename(tmp_path / f"mystnb.{'0a' * 32}.css")
    icons = '.fa-sun:before,.fa-star:before{content:"\\f185"}.fa-moon:before{content:"\\f186"}b{src:url("../a/b.woff")}'
    (tmp_path / "pygments.css").write_text(icons, "utf-8")
    (tmp_path / "styles" / "sphinx-book-theme.css").write_text("b{src:url('../a/b.woff')}", "utf-8")
    text = site_styles.together(tmp_path, ["fa-sun"])
    places = [text.index(mark) for mark in ("url(file.png)", "fa-sun", "b{src:url(a/b.woff)}", ".mystnb", ".ledger")]
    assert places == sorted(places) and text.count("@charset") == 1 and "@import" not in text
    assert '.fa-sun:before{content:"\\f185"}' in text and "fa-moon" not in text and "fa-star" not in text
    assert site_styles.signs(text) == {0xF185}
    (tmp_path / "book.css").unlink()
    with pytest.raises(FileNotFoundError, match="book.css is not in"):
        site_styles.together(tmp_path, [])


def test_links_to_style_sheets_become_one_and_others_stay():
    link = '<link rel="stylesheet" type="text/css" href="../_static/{}?v=1" />\n'
    others = link.format("other.css") + '<link rel="icon" href="../_static/favicon.svg"/>'
    head = f"<head>{link.format('pygments.css')}{link.format('mystnb.' + '0a' * 32 + '.css')}{others}</head>"
    body = '<body><link rel="stylesheet" href="../_static/book.css"></body>'
    page = site_styles.linked(head + body, "abc")
    assert page.count('href="../_static/site.css?v=abc"') == 1 and "pygments" not in page and "mystnb" not in page
    assert others in page and body in page


def test_pictures_wait_and_say_their_size():
    for page in pages(SITE):
        for tag in re.findall(r"<img\b[^>]*>", page.read_text(encoding="utf-8")):
            assert 'loading="lazy"' in tag, f"{page.name}: {tag[:120]}"
            if "_images/" in tag:
                assert re.search(r'\bwidth="\d+', tag) and re.search(r'\bheight="\d+', tag), f"{page.name}: {tag[:120]}"


def test_tables_scroll_in_themselves_and_have_no_empty_head():
    for page in pages(SITE):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<th\b[^>]*>(\s|&nbsp;)*</th>", text), page.name
        assert text.count("<table") == len(re.findall(r'pst-scrollable-table-container">\s*<table', text)), page.name


HEAD = '<script src="../_static/scripts/fontawesome.js"></script><script src="../searchindex.js"></script>'
MATHS = '<script>window.MathJax = {"a": 1}</script><script defer src="../_static/mathjax/tex-chtml.js"></script>'


def test_a_formula_brings_mathjax_and_nothing_else_does():
    assert "mathjax" not in finished(f"{MATHS}<p>mathematics</p>", "book/index", {})
    for mark in ('<span class="math notranslate">', '<div class="output_area">', "<div class='a'><p class=\"math\">"):
        page = finished(f"{MATHS}{mark}", "book/index", {})
        assert "window.MathJax" in page and "tex-chtml.js" in page


def test_the_search_has_its_scripts_on_its_own_page_alone():
    for name in ("book/index", "search"):
        page = finished(f"<head>{HEAD}</head>", name, {})
        assert "searchindex" not in page, "Sphinx's search fetches pages, which a file may not"
        assert ("searchsections.js" in page) == ("search.js" in page) == (name == "search")


def test_words_of_the_search_are_those_of_each_section():
    page = """<h1>Not of the article</h1><article class="bd-article">
    <section id="top"><h1><span class="section-number">1. </span>Top<a class="headerlink">#</a></h1>
    <p>Some <em>words</em> here.<br>More.</p><pre>code()</pre><p>With <span class="math">\\(x\\)</span>.</p>
    <section id="below"><h2>Below</h2><ul><li>one</li><li>two</li></ul></section><p>Top again.</p></section>
    <dl class="py function"><dt class="sig" id="a.b.f"><span>a.b.f(x)</span></dt><dd><p>Does f.</p></dd></dl>
    <article class="ledger-card" id="claim-a-b"><p><strong>a-b</strong> holds</p></article></article><p>Foot.</p>"""
    assert sections(page) == [
        ["top", "1. Top", "Some words here. More. With . Top again."],
        ["below", "Below", "one two"],
        ["a.b.f", "a.b.f", "a.b.f(x) Does f."],
        ["claim-a-b", "a-b", "a-b holds"],
    ]


def test_the_whole_book_in_one_page_leads_to_places_in_it(tmp_path):
    head = '<head><title>t</title><link rel="stylesheet" href="{}_static/a.css" /></head>'
    page = '<html>{}<article class="bd-article"><h1 id="top">{}</h1>{}</article></html>'
    (tmp_path / "a").mkdir()
    links = '<a href="two.html#top">2</a><a href="#top">1</a><a href="../b/three.html">3</a>'
    links += '<img src="../_images/x.png"><a href="https://example.org/a#b">e</a><a href="two.html">2</a>'
    (tmp_path / "a" / "one.html").write_text(page.format(head.format("../"), "One", links), encoding="utf-8")
    (tmp_path / "a" / "two.html").write_text(page.format(head.format("../"), "Two", ""), encoding="utf-8")
    found = whole(tmp_path, ["a/one", "a/two"])
    assert 'href="_static/a.css"' in found and 'src="_images/x.png"' in found
    assert 'href="#a-two--top"' in found and 'href="#a-one--top"' in found and 'href="#a-two"' in found
    assert 'href="b/three.html"' in found and 'href="https://example.org/a#b"' in found
    names = re.findall(r'id="([^"]+)"', found)
    assert sorted(names) == ["a-one", "a-one--top", "a-two", "a-two--top"]


def test_the_pdf_has_every_page_of_the_contents_and_its_links_lead_somewhere(tmp_path):
    (tmp_path / WHOLE).write_text(whole(SITE, FILES), encoding="utf-8")
    found = Gathered(tmp_path / WHOLE)
    assert {file.replace("/", "-") for file in FILES} <= found.anchors
    inside = [link[1:] for link in found.links if link.startswith("#") and len(link) > 1]
    assert len(inside) > 500 and not [anchor for anchor in inside if unquote(anchor) not in found.anchors]


def test_the_browser_prints_pages_in_one(chrome, address):
    page = SITE / WHOLE
    page.write_text(whole(SITE, ["book/index", "book/accessibility"]), encoding="utf-8")
    try:
        data = printed(chrome, address + WHOLE, 120)
    finally:
        page.unlink()
    assert data.startswith(b"%PDF") and len(data) > 20_000


def test_the_themes_pages_are_mended():
    """What is changed in the theme's own HTML, by its outcome: a new release of it may look otherwise."""
    text = (SITE / "book" / "index.html").read_text(encoding="utf-8")
    assert text.count('name="viewport"') == 1 and "fab fa-" not in text
    assert '<summary aria-label="Pages of ' in text and 'role="complementary" aria-label="The book"' in text


def test_sizes_are_those_of_the_file(tmp_path):
    from PIL import Image

    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "b.svg").write_text('<?xml?><svg viewBox="0 0 620 260.5" xmlns="x"><path/></svg>', encoding="utf-8")
    (tmp_path / "c.svg").write_text("<svg><path/></svg>", encoding="utf-8")
    assert size_of(tmp_path / "a.png") == (30, 20)
    assert size_of(tmp_path / "b.svg") == (620, 260)
    assert size_of(tmp_path / "c.svg") is None and size_of(tmp_path / "d.gif") is None
    files = {"a.png": str(tmp_path / "a.png")}
    assert 'width="30" height="20"' in finished('<img alt="x" src="../_images/a.png" />', "n", files)
    assert ' height="10"' in finished('<img width="15" src="../_images/a.png" />', "n", files), (
        "it keeps the proportion"
    )
    assert finished('<img height="7" src="../_images/a.png" />', "n", files).count("height") == 1


def test_a_packed_picture_has_the_same_pixels(tmp_path):
    pixels = np.zeros((60, 80, 4), np.uint8)
    pixels[10:30, 20:50] = (200, 30, 90, 128)
    pixels[..., 0] += np.arange(80, dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=0)
    page = finished('<img src="../_images/a.png" />', "n", {"a.png": str(tmp_path / "a.png")}, tmp_path / "_images")
    assert 'src="../_images/a.webp"' in page and 'width="80" height="60"' in page
    with Image.open(tmp_path / "_images" / "a.webp") as packed:
        assert np.array_equal(np.asarray(packed.convert("RGBA")), pixels)


def test_a_description_is_the_first_paragraph_without_a_formula():
    text = "Title\n=====\n\nWith :math:`x^2` in it, though it is long enough to be one.\n\n{}\n"
    long = "A phone sees a campus, and extracts what matters. " * 10
    found = description(publish_doctree(text.format(long)), "Title")
    assert found.startswith("A phone sees a campus") and found.endswith("…") and len(found) <= site_pages.DESCRIPTION
    short = "A phone sees a campus, and extracts what matters."
    assert description(publish_doctree(text.format(short)), "Title") == short
    assert description(publish_doctree("Title\n=====\n\nShort.\n"), "Title").startswith("Title, a page of")
    assert description(None, "Index").startswith("Index, a page of")


def test_a_page_that_is_made_has_no_source_to_edit(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{site_pages.MADE} from others. -->\n# Title\n", encoding="utf-8")
    assert source_to_edit(page) is None
    page.write_text("```{include} ../other.md\n```\n", encoding="utf-8")
    assert source_to_edit(page) == (tmp_path.parent / "other.md").resolve()
    page.write_text("# Title\n\nText.\n", encoding="utf-8")
    assert source_to_edit(page) == page
    assert source_to_edit(tmp_path / "page.ipynb") == page


BUTTONS = [
    "https://mybinder.org/v2/gh/a/main/main?urlpath=lab/tree/notebooks/main.ipynb",
    "https://colab.research.google.com/github/a/main/blob/main/notebooks/main.ipynb",
]


def test_launch_links_are_pinned():
    group = {"label": "launch-buttons", "buttons": [{"url": url} for url in BUTTONS]}
    site_pages.pin([{"label": "other", "buttons": [{"url": "x"}]}, group], "main", "v9")
    assert [button["url"] for button in group["buttons"]] == [
        "https://mybinder.org/v2/gh/a/main/v9?urlpath=lab/tree/notebooks/main.ipynb",
        "https://colab.research.google.com/github/a/main/blob/v9/notebooks/main.ipynb",
    ]
    with pytest.raises(SphinxError, match="names no branch main"):
        site_pages.pin([group], "main", "v9")


def test_an_edition_is_opened_by_its_tag_and_anything_else_by_its_commit(tmp_path, monkeypatch):
    def git(*words):
        names = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        done = subprocess.run(["git", *names, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def asked():
        for cached in (site_pages.commit, site_pages.pinned):
            cached.cache_clear()
        return site_pages.pinned()

    tag = f"v{site_pages.edition()}"
    monkeypatch.setattr(site_pages, "ROOT", tmp_path)
    try:
        git("init", "-q")
        git("commit", "-q", "--allow-empty", "-m", "one")
        first = git("rev-parse", "HEAD")
        assert asked() == first
        git("tag", "-a", tag, "-m", "out")
        assert asked() == tag
        git("commit", "-q", "--allow-empty", "-m", "two")
        assert asked() == git("rev-parse", "HEAD") != first
        monkeypatch.setattr(site_pages, "commit", cache(lambda: None))
        assert asked() == tag
    finally:
        monkeypatch.undo()
        asked()


def test_without_git_the_foot_names_no_commit(monkeypatch):
    def no_git(*args, **options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(site_pages.subprocess, "run", no_git)
    site_pages.commit.cache_clear()
    try:
        text = site_pages.foot({"url": "https://example.org/a", "branch": "main"}, None, "")
    finally:
        site_pages.commit.cache_clear()
    assert "Edition" in text and "commit" not in text and "edit" not in text.replace("edition", "")


def test_large_noise_is_packed_with_loss_that_nobody_sees(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(noise).resize((600, 600), Image.Resampling.BICUBIC))
    Image.fromarray(pixels).save(tmp_path / "b.png")
    name = site_pages.packed(tmp_path / "b.png", tmp_path / "_images", "b.png")
    assert (tmp_path / "_images" / name).stat().st_size < (tmp_path / "b.png").stat().st_size / 4
    with Image.open(tmp_path / "_images" / name) as packed:
        off = np.abs(np.asarray(packed.convert("RGB")).astype(int) - pixels)
    assert off.mean() < 4
