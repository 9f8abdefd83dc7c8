"""Learned joint source-channel coding of toy-world pictures, over all SNRs; here the convolutional code."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch

from semcom_utils.paths import MODELS

from ..jscc import CHANNELS, DeepJscc, JointCode
from .data import Scenes
from .loop import Recipe

__all__ = ["LOOKS_DB", "SNR_DB", "JointRecipe", "JsccRecipe", "figure_meanings", "weight"]

#: SNR of the channel in training, dB, drawn evenly.
SNR_DB = (-6.0, 24.0)
#: SNRs at which a code is measured, dB.
LOOKS_DB = (-6.0, 0.0, 6.0, 10.0, 12.0, 20.0)
#: Those of them that the card tells.
_CARD_DB = (0.0, 10.0, 20.0)
Code = TypeVar("Code", bound=JointCode)


def weight(snr_db: torch.Tensor) -> torch.Tensor:
    """What a picture's squared error counts in training: the root of 1 + snr.

    Errors at high SNR are small. With equal weights they would hardly be learned from.

    Parameters
    ----------
    snr_db : torch.Tensor
        Of any shape, dB.

    Returns
    -------
    torch.Tensor
        Of that shape.
    """
    return (1 + 10 ** (snr_db / 10)).sqrt()


class JointRecipe(Recipe[Code], Generic[Code]):
    """Mean squared error after the channel, each picture at an SNR of its own, each batch over one kind of channel.

    Within a batch the squared errors are weighed by :func:`weight`, so that the model is the best one for the mean
    squared error at each SNR, as far as its capacity allows.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).

    Attributes
    ----------
    batch_size : int
        Pictures of a batch.
    channels : dict of str to float
        Kind of channel -> share of the batches that are sent over it.
    """

    steps = 20_000
    rate = 1e-3
    weight_decay = 0.0
    batch_size = 128
    by_clock = True
    channels: dict[str, float]
    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        self.scenes = Scenes("train", scenes, scratch)
        self.held_out = Scenes("combinations", 128, scratch)
        self._stored: dict[torch.device, torch.Tensor] = {}

    def pictures_on(self, device: torch.device) -> torch.Tensor:
        """All pictures to learn from.

        Parameters
        ----------
        device : torch.device
            Where they are kept from now on.

        Returns
        -------
        torch.Tensor
            Uint8 ``[pictures, 3, 64, 64]``.
        """
        if device not in self._stored:
            self._stored[device] = torch.from_numpy(np.array(self.scenes.images)).to(device)
        return self._stored[device]

    def loss(self, model: Code, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        stored = self.pictures_on(device)
        x = stored[torch.randint(len(stored), (self.batch_size,), device=device)].float() / 255
        snr_db = torch.empty(len(x), device=device).uniform_(*SNR_DB)
        channel = str(rng.choice(list(self.channels), p=list(self.channels.values())))
        half = device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16) if half else contextlib.nullcontext():
            back = model(x, snr_db, channel)
        # Ten times: then the gradient is cut, at a norm of 1, in the first steps and where it jumps.
        return 10 * ((back - x).square().mean((1, 2, 3)) * weight(snr_db)).mean() / weight(snr_db).mean()

    def measure(
        self, model: Code, snrs_db: Sequence[float] = LOOKS_DB, pictures: np.ndarray | None = None
    ) -> dict[str, dict[str, dict[str, float]]]:
        """PSNR and SSIM over every kind of channel that the code is trained for.

        Parameters
        ----------
        model : JointCode
            In evaluation mode.
        snrs_db : sequence of float
            Es/N0 per complex channel use, dB.
        pictures : numpy.ndarray, optional
            Uint8 ``[pictures, 3, 64, 64]``; by default those held out.

        Returns
        -------
        dict
            Channel -> SNR in dB (as text) -> ``psnr_db``, the mean of the pictures' PSNR, ``psnr_of_mean_db``, that of
            their mean squared error, and ``ssim``, the mean.
        """
        from skimage.metrics import structural_similarity

        x = torch.from_numpy(np.array(self.held_out.images if pictures is None else pictures)).float() / 255
        seen: dict[str, dict[str, dict[str, float]]] = {}
        for channel in self.channels:
            seen[channel] = {}
            for number, snr_db in enumerate(snrs_db):
                draws = torch.Generator().manual_seed(1_000 + number)
                back = model.send(x, snr_db, channel, generator=draws)
                error = (back - x).square().mean((1, 2, 3)).clamp(min=1e-10)
                ssim = [
                    structural_similarity(one, other, channel_axis=0, data_range=1.0)
                    for one, other in zip(x.numpy(), back.numpy(), strict=True)
                ]
                seen[channel][f"{snr_db:g}"] = {
                    "psnr_db": float((-10 * error.log10()).mean()),
                    "psnr_of_mean_db": float(-10 * error.mean().log10()),
                    "ssim": float(np.mean(ssim)),
                }
        return seen

    @torch.no_grad()
    def evaluate(self, model: Code, device: torch.device) -> dict[str, float]:
        seen = self.measure(model, _CARD_DB)
        figures = {
            f"{metric}_{channel.replace('-', '_')}_{snr_db}": values[metric]
            for metric in ("psnr_db", "ssim")
            for channel, rows in seen.items()
            for snr_db, values in rows.items()
        }
        figures["gain_of_10_db"] = figures["psnr_db_awgn_10"] - figures["psnr_db_awgn_0"]
        return figures

    @torch.no_grad()
    def pictures(self, model: Code, device: torch.device) -> np.ndarray:
        x = torch.from_numpy(np.array(self.held_out.images[:10])).float() / 255
        rows = [model.send(x, snr, "awgn", generator=torch.Generator().manual_seed(0)) for snr in (20.0, 10.0, 0.0)]
        return torch.stack([x, *rows]).numpy()

    def save(self, model: Code, folder: Path) -> None:
        model.save(folder)


def figure_meanings(channels: Sequence[str]) -> dict[str, str]:
    """What the figures of ``JointRecipe.evaluate`` are, for the card.

    Parameters
    ----------
    channels : sequence of str
        Of the recipe.

    Returns
    -------
    dict of str to str
    """
    over = {
        "awgn": "AWGN",
        "rayleigh-block": "Rayleigh fading with one gain a picture, known to the receiver",
        "rayleigh-fast": "Rayleigh fading with one gain a symbol, known to the receiver",
    }
    return {
        **{
            f"{metric}_{channel.replace('-', '_')}_{snr_db}": (
                f"{name} over {over[channel]} at {snr_db} dB (mean of 128 pictures, `combinations`)"
            )
            for metric, name in (("psnr_db", "PSNR, dB,"), ("ssim", "SSIM"))
            for channel in channels
            for snr_db in map("{:g}".format, _CARD_DB)
        },
        "gain_of_10_db": "what 10 dB in place of 0 dB gains over AWGN, dB of PSNR",
    }


class JsccRecipe(JointRecipe[DeepJscc]):
    """The convolutional code (Bourtsoulatze et al., 2019) over three kinds of channel.

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
    channels = dict(zip(CHANNELS, (0.5, 0.25, 0.25), strict=True))
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
    meanings = figure_meanings(CHANNELS)

    def build(self) -> DeepJscc:
        return DeepJscc()

    def restore(self, folder: Path) -> DeepJscc:
        return DeepJscc.load(folder)
