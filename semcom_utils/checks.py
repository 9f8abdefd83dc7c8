"""What every door asks of its arguments: an error names the argument, the value and what was expected."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["finite_array", "numpy_generator", "one_of", "positive_integer", "real_number", "torch_generator"]

Choice = TypeVar("Choice")


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
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
    return known[known.index(value)]


def finite_array(
    name: str,
    value: object,
    *,
    last: int | None = None,
    low: float = -math.inf,
    low_open: bool = False,
    allow_inf: bool = False,
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

    Returns
    -------
    numpy.ndarray
        Of the shape of ``value``.

    Raises
    ------
    ValueError
        If ``value`` is no such array.
    """
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers, got {type(value).__name__}: {error}") from None
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
