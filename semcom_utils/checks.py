"""What every door asks of its arguments: an error names the argument, the value and what was expected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np

__all__ = ["finite_array", "one_of", "positive_integer", "real_number"]


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
    """Return ``value`` as a float, or raise ``ValueError`` if it is no real number in the interval from low to high."""
    interval = f"{'(' if low_open else '['}{low:g}, {high:g}{')' if high_open else ']'}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real | np.ndarray) or np.ndim(value) != 0:
        raise ValueError(f"{name} must be a real number in {interval}, got {value!r}")
    number = float(value)
    below = number <= low if low_open else number < low
    above = number >= high if high_open else number > high
    if math.isnan(number) or (math.isinf(number) and not allow_inf) or below or above:
        raise ValueError(f"{name} must be a {'' if allow_inf else 'finite '}real number in {interval}, got {value!r}")
    return number


def positive_integer(name: str, value: object, *, low: int = 1) -> int:
    """Return ``value`` as an int, or raise ``ValueError`` if it is no whole number of at least ``low``."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)


def one_of(name: str, value: object, choices: Iterable) -> object:
    """Return ``value`` if it is one of ``choices``, or raise ``ValueError`` that lists them."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def finite_array(
    name: str,
    value: object,
    *,
    last: int | None = None,
    low: float = -math.inf,
    low_open: bool = False,
    allow_inf: bool = False,
) -> np.ndarray:
    """Return ``value`` as a float array, or raise ``ValueError``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array_like
        What was passed.
    last : int, optional
        The length that the last axis must have.
    low : float
        Every element is at least this (above it, if ``low_open``).
    allow_inf : bool
        Whether +inf is a legal element; NaN never is.
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
