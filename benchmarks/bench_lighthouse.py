"""How does Lighthouse judge the built pages? Access, good practice and search at 100, speed on a phone at 90 or more.

    python benchmarks/bench_lighthouse.py [--pages book/index notebooks/10_isgc] [--runs 3]

Lighthouse comes from npm (``npx``), drives Chromium, and looks at the pages on a server of localhost that packs text as
a real one does. Where node, npm's registry or Chromium is missing, this says so, and that nothing was measured. Speed
depends on the machine: it is the median of the runs, and counts as noise where other work keeps the processors busy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from site_checks import served  # noqa: E402

SITE = ROOT / "_build" / "html"
LIGHTHOUSE = "lighthouse@13"
PAGES = ["book/index", "notebooks/10_isgc", "book/scoreboard", "book/api/control"]
#: Least score of each category, of 100; mobile is Lighthouse's own preset.
LIMITS = {"accessibility": 100, "best-practices": 100, "seo": 100, "performance": 90}


def scores(address: str) -> dict[str, float]:
    """Scores of one page, of 100, and what cost points in a category that has to be whole.

    Raises
    ------
    RuntimeError
        If Lighthouse cannot be had or does not run; the text is its own last lines.
    """
    command = [
        "npx", "--yes", LIGHTHOUSE, address, "--quiet", "--output=json", "--output-path=stdout",
        f"--only-categories={','.join(LIMITS)}", "--chrome-flags=--headless --no-sandbox --disable-gpu",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode or not done.stdout.lstrip().startswith("{"):
        raise RuntimeError(" ".join(done.stderr.strip().splitlines()[-3:]) or f"exit status {done.returncode}")
    report = json.loads(done.stdout)
    for name, category in report["categories"].items():
        if LIMITS[name] == 100 and category["score"] < 1:
            lost = [ref["id"] for ref in category["auditRefs"] if report["audits"][ref["id"]]["score"] == 0]
            print(f"  {name} loses by {', '.join(lost)}")
    return {name: 100 * category["score"] for name, category in report["categories"].items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=SITE, help="the built site")
    parser.add_argument("--pages", nargs="+", default=PAGES)
    parser.add_argument("--runs", type=int, default=3)
    wish = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    missing = [name for name, there in (("npx", shutil.which("npx")), ("Chromium", chromium)) if not there]
    if not wish.site.is_dir():
        missing.append("the built book (make book)")
    if missing:
        print(f"not measured: there is no {', no '.join(missing)} here")
        return 0
    os.environ["CHROME_PATH"] = chromium
    failed = 0
    loaded = os.getloadavg()[0] > (os.cpu_count() or 1) / 2  # before Lighthouse makes a load itself
    with served(wish.site, packed=True) as url:
        for page in wish.pages:
            try:
                runs = [scores(f"{url}{page}.html") for _ in range(wish.runs)]
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"not measured: {LIGHTHOUSE} does not run here: {error}")
                return 0
            for name, limit in LIMITS.items():
                score = statistics.median(run[name] for run in runs)
                busy = name == "performance" and loaded
                said = "holds" if score >= limit else "noise, the machine is busy" if busy else "missed"
                print(f"{page}, {name}: {score:.0f}, limit {limit}: {said}", flush=True)
                failed |= said == "missed"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
