"""What the built site must satisfy: each function lists the problems it finds, in words.

Pages are opened in headless Chromium from a server on localhost, as a reader would open them. What the people feel who
use a keyboard, a screen reader, large print or dark mode is asked of axe-core (``axe/``, version and licence there).
"""

from __future__ import annotations

import contextlib
import gzip
import http.server
import io
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

# What lies beyond the right edge and in no box that scrolls is cut off, and a reader cannot reach it.
CUT_OFF = r"""
const edge = document.documentElement.clientWidth, seen = [];
for (const e of document.querySelectorAll("main article *")) {
  if (e.getBoundingClientRect().right <= edge + 2 || e.closest("mjx-assistive-mml")) continue;
  const scrolls = (box) => ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
  let box = e.parentElement;
  while (box !== document.body && !scrolls(box)) box = box.parentElement;
  if (box === document.body) seen.push(e.textContent.trim().slice(0, 50) || e.tagName);
}
return seen.slice(0, 3);
"""
# The rule scrollable-region-focusable of axe, on the whole page and at once: axe would weigh every formula for it.
OUT_OF_REACH = r"""
const seen = [];
for (const box of document.querySelectorAll("body *")) {
  if (box.scrollWidth <= box.clientWidth + 1 || !box.clientWidth || box.tabIndex >= 0) continue;
  if (!["auto", "scroll"].includes(getComputedStyle(box).overflowX)) continue;
  if (!box.checkVisibility({ visibilityProperty: true })) continue;
  const inside = Array.from(box.querySelectorAll("a[href], button, input, select, summary, [tabindex]"));
  if (inside.some((e) => e.tabIndex >= 0)) continue;
  seen.push(`${box.tagName.toLowerCase()} ${box.textContent.trim().slice(0, 50)}`);
}
return seen.slice(0, 3);
"""
# A page has thousands of coloured words of code and parts of formulas, all alike: axe sees each kind of them once.
THINNED = r"""
const still = "<style>* { transition: none !important; animation: none !important; }</style>";
document.head.insertAdjacentHTML("beforeend", still);
const known = new Set();
for (const word of document.querySelectorAll(".highlight pre span[class]:not([id])")) {
  const kind = `${word.closest(".highlight").parentElement.className} ${word.className}`;
  if (known.has(kind)) word.replaceWith(...word.childNodes);
  known.add(kind);
}
document.querySelectorAll(".highlight pre").forEach((code) => code.normalize());
Array.from(document.querySelectorAll("mjx-container")).slice(3).forEach((formula) => formula.replaceChildren("x"));
"""
# What has the same tags, classes and kinds of attributes, in it and around it, and text where the other has text, fails
# or passes alike: one of each kind stays, and what lacks a name among many of its kind is a kind of its own.
ONE_OF_EACH = r"""
const kinds = new Map(), known = new Set();
const own = (e) => [e.tagName, e.className, e.getAttribute("style"), e.getAttribute("role"), !!e.textContent.trim(),
  ...Array.from(e.attributes, (one) => one.value.trim() ? one.name : `no ${one.name}`).sort()].join(" ");
const deep = (e) => {
  if (!kinds.has(e)) kinds.set(e, `${own(e)}(${Array.from(new Set(Array.from(e.children, deep))).sort()})`);
  return kinds.get(e);
};
const thin = (e, around) => {
  for (const group of e.tagName === "DL" ? terms(e) : Array.from(e.children, (child) => [child])) {
    const stripe = group[0].tagName === "TR" ? group[0].rowIndex % 2 : "";
    const kind = `${around}>${stripe}${group.map(deep)}`;
    if (known.has(kind)) group.forEach((child) => child.remove());
    else group.forEach((child) => thin(child, `${around}>${own(child)}`));
    known.add(kind);
  }
};
// a term belongs to what explains it: they stay, or go, together
const terms = (list) => {
  const groups = [];
  for (const child of list.children) {
    const last = groups.at(-1);
    if (last && (child.tagName !== "DT" || last.at(-1).tagName === "DT")) last.push(child);
    else groups.push([child]);
  }
  return groups;
};
thin(document.body, "");
"""
ASK_AXE = r"""
const [rules, done] = arguments;
axe.run(document, { resultTypes: ["violations"], ...rules }).then(
  (found) => done(found.violations.map((one) => `${one.id}, ${one.nodes.length}: ${one.nodes[0].html.slice(0, 160)}`)),
  (error) => done([String(error)]));
"""
LOADED = r"""
const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
return [location.href.split("#")[0], ...loaded, ...Array.from(document.images, (image) => image.src)];
"""
#: Bytes of a page with all it loads, as they travel; and what a server packs on the way.
WEIGHT_LIMIT = 1_500_000
PACKED = (".html", ".js", ".css", ".svg", ".json")
COLOURS = ["color-contrast", "link-in-text-block"]
AXE = gzip.decompress((Path(__file__).parent / "axe" / "axe.min.js.gz").read_bytes()).decode()
THEME = "document.documentElement.dataset.theme = document.documentElement.dataset.mode = arguments[0]"
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --window-size=1280,900"
).split()
ASKED_UNBIDDEN = "/favicon.ico"  # a browser asks for it where a page, such as a redirection, names no icon
# MathJax writes its own MathML; anything between these marks that a reader sees was not typeset.
LOOK_AT_PAGE = r"""
const done = arguments[0];
const look = () => {
  const seen = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.parentElement.closest("script, style, code, pre, mjx-container, .highlight")) continue;
    const raw = node.data.match(/\$\$|\\\(|\\\[|\\begin\{|\{(eq|glue:[a-z]+|numref|cite:[a-z]+|ref|doc)\}`/);
    if (raw) seen.push(`not rendered: ${node.data.slice(Math.max(0, raw.index - 20), raw.index + 60).trim()}`);
  }
  for (const error of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    seen.push(`mathematics with an error: ${error.dataset.mjxError || error.textContent.slice(0, 80)}`);
  for (const formula of document.querySelectorAll(".math"))
    if (!formula.querySelector("mjx-container")) seen.push(`formula left raw: ${formula.textContent.slice(0, 80)}`);
  for (const image of document.images)
    if (!(image.getAttribute("alt") || "").trim())
      seen.push(`image without alt text: ${image.getAttribute("src").slice(0, 80)}`);
  done(seen);
};
(window.wholePage ? wholePage() : Promise.resolve()).then(() => setTimeout(look, 50));
"""


