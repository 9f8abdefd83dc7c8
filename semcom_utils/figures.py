"""One house style for every plot of the book: white ground, readable on a phone, safe for colour-blind eyes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from cycler import cycler

from semcom_utils.checks import checked

__all__ = ["COLOURS", "METHOD_STYLES", "error_bars", "use_house_style"]

#: Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart under the common colour-vision deficiencies.
COLOURS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#777777",
}
_LINES = ["-", "--", "-.", ":", (0, (3, 1, 1, 1)), (0, (5, 1))]
_NAMES = ["blue", "vermilion", "green", "orange", "purple", "sky"]

#: A method keeps its colour and line through all chapters.
METHOD_STYLES = {
    "optimum": {"color": COLOURS["black"], "linestyle": "-"},
    "diffusion": {"color": COLOURS["blue"], "linestyle": "-"},
    "mlp": {"color": COLOURS["sky"], "linestyle": "--"},
    "ppo": {"color": COLOURS["vermilion"], "linestyle": "-."},
    "sac": {"color": COLOURS["green"], "linestyle": (0, (5, 1))},
    "equal": {"color": COLOURS["purple"], "linestyle": ":"},
    "separate": {"color": COLOURS["grey"], "linestyle": ":"},
}

#: Backends of matplotlib that draw for files alone.
_WINDOWLESS = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


@checked
def error_bars(intervals: Mapping | Sequence[Mapping]) -> np.ndarray:
    """Lengths of the error bars that show some intervals, for matplotlib's ``xerr`` or ``yerr``.

    Parameters
    ----------
    intervals : mapping or sequence of mapping
        Each with ``estimate``, ``low`` and ``high``, as :mod:`semcom_utils.statistics` returns them. One without an
        interval (``low`` is None) gets no bar.

    Returns
    -------
    numpy.ndarray, ``[2, intervals]``
        From the estimate down and up. An estimate that rounding left just outside its interval has a bar of length 0
        there, for matplotlib refuses negative ones.

    Raises
    ------
    ValueError
        If an estimate lies farther outside its interval.

    Examples
    --------
    >>> error_bars([{"estimate": 2.0, "low": 1.5, "high": 4.0}])
    array([[0.5],
           [2. ]])
    """
    bars = []
    for interval in [intervals] if isinstance(intervals, Mapping) else intervals:
        if not {"estimate", "low", "high"} <= set(interval):
            raise ValueError(f"intervals must have an estimate, low and high, got {sorted(interval)}")
        estimate = interval["estimate"]
        low, high = (estimate if interval[end] is None else interval[end] for end in ("low", "high"))
        slack = 1e-9 * max(abs(low), abs(high), high - low)
        if not low - slack <= estimate <= high + slack:
            raise ValueError(f"intervals must hold their estimates, got {estimate} outside [{low}, {high}]")
        bars.append((max(estimate - low, 0.0), max(high - estimate, 0.0)))
    return np.array(bars).reshape(-1, 2).T


def use_house_style() -> None:
    """Set matplotlib's defaults for the book, whatever a settings file says: call once, in a chapter's first cell.

    In a notebook whose surroundings chose a backend without a window (``MPLBACKEND=Agg``), figures go into the notebook
    all the same.

    Figures are 6.4 by 4 inches at 120 dpi on an opaque white ground (dark mode shows the page dark, the figure
    white), with text of at least 10 points so that a legend stays readable at a phone's width.
    """
    mpl.rcdefaults()  # TeX or a font that is not here, set in somebody's matplotlibrc, would fail or look otherwise
    ask = sys.modules.get("IPython")
    shell = ask.get_ipython() if ask is not None else None
    if shell is not None and hasattr(shell, "kernel") and mpl.get_backend().lower() in _WINDOWLESS:
        shell.run_line_magic("matplotlib", "inline")
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 4.0),
            "figure.dpi": 120,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.transparent": False,
            "axes.facecolor": "white",
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=[COLOURS[n] for n in _NAMES]) + cycler(linestyle=_LINES),
            "grid.alpha": 0.3,
            "font.size": 11,
            "axes.labelsize": 11,
            "legend.fontsize": 10,
            "legend.framealpha": 0.9,
            "lines.linewidth": 1.8,
            "svg.hashsalt": "semcom",
        }
    )
