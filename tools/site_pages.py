"""A Sphinx extension: what every page of the site has beside its text, and what it does not carry along.

The theme's pages are finished as they are written (:class:`Templates`): scripts that no page needs are left out, the
rest does not hold up the page; pictures say their size and wait until they are near; MathJax comes only where there is
a formula; tables scroll in themselves; names for those who do not see the icons. Each page tells search engines and
links what it is (description, canonical address, picture), and its foot tells the edition, the date, the commit and
the licences. At the end come ``sitemap.xml``, ``robots.txt``, ``404.html``, ``.nojekyll``, and the words of each
section for the search (``searchsections.js``), which works from a file too.
"""

from __future__ import annotations

import html
import io
import json
import re
import struct
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import yaml
from docutils import nodes
from sphinx.errors import SphinxError
from sphinx.jinja2glue import BuiltinTemplateLoader

import site_styles

ROOT = Path(__file__).resolve().parents[1]
#: Longest description, in characters: what a page of search results shows.
DESCRIPTION = 200
#: How a page that `make book` writes begins: it has no source of its own to edit.
MADE = "<!-- `make book` makes this page"
#: Bytes of a lossless picture from which on a lossy one is tried.
LARGE = 100_000
#: Licences of CITATION.cff, as the foot of a page names them.
LICENCES = {"MIT": "Code under the MIT licence", "CC-BY-4.0": "text and figures under CC BY 4.0"}


@cache
def edition() -> str:
    """The edition's number, from CITATION.cff."""
    return str(_citation()["version"])


def _citation() -> dict:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