class BrowserMissing(RuntimeError):
    """There is no Chromium here, or no chromedriver."""


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing: the problems found are the report."""


class _PackingHandler(_QuietHandler):
    def send_head(self):
        """Send text packed, as a real server would."""
        path = Path(self.translate_path(self.path))
        if path.suffix not in PACKED or not path.is_file() or "gzip" not in self.headers.get("Accept-Encoding", ""):
            return super().send_head()
        data = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return io.BytesIO(data)


@contextlib.contextmanager
def served(folder: Path, packed: bool = False) -> Iterator[str]:
    """Serve ``folder`` on a free port of localhost, text packed with gzip or not; give the address."""

    def handler(*args):
        return (_PackingHandler if packed else _QuietHandler)(*args, directory=str(folder))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextlib.contextmanager
def browser(*more_flags: str):
    """Start headless Chromium with an empty profile, and with further flags if any; give selenium's driver.

    Raises
    ------
    BrowserMissing
        Chromium or chromedriver is not installed (``CHROMIUM`` and ``CHROMEDRIVER`` may name them).
    """
    from selenium import webdriver

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    if not chromium or not driver:
        raise BrowserMissing("no Chromium with chromedriver (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, *more_flags, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        chrome.set_script_timeout(180)  # the longest page sets its formulas for half a minute on a busy machine
        try:
            yield chrome
        finally:
            chrome.quit()


def page_problems(chrome, url: str, site: Path | None = None) -> list[str]:
    """Open one page at a phone's width, then make it as wide as a desk's, and list what is wrong with it.

    With ``site``, the folder that is served, a page that is heavier than :data:`WEIGHT_LIMIT` has a problem too.

    Looked for: requests that leave localhost, files that are missing, mathematics or roles that were not rendered,
    errors on the console, images without alt text, a page wider than a phone, and whatever axe finds at a desk's and
    at a phone's width, in the light and in the dark.
    """
    chrome.get_log("performance"), chrome.get_log("browser")  # what earlier pages left
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)  # to lay a long page out anew takes seconds
    chrome.get(url)
    problems = list(chrome.execute_async_script(LOOK_AT_PAGE))
    if site is not None and (weight := page_weight(chrome, site)) > WEIGHT_LIMIT:
        problems.append(f"weighs {weight / 1e6:.2f} MB, more than {WEIGHT_LIMIT / 1e6:.1f}")
    width = chrome.execute_script("return document.documentElement.scrollWidth")
    if width > PHONE["width"] + 1:
        problems.append(f"at a phone's width of {PHONE['width']} the page is {width} wide")
    problems += [f"cut off at a phone's width: {text}" for text in chrome.execute_script(CUT_OFF)]
    problems += [f"scrolls, but not by keyboard: {text}" for text in chrome.execute_script(OUT_OF_REACH)]
    problems += accessibility_problems(chrome)
    console = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    problems += [f"console: {message[:200]}" for message in console if ASKED_UNBIDDEN not in message]
    for entry in chrome.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        if event["method"] == "Network.requestWillBeSent":
            asked = urlsplit(event["params"]["request"]["url"])
            if asked.scheme in ("http", "https", "ws", "wss") and asked.hostname not in ("127.0.0.1", "localhost"):
                problems.append(f"asks the network: {asked.geturl()[:120]}")
        if event["method"] == "Network.responseReceived":
            response = event["params"]["response"]
            if response["status"] >= 400 and ASKED_UNBIDDEN not in response["url"]:
                problems.append(f"{response['status']} for {response['url']}")
    return problems


def page_weight(chrome, site: Path) -> int:
    """Bytes of the page that is open and of all that it loads, the pictures further down included, as they travel.

    A server packs text with gzip; pictures and fonts are packed already.
    """
    names = chrome.execute_script(LOADED)
    files = {site / unquote(urlsplit(name).path).lstrip("/") for name in names if name.startswith("http")}
    return sum(_travels(file, file.stat().st_mtime_ns) for file in files if file.is_file())


@cache
def _travels(file: Path, changed: int) -> int:
    """Bytes of a file as it travels. All pages load the same scripts and style sheets: they are packed once."""
    return len(gzip.compress(file.read_bytes())) if file.suffix in PACKED else file.stat().st_size


def accessibility_problems(chrome) -> list[str]:
    """What axe finds on the page that is open, in four views: all rules in the light, those on colours in the dark.

    It looks at one of each kind of thing. The page is cut down for that, and is of no other use afterwards.
    """
    chrome.execute_script(THINNED)
    chrome.execute_script(ONE_OF_EACH)
    chrome.execute_script(AXE)
    problems = []
    for width in ("phone", "desk"):
        if width == "desk":
            chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        for theme, rules in (("light", {}), ("dark", {"runOnly": COLOURS})):
            chrome.execute_script(THEME, theme)
            found = chrome.execute_async_script(ASK_AXE, rules)
            problems += [f"axe, {width}, {theme}: {text}" for text in found]
    return problems


def pages(site: Path) -> list[Path]:
    """List the pages of a built site, without the theme's templates."""
    return sorted(page for page in site.rglob("*.html") if "_static" not in page.relative_to(site).parts)


