"""Deep joint source-channel coding of toy-world pictures, over all SNRs and three channels at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..jscc import CHANNELS, DeepJscc
from .data import Scenes
from .loop import Recipe

__all__ = ["SNR_DB", "Jscc"]

#: SNR of the channel in training, dB, drawn evenly.
SNR_DB = (-6.0, 24.0)


class Jscc(Recipe):
    """Mean squared error after the channel (Bourtsoulatze et al., 2019), each picture at an SNR of its own.

    Half of the batches see noise alone, a quarter a gain for each picture, a quarter a gain for each symbol.
    """

    role = "jscc"
    steps = 4_000
    rate = 1e-3
    weight_decay = 0.0
    batch_size = 16
    targets = {"psnr_db_awgn_10": (24.0, np.inf), "gain_of_10_db": (2.0, np.inf)}

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000):
        self.scenes = Scenes("train", scenes, scratch)
        self.held_out = Scenes("combinations", 128, scratch)

    def build(self):
        return DeepJscc()

    def loss(self, model, progress, rng, device):
        chosen = np.sort(rng.integers(len(self.scenes), size=self.batch_size))
        x = torch.from_numpy(np.array(self.scenes.images[chosen])).float().to(device) / 255
        snr_db = torch.from_numpy(rng.uniform(*SNR_DB, size=len(x))).float().to(device)
        channel = CHANNELS[rng.choice(3, p=[0.5, 0.25, 0.25])]
        error = (model(x, snr_db, channel) - x).square().mean((1, 2, 3))
        # The root weighs high SNRs, whose errors are small, nearly as much as low ones.
        return (error + 1e-4).sqrt().mean()

    @torch.no_grad()
    def evaluate(self, model, device):
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
    def pictures(self, model, device):
        x = torch.from_numpy(np.array(self.held_out.images[:10])).float() / 255
        rows = [model.send(x, snr, "awgn", generator=torch.Generator().manual_seed(0)) for snr in (20.0, 10.0, 0.0)]
        return torch.stack([x, *rows]).numpy()

    def save(self, model, folder):
        model.save(folder)

    def restore(self, folder):
        return DeepJscc.load(folder)
