"""Every public function refuses what it cannot take, by a documented error that names the argument.

The functions are found, not listed: whatever a module offers in ``__all__`` has to be here, with one good call, or a
test fails. Then each argument in turn is replaced by what does not fit its annotation, which must be refused by its
name, and by what may or may not make sense (nothing, too many, negative, huge), which may be taken, or refused by the
name of an argument of the call. Nothing may end in another error.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import pkgutil
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from bad_inputs_calls import CALLS, EXEMPT, INSTANCES, LEFT, VALUES
from PIL import Image

import semcom_utils
from semcom_utils.ledger import LedgerError

pytestmark = pytest.mark.usefixtures("one_thread")
LEAST = 35_000


class Door(NamedTuple):
    """A public function, class or method."""

    name: str
    call: Any
    owner: Any = None


#: What the engine of studies hands to a study's own functions: tasks that the study made, records that it wrote.
ENGINE = {"task", "records"}


def is_engines(door: Door) -> bool:
    return door.name.startswith("papers.") and bool(ENGINE & set(parameters(door)))


def is_exempt(name: str) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in EXEMPT)


def is_record(kind: type) -> bool:
    """A plain record of results or of data: it takes what it is given, and its users look at it."""
    if issubclass(kind, tuple | BaseException) or getattr(kind, "_is_protocol", False):
        return True
    return is_dataclass(kind) and not hasattr(kind, "__post_init__")


@cache
def doors() -> dict[str, Door]:
    found = {}
    for module in pkgutil.walk_packages(semcom_utils.__path__, "semcom_utils."):
        short = module.name.removeprefix("semcom_utils.")
        if module.name.endswith("__main__") or is_exempt(short):
            continue
        made = importlib.import_module(module.name)
        for name in getattr(made, "__all__", ()):
            thing, full = getattr(made, name), f"{short}.{name}"
            if getattr(thing, "__module__", None) != module.name or is_exempt(full):
                continue
            if inspect.isfunction(thing):
                found[full] = Door(full, thing)
            elif inspect.isclass(thing):
                if not is_record(thing) and not inspect.isabstract(thing) and "__init__" in vars(thing):
                    found[full] = Door(full, thing)
                for method, raw in vars(thing).items():
                    full_method = f"{full}.{method}"
                    if (method.startswith("_") and method != "__call__") or is_exempt(full_method):
                        continue
                    if isinstance(raw, staticmethod | classmethod):
                        found[full_method] = Door(full_method, getattr(thing, method))
                    elif inspect.isfunction(raw):
                        found[full_method] = Door(full_method, raw, full)
    return {name: door for name, door in found.items() if parameters(door) and not is_engines(door)}


@cache  # a case asks three times
def parameters(door: Door) -> Mapping[str, inspect.Parameter]:
    signature = inspect.signature(door.call).parameters
    return {name: value for name, value in signature.items() if name not in ("self", "cls") and value.kind != 4}


def good_call(door: Door) -> dict[str, Any]:
    """Fresh arguments of a call that works: of this door, by the argument's name, or its default left out."""
    own = CALLS.get(door.name, {})
    own = own() if callable(own) else own
    call = {}
    for name, parameter in parameters(door).items():
        if name in own:
            call[name] = own[name]
        elif parameter.default is parameter.empty and parameter.kind != parameter.VAR_POSITIONAL:
            assert name in VALUES, f"{door.name}: give {name} a good value in tests/bad_inputs_calls.py"
            call[name] = VALUES[name]()
    return call


def run(door: Door, call: Mapping[str, Any]) -> Any:
    self = [] if door.owner is None else [INSTANCES[door.owner]()]
    call, further = dict(call), []
    for name, parameter in parameters(door).items():
        if parameter.kind == parameter.VAR_POSITIONAL:
            further = [call.pop(name)] if name in call else []
            self += [call.pop(other) for other in list(parameters(door)) if other in call and further]
            break
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = door.call(*self, *further, **call)
        if inspect.isgenerator(result):
            result = list(result)
        return result


#: What a value is: what does not share a word with an annotation must be refused.
def wrong_values() -> list[tuple[str, Any, set[str]]]:
    return [
        ("text", "x?", {"str"}),
        ("nothing", None, {"None"}),
        ("an object", object(), set()),
        ("a mapping", {}, {"mapping"}),
        ("complex", 1 + 2j, set()),
        ("a truth value", True, {"bool"}),
        ("NumPy's truth value", np.True_, {"bool", "ndarray"}),
        ("NaN", math.nan, set()),
        ("bytes", b"a", {"bytes"}),
        ("texts", ["x?"], {"sequence", "iterable"}),
        ("ragged", [[1.0], [1.0, 2.0]], {"sequence", "iterable"}),
        ("a set", {1.0}, {"iterable"}),
        ("a function", len, {"callable"}),
        ("a class", int, {"callable", "type"}),
        ("complex array", np.array([1 + 2j, 1]), {"sequence", "complex"}),
        ("array of text", np.array(["a", "b"]), {"sequence", "iterable"}),
        ("array of objects", np.array([None, 1], dtype=object), {"sequence"}),
        ("complex tensor", torch.tensor([1 + 2j]), {"sequence", "complex"}),
        ("a generator", np.random.default_rng(0), {"rng"}),
        ("the other generator", torch.Generator(), {"generator"}),
        ("a picture", Image.new("RGB", (2, 2)), {"picture"}),
    ]