@cache
def commit() -> tuple[str, str] | None:
    """Date and short name of the commit that is built; None where this is no checkout of git.

    A checkout with changes has a ``+`` behind the name, for the page is then not what the commit holds.
    """
    try:
        done = [
            subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for words in (["log", "-1", "--format=%cs %h"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    date, _, name = done[0].partition(" ")
    return (date, f"{name}+" if done[1] else name) if name else None


@cache
def pinned() -> str:
    """What the launch links open: the edition's tag, or the very commit that is built where it is not the tagged one.

    An unpacked archive, which knows no git, is taken for the edition.
    """
    tag = f"v{edition()}"
    if commit() is None:
        return tag
    names = [
        subprocess.run(["git", "rev-parse", "-q", "--verify", name], cwd=ROOT, capture_output=True, text=True).stdout
        for name in ("HEAD", f"refs/tags/{tag}^{{commit}}")
    ]
    return tag if names[0] == names[1] else names[0].strip()


def pin(buttons: list[dict], branch: str, name: str) -> None:
    """Make the launch links of a page, in place, open ``name`` (a tag or a commit) where they open a branch.

    Raises
    ------
    SphinxError
        If a link names no branch, as one of another service would.
    """
    for group in buttons:
        for button in group.get("buttons", []) if group.get("label") == "launch-buttons" else []:
            there = rf"(/v2/gh/[^/]+/[^/]+/|/github/[^/]+/[^/]+/blob/){re.escape(branch)}(?=[/?])"
            button["url"], found = re.subn(there, rf"\g<1>{name}", button["url"])
            if found != 1:
                raise SphinxError(f"the launch link {button['url']} names no branch {branch} that could be pinned")


def source_to_edit(text: Path) -> Path | None:
    """The file that somebody edits to change a page: a chapter's text, what a page includes, or the page itself.

    Parameters
    ----------
    text : Path
        What Sphinx reads.

    Returns
    -------
    Path or None
        None if the page is made from other files.
    """
    if text.suffix == ".ipynb":
        text = text.with_suffix(".md")
    source = text.read_text(encoding="utf-8")
    if source.startswith(MADE):
        return None
    included = re.fullmatch(r"\s*```\{include\} (\S+)\n(?::[^\n]*\n)*```\s*", source)
    return (text.parent / included[1]).resolve() if included else text


def foot(repository: dict, source: Path | None, home: str) -> str:
    """The line at the foot of a page: edition, date, commit, licences, and where to edit it or to complain.

    Parameters
    ----------
    repository : dict
        ``url`` and ``branch``.
    source : Path or None
        The file to edit.
    home : str
        The way from the page to the site's root: ``"../"`` or ``""``.
    """
    built = commit()
    of = f"Edition {html.escape(edition())}"
    if built:
        date, name = built
        address = f"{repository['url']}/commit/{name.rstrip('+')}"
        changed = ", with changes" if name.endswith("+") else ""
        of += f", built from commit <a href='{address}'>{name.rstrip('+')}</a> of {date}{changed}"
    licences = ", ".join(LICENCES[name] for name in _citation()["license"])
    links = [f"<a href='{repository['url']}/blob/{repository['branch']}/LICENSE'>{licences}</a>"]
    if source is not None:
        path = source.relative_to(ROOT).as_posix()
        links.append(f"<a href='{repository['url']}/edit/{repository['branch']}/{path}'>Edit this page</a>")
    links.append(f"<a href='{home}book/accessibility.html'>Accessibility</a>")
    return f"<p class='edition'>{of}. {' · '.join(links)}</p>".replace("'", '"')


def description(doctree: nodes.document | None, title: str) -> str:
    """What a page is, in one or two sentences: its first paragraph, cut at a word.

    Parameters
    ----------
    doctree : docutils document or None
        None for a page that Sphinx makes, such as the index of names.
    title : str
        The page's, for where there is no paragraph.
    """
    book = _citation()["title"]
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        beside = paragraph.parent
        if not isinstance(beside, (nodes.section, nodes.document)) or paragraph.next_node(nodes.math):
            continue
        text = " ".join(paragraph.astext().split())
        if len(text) >= 40:
            break
    else:
        text = f"{title}, a page of {book}." if title else f"{book}."
    if len(text) <= DESCRIPTION:
        return text
    return text[: DESCRIPTION - 1].rsplit(" ", 1)[0].rstrip(" ,;:(") + "…"


def size_of(picture: Path) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG or an SVG; None if the file does not say."""
    if picture.suffix == ".png":
        head = picture.read_bytes()[:24]
        return struct.unpack(">II", head[16:24]) if head[12:16] == b"IHDR" else None
    if picture.suffix == ".svg":
        root = re.search(r"<svg\b[^>]*>", picture.read_text(encoding="utf-8"))
        box = re.search(r'viewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)"', root[0]) if root else None
        return (round(float(box[1])), round(float(box[2]))) if box else None
    return None


def packed(picture: Path, folder: Path, name: str) -> str | None:
    """Write a PNG as lossless WebP, half as large and every pixel the same, unless it is there already.

    A large one of which a lossy form takes less than half, noise or a photograph, is written so, at a quality at which
    nobody sees it: the notebook keeps every pixel.

    Parameters
    ----------
    picture, folder : Path
        The PNG, and where the WebP goes.
    name : str
        What the site calls the PNG: two sources may have one name.

    Returns
    -------
    str or None
        The WebP's name; None where it is no smaller.
    """
    from PIL import Image

    target = folder / f"{Path(name).stem}.webp"
    if not target.is_file() or target.stat().st_mtime < picture.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(picture) as opened:
            opened.save(target, lossless=True, exact=True, method=3)
            if target.stat().st_size > LARGE:
                opened.save(lossy := io.BytesIO(), "WEBP", quality=95, method=4)
                if len(lossy.getvalue()) < target.stat().st_size / 2:
                    target.write_bytes(lossy.getvalue())
    return target.name if target.stat().st_size < picture.stat().st_size else None


def _sized(tag: re.Match, files: dict[str, str], folder: Path | None) -> str:
    """An ``img`` tag with its size and ``loading="lazy"``; one that names a width keeps the proportion."""
    text = tag[0]
    source = re.search(r'\bsrc="[^"]*_images/([^"/]+)"', text)
    file = files.get(unquote(source[1])) if source else None
    extra = "" if "loading=" in text else ' loading="lazy" decoding="async"'
    size = size_of(Path(file)) if file and Path(file).is_file() else None
    if size and not re.search(r"\bheight=", text):
        width, height = size
        given = re.search(r'\bwidth="(\d+)(?:px)?"', text)
        extra += (
            f' height="{round(height * int(given[1]) / width)}"' if given else f' width="{width}" height="{height}"'
        )
    if size and folder is not None and file.endswith(".png"):
        if name := packed(Path(file), folder, unquote(source[1])):
            text = text.replace(f"_images/{source[1]}", f"_images/{name}", 1)
    return f"<img{extra}{text[4:]}"


def _named(match: re.Match) -> str:
    """The sidebar's triangle that opens a list of pages, named after the page above them."""
    title = " ".join(re.sub(r"<[^>]+>", "", match[2]).split())
    return f'{match[1]}{match[2]}</a><details{match[3]}><summary aria-label="Pages of {title}">'


#: Where the theme's pages fall short for those who use a keyboard or hear the page: a pattern, what to put there.
MENDED = [
    # the theme's scripts: icons come from the web font, the search loads on the page of the search
    (r'\s*<!-- So that users can add custom icons -->\s*<script defer src="[^"]*/fontawesome\.js[^"]*"></script>', ""),
    # the theme's scripts, which nobody needs before there is something to see: site.js fetches them, in their order
    (
        r'<script (?:defer )?src="([^"]*/(?:doctools|sphinx_highlight|clipboard\.min|copybutton|sphinx-book-theme|'
        r'togglebutton|bootstrap|pydata-sphinx-theme)\.js[^"]*)"',
        r'<script type="text/plain" data-late="theme" src="\1"',
    ),
    (r'<script (data-sd-tabs-storage-prefix="[^"]*") src=', r"<script defer \1 src="),
    (
        r'<script (?:defer="defer" )?src="([^"]*/mathjax/[^"]*)"',
        r'<script type="text/plain" data-late="formulas" src="\1"',
    ),
    # what the system prefers, one of those scripts finds out: too late for who reads in the dark
    (
        r'(document\.documentElement\.dataset\.theme = )localStorage\.getItem\("theme"\) \|\| "auto";',
        r'\1{ light: "light", dark: "dark" }[document.documentElement.dataset.mode]'
        r' || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");'
        r' document.documentElement.dataset.formulas = "coming";',  # book.css keeps their place
    ),
    # scripts that wait for the page need not come before its styles
    (r'\s*<!-- Pre-loaded scripts[^>]*-->|\s*<link rel="preload" as="script" [^>]*>', ""),
    (r'(<meta name="viewport" [^>]*>)\s*<meta name="viewport" [^>]*>', r"\1"),
    (r'\s*<meta name="viewport" [^>]*>(?=\s*<meta name="docsearch)', ""),
    # landmarks and names
    (r'<div (id="pst-primary-sidebar" class="[^"]*")>', r'<div \1 role="complementary" aria-label="The book">'),
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'(<i class="theme-switch[^>]*) title="[^"]*"', r'\1 aria-hidden="true"'),
    (
        r'(<button class="sidebar-toggle (primary|secondary)-toggle[^>]*?) title="([^"]*)"',
        r'\1 title="\3" aria-label="\3"',
    ),
    (r'<div (class="citation" id="[^"]*") role="doc-biblioentry">', r'<div \1 role="listitem">'),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # a cell of a table's head that is empty heads nothing (pandas writes it above the rows' names)
    (r"<th\b([^>]*)>(\s|&nbsp;|&#160;)*</th>", r"<td\1></td>"),
    # one brand's sign would bring a font of 118 kB
    (r"\bfab fa-github\b", "fas fa-code-branch"),
]
SEARCH_SCRIPTS = r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>'
MATHJAX = r"\s*<script[^>]*>window\.MathJax = .*?</script>|\s*<script[^>]*/mathjax/[^>]*></script>"
HAS_MATHS = re.compile(r'class="(?:[^"]* )?(?:math|output_area|mathjax_process|tex2jax_process)[ "]')
ENTRY = re.compile(r'(<a class="[^"]*reference internal"[^>]*>)([^<]*)</a><details([^>]*)><summary>')
TABLE = re.compile(r'(?<!<div class="pst-scrollable-table-container">)<table\b.*?</table>', re.S)


def finished(page: str, name: str, files: dict[str, str], folder: Path | None = None) -> str:
    """A page as the theme wrote it, mended.

    Parameters
    ----------
    page : str
        The whole page.
    name : str
        Its name without the ending: ``book/index``.
    files : dict of str to str
        Where each picture of ``_images`` comes from, by its name there.
    folder : Path, optional
        ``_images`` of the site, for pictures that are packed; none is where this is None.
    """
    for pattern, new in MENDED:
        page = re.sub(pattern, new, page)
    page = re.sub(SEARCH_SCRIPTS, "", page)  # Sphinx's would fetch pages, which a file may not
    if name == "search":
        scripts = '<script defer src="searchsections.js"></script><script defer src="_static/search.js"></script>'
        page = page.replace("</head>", f"  {scripts}\n  </head>", 1)
    if not HAS_MATHS.search(page):
        page = re.sub(MATHJAX, "", page, flags=re.S)
    page = ENTRY.sub(_named, page)
    page = TABLE.sub(lambda table: f'<div class="pst-scrollable-table-container">{table[0]}</div>', page)
    return re.sub(r"<img\b[^>]*>", lambda tag: _sized(tag, files, folder), page)


class Templates(BuiltinTemplateLoader):
    """Sphinx's own templates; a page is finished after it is rendered."""

    def init(self, builder, theme=None, dirs=None):
        super().init(builder, theme, dirs)
        self.builder = builder

    def render(self, template, context):
        page = super().render(template, context)
        if not template.endswith(".html"):
            return page
        images = getattr(self.builder, "images", {})
        files = {new: str(Path(self.builder.srcdir) / old) for old, new in images.items()}
        page = site_styles.linked(page, commit()[1].replace("+", "-changed") if commit() else edition())
        return finished(page, context.get("pagename", ""), files, Path(self.builder.outdir) / "_images")


def describe(app, pagename, templatename, context, doctree):
    """Give a page its description, what a link to it shows, and its foot."""
    base, title = app.config.html_baseurl, html.unescape(re.sub(r"<[^>]+>", "", context.get("title") or ""))
    text = html.escape(description(doctree, title), quote=True)
    tags = {
        "og:type": "article" if pagename.startswith("notebooks/") else "website",
        "og:site_name": app.config.html_title,
        "og:title": title,
        "og:description": None,
        "og:url": f"{base}{pagename}.html",
    }
    for picture in doctree.findall(nodes.image) if doctree is not None else ():
        if picture["uri"].endswith(".png"):
            name = app.builder.images.get(picture["uri"], Path(picture["uri"]).name)
            tags |= {"og:image": f"{base}_images/{name}", "og:image:alt": picture.get("alt", "")}
            break
    lines = [f'<meta name="description" content="{text}" />']
    for key, value in tags.items():
        lines.append(f'<meta property="{key}" content="{text if value is None else html.escape(value, quote=True)}" />')
    context["metatags"] = context.get("metatags", "") + "\n    ".join(["", *lines])
    path = Path(app.env.doc2path(pagename)) if pagename in app.env.found_docs else None
    home = "../" * pagename.count("/")
    if pagename == "book/scoreboard":
        app.add_js_file("scoreboard.js", loading_method="defer")  # on this page alone: Sphinx forgets it after it
    repository = _repository(app)
    pin(context.get("header_buttons", []), repository["branch"], pinned())
    context["theme_extra_footer"] = foot(repository, source_to_edit(path) if path else None, home)


def _repository(app) -> dict:
    options = app.config.html_theme_options
    return {"url": options["repository_url"], "branch": options.get("repository_branch") or "main"}


class Sections(HTMLParser):
    """The words of a page, section by section; a thing that is documented counts as one, and a claim.

    Attributes
    ----------
    found : list of list of str
        Anchor, title and words of each.
    """

    SKIPPED = ("pre", "script", "style", "button", "nav", "svg", "math")
    VOID = ("img", "br", "hr", "input", "meta", "link", "source", "wbr", "col", "area", "path")

    def __init__(self):
        super().__init__()
        self.found, self.open, self.tags, self.heading, self.inside = [], [], [], False, False

    def handle_starttag(self, tag, attrs):
        if tag in self.VOID:
            if self.open:
                self.open[-1][2] += " "
            return
        about = dict(attrs)
        kind = (about.get("class") or "").split()
        self.inside = self.inside or (tag == "article" and "bd-article" in kind)
        skipped = tag in self.SKIPPED or "math" in kind or "headerlink" in kind or "viewcode-link" in kind
        claim = tag == "article" and "ledger-card" in kind
        section = self.inside and ((tag == "section" and about.get("id")) or (tag == "dl" and "py" in kind) or claim)
        if section:
            self.open.append([about.get("id") or "", (about.get("id") or "").removeprefix("claim-") * claim, ""])
            self.found.append(self.open[-1])
        if tag == "dt" and self.open and not self.open[-1][0] and about.get("id"):
            self.open[-1][:2] = [about["id"], about["id"]]
        self.heading = self.heading or bool(re.fullmatch("h[1-6]", tag))
        self.tags.append((tag, bool(section), skipped))

    def handle_endtag(self, tag):
        if tag not in [name for name, *_ in self.tags]:
            return
        while self.tags:
            name, section, _ = self.tags.pop()
            if section:
                self.open.pop()
            if re.fullmatch("h[1-6]", name):
                self.heading = False
            if name == "article" and not any(other == "article" for other, *_ in self.tags):
                self.inside = False
            if self.open and name not in ("span", "a", "em", "strong", "code", "i", "b"):
                self.open[-1][2] += " "
            if name == tag:
                break

    def handle_data(self, data):
        if not self.inside or not self.open or any(skipped for *_, skipped in self.tags):
            return
        self.open[-1][1 if self.heading else 2] += data


#: What the search knows of a documented function or class, in characters: its first lines.
FIRST_LINES = 300


def sections(page: str) -> list[list[str]]:
    """Anchor, title and words of each section of a page, as the search keeps them."""
    parser = Sections()
    parser.feed(page)
    kept = []
    for anchor, title, words in parser.found:
        title, words = " ".join(title.split()), " ".join(words.split())
        documented = title == anchor and "." in anchor
        if title:
            kept.append([anchor, title, words[:FIRST_LINES] if documented else words])
    return kept


def words_for_the_search(app, exception):
    """Write the words of every page into one script, which the page of the search loads."""
    if exception or app.builder.name != "html":
        return
    out, entries = Path(app.outdir), []
    for name in sorted(app.env.found_docs):
        found = sections((out / f"{name}.html").read_text(encoding="utf-8"))
        if found:
            entries.append([f"{name}.html", found[0][1], found])
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    (out / "searchsections.js").write_text(f"window.BOOK_SECTIONS = {text};\n", encoding="utf-8")


NOT_FOUND = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="robots" content="noindex" />
<meta name="color-scheme" content="light dark" />
<meta name="description" content="There is no such page in {title}." />
<title>No such page: {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1.2rem; }}
</style>
</head>
<body>
<main>
<h1>There is no such page</h1>
<p>The address may be of an older edition, in which pages had other names.</p>
<ul>
<li><a href="{base}book/index.html">The book's first page</a></li>
<li><a href="{base}search.html">Search</a></li>
<li><a href="{base}book/scoreboard.html">The scoreboard</a></li>
</ul>
</main>
</body>
</html>
"""


def beside_the_pages(app, exception):
    """Write what a server and search engines look for at the site's root."""
    if exception or app.builder.name != "html":
        return
    out, base = Path(app.outdir), app.config.html_baseurl
    addresses = [f"{base}{name}.html" for name in sorted(app.env.found_docs)]
    entries = "\n".join(f"  <url><loc>{html.escape(address)}</loc></url>" for address in addresses)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    (out / "sitemap.xml").write_text(f"{head}{entries}\n</urlset>\n", encoding="utf-8")
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\n\nSitemap: {base}sitemap.xml\n", encoding="utf-8")
    missing = NOT_FOUND.format(base=base, title=html.escape(app.config.html_title or app.config.project))
    (out / "404.html").write_text(missing, encoding="utf-8")
    (out / ".nojekyll").touch()  # GitHub's pages would leave out what begins with an underscore


def styles(app, exception):
    """Put the style sheets together, once the theme's are there."""
    if exception or app.builder.name != "html":
        return
    try:
        site_styles.write(Path(app.outdir))
    except FileNotFoundError as error:
        raise SphinxError(str(error)) from None


def setup(app):
    app.add_js_file("site.js", loading_method="defer")
    app.connect("html-page-context", describe, priority=900)
    app.connect("build-finished", beside_the_pages)
    app.connect("build-finished", words_for_the_search)
    app.connect("build-finished", styles, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
