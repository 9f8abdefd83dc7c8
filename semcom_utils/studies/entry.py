"""How a paper's package names a study without importing it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Entry"]


class Entry(NamedTuple):
    """A study in a package's ``STUDIES``.

    Attributes
    ----------
    module : str
        The module of that package that defines it.
    about : str
        What it is about, in one sentence.
    """

    module: str
    about: str
