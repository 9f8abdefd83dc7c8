"""One policy of public names, read from the source so that nothing heavy is imported.

- Every module that is not private has ``__all__``: what it defines itself, nothing that it imports.
- A package's own file re-exports, under ``__all__``, names that its modules offer and that somebody outside takes from
  the package, and classes that these hand out; a paper's package lists its ``STUDIES`` there. Other packages offer
  nothing themselves. (An import for type checkers alone, with a ``__getattr__``, is a re-export like another.)
- What has no underscore and no place in ``__all__`` is used in its module only.
"""

import ast
from functools import cache
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "semcom_utils"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem == "__init__" or not path.stem.startswith("_"))
MODULES = [path for path in FILES if path.stem != "__init__"]
PACKAGES = [path for path in FILES if path.stem == "__init__"]


def name_of(path):
    """A module's full name; for a package's own file the package's."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def bound(tree, package=""):
    """Names that a module defines at its top, and names that it imports there (for a package: of its own modules)."""
    defined, imported = set(), set()
    late = [node.body for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for node in [*tree.body, *(node for body in late for node in body)]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defined |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and (node.level == 1 or (node.module or "").startswith(f"{package}.")):
            imported |= {alias.asname or alias.name for alias in node.names}
    return defined, imported


def offered(tree):
    """The module's ``__all__``, or None if it has none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def module_problems(source):
    """What a module's public names break of the policy."""
    tree = ast.parse(source)
    names, (defined, _) = offered(tree), bound(tree)
    if names is None:
        return ["there is no __all__"]
    found = [f"{name} is not defined here" for name in names if name not in defined]
    if len(set(names)) < len(names):
        found.append("a name stands twice")
    return found


def is_class(name):
    return name[0].isupper() and not name.isupper()


def package_problems(source, modules, taken, package="p.q"):
    """The same for a package's own file; ``modules`` offer names, ``taken`` are those that others take from it."""
    tree = ast.parse(source)
    names, (defined, imported) = offered(tree) or [], bound(tree, package)
    public = {name for name in defined | imported if not name.startswith("_")}
    found = [f"{name} is bound and not in __all__" for name in sorted(public - set(names))]
    allowed = {"STUDIES", "__version__"} & defined
    for name in names:
        if name in allowed:
            continue
        if name not in imported or name not in modules:
            found.append(f"{name} is no name that a module of the package offers")
        elif name not in taken and not is_class(name):
            found.append(f"{name} is re-exported and nobody takes it")
    return found


def taken(source, package=""):
    """What a source takes of the package, as pairs of a module's or package's full name and a name in it.

    ``package`` is the one in which the source lies, for relative imports.
    """
    tree, pairs, aliases = ast.parse(source), set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) + 1 - node.level], *filter(None, [base])])
            for alias in node.names:
                pairs.add((base, alias.name))
                aliases[alias.asname or alias.name] = f"{base}.{alias.name}"
        elif isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            base = ast.unparse(node.value)
            if base in aliases:
                pairs.add((aliases[base], node.attr))
    return pairs


@cache
def takers():
    """What everybody takes: the package's modules, chapters, tests, tools, benchmarks."""
    found = {}
    for folder in ("tests", "tools", "benchmarks", "semcom_utils"):
        for path in (ROOT / folder).rglob("*.py"):
            found[path] = taken(path.read_text(encoding="utf-8"), ".".join(path.parent.relative_to(ROOT).parts))
    for text in (ROOT / "notebooks").glob("*.md"):
        cells = jupytext.read(text).cells
        found[text] = taken("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    return found


def room(path):
    """Where a file's neighbours may know its insides: a folder of the package, a paper's folder."""
    parts = path.relative_to(ROOT).parts
    return parts[: 3 if parts[1] == "papers" else 2]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_offers_what_it_defines(path):
    assert not module_problems(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_a_package_offers_what_others_take_from_it(path):
    modules = {name for module in path.parent.rglob("*.py") if module.stem != "__init__"
               for name in offered(ast.parse(module.read_text(encoding="utf-8"))) or ()}  # fmt: skip
    outside = [pairs for source, pairs in takers().items() if path.parent not in source.parents]
    wanted = {name for pairs in outside for package, name in pairs if package == name_of(path)}
    assert not package_problems(path.read_text(encoding="utf-8"), modules, wanted, name_of(path))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_what_others_take_is_offered(path):
    """Nobody outside a module's room takes a name that is not in its ``__all__`` (tests of its insides may)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = bound(tree)[0] - set(offered(tree) or ())
    for source, pairs in takers().items():
        if source.parent.name != "tests" and room(source) != room(path):
            names = {name for module, name in pairs if module == name_of(path)} & hidden
            assert not names, f"{source.relative_to(ROOT)} takes {sorted(names)} of {name_of(path)}"


def test_the_package_is_typed_and_ships_it():
    assert (PACKAGE / "py.typed").is_file()
    assert '"py.typed"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def f(): ...", "no __all__"),
        ("from math import pi\n__all__ = ['pi']", "pi is not defined here"),
        ("__all__ = ['f', 'f']\ndef f(): ...", "twice"),
        ("__all__ = ['f', 'A']\nA: int = 1\ndef f(): ...", ""),
    ],
)
def test_what_breaks_a_modules_policy_is_found(source, problem):
    found = module_problems(source)
    assert problem in "".join(found) and bool(found) == bool(problem)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("from .a import f\n__all__ = ['f']", ""),
        ("from .a import f", "not in __all__"),
        ("from .a import hidden\n__all__ = ['hidden']", "no name that a module"),
        ("from .a import g\n__all__ = ['g']", "nobody takes it"),
        ("if TYPE_CHECKING:\n    from .a import f, Handed\n__all__ = ['f', 'Handed']", ""),
        ("if TYPE_CHECKING:\n    from .a import f", "not in __all__"),
        ("__all__ = ['f']\ndef f(): ...", "no name that a module"),
        ("STUDIES = {}\n__all__ = ['STUDIES']", ""),
        ("'''Only words.'''", ""),
    ],
)
def test_what_breaks_a_packages_policy_is_found(source, problem):
    found = package_problems(source, {"f", "g", "Handed"}, {"f"})
    assert problem in "".join(found) and bool(found) == bool(problem)


def test_takers_are_seen_however_they_take():
    for source in (
        "from p.q import f",
        "from p import q\nq.f(1)",
        "from p import q as x\nx.f",
        "import p.q as x\nx.f",
        "import p.q\np.q.f()",
        "from .q import f",
        "from . import q\nq.f",
    ):
        assert ("p.q", "f") in taken(source, "p"), source
    assert ("p.q", "f") in taken("from ..q import f", "p.r")
    assert ("p.q", "f") not in taken("from p import r\nr.f")
