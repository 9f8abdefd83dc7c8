"""Every public name says what it takes, in which shape and unit, what it returns, and what it raises.

Public is what has no leading underscore. The sources are read, not imported, so the test is quick and sees every
module. A class's parameters stand in the class's own docstring: for a dataclass or a named tuple its fields do.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "semcom_utils"
FILES = sorted(PACKAGE.rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sections(docstring: str | None) -> dict[str, str]:
    """The sections of a NumPy-style docstring, each a heading with a line of dashes below it."""
    parts = re.split(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", docstring or "", flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def headers(section: str) -> list[str]:
    """The lines of a section that name something: those that are not indented."""
    return [line for line in section.splitlines() if line and not line[0].isspace()]


def described(section: str) -> set[str]:
    """The names that a section describes: ``a, b : float`` has two."""
    return {name.strip() for line in headers(section) for name in line.partition(" :")[0].split(",")}


def parameters(function: Function) -> list[ast.arg]:
    """Parameters of a function or method without ``self`` and ``cls``; starred ones keep their stars."""
    a = function.args
    named = [arg for arg in (*a.posonlyargs, *a.args) if arg.arg not in ("self", "cls")]
    starred = [ast.arg(stars + arg.arg, arg.annotation) for stars, arg in (("*", a.vararg), ("**", a.kwarg)) if arg]
    return [*named, *a.kwonlyargs, *starred]


def decorators(node: Function | ast.ClassDef) -> set[str]:
    return {ast.unparse(decorator).partition("(")[0].rpartition(".")[2] for decorator in node.decorator_list}


def is_public(name: str) -> bool:
    return not name.startswith("_")


def public(tree: ast.Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public functions and classes of a module, and the public methods of these classes."""
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and is_public(node.name):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and is_public(node.name):
            for method in node.body:
                if isinstance(method, Function) and is_public(method.name):
                    yield f"{node.name}.{method.name}", method


def inherited(node: Function, tree: ast.Module) -> bool:
    """Whether a method without a docstring has that of the one it overrides, as in Python's help and in Sphinx."""
    owners = [item for item in tree.body if isinstance(item, ast.ClassDef) and node in item.body]
    bases = {ast.unparse(base) for owner in owners for base in owner.bases} - {"NamedTuple", "ABC"}
    return ast.get_docstring(node) is None and bool(bases)


