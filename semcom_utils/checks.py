"""What every door asks of its arguments: an error names the argument, the value and what was expected."""

from __future__ import annotations

import ast
import functools
import inspect
import math
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = [
    "checked",
    "finite_array",
    "numpy_generator",
    "one_of",
    "plain_array",
    "positive_integer",
    "real_number",
    "shown",
    "torch_device",
    "torch_generator",
]

Choice = TypeVar("Choice")
Door = TypeVar("Door", bound=Callable[..., Any])
_Check = Callable[[Any], Any]
_REFUSED = object()


class _Kind(NamedTuple):
    """What an annotation allows, in words, and the function that hands such a value on, or ``_REFUSED``."""

    says: str
    take: Callable[[Any], Any]


def real_number(
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
    allow_inf: bool = False,
) -> float:
    """Return ``value`` as a float if it is a real number from ``low`` to ``high``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What was passed. A truth value is no number; an array of no dimensions is one.
    low, high : float
        The interval.
    low_open, high_open : bool
        Whether that end is itself left out.
    allow_inf : bool
        Whether an infinite number may pass, if it lies in the interval; NaN never does.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ValueError
        If ``value`` is no such number.

    Examples
    --------
    >>> real_number("share", 1.5, low=0, high=1)
    Traceback (most recent call last):
        ...
    ValueError: share must be a finite real number in [0, 1], got 1.5
    """
    interval = f"{'(' if low_open else '['}{low:g}, {high:g}{')' if high_open else ']'}"
    scalar = value.ndim == 0 if isinstance(value, np.ndarray) else isinstance(value, Real)
    if isinstance(value, bool | np.bool_) or not scalar:
        raise ValueError(f"{name} must be a real number in {interval}, got {value!r}")
    number = float(value)  # type: ignore[arg-type]  # a real number, as was just seen
    below = number <= low if low_open else number < low
    above = number >= high if high_open else number > high
    if math.isnan(number) or (math.isinf(number) and not allow_inf) or below or above:
        raise ValueError(f"{name} must be a {'' if allow_inf else 'finite '}real number in {interval}, got {value!r}")
    return number


def positive_integer(name: str, value: object, *, low: int = 1) -> int:
    """Return ``value`` as an int if it is a whole number of at least ``low``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What was passed; a truth value or 2.0 is no whole number.
    low : int
        The smallest that may pass.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        If ``value`` is no such number.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)


def one_of(name: str, value: object, choices: Iterable[Choice]) -> Choice:
    """Return ``value`` if it is one of ``choices``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        What was passed.
    choices : iterable
        What may pass.

    Returns
    -------
    object
        The choice that equals ``value``.

    Raises
    ------
    ValueError
        If there is none; the message lists the choices.
    """
    known = tuple(choices)
    try:
        return known[known.index(value)]
    except (ValueError, RuntimeError):  # none of them, or several values at once, which equal nothing
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}") from None


def plain_array(name: str, value: object, *, booleans: bool = False) -> np.ndarray:
    """Return ``value`` as a NumPy array of real numbers, wherever and however it lies.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like or torch.Tensor
        A number, a (nested) list, an array or a view of one in any order, or a tensor on any device.
    booleans : bool
        Whether truth values may pass.

    Returns
    -------
    numpy.ndarray
        Of the shape and kind of ``value``.

    Raises
    ------
    ValueError
        If there is something else in it: text, truth values, complex numbers, objects, rows of several lengths.

    Examples
    --------
    >>> plain_array("x", ["1"])
    Traceback (most recent call last):
        ...
    ValueError: x must be an array of real numbers, got ['1']
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        value = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no such kind
    if hasattr(value, "getbands"):  # NumPy would take its bytes
        raise ValueError(f"{name} must be an array of numbers, got a PIL image")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} must be an array of numbers, got {type(value).__name__}: {error}") from None
    if array.dtype.kind not in ("iufb" if booleans else "iuf"):
        raise ValueError(f"{name} must be an array of real numbers, got {shown(value)}")
    return array


def shown(value: object) -> str:
    """What was passed, in few words: for a message.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    str
        Of an array or tensor its kind and shape, else the beginning of its ``repr``.
    """
    if hasattr(value, "shape") and hasattr(value, "dtype") and getattr(value, "shape", ()) != ():
        return f"{type(value).__name__} of {value.dtype} and shape {tuple(value.shape)}"
    try:
        return f"{value!r:.80}"
    except Exception:  # some repr breaks; a message must not
        return f"a {type(value).__name__}"


