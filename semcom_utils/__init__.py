"""Thin utilities of the book: one package a level of the papers' own architecture, and one a paper.

Data walks through the levels in this order, once: :mod:`semcom_utils.semantic` decides what is sent,
:mod:`semcom_utils.physical` carries it, :mod:`semcom_utils.generation` makes content from what arrived,
:mod:`semcom_utils.effectiveness` tells how well that served, and :mod:`semcom_utils.control` sets the knobs.
:mod:`semcom_utils.toyworld` is the world that they are tried on. What is one paper's alone is in
:mod:`semcom_utils.papers`, under the paper's key; :mod:`semcom_utils.studies` runs its long runs and
:mod:`semcom_utils.ledger` judges its claims. ``tests/test_architecture.py`` says who may import whom.
"""

import warnings as _warnings
from pathlib import Path as _Path

from .paths import other_checkout as _other_checkout

__all__ = ["__version__"]

__version__ = "0.1.0"

_there = _other_checkout()
if _there is not None:
    _warnings.warn(
        f"this is the code of {_Path(__file__).resolve().parents[1]}, and you stand in another checkout, {_there}: a "
        "copied or moved .venv runs the code of the folder it was made in; `make book` there makes it its own",
        stacklevel=2,
    )
