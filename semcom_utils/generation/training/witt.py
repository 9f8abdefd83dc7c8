"""WITT at two rates: a Swin transformer as joint source-channel code of toy-world pictures, over all SNRs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..witt import Witt
from .jscc import JointRecipe, figure_meanings

__all__ = ["WittHighRecipe", "WittLowRecipe"]

_CHANNELS = ("awgn", "rayleigh-block")


def _about(symbols: int) -> str:
    return (
        "WITT (Yang et al., 2023), a Swin transformer as joint source-channel code (`semcom_utils.generation.witt.Witt`"
        f"): pictures of 64x64 pixels to {symbols} complex channel symbols and back, told the SNR"
    )


def _limits(symbols: int) -> str:
    return (
        "It knows the toy world only, SNRs from -6 to 24 dB, AWGN and Rayleigh fading with one gain a picture that the "
        f"receiver knows, and one bandwidth: {symbols} complex uses for 12,288 samples, 1/{12_288 / symbols:g}. One "
        "network serves both channels, told which; its authors train one for each, with features 128 to 320 wide where "
        "these are 48 to 96 wide, and far longer. The convolutional code `jscc`, of as many parameters, learns faster. "
        "It is trained for the mean squared error, and blurs what it cannot send."
    )


class WittHighRecipe(JointRecipe[Witt]):
    """The higher rate: 768 complex uses a picture, a sixteenth of its samples, as WITT's own paper has it.

    Half of the batches see noise alone, half a gain for each picture.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "witt-high"
    symbols = 768
    channels = dict.fromkeys(_CHANNELS, 0.5)
    targets = {"psnr_db_awgn_10": (26.0, np.inf), "gain_of_10_db": (2.0, np.inf)}
    about, limits = _about(symbols), _limits(symbols)
    samples = "pictures of `combinations`, and the same after AWGN at 20, 10 and 0 dB"
    meanings = figure_meanings(_CHANNELS)

    def build(self) -> Witt:
        return Witt(self.symbols)

    def restore(self, folder: Path) -> Witt:
        return Witt.load(folder)


class WittLowRecipe(WittHighRecipe):
    """The lower rate: 64 complex uses a picture, which is near what a caption takes.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "witt-low"
    symbols = 64
    targets = {"psnr_db_awgn_10": (20.0, np.inf), "gain_of_10_db": (1.0, np.inf)}
    about, limits = _about(symbols), _limits(symbols)
