"""One house style for every plot of the book: white ground, readable on a phone, safe for colour-blind eyes."""

from __future__ import annotations

import matplotlib as mpl
from cycler import cycler

__all__ = ["COLOURS", "METHOD_STYLES", "use_house_style"]

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


def use_house_style() -> None:
    """Set matplotlib's defaults for the book: call once, in a chapter's first cell.

    Figures are 6.4 by 4 inches at 120 dpi on an opaque white ground (dark mode shows the page dark, the figure
    white), with text of at least 10 points so that a legend stays readable at a phone's width.
    """
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