def fields(node: ast.ClassDef) -> set[str]:
    """What a class takes: the parameters of ``__init__``, or the fields of a dataclass or a named tuple."""
    for method in node.body:
        if isinstance(method, Function) and method.name == "__init__":
            return {arg.arg for arg in parameters(method)}
    if "dataclass" in decorators(node) or any(ast.unparse(base) == "NamedTuple" for base in node.bases):
        names = {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
        return {name for name in names if is_public(name)}
    return set()


def raised(node: ast.AST, tree: ast.Module) -> set[str]:
    """Exceptions that a function raises: itself, by a private helper of its module, or by a check of its arguments.

    What a ``try`` catches again, and what is raised anew from a variable, is not followed.
    """
    helpers = {item.name: item for item in ast.walk(tree) if isinstance(item, Function) and item.name[:1] == "_"}
    helpers = {name: item for name, item in helpers.items() if not name.startswith("__")}
    checks = {
        alias.asname or alias.name
        for item in tree.body
        if isinstance(item, ast.ImportFrom) and item.module == "semcom_utils.checks"
        for alias in item.names
    }
    found, seen, todo = set(), set(), [node]
    while todo:
        for inner in ast.walk(todo.pop()):
            if isinstance(inner, ast.Raise) and inner.exc is not None:
                name = ast.unparse(inner.exc).partition("(")[0]
                found |= {name} if name[:1].isupper() else set()
            elif isinstance(inner, ast.Call):
                called = ast.unparse(inner.func).rpartition(".")[2]
                if called in checks:
                    found.add("ValueError")
                elif called in helpers and called not in seen:
                    seen.add(called)
                    todo.append(helpers[called])
    return found


def gaps(source: str) -> list[str]:
    """What is missing at the public names of a module, one line each."""
    tree, missing = ast.parse(source), []
    for name, node in public(tree):
        if "overload" in decorators(node):
            continue
        docstring = ast.get_docstring(node)
        if isinstance(node, Function) and inherited(node, tree):
            missing += [f"{name}: {arg.arg} has no type" for arg in parameters(node) if arg.annotation is None]
            missing += [f"{name}: result has no type"] if node.returns is None else []
            continue
        if not docstring:
            missing.append(f"{name}: no docstring")
            continue
        parts = sections(docstring)
        told = described(parts.get("Parameters", "")) | described(parts.get("Attributes", ""))
        if isinstance(node, ast.ClassDef):
            takes = fields(node)
            starters = [item for item in node.body if isinstance(item, Function) and item.name.startswith("__")]
            for starter in starters:
                bare = [arg.arg for arg in parameters(starter) if arg.annotation is None]
                missing += [f"{name}.{starter.name}: {arg} has no type" for arg in bare]
                if starter.returns is None:
                    missing.append(f"{name}.{starter.name}: result has no type")
            errors = {error for s in starters if s.name in ("__init__", "__post_init__") for error in raised(s, tree)}
            if any("checked" in decorators(item) for item in (node, *starters) if item.name != "__call__"):
                errors.add("ValueError")
        else:
            takes = {arg.arg for arg in parameters(node)}
            missing += [f"{name}: {arg.arg} has no type" for arg in parameters(node) if arg.annotation is None]
            if node.returns is None:
                missing.append(f"{name}: result has no type")
            quiet = {"None", "NoReturn", "Self"}  # nothing comes back that a section could describe
            attribute = decorators(node) & {"property", "cached_property", "setter"}
            if not attribute and node.returns is not None and ast.unparse(node.returns) not in quiet:
                section = "Yields" if "contextmanager" in decorators(node) else "Returns"
                if section not in parts:
                    missing.append(f"{name}: no section {section}")
            errors = raised(node, tree) | ({"ValueError"} if "checked" in decorators(node) else set())
        if takes and not told:
            missing.append(f"{name}: no section Parameters")
        else:
            missing += [f"{name}: {arg} is not described" for arg in sorted(takes - told)]
        section = parts.get("Raises", "")
        missing += [f"{name}: Raises does not name {e}" for e in sorted(errors - set(headers(section)))]
    return missing


def unlisted(source: str) -> set[str]:
    """Public functions and classes that ``__all__`` leaves out: there is one way to be public, no underscore."""
    tree = ast.parse(source)
    own = {node.name for node in tree.body if isinstance(node, Function | ast.ClassDef) and is_public(node.name)}
    listed = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = {element.value for element in node.value.elts}
    return own - listed


def generators(source: str) -> list[str]:
    """Parameters that are random generators under another name than the house's."""
    names = {"torch.Generator": "generator", "np.random.Generator": "rng"}
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            for arg in parameters(node):
                kind = ast.unparse(arg.annotation).removesuffix(" | None") if arg.annotation else ""
                if arg.arg != names.get(kind, arg.arg):
                    wrong.append(f"{node.name}: {arg.arg} is a {kind}, and so its name is {names[kind]}")
                if arg.arg in ("generator", "rng") and kind and kind != "object" and kind not in names:
                    wrong.append(f"{node.name}: {arg.arg} is a {kind}")
    return wrong


class Finder(doctest.DocTestFinder):
    """One that sees through decorators, such as `checked`: a door has its function's examples."""

    def _from_module(self, module, object):
        return super()._from_module(module, inspect.unwrap(object) if callable(object) else object)


@cache
def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_public_names_say_what_they_take(path):
    assert gaps(read(path)) == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_public_names_are_listed(path):
    if path.name != "__main__.py":
        assert unlisted(read(path)) == set()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_generators_have_one_name(path):
    assert generators(read(path)) == []


@pytest.mark.parametrize("path", [path for path in FILES if ">>>" in read(path)], ids=relative)
def test_examples_in_docstrings(path):
    name = ".".join(("semcom_utils", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in Finder().find(module, module.__name__):
        runner.run(test)
    assert runner.summarize(verbose=False).attempted == read(path).count(">>> ") and not runner.failures


GOOD = '''
from semcom_utils.checks import positive_integer
__all__ = ["Pair", "double"]
class Pair(NamedTuple):
    """Two.

    Attributes
    ----------
    a, b : int
    """
    a: int
    b: int
def double(n: int, rng: np.random.Generator | None = None) -> int:
    """Twice.

    Parameters
    ----------
    n : int
        Any.
    rng : numpy.random.Generator, optional
        Unused.

    Returns
    -------
    int
        Twice ``n``.

    Raises
    ------
    ValueError
        If ``n`` is not positive.
    """
    return 2 * _checked(n)
def _checked(n):
    return positive_integer("n", n)
'''


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("n: int,", "n,", "double: n has no type"),
        (") -> int", ")", "double: result has no type"),
        ("a, b : int", "a : int", "Pair: b is not described"),
        ("    n : int", "    m : int", "double: n is not described"),
        ("    Parameters\n    ----------", "    In\n    --", "double: no section Parameters"),
        ("    Returns\n    -------", "    Gives\n    --", "double: no section Returns"),
        ("    ValueError\n", "    TypeError\n", "double: Raises does not name ValueError"),
        ('    """Two.\n\n    Attributes\n    ----------\n    a, b : int\n    """\n', "", "Pair: no docstring"),
    ],
)
def test_a_gap_is_found(old, new, said):
    assert gaps(GOOD) == [] and old in GOOD
    assert said in gaps(GOOD.replace(old, new, 1))


def test_a_method_that_overrides_another_needs_types_alone():
    override = 'class Child({}):\n    """A child."""\n    def double(self, n: int){}:\n        return n\n'
    assert gaps(override.format("Parent", " -> int")) == []
    assert gaps(override.format("Parent", "")) == ["Child.double: result has no type"]
    assert gaps(override.format("ABC", " -> int")) == ["Child.double: no docstring"]


def test_a_wrong_name_is_found():
    assert unlisted(GOOD) == set() and generators(GOOD) == []
    assert unlisted(GOOD.replace('"Pair", ', "")) == {"Pair"}
    assert len(generators(GOOD.replace("rng: np", "generator: np"))) == 1
    assert len(generators(GOOD.replace("np.random.Generator | None", "int"))) == 1
