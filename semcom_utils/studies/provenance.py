"""Where a number came from: commit, code, versions, processor, date. No host name, no path."""

from __future__ import annotations

import ast
import datetime
import hashlib
import os
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from semcom_utils.paths import ROOT

__all__ = ["UNKNOWN", "checkout_state", "code_hash", "provenance"]

UNKNOWN = "unknown"
_PACKAGES = (
    "numpy", "scipy", "torch", "gymnasium", "stable-baselines3", "sionna-no-rt", "scikit-image", "diffusers",
    "transformers", "joblib", "ray", "dask", "semcom-utils",
)  # fmt: skip
_PACKAGE = Path(__file__).resolve().parents[1]
#: What moves no number: how results are run, told and drawn.
_SILENT = ("semcom_utils.studies", "semcom_utils.ledger", "semcom_utils.figures", "semcom_utils.prose")


def _git(*arguments: str, cwd: Path) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def checkout_state(root: Path = ROOT) -> dict:
    """Commit of the checkout and whether its code has changes that are in no commit.

    Parameters
    ----------
    root : Path
        A folder. Only a checkout of its own counts: inside another repository, and in an unpacked archive, nothing is
        known.

    Returns
    -------
    dict
        ``commit`` (40 hexadecimal digits, or "unknown") and ``uncommitted_changes`` (None where unknown).
    """
    top = _git("rev-parse", "--show-toplevel", cwd=root)
    if top is None or Path(top).resolve() != root.resolve():
        return {"commit": UNKNOWN, "uncommitted_changes": None}
    commit = _git("rev-parse", "--verify", "HEAD", cwd=root)
    changes = _git("status", "--porcelain", "--", "semcom_utils", "data/models", cwd=root)
    return {"commit": commit or UNKNOWN, "uncommitted_changes": None if changes is None else bool(changes)}


def code_hash(module: str) -> str:
    """Hash of a module and of all that it imports from this package, functions' own imports included.

    Comments, docstrings and formatting do not count, nor does what only runs, tells or draws.

    Parameters
    ----------
    module : str
        A dotted name within ``semcom_utils``; for one outside of it, say a test's, the hash of its file alone.
    """
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(_SILENT):
            continue
        path = _source(name)
        if path is None:
            continue
        found[name], imported = _stripped(path, name if path.name != "__init__.py" else f"{name}.__init__")
        waiting += imported
    text = "".join(f"{name}\n{source}\n" for name, source in sorted(found.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _source(name: str) -> Path | None:
    first, *rest = name.split(".")
    if first != _PACKAGE.name:
        return None
    path = _PACKAGE.joinpath(*rest)
    for candidate in (path.with_suffix(".py") if rest else path / "__init__.py", path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@lru_cache(maxsize=256)
def _stripped(path: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """A module's code without docstrings, and what it may import of this package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*name.split(".")[: -node.level], *([node.module] if node.module else [])])
            imported += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                body[0] = ast.Pass()
    return ast.unparse(tree), tuple(n for n in imported if n.partition(".")[0] == _PACKAGE.name)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def provenance() -> dict:
    """What a reader needs to judge or repeat a run: commit, versions, processor, date. No host name, no path."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        **checkout_state(),
        "python": platform.python_version(),
        "packages": versions,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
