"""Where a number came from: commit, code, versions, processor, date. No host name, no path."""

from __future__ import annotations

import ast
import datetime
import hashlib
import os
import platform
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from semcom_utils.checks import checked

__all__ = ["UNKNOWN", "checkout_state", "code_hash", "is_ours", "provenance"]

UNKNOWN = "unknown"
_PACKAGES = (
    "numpy", "scipy", "torch", "gymnasium", "stable-baselines3", "sionna-no-rt", "scikit-image", "diffusers",
    "transformers", "joblib", "ray", "dask", "distributed", "semcom-utils",
)  # fmt: skip
_PACKAGE = Path(__file__).resolve().parents[1]
#: What moves no number: the version, and how results are run, told and drawn.
_SILENT = ("studies", "ledger", "figures", "prose")


def _git(*arguments: str, cwd: Path) -> str | None:
    # GIT_DIR and its kin, set where a hook runs us, would point at another repository
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@checked
def checkout_state(root: Path = _PACKAGE.parent) -> dict:
    """Commit of the checkout and whether its code has changes that are in no commit.

    Parameters
    ----------
    root : Path
        A folder, by default the one that the running package lies in. Only a checkout of its own counts: inside another
        repository, in an unpacked archive, and among installed packages, nothing is known.

    Returns
    -------
    dict
        ``commit`` (40 hexadecimal digits, or "unknown") and ``uncommitted_changes`` (None where unknown).

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    top = _git("rev-parse", "--show-toplevel", cwd=root)
    if not top or Path(top).resolve() != Path(root).resolve():
        return {"commit": UNKNOWN, "uncommitted_changes": None}
    commit = _git("rev-parse", "--verify", "HEAD", cwd=root)
    changes = _git("status", "--porcelain", "--", "semcom_utils", "data/models", cwd=root)
    return {"commit": commit or UNKNOWN, "uncommitted_changes": None if changes is None else bool(changes)}


@checked
def is_ours(module: str) -> bool:
    """Whether a module is part of this package, and so of every worker's checkout.

    Parameters
    ----------
    module : str
        A dotted name.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> is_ours("semcom_utils.paths"), is_ours("numpy")
    (True, False)
    """
    return module.partition(".")[0] == _PACKAGE.name


@checked
def code_hash(module: str) -> str:
    """Hash of a module and of all that it imports from this package, functions' own imports included.

    Comments, docstrings and formatting do not count, nor does what only runs, tells or draws.

    Parameters
    ----------
    module : str
        A dotted name, within ``semcom_utils`` or not; of what it imports, only this package's modules are followed.

    Returns
    -------
    str
        Twenty hexadecimal digits.

    Raises
    ------
    ValueError
        If the module has no source file, as a notebook's own functions have none.
    """
    if _source(module) is None:
        raise ValueError(f"module must be one with a source file, got {module!r}: define the study's run in a file")
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name], imported = _stripped(_source(name), name)
        waiting += (other for other in imported if other != _PACKAGE.name and other.split(".")[1] not in _SILENT)
    text = "".join(f"{name}\n{source}\n" for name, source in sorted(found.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _source(name: str) -> Path | None:
    """File of a module: one of this package without importing it, another if it is imported."""
    if not is_ours(name):
        file = getattr(sys.modules.get(name), "__file__", None)
        return Path(file) if file and Path(file).is_file() else None
    parts = name.split(".")[1:]
    if not all(part.isidentifier() for part in parts):  # an empty part would name a package once more, without end
        return None
    path = _PACKAGE.joinpath(*parts)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


# Once a process: what was imported stays in memory as it was, whatever becomes of the file.
@lru_cache(maxsize=512)
def _stripped(path: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """A module's code without comments and docstrings, and what it may import of this package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            if isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
                body[:] = body[1:] or [ast.Pass()]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            imported += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isascii():
            # a package that imports when asked names its modules by strings
            imported += [node.value, f"{package}.{node.value.lstrip('.')}"] if path.name == "__init__.py" else []
    return _canonical(tree), tuple(dict.fromkeys(n for n in imported if is_ours(n) and _source(n) is not None))


def _canonical(node: object) -> str:
    """A syntax tree as text that is the same for every version of Python (ast.unparse's quotes are not).

    Fields that are empty are left out, for later versions add some.
    """
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({','.join(f'{name}={_canonical(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    return repr(node)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def provenance() -> dict:
    """What a reader needs to judge or repeat a run: commit, versions, processor, date. No host name, no path.

    Returns
    -------
    dict
        ``commit`` and ``uncommitted_changes`` as of :func:`checkout_state`, ``python`` (its version), ``packages``
        (name to version, of those installed), ``processor`` (its model), ``cores`` (their number) and ``date``
        (``YYYY-MM-DD``, UTC).
    """
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
