"""Quote a number of the run in the book's prose, so that nobody types a result."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping

from semcom_utils.checks import checked

__all__ = ["glue", "speak_utf8", "with_interval"]


@checked
def with_interval(interval: Mapping, form: str = ".2f", *, factor: float = 1.0, unit: str = "") -> str:
    """An estimate with its interval, as text.

    Parameters
    ----------
    interval : mapping
        With ``estimate``, ``low`` and ``high``, as :mod:`semcom_utils.statistics` returns them; where ``low`` is None
        the estimate stands alone.
    form : str
        Python's format of each number, such as ``.1f`` or ``+.2g``.
    factor : float
        What they are multiplied by, such as 100 for per cent.
    unit : str
        What stands behind the estimate.

    Returns
    -------
    str
        Such as "0.96 [0.95, 0.97]".

    Raises
    ------
    ValueError
        If an argument is not what it should be.

    Examples
    --------
    >>> with_interval({"estimate": 0.962, "low": 0.958, "high": 0.965}, ".1f", factor=100)
    '96.2 [95.8, 96.5]'
    """
    if not {"estimate", "low", "high"} <= set(interval):
        raise ValueError(f"interval must have an estimate, low and high, got {sorted(interval)}")
    try:
        format(1.0, form)
    except ValueError as error:
        raise ValueError(f"form must be a format of numbers, got {form!r}: {error}") from None
    estimate = format(factor * interval["estimate"], form)
    if interval["low"] is None:
        return estimate + unit
    low, high = factor * interval["low"], factor * interval["high"]
    return f"{estimate}{unit} [{low:{form}}, {high:{form}}]"


@checked
def glue(name: str, value: object) -> None:
    """Store ``value`` in the notebook under ``name``; the reader sees nothing, MyST's ``{glue:text}`` role finds it.

    It writes what ``myst_nb.glue`` writes, without importing Sphinx (which Colab lacks).

    Parameters
    ----------
    name : str
        The key, unique in the chapter, such as ``share-diffusion``.
    value : object
        A number, or text that is already formatted.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    from IPython.display import display

    display(
        {"application/papermill.record/text/plain": repr(value)},
        raw=True,
        metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
    )


def speak_utf8() -> None:
    """Let what is printed from here on be UTF-8, as the book's files are, whatever the console was set to.

    A console or a pipe in cp1252 or ASCII knows no Greek letter, and printing one would end in an error.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
