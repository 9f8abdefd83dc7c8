"""How a paper's package names a study without importing it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Entry"]


class Entry(NamedTuple):
    """A study in a package's ``STUDIES``: the ``module`` of that package that defines it, and what it is ``about``."""

    module: str
    about: str
