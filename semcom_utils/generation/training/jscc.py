"""Deep joint source-channel coding of toy-world pictures, over all SNRs and three channels at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from semcom_utils.paths import MODELS

from ..jscc import CHANNELS, DeepJscc
from .data import Scenes
from .loop import Recipe

__all__ = ["SNR_DB", "JsccRecipe"]

#: SNR of the channel in training, dB, drawn evenly.
SNR_DB = (-6.0, 24.0)


class JsccRecipe(Recipe[DeepJscc]):
    """Mean squared error after the channel (Bourtsoulatze et al., 2019), each picture at an SNR of its own.

    Half of the batches see noise alone, a quarter a gain for each picture, a quarter a gain for each symbol.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "jscc"
    steps = 4_000
    rate = 1e-3
    weight_decay = 0.0
    batch_size = 16
    targets = {"psnr_db_awgn_10": (24.0, np.inf), "gain_of_10_db": (2.0, np.inf)}
    about = (
        "deep joint source-channel coding (`semcom_utils.generation.jscc.DeepJscc`): pictures of 64x64 pixels to 512 "
        "complex channel symbols and back, told the SNR"
    )
    limits = (
        "It knows the toy world only, SNRs from -6 to 24 dB, and one bandwidth: 512 complex uses for 12,288 samples, "
        "1/24. It is trained for the mean squared error, so at low SNR it blurs."
    )
    samples = "pictures of `combinations`, and the same after AWGN at 20, 10 and 0 dB"
    meanings = {
        **{
            f"psnr_db_{channel.replace('-', '_')}_{snr_db}": (
                f"PSNR, dB, over {what} at {snr_db} dB (128 pictures, `combinations`)"
            )
            for channel, what in zip(
                CHANNELS,
                (
                    "AWGN",
                    "Rayleigh fading with one gain a picture, known to the receiver",
                    "Rayleigh fading with one gain a symbol, known to the receiver",
                ),
                strict=True,
            )
            for snr_db in (0, 10, 20)
        },
        "gain_of_10_db": "what 10 dB in place of 0 dB gains over AWGN, dB of PSNR",
    }

    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        self.scenes = Scenes("train", scenes, scratch)
        self.held_out = Scenes("combinations", 128, scratch)

    def build(self) -> DeepJscc:
        return DeepJscc()

    def loss(self, model: DeepJscc, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        chosen = np.sort(rng.integers(len(self.scenes), size=self.batch_size))
        x = torch.from_numpy(np.array(self.scenes.images[chosen])).float().to(device) / 255
        snr_db = torch.from_numpy(rng.uniform(*SNR_DB, size=len(x))).float().to(device)
        channel = CHANNELS[rng.choice(3, p=[0.5, 0.25, 0.25])]
        error = (model(x, snr_db, channel) - x).square().mean((1, 2, 3))
        # The root weighs high SNRs, whose errors are small, nearly as much as low ones.
        return (error + 1e-4).sqrt().mean()

    @torch.no_grad()
    def evaluate(self, model: DeepJscc, device: torch.device) -> dict[str, float]:
        x = torch.from_numpy(np.array(self.held_out.images)).float() / 255
        figures = {}
        for channel in CHANNELS:
            for snr_db in (0.0, 10.0, 20.0):
                back = model.send(x, snr_db, channel, generator=torch.Generator().manual_seed(int(snr_db)))
                psnr = (-10 * (back - x).square().mean((1, 2, 3)).log10()).mean()
                figures[f"psnr_db_{channel.replace('-', '_')}_{snr_db:g}"] = float(psnr)
        figures["gain_of_10_db"] = figures["psnr_db_awgn_10"] - figures["psnr_db_awgn_0"]
        return figures

    @torch.no_grad()
    def pictures(self, model: DeepJscc, device: torch.device) -> np.ndarray:
        x = torch.from_numpy(np.array(self.held_out.images[:10])).float() / 255
        rows = [model.send(x, snr, "awgn", generator=torch.Generator().manual_seed(0)) for snr in (20.0, 10.0, 0.0)]
        return torch.stack([x, *rows]).numpy()

    def save(self, model: DeepJscc, folder: Path) -> None:
        model.save(folder)

    def restore(self, folder: Path) -> DeepJscc:
        return DeepJscc.load(folder)
