"""Thin utilities of the book, one package per level of the papers' own architecture.

Data walks through them in this order, once: :mod:`semcom_utils.semantic` decides what is sent,
:mod:`semcom_utils.physical` carries it, :mod:`semcom_utils.generation` makes content from what
arrived, :mod:`semcom_utils.effectiveness` tells how well that served, and
:mod:`semcom_utils.control` sets the knobs.
"""

__version__ = "0.1.0"
