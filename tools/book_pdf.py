"""The whole book as one PDF: ``make pdf``. The pages of the built site become one, and headless Chromium prints it.

python tools/book_pdf.py [SITE [PDF]] [--pages book/index notebooks/10_isgc ...]
"""

from __future__ import annotations

import argparse
import base64
import posixpath
import re
import sys
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import yaml

from site_checks import BrowserMissing, browser, served

ROOT = Path(__file__).resolve().parents[1]
#: Where the one page lies while it is printed, in the site, whose styles and pictures it needs.
WHOLE = "whole-book.html"
#: A page that is printed by itself shows its title elsewhere, and the theme hides the one in the article.
TITLES = "<style>@media print { .bd-article h1 { display: block !important; } }</style>"
#: A4 in inches, the margins of a book, and the page's number at the foot.
PAPER = {
    "paperWidth": 8.27,
    "paperHeight": 11.69,
    "marginTop": 0.7,
    "marginBottom": 0.8,
    "marginLeft": 0.75,
    "marginRight": 0.75,
    "printBackground": True,
    "displayHeaderFooter": True,
    "headerTemplate": "<span></span>",
    "footerTemplate": '<div style="font-size:8px;width:100%;text-align:center"><span class="pageNumber"></span></div>',
    "generateDocumentOutline": True,
    "generateTaggedPDF": True,
    "transferMode": "ReturnAsStream",
}
#: Formulas are set, pictures are there: only then does anything go to paper.
READY = """
const done = arguments[0];
for (const picture of document.images) picture.loading = "eager";
const pictures = () => Promise.allSettled(Array.from(document.images, (picture) => picture.decode()));
wholePage().then(pictures).then((all) => done(all.filter((one) => one.status === "rejected").length));
"""


def pages_in_order() -> list[str]:
    """The pages of the table of contents, the first page first."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"'(?:file|root)': '([^']+)'", str(yaml.safe_load(contents)))


def whole(site: Path, files: list[str]) -> str:
    """All pages in one: what leads from page to page leads to a place in it.

    Parameters
    ----------
    site : Path
        The built site.
    files : list of str
        Its pages in order, without ``.html``.
    """
    text = {file: (site / f"{file}.html").read_text(encoding="utf-8") for file in files}
    with_formulas = next((file for file in files if "tex-chtml.js" in text[file]), files[0])
    up = "../" * with_formulas.count("/")
    head = re.search(r"<head>.*?</head>", text[with_formulas], re.S)[0].replace(f'"{up}', '"')
    head = re.sub(
        r"<title>.*?</title>|<meta (name=\"description|property)[^>]*>|<link rel=\"[^s][^>]*>", "", head, flags=re.S
    )
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    parts = [_part(file, text[file], set(files)) for file in files]
    return (
        f'<!DOCTYPE html>\n<html lang="en" data-content_root="./" data-theme="light" data-whole>\n'
        f"{head.replace('</head>', f'<title>{title}</title>{TITLES}</head>')}\n"
        f'<body><main class="bd-main"><div class="bd-content"><div class="bd-article-container">\n'
        + "\n".join(parts)
        + "\n</div></div></main></body>\n</html>\n"
    )


def _part(file: str, page: str, files: set[str]) -> str:
    """One page's article, with its names and addresses made those of the whole."""
    article = re.search(r'<article class="bd-article">(.*)</article>', page, re.S)[1]

    def place(name: str, anchor: str) -> str:
        return f"{name.replace('/', '-')}--{anchor}" if anchor else name.replace("/", "-")

    def address(match: re.Match) -> str:
        kind, target = match[1], match[2]
        if urlsplit(target).scheme:
            return match[0]
        path, anchor = urldefrag(target)
        full = posixpath.normpath(posixpath.join(posixpath.dirname(file), path)) if path else f"{file}.html"
        name = full.removesuffix(".html")
        if kind == "href" and name in files:
            return f'href="#{place(name, anchor)}"'
        return f'{kind}="{full}{"#" if anchor else ""}{anchor}"'

    article = re.sub(r'\b(href|src)="([^"]*)"', address, article)
    article = re.sub(r'\bid="([^"]+)"', lambda match: f'id="{place(file, match[1])}"', article)
    return f'<article class="bd-article" id="{place(file, "")}" style="break-before: page">{article}</article>'


def printed(chrome, url: str, patience_s: float = 1200) -> bytes:
    """Print one page of a site to PDF.

    Parameters
    ----------
    chrome : selenium's driver
    url : str
        The page.
    patience_s : float, optional
        How long formulas and pictures may take.

    Returns
    -------
    bytes
        The PDF.

    Raises
    ------
    RuntimeError
        If a picture of the page cannot be shown.
    """
    chrome.set_page_load_timeout(patience_s)
    chrome.set_script_timeout(patience_s)
    chrome.command_executor.client_config.timeout = patience_s
    chrome.get(url)
    if broken := chrome.execute_async_script(READY):
        raise RuntimeError(f"{url}: {broken} pictures cannot be shown")
    stream = chrome.execute_cdp_cmd("Page.printToPDF", PAPER)["stream"]
    parts = []
    while True:
        part = chrome.execute_cdp_cmd("IO.read", {"handle": stream, "size": 1 << 20})
        data = part["data"]
        parts.append(base64.b64decode(data) if part.get("base64Encoded") else data.encode("latin-1"))
        if part["eof"]:
            return b"".join(parts)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, nargs="?", default=ROOT / "_build" / "html", help="the built site")
    parser.add_argument("pdf", type=Path, nargs="?", default=ROOT / "_build" / "semcom-book.pdf")
    parser.add_argument("--pages", nargs="+", help="these pages alone, in this order")
    wish = parser.parse_args(argv)
    page = wish.site / WHOLE
    try:
        with served(wish.site) as url, browser() as chrome:
            page.write_text(whole(wish.site, wish.pages or pages_in_order()), encoding="utf-8")
            data = printed(chrome, url + WHOLE)
    except BrowserMissing as missing:
        print(f"The PDF is printed by a browser: {missing}", file=sys.stderr)
        return 1
    finally:
        page.unlink(missing_ok=True)
    wish.pdf.parent.mkdir(parents=True, exist_ok=True)
    wish.pdf.write_bytes(data)
    print(f"{wish.pdf}: {len(data) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