def torch_device(name: str, value: object) -> torch.device:
    """Return ``value`` as a device of PyTorch that this machine can compute on.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : str or torch.device
        Such as ``"cpu"`` or ``"cuda:0"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If there is no such device, or not here.
    """
    import torch

    if not isinstance(value, str | torch.device):
        raise ValueError(f"{name} must be a torch device such as 'cpu' or 'cuda', got {value!r:.80}")
    try:
        place = torch.device(value)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{name} must be a torch device such as 'cpu' or 'cuda', got {value!r}") from error
    if place.type == "cpu":
        return place
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{name} must be one that this machine has; it has no GPU that torch can use, got {value!r}")
    try:
        torch.zeros(1, device=place).cpu()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        raise ValueError(f"{name} must be one that this machine can compute on, got {value!r}") from error
    return place


def finite_array(
    name: str,
    value: object,
    *,
    last: int | None = None,
    low: float = -math.inf,
    low_open: bool = False,
    allow_inf: bool = False,
    booleans: bool = False,
) -> np.ndarray:
    """Return ``value`` as an array of float64, all of them finite.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like
        What was passed.
    last : int, optional
        The length that the last axis must have.
    low : float
        Every element is at least this.
    low_open : bool
        Every element is above ``low``.
    allow_inf : bool
        Whether +inf is a legal element; NaN never is.
    booleans : bool
        Whether truth values count as 0 and 1.

    Returns
    -------
    numpy.ndarray
        Of the shape of ``value``, a copy.

    Raises
    ------
    ValueError
        If ``value`` is no such array.
    """
    array = plain_array(name, value, booleans=booleans).astype(float)
    if last is not None and (array.ndim == 0 or array.shape[-1] != last):
        raise ValueError(f"{name} must have a last axis of length {last}, got shape {array.shape}")
    bad = np.isnan(array) | (np.isinf(array) & ~(allow_inf & (array > 0)))
    if bad.any():
        raise ValueError(f"{name} must be {'free of NaN' if allow_inf else 'finite'}, got {array[bad].flat[0]}")
    if (array <= low).any() if low_open else (array < low).any():
        raise ValueError(f"{name} must be {'above' if low_open else 'at least'} {low:g}, got {array.min():g}")
    return array


def numpy_generator(name: str, value: object) -> np.random.Generator:
    """Return ``value`` if it is a random generator of NumPy.

    Parameters
    ----------
    name : str
        The argument's name, for the message: ``rng`` wherever the book has the choice.
    value : object
        What was passed.

    Returns
    -------
    numpy.random.Generator
        The same object, in the same state.

    Raises
    ------
    ValueError
        If it is none, such as a seed.

    Examples
    --------
    >>> numpy_generator("rng", 3)
    Traceback (most recent call last):
        ...
    ValueError: rng must be a numpy.random.Generator, such as numpy.random.default_rng(0), got 3
    """
    if not isinstance(value, np.random.Generator):
        raise ValueError(
            f"{name} must be a numpy.random.Generator, such as numpy.random.default_rng(0), got {value!r:.80}"
        )
    return value


def torch_generator(name: str, value: object) -> torch.Generator:
    """Return ``value`` if it is a random generator of PyTorch.

    Parameters
    ----------
    name : str
        The argument's name, for the message: ``generator`` wherever the book has the choice.
    value : object
        What was passed.

    Returns
    -------
    torch.Generator
        The same object, in the same state.

    Raises
    ------
    ValueError
        If it is none, such as a seed.
    """
    torch = sys.modules.get("torch")  # whoever holds one of its generators has imported it
    if torch is None or not isinstance(value, torch.Generator):
        raise ValueError(
            f"{name} must be a torch.Generator, such as torch.Generator().manual_seed(0), got {value!r:.80}"
        )
    return value


