"""Data walks through the levels once; imports go one way (book/levels.md)."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "semcom_utils"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py")))
SHARED = {"checks", "figures", "prose", "toyworld"}  # the toy world is data: every room may draw from it
COMPOSERS = {"control", "experiments"}  # these may know every room


def imported_rooms(source: str, module: str) -> set[str]:
    """Name the rooms (and shared pieces) of the package that a module's source imports, however it is written."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*module.split(".")[: -node.level], *filter(None, [base])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return {parts[1] for parts in (name.split(".") for name in names) if parts[0] == "semcom_utils" and len(parts) > 1}


def allowed(room: str) -> set[str]:
    if room == "toyworld":  # ... and it draws from none
        return SHARED | {room}
    return SHARED | set(ROOMS) if room in COMPOSERS else SHARED | {room}


def test_relative_imports_are_seen():
    assert imported_rooms("from ..generation import load", "semcom_utils.physical.digital") == {"generation"}
    assert imported_rooms("from semcom_utils import semantic", "semcom_utils.physical.digital") == {"semantic"}
    assert imported_rooms("import semcom_utils.papers.isgc.scenario", "semcom_utils.physical") == {"control"}
    assert imported_rooms("from .limits import capacity", "semcom_utils.physical.digital") == {"physical"}


def test_there_are_rooms():
    assert {"physical", "control", "ledger", "experiments"} <= set(ROOMS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    relative = path.relative_to(PACKAGE)
    parts = relative.with_suffix("").parts
    module = ".".join(("semcom_utils", *parts))
    if path.name == "__init__.py":  # a package's own name is the module, its file one level below
        module = ".".join(("semcom_utils", *parts[:-1], "__init__"))
    room = parts[0] if len(parts) > 1 else None
    may = allowed(room) if room else SHARED
    assert imported_rooms(path.read_text(encoding="utf-8"), module) <= may, f"{relative} may import only {sorted(may)}"
