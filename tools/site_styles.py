"""The site's styles as one file, with the icons that its pages show and no others: what a page waits for is short.

The theme and its companions bring a dozen style sheets, one of which lists 1,900 icons, and a font that draws them all.
:func:`linked` puts one link in the place of theirs while a page is written; :func:`write` makes the file when all are.
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

#: What is put together, in the order in which the theme links them: later rules win.
SHEETS = (
    "styles/theme.css",
    "styles/pydata-sphinx-theme.css",
    "pygments.css",
    "styles/sphinx-book-theme.css",
    "togglebutton.css",
    "copybutton.css",
    "mystnb.css",
    "exercise.css",
    "chapter.css",
    "sphinx-design.min.css",
    "figures/figures.css",
    "book.css",
    "ledger.css",
)
SHEET, FONT = "site.css", "icons.woff"
LINK = re.compile(r'[ \t]*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="([^"]*?)_static/([^"?]*)[^"]*"[^>]*>\n?')
ICON = re.compile(r'((?:\.fa-[\w-]+::?before,?)+)\{content:"([^"]*)"\}')
URL = re.compile(r"""url\((["']?)(?!data:|#|[a-z]+:)([^"')]+)\1\)""")
SOLID = "vendor/fontawesome/webfonts/fa-solid-900"


def _plain(name: str) -> str:
    """A sheet's name without the sum that some have in it."""
    return re.sub(r"\.[0-9a-f]{32,}(?=\.css$)", "", name)


def linked(page: str, version: str) -> str:
    """A page with one link in place of those to :data:`SHEETS`.

    Parameters
    ----------
    page : str
        The whole page.
    version : str
        What tells a browser that the file is another one than it keeps.
    """
    head, end, rest = page.partition("</head>")
    done = False

    def one(link: re.Match) -> str:
        nonlocal done
        if _plain(link[2]) not in SHEETS:
            return link[0]
        first, done = not done, True
        return f'    <link rel="stylesheet" href="{link[1]}_static/{SHEET}?v={version}" />\n' if first else ""

    return LINK.sub(one, head) + end + rest


def together(static: Path, icons: Iterable[str]) -> str:
    """The text of all sheets, those icons left out that are not named.

    Parameters
    ----------
    static : Path
        The site's folder ``_static``.
    icons : iterable of str
        Classes that pages use: ``fa-sun``.

    Raises
    ------
    FileNotFoundError
        If one of :data:`SHEETS` is not there: the theme has changed, and the list must.
    """
    have = {_plain(path.relative_to(static).as_posix()): path for path in static.rglob("*.css")}
    if lost := [name for name in SHEETS if name not in have]:
        raise FileNotFoundError(f"the style sheet {lost[0]} is not in {static.name}: has the theme changed? See SHEETS")
    wanted = {f".{name}" for name in icons}

    def kept(rule: re.Match) -> str:
        names = [one for one in rule[1].split(",") if one.split(":")[0] in wanted]
        return f'{",".join(names)}{{content:"{rule[2]}"}}' if names else ""

    def read(name: str) -> str:
        """A sheet with those that it imports, its addresses seen from the folder above."""
        beside = posixpath.dirname(name)

        def above(other: str) -> str:
            return posixpath.normpath(posixpath.join(beside, other))

        text = have[name].read_text("utf-8").replace('@charset "UTF-8";', "")
        text = URL.sub(lambda url: f"url({above(url[2])})", text)
        return re.sub(r'@import "([\w./-]+)";', lambda found: read(above(found[1])), text)

    text = "\n".join(ICON.sub(kept, read(name)) for name in SHEETS)
    full = re.compile(rf'src:url\({SOLID}\.woff2\) format\("woff2"\),url\({SOLID}\.ttf\) format\("truetype"\)')
    return '@charset "UTF-8";\n' + full.sub(f'src:url({FONT}) format("woff")', text)


def signs(text: str) -> set[int]:
    """Code points that a sheet shows as icons: contents of rules, and values of the theme's variables."""
    shown = re.findall(r'(?:content|--pst-icon-[\w-]+):\s*"([^"]*)"', text)
    escaped = {int(code, 16) for one in shown for code in re.findall(r"\\([0-9a-f]{2,6})", one)}
    return {point for point in escaped | {ord(sign) for one in shown for sign in one} if 0xE000 <= point <= 0xF8FF}


def subset(font: Path, points: set[int]) -> bytes:
    """A font with some of another's signs, as WOFF; its licence asks for a name of its own where it was changed."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    options = Options(hinting=False, name_IDs=[0, 1, 4, 6, 13, 14], notdef_outline=True, recalc_timestamp=False)
    with TTFont(font, recalcTimestamp=False) as opened:
        made = Subsetter(options)
        made.populate(unicodes=points)
        made.subset(opened)
        for number in (1, 4, 6):
            opened["name"].setName("BookIcons", number, 3, 1, 0x409)
        opened.flavor = "woff"
        opened.save(data := io.BytesIO())
    return data.getvalue()


def write(out: Path) -> None:
    """Make the style sheet and the font of a site whose pages are there."""
    static = out / "_static"
    pages = [*out.rglob("*.html"), *static.rglob("*.js")]
    icons = {name for page in pages for name in re.findall(r"\bfa-[\w-]+", page.read_text("utf-8", errors="replace"))}
    text = together(static, icons)
    (static / SHEET).write_text(text, "utf-8")
    (static / FONT).write_bytes(subset(static / f"{SOLID}.ttf", signs(text)))