@overload
def checked(function: Door) -> Door: ...
@overload
def checked(
    *,
    booleans: Iterable[str] = (),
    complexes: Iterable[str] = (),
    shapes: Mapping[str, str] | None = None,
    together: Iterable[str] = (),
) -> Callable[[Door], Door]: ...
def checked(
    function: Any = None,
    *,
    booleans: Iterable[str] = (),
    complexes: Iterable[str] = (),
    shapes: Mapping[str, str] | None = None,
    together: Iterable[str] = (),
) -> Any:
    """Have a function, or a class's construction, hold its arguments against their annotations.

    What an annotation says is checked at every call, with errors of one form: a ``float`` is a real number that is not
    NaN, an ``int`` a whole one, and neither is a truth value or text; an ``ArrayLike`` holds real numbers, none of them
    NaN; a ``Sequence[float]`` holds such numbers; generators, devices, callables and classes are what they are called.
    A tensor that is passed for an ``ArrayLike``, and whatever is passed for an ``numpy.ndarray``, becomes an array on
    the way. Ranges and shapes are the function's own to check.

    Parameters
    ----------
    function : callable or type
        Whose annotations are read, at the first call.
    booleans : iterable of str
        Arguments, annotated ``ArrayLike``, that may hold truth values.
    complexes : iterable of str
        Arguments, annotated ``torch.Tensor`` or ``numpy.ndarray``, that may hold complex numbers.
    shapes : mapping of str to str, optional
        Argument -> its axes: numbers, and names that stand for one length wherever they occur, such as ``"n 3"``; a
        leading ``...`` is any number of axes, a ``+`` behind a name says that there is at least one. ``|`` separates
        alternatives. What is None is not looked at.
    together : iterable of str
        Arguments whose shapes NumPy's rules bring together.

    Returns
    -------
    callable or type
        The same to the eye.

    Raises
    ------
    ValueError
        By a call with a wrong argument; it is named.

    Examples
    --------
    >>> @checked
    ... def half(x: float) -> float:
    ...     return x / 2
    >>> half(3.0)
    1.5
    >>> half("3")
    Traceback (most recent call last):
        ...
    ValueError: x must be a real number, got '3'
    """
    asked: Any = {"booleans": booleans, "complexes": complexes, "shapes": shapes, "together": together}
    if function is None:
        return lambda later: checked(later, **asked)
    if isinstance(function, type):
        function.__init__ = checked(function.__init__, **asked)  # type: ignore[misc]
        return function
    options = {"booleans": frozenset(booleans), "complexes": frozenset(complexes)}
    names = tuple(inspect.signature(function).parameters) if shapes or together else ()
    doors: list[tuple[list[_Check | None], _Check | None, dict[str, _Check]]] = []

    @functools.wraps(function)
    def door(*arguments: Any, **named: Any) -> Any:
        if not doors:
            doors.append(_doors(function, **options))
        placed, further, by_name = doors[0]
        passed = list(arguments)
        for place, value in enumerate(arguments):
            check = placed[place] if place < len(placed) else further
            if check is not None:
                passed[place] = check(value)
        for name, value in named.items():
            if name in by_name:
                named[name] = by_name[name](value)
        if names:
            _check_shapes(dict(zip(names, passed, strict=False)) | named, shapes or {}, tuple(together))
        return function(*passed, **named)

    return door