WORDS = {
    "float": {"float"},
    "int": {"int"},
    "bool": {"bool"},
    "str": {"str"},
    "bytes": {"bytes"},
    "None": {"None"},
    "ArrayLike": {"array"},
    "np.ndarray": {"array", "ndarray"},
    "torch.Tensor": {"tensor"},
    "Tensor": {"tensor"},
    "np.random.Generator": {"rng"},
    "torch.Generator": {"generator"},
    "torch.device": {"str"},
    "Callable": {"callable"},
    "Sequence": {"sequence"},
    "list": {"sequence"},
    "tuple": {"sequence"},
    "Iterable": {"iterable", "sequence", "mapping"},
    "Mapping": {"mapping"},
    "dict": {"mapping"},
    "Path": set(),
    "type": {"type", "callable"},
}
ANYTHING = {"Any", "object"}


def allowed(annotation: Any) -> set[str] | None:
    """What an annotation lets pass, read without the code under test; None for anything."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any")
    words: set[str] = set()
    todo = [ast.parse(text, mode="eval").body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.BinOp):
            todo += [node.left, node.right]
        elif isinstance(node, ast.Subscript):
            todo.append(node.value)
        else:
            word = ast.unparse(node)
            if word in ANYTHING:
                return None
            words |= WORDS.get(word, set())  # a class of ours: none of the values below is one
    return words


def odd_values(good: Any, words: set[str] | None) -> list[tuple[str, Any]]:
    """What may or may not make sense where ``good`` does."""
    odd: list[tuple[str, Any]] = []
    if words is None or words & {"float", "int"} or isinstance(good, int | float):
        odd += [(f"{number!r}", number) for number in (0, -1, 1, 2.5, -0.5, math.inf, -math.inf)]
        if words is None or "int" not in words:
            odd += [(f"{number!r}", number) for number in (1e300, -1e300, 1e-300, np.float32(0.5), np.array(0.5))]
        odd += [("huge below", -(10**30))]
    if words is None or "str" in words:
        odd += [("empty text", ""), ("a letter", "é"), ("spaces", "  ")]
    if isinstance(good, torch.Tensor):
        odd += [
            ("no rows", good[:0] if good.ndim else good[None][:0]),
            ("one axis more", good[None]),
            ("a scalar", torch.tensor(1.0)),
        ]
        odd += [("zeros", torch.zeros_like(good)), ("negative", -good.float()), ("doubles", good.double())]
        odd += [("whole", good.long()), ("one more", torch.cat([good, good[:1]]) if good.ndim else good)]
        odd += [
            ("huge", torch.full_like(good, 2**30)),
            ("last axis doubled", torch.cat([good, good], -1) if good.ndim else good),
        ]
    elif words is None or words & {"array", "sequence"} or isinstance(good, list | tuple | np.ndarray):
        try:
            array = np.asarray(good)
            numeric = array.dtype.kind in "iufb"
        except ValueError:
            numeric = False
        if numeric:
            number = array.astype(float)
            odd += [("empty", np.zeros(0)), ("empty rows", np.zeros((0, 3))), ("a scalar", 1.0), ("zero", 0.0)]
            odd += [("one axis more", number[None]), ("two axes more", number[None, None]), ("negative", -number)]
            odd += [
                ("zeros", number * 0),
                ("infinite", number + np.inf),
                ("huge", number + 1e300),
                ("whole", np.ones(3, int)),
            ]
            odd += [("as a list", array.tolist()), ("halves", number + 0.5)]
            if array.ndim:
                odd += [("one more", np.concatenate([array, array[:1]])), ("one less", array[1:])]
                odd += [("backwards", array[::-1]), ("turned", array.T), ("single", array.astype(np.float32))]
                odd += [("one NaN", np.where(np.arange(number.size).reshape(number.shape) == 0, np.nan, number))]
                odd += [("truth values", array > 0), ("a tensor", torch.from_numpy(number))]
        odd += [("empty list", []), ("list of nothing", [None]), ("empty tuple", ())]
        if isinstance(good, list | tuple) and len(good):
            odd += [("first alone", type(good)(good[:1]) if type(good) in (list, tuple) else list(good[:1]))]
            odd += [("twice", [*good, *good]), ("a mixture", [*good, None])]
    return odd


def cases(door: Door) -> Iterator[tuple[str, str, Any, bool]]:
    """Argument, what takes its place, the value, and whether it must be refused."""
    call = good_call(door)
    for name, parameter in parameters(door).items():
        words = None if parameter.annotation is parameter.empty else allowed(parameter.annotation)
        good = call.get(name, None if parameter.default is parameter.empty else parameter.default)
        for what, value, fits in wrong_values():
            if words is not None and "callable" in words & fits:
                continue  # what a function of the caller's own does wrong is its own
            yield name, what, value, words is not None and not fits & words and not takes(door, name, fits, value)
        for what, value in odd_values(good, words):
            yield name, what, value, False


@cache
def docstring(door: Door) -> str:
    return inspect.getdoc(door.call) or ""


def takes(door: Door, name: str, fits: set[str], value: Any) -> bool:
    """Whether a door says itself, where its annotation cannot, that it takes such a value."""
    text = docstring(door)
    if isinstance(value, bool | np.bool_) or "ndarray" in fits:
        return "ndarray" in fits and "np.ndarray" in str(parameters(door)[name].annotation)
    return "complex" in fits and bool(re.search(r"\bcomplex\b", text, re.I))


@lru_cache(maxsize=4096)
def documented(name: str) -> tuple[str, ...]:
    door = doors()[name]
    texts = [inspect.getdoc(door.call) or ""]
    if door.owner:
        texts.append(
            inspect.getdoc(
                getattr(
                    importlib.import_module("semcom_utils." + door.owner.rpartition(".")[0]),
                    door.owner.rpartition(".")[2],
                )
            )
            or ""
        )
    raises = re.findall(r"^Raises\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", "\n".join(texts), re.M | re.S)
    return ("ValueError", *re.findall(r"^(\w+)$", "\n".join(raises), re.M))


def fault(door: Door, name: str, value: Any, must: bool) -> str | None:
    call = good_call(door)
    call[name] = value
    try:
        run(door, call)
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & set(documented(door.name)):
            return f"{type(error).__name__}: {error}"
        named = [name] if must else list(parameters(door))
        if isinstance(error, FileNotFoundError | LedgerError) and str(value) in str(error):
            return None  # of the file that is named so
        if not any(re.search(rf"\b{re.escape(one)}\b", str(error)) for one in named):
            return f"names no argument: {error}"
        return None
    return "was taken" if must else None


@pytest.mark.parametrize("name", doors())
def test_bad_inputs_are_refused_by_name(name):
    door = doors()[name]
    run(door, good_call(door))
    found = []
    for argument, what, value, must in cases(door):
        if said := fault(door, argument, value, must):
            found.append(f"{argument} = {what}: {said}"[:200])
    if name in LEFT:
        assert found, f"{name} is mended: take it out of LEFT"
        pytest.xfail(LEFT[name])
    assert not found, f"{name}, {len(found)} of them:\n" + "\n".join(found)


def test_there_are_enough_of_them():
    assert sum(1 for door in doors().values() for _ in cases(door)) >= LEAST


def test_what_is_exempt_is_there_and_says_why():
    for name, why in EXEMPT.items():
        parts = ["semcom_utils", *name.split(".")]
        for cut in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:cut]))
            except ModuleNotFoundError:
                continue
            for part in parts[cut:]:
                found = getattr(found, part)
            break
        assert len(why) > 10, name


def test_no_good_call_is_left_over():
    assert set(CALLS) <= set(doors()), set(CALLS) - set(doors())
    assert set(INSTANCES) == {door.owner for door in doors().values() if door.owner}


def loose(level: float, n: int = 1) -> float:
    """A door that checks nothing."""
    if n == -1:
        raise ValueError("negative")
    return level * n


def test_a_door_that_checks_nothing_is_found(monkeypatch):
    door = Door("loose", loose)
    monkeypatch.setitem(doors(), "loose", door)
    assert fault(door, "level", "x?", True) == "was taken"
    assert fault(door, "n", None, True).startswith("TypeError")
    assert fault(door, "n", -1, False) == "names no argument: negative"
    assert fault(door, "n", 2, False) is None
    must = {(name, what) for name, what, _, must in cases(door) if must}
    assert {("level", "text"), ("level", "a truth value"), ("n", "NaN"), ("n", "nothing")} <= must


def test_a_door_without_a_good_call_is_found():
    with pytest.raises(AssertionError, match="give sheep a good value"):
        good_call(Door("new", lambda sheep: sheep))