def pages_to_open(site: Path) -> list[Path]:
    """List the pages that a browser opens: all, but of the listings of code, all made alike, every fifth."""
    every = pages(site)
    listings = [page for page in every if page.relative_to(site).parts[0] == "_modules"]
    return [page for page in every if page not in listings or listings.index(page) % 5 == 0]


class Gathered(HTMLParser):
    """What links and figures need of a page, read in one go: a tree of all tags would take most of the time.

    Attributes
    ----------
    anchors : set of str
        The page's identifiers.
    links : list of str
        Where its links, pictures, scripts and style sheets point.
    pictures : list of str
        Addresses of the pictures in ``main``.
    """

    POINTS = {"a": "href", "link": "href", "img": "src", "script": "src"}

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.pictures: list[str] = []
        self._main = 0
        self.feed(page.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens: note its identifier, and where it points."""
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(given["id"])
        self._main += tag == "main"
        if (target := given.get(self.POINTS.get(tag, ""))) is not None:
            self.links.append(target)
            if tag == "img" and self._main:
                self.pictures.append(target)

    def handle_endtag(self, tag: str) -> None:
        """A tag closes."""
        self._main -= tag == "main"


def link_problems(site: Path) -> list[str]:
    """Every link inside the site leads to a file, and to an anchor, that exists."""
    gathered = {page: Gathered(page) for page in pages(site)}
    problems = []
    for page, found in gathered.items():
        here = "/" + page.relative_to(site).as_posix()
        for link in dict.fromkeys(found.links):
            target, anchor = urldefrag(link)
            if urlsplit(target).scheme or target.startswith("//"):
                continue
            path = site / unquote(urlsplit(urljoin(here, target)).path).lstrip("/") if target else page
            where = f"{page.relative_to(site)}: {link}"
            if not path.is_file():
                problems.append(f"{where} leads nowhere")
            elif anchor and path in gathered and unquote(anchor) not in gathered[path].anchors:
                problems.append(f"{where} has no such anchor")
    return problems


def figure_count(page: Path) -> int:
    """Count the pictures that cells drew on a page."""
    return len([source for source in Gathered(page).pictures if re.search(r"_images/[0-9a-f]{20,}", source)])