def _doors(
    function: Callable[..., Any], booleans: frozenset[str], complexes: frozenset[str]
) -> tuple[list[_Check | None], _Check | None, dict[str, _Check]]:
    """For each place, for places beyond the last, and for each name the check of an argument."""
    scope = getattr(function, "__globals__", {})
    module = sys.modules.get(getattr(function, "__module__", ""), None)
    scope = {**scope, **vars(module)} if module is not None else scope  # a dataclass's __init__ has a scope of its own
    placed: list[_Check | None] = []
    further, by_name = None, {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = parameter.annotation
        text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any")
        kinds = None
        if annotation is not inspect.Parameter.empty:
            tree = ast.parse(text, mode="eval").body
            kinds = _kinds(tree, scope, name in booleans, name in complexes)
        check = None if kinds is None else _check(name, kinds)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            placed.append(check)
        if parameter.kind == parameter.VAR_POSITIONAL:
            further = check
        elif parameter.kind != parameter.VAR_KEYWORD and check is not None:
            by_name[name] = check
    return placed, further, by_name


def _check_shapes(call: Mapping[str, Any], shapes: Mapping[str, str], together: tuple[str, ...]) -> None:
    """Refuse arguments whose axes are not those that were declared."""
    lengths: dict[str, tuple[int, str]] = {}
    for name, said in shapes.items():
        if (value := call.get(name)) is None:
            continue
        shape = _shape(value)
        if not any(_fits(shape, one.split(), lengths, name) for one in said.split("|")):
            known = "".join(f", {axis} = {n} as in {other}" for axis, (n, other) in lengths.items() if axis in said)
            form = " or ".join(f"[{', '.join(one.replace('+', '').split())}]" for one in said.split("|"))
            raise ValueError(f"{name} must be of shape {form}{known}, got {list(shape)}")
    if together:
        found = {name: _shape(call[name]) for name in together if call.get(name) is not None}
        try:
            np.broadcast_shapes(*found.values())
        except ValueError:
            said = ", ".join(f"{name} of {list(shape)}" for name, shape in found.items())
            raise ValueError(f"{' and '.join(found)} must be of shapes that go together, got {said}") from None


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if hasattr(value, "shape") else np.shape(value)


def _fits(shape: tuple[int, ...], axes: list[str], lengths: dict[str, tuple[int, str]], name: str) -> bool:
    if axes[:1] == ["..."]:
        axes = axes[1:]
        if len(shape) < len(axes):
            return False
        shape = shape[len(shape) - len(axes) :]
    if len(shape) != len(axes):
        return False
    found: dict[str, tuple[int, str]] = {}
    for length, axis in zip(shape, axes, strict=True):
        plain = axis.removesuffix("+")
        if axis != plain and not length:
            return False
        wanted = int(plain) if plain.isdigit() else {**lengths, **found}.get(plain, (length, ""))[0]
        if length != wanted:
            return False
        if not plain.isdigit():
            found.setdefault(plain, lengths.get(plain, (length, name)))
    lengths.update(found)
    return True


def _check(name: str, kinds: list[_Kind]) -> _Check:
    says = " or ".join(dict.fromkeys(kind.says for kind in kinds))

    def check(value: Any) -> Any:
        for kind in kinds:
            taken = kind.take(value)
            if taken is not _REFUSED:
                return taken
        raise ValueError(f"{name} must be {says}, got {shown(value)}")

    return check


def _kinds(tree: ast.expr, scope: Mapping[str, Any], booleans: bool, complexes: bool) -> list[_Kind] | None:
    """What an annotation allows; None if that is anything, or not to be told."""
    if isinstance(tree, ast.BinOp):
        left, right = (_kinds(side, scope, booleans, complexes) for side in (tree.left, tree.right))
        if left is None or right is None:
            return None
        # Where a tensor may come, it stays one: what takes arrays would make an array of it.
        return sorted(left + right, key=lambda kind: not kind.says.startswith("a torch.Tensor"))
    if isinstance(tree, ast.Constant) and tree.value is None:
        return [_Kind("None", lambda value: value if value is None else _REFUSED)]
    if isinstance(tree, ast.Subscript):
        return _container(tree, scope, booleans, complexes)
    word = ast.unparse(tree).removeprefix("np.").removeprefix("numpy.")
    if word in _SIMPLE:
        return [_SIMPLE[word]]
    if word == "ArrayLike":
        return [_Kind("an array of real numbers (no NaN)", lambda value: _take_numbers(value, booleans))]
    if word == "ndarray":
        return [_Kind("an array of real numbers (no NaN)", lambda value: _take_array(value, complexes))]
    if word in ("torch.Tensor", "Tensor"):
        says = "a torch.Tensor" if complexes else "a torch.Tensor of real numbers"
        return [_Kind(says, lambda value: _take_tensor(value, complexes))]
    if word in _CONTAINERS:
        return [_sized(word, None)]
    if isinstance(alias := scope.get(word), types.GenericAlias):
        return _kinds(ast.parse(repr(alias), mode="eval").body, scope, booleans, complexes)
    found = scope.get(word.partition(".")[0])
    for part in word.split(".")[1:]:
        found = getattr(found, part, None)
    if isinstance(found, type) and not getattr(found, "_is_protocol", False) and found not in (object, Any):
        said = f"{'an' if word.rpartition('.')[2][0] in 'AEIOU' else 'a'} {word.rpartition('.')[2]}"
        return [_Kind(said, lambda value: value if isinstance(value, found) else _REFUSED)]
    return None


def _container(tree: ast.Subscript, scope: Mapping[str, Any], booleans: bool, complexes: bool) -> list[_Kind] | None:
    word = ast.unparse(tree.value).rpartition(".")[2]
    if word == "Callable":
        return [_SIMPLE["Callable"]]
    if word == "type":
        return [_Kind("a class", lambda value: value if isinstance(value, type) else _REFUSED)]
    if word not in _CONTAINERS:
        return _kinds(tree.value, scope, booleans, complexes)
    inner = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    if word in ("dict", "Mapping", "Iterable", "Iterator"):
        return [_sized(word, None)]
    if word == "tuple" and not (len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is Ellipsis):
        each = [_kinds(part, scope, booleans, complexes) for part in inner]
        return [_sized("tuple", None, each)]
    return [_sized(word, _kinds(inner[0], scope, booleans, complexes))]


def _sized(word: str, element: list[_Kind] | None, each: list[list[_Kind] | None] | None = None) -> _Kind:
    """A container whose elements are of a kind; ``each`` gives that of every place of a tuple."""
    what = _CONTAINERS[word]
    if element is not None:
        what = f"{what} of {' or '.join(kind.says.removeprefix('a ').removeprefix('an ') + 's' for kind in element)}"
    if each is not None:
        what = f"{what} of {len(each)}"

    def fits(value: Any, kinds: list[_Kind] | None) -> bool:
        return kinds is None or any(kind.take(value) is not _REFUSED for kind in kinds)

    def take(value: Any) -> Any:
        if isinstance(value, str | bytes | bytearray):
            return _REFUSED
        if word in ("dict", "Mapping"):
            return value if isinstance(value, Mapping) else _REFUSED
        if word in ("Iterable", "Iterator"):
            return value if isinstance(value, Iterable) and not isinstance(value, Mapping) else _REFUSED
        if isinstance(value, Mapping) or not (hasattr(value, "__len__") and hasattr(value, "__getitem__")):
            return _REFUSED
        if getattr(value, "shape", None) == ():
            return _REFUSED
        if hasattr(value, "detach") and (each is not None or element is not None and "tuple" in element[0].says):
            value = value.tolist()  # places are computed with by NumPy
        if each is not None:
            right = len(value) == len(each) and all(fits(*pair) for pair in zip(value, each, strict=True))
            return value if right else _REFUSED
        if element is not None and not all(fits(one, element) for one in value):
            return _REFUSED
        return (
            np.asarray(value, order="C") if isinstance(value, np.ndarray) else value
        )  # PyTorch takes no view backwards

    return _Kind(what, take)


def _take_numbers(value: Any, booleans: bool) -> Any:
    try:
        array = plain_array("", value, booleans=booleans)
    except ValueError:
        return _REFUSED
    if array.dtype.kind == "f" and np.isnan(array).any():
        return _REFUSED
    return value if isinstance(value, Real | Sequence) else np.asarray(array, order="C")


def _take_array(value: Any, complexes: bool) -> Any:
    if isinstance(value, bool | np.bool_):
        return _REFUSED
    if complexes and isinstance(value, np.ndarray) and np.iscomplexobj(value):
        return value
    try:
        array = plain_array("", value, booleans=True)
    except ValueError:
        return _REFUSED
    return _REFUSED if array.dtype.kind == "f" and np.isnan(array).any() else np.asarray(array, order="C")


def _take_tensor(value: Any, complexes: bool) -> Any:
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return _REFUSED
    return value if complexes or not value.is_complex() else _REFUSED


def _take_float(value: Any) -> Any:
    if isinstance(value, float):  # the quick way
        return value if value == value else _REFUSED
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value if value.ndim == 0 and not value.is_complex() and value.dtype != torch.bool else _REFUSED
    scalar = value.ndim == 0 and value.dtype.kind in "iuf" if isinstance(value, np.ndarray) else isinstance(value, Real)
    if not scalar or isinstance(value, bool | np.bool_) or value != value:
        return _REFUSED
    if isinstance(value, Integral):
        return value if -(2**63) <= int(value) < 2**63 else _REFUSED
    return float(value)  # an array without axes, a number of single precision


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


def _take_generator(check: Callable[[str, object], Any]) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        try:
            return check("", value)
        except ValueError:
            return _REFUSED

    return take


def _take_if(*kinds: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kinds) else _REFUSED


_SIMPLE = {
    "float": _Kind("a real number", _take_float),
    "int": _Kind(
        "a whole number",
        lambda value: value if _is_whole(value) and -(2**63) <= int(value) < 2**63 else _REFUSED,
    ),
    "bool": _Kind("True or False", _take_if(bool, np.bool_)),
    "str": _Kind("a string", _take_if(str)),
    "bytes": _Kind("bytes", _take_if(bytes, bytearray)),
    "Path": _Kind("a pathlib.Path", _take_if(Path)),
    "Callable": _Kind("callable", lambda value: value if callable(value) else _REFUSED),
    "random.Generator": _Kind(
        "a numpy.random.Generator, such as numpy.random.default_rng(0)", _take_if(np.random.Generator)
    ),
    "torch.Generator": _Kind(
        "a torch.Generator, such as torch.Generator().manual_seed(0)", _take_generator(torch_generator)
    ),
    "torch.device": _Kind("a torch device such as 'cpu' or 'cuda'", _take_generator(torch_device)),
}
#: What may hold several: name -> what it is called.
_CONTAINERS = {
    "Sequence": "a sequence",
    "list": "a list",
    "tuple": "a tuple",
    "Iterable": "an iterable",
    "Iterator": "an iterator",
    "Mapping": "a mapping",
    "dict": "a mapping",
}
