"""Run the shared first cell as Colab would, beside other versions of PyTorch and NumPy: does what is there stay?

    python benchmarks/replay_first_cell.py                           # stand-ins, a minute or two each
    python benchmarks/replay_first_cell.py 2.8.0                     # one of them
    python benchmarks/replay_first_cell.py --really torch==2.12.0    # the real thing: gigabytes on Linux
    python benchmarks/replay_first_cell.py --chapter 13a_semantic_information --really torch==2.14.1

Each run has an environment of its own. Colab's PyTorch comes from an index that is not everywhere within reach, so by
default a *stand-in* takes its place: a wheel with its name and version and nothing in it. pip then resolves the cell's
own command for real, against the registry, but installs nothing (``--dry-run``), and what it would install is told: it
must contain neither PyTorch nor NumPy. The versions are older ones that the book takes, the newest that the registry
offers today, and one that is too old for the book: there the cell must stop, and say which version it needs and which
there is. What comes out otherwise ends the script with status 1. With ``--really`` that requirement is installed, the
cell installs all it wants, and ``--chapter`` then runs a chapter beside it, as a reader would.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CELL = (ROOT / "tools" / "colab_cell.py").read_text(encoding="utf-8")
#: The oldest PyTorch that the book takes, from pyproject.toml.
LEAST = re.search(r'"torch>=([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
#: That one, one between, one newer than that of constraints.txt, and one too old; the newest comes from the registry.
STAND_INS = (LEAST, "2.12.0", "2.14.1", "2.8.0")
AS_ON_COLAB = """
import json, subprocess, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
really, cell, report = subprocess.run, sys.argv[1], sys.argv[2]
def run(words, **options):
    if "pip" in words and report:
        words = (*words, "--dry-run", "--report", report)
    return really(words, **options)
subprocess.run = run
exec(compile(open(cell).read(), "first cell", "exec"), {})
"""


def stand_in(folder: Path, name: str, version: str) -> Path:
    """A wheel with a name and a version, and nothing in it."""
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: replay\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{about}/{file}", text)
        archive.writestr(f"{about}/RECORD", "".join(f"{about}/{file},,\n" for file in (*files, "RECORD")))
    return wheel


def environment(folder: Path, *requirements: str) -> Path:
    """A new environment with some requirements, each without what it wants itself if it is a stand-in."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    for one in requirements:
        alone = ["--no-deps", "--no-index"] if one.endswith(".whl") else []
        subprocess.run([python, "-m", "pip", "install", "-q", *alone, one], check=True)
    return python


def newest() -> str | None:
    """The newest PyTorch that the registry offers; None where it cannot be asked."""
    ask = [sys.executable, "-m", "pip", "index", "versions", "torch"]
    found = re.match(r"torch \(([\d.]+)", subprocess.run(ask, capture_output=True, text=True).stdout)
    return found[1] if found else None


def as_expected(version: str, told: str) -> bool:
    """Whether what came of a stand-in is right: both stay, or the version is too old and the refusal names what is."""
    if [int(part) for part in version.split(".")] >= [int(part) for part in LEAST.split(".")]:
        return told.startswith("both stay")
    return told.startswith("refused") and f"torch>={LEAST}" in told and f"torch=={version}" in told


def versions(python: Path) -> dict[str, str]:
    """Of PyTorch and NumPy, as pip sees them."""
    done = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True)
    return {one["name"]: one["version"] for one in json.loads(done.stdout) if one["name"] in ("torch", "numpy")}


def replay(folder: Path, requirements: list[str], chapter: str | None, dry: bool) -> str:
    """Run the cell in a new environment; what came of it, in one line."""
    python = environment(folder / "environment", *requirements)
    before, report, content = versions(python), folder / "report.json", folder / "content"
    content.mkdir()
    (folder / "cell.py").write_text(CELL.replace("/content", str(content)), encoding="utf-8")
    done = subprocess.run(
        [python, "-c", AS_ON_COLAB, folder / "cell.py", str(report) if dry else ""],
        cwd=content, env=os.environ | {"SEMCOM_REPO": ROOT.as_uri()}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = [line for line in lines if re.search("depends on torch|user requested.*torch", line)] or lines[-4:]
        return "refused: " + " / ".join(dict.fromkeys(why))
    said = done.stdout.strip().splitlines()
    if dry:
        wanted = [one["metadata"] for one in json.loads(report.read_text())["install"]]
        other = [f"{one['name']} {one['version']}" for one in wanted if one["name"] in ("torch", "numpy")]
        return f"{'replaces ' + ', '.join(other) if other else 'both stay'}; {len(wanted)} packages to install"
    after = versions(python)
    told = "both stay" if before == after else f"{before} became {after}"
    if chapter:
        run = [python, "-m", "pip", "install", "-q", f"{content / 'semcom-book'}[book]"]
        subprocess.run([*run, "-c", content / "semcom-book" / "colab-keep.txt"], check=True)
        run = [python, "tools/run_notebooks.py", "--out", folder / "out", f"notebooks/{chapter}.md"]
        ran = subprocess.run(run, cwd=content / "semcom-book", capture_output=True, text=True)
        told += f"; {chapter} {'ran' if not ran.returncode else 'failed: ' + ran.stderr[-500:]}"
    return f"{told}; {said[-2] if len(said) > 1 else said}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--really", nargs="+", metavar="REQUIREMENT", help="install these, and all that the cell wants")
    parser.add_argument("--chapter", metavar="NAME", help="run this chapter then; needs --really")
    parser.add_argument("versions", nargs="*", help="of the stand-in for PyTorch")
    given = parser.parse_args()
    if given.chapter and not given.really:
        parser.error("--chapter needs --really: a stand-in computes nothing")
    if given.really:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{' '.join(given.really)}: {replay(Path(folder), given.really, given.chapter, False)}", flush=True)
        return 0
    wrong = []
    for version in given.versions or dict.fromkeys((*STAND_INS, newest() or LEAST)):
        with tempfile.TemporaryDirectory() as folder:
            wheels = [str(stand_in(Path(folder), name, v)) for name, v in (("torch", version), ("numpy", "2.2.6"))]
            told = replay(Path(folder), wheels, None, True)
        print(f"torch {version}: {told}", flush=True)
        wrong += [] if as_expected(version, told) else [version]
    if wrong:
        print(f"not as it should be beside PyTorch {', '.join(wrong)}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
