"""The autoencoder: pictures [batch, 3, 64, 64] to latents [batch, 16, 8, 8] and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from skimage.color import rgb2hsv

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.paths import MODELS

from .data import Scenes
from .loop import Recipe

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

__all__ = ["AutoencoderRecipe", "hue_error"]


class AutoencoderRecipe(Recipe["AutoencoderKL"]):
    """A variational autoencoder whose evidence bound assumes pixel noise of variance ``pixel_variance``.

    The bound weighs distortion against the latents' information, so each latent channel's aggregate stays near N(0, 1),
    which is what the diffusion model and the analog channel want. Two thirds of the run sees crops of 32x32 around
    things, four for the price of a picture; the rest sees whole pictures, whose group-norm statistics differ.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "autoencoder"
    steps = 6000
    rate = 1.5e-3
    weight_decay = 0.0
    pixel_variance = 3e-4
    targets = {"psnr_db": (30.0, np.inf), "hue_error_degrees": (0.0, 5.0)}
    about = "an autoencoder (`diffusers.AutoencoderKL`) between pictures of 3x64x64 numbers and latents of 16x8x8"
    limits = "It knows the toy world only. Outside of it, colours and fine structure are lost."
    samples = "pictures of `combinations` above, the same after encoding and decoding below"
    meanings = {
        "psnr_db": "PSNR after encoding and decoding, dB, mean of 256 pictures (`combinations`)",
        "psnr_db_lowest": "the lowest of them",
        "hue_error_degrees": "mean error of hue on coloured pixels of things, degrees",
        "latent_mean": "mean of the latents, before `scaling_factor`",
        "latent_std": "their standard deviation",
        "latent_std_lowest_channel": "that of the channel where it is lowest",
        "latent_std_highest_channel": "that of the channel where it is highest",
    }

    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 30_000, models: Path = MODELS) -> None:
        self.scenes = Scenes("train", scenes, scratch)
        self.held_out = Scenes("combinations", 256, scratch)

    def build(self) -> AutoencoderKL:
        from diffusers import AutoencoderKL

        return AutoencoderKL(
            in_channels=3,
            out_channels=3,
            sample_size=toyworld.SIZE,
            latent_channels=16,
            block_out_channels=(24, 48, 96, 96),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=8,
            mid_block_add_attention=False,
            scaling_factor=1.0,
        )

    def batch(self, progress: float, rng: np.random.Generator) -> torch.Tensor:
        """Pictures to learn from: 32 crops of 32x32 around things, in the last third of a run 8 whole ones.

        Parameters
        ----------
        progress : float
            Share of the run that is done, in [0, 1).
        rng : numpy.random.Generator
            Chooses scenes and crops.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, rows, columns]`` in [-1, 1].
        """
        whole = progress > 2 / 3
        chosen = rng.integers(len(self.scenes), size=8 if whole else 32)
        images = self.scenes.images[np.sort(chosen)]
        if not whole:
            crops = []
            for index, image in zip(np.sort(chosen), images, strict=True):
                things = self.scenes.description(index).things
                thing = things[rng.integers(len(things))]
                centre = np.array([thing.y - 0.45 * thing.scale, thing.x]) + rng.uniform(-12, 12, 2)
                row, column = np.clip(np.round(centre - 16), 0, 32).astype(int)
                crops.append(image[:, row : row + 32, column : column + 32])
            images = np.stack(crops)
        return torch.from_numpy(np.ascontiguousarray(images)).float() / 127.5 - 1

    def loss(
        self, model: AutoencoderKL, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        x = self.batch(progress, rng).to(device)
        posterior = model.encode(x).latent_dist
        x_hat = model.decode(posterior.sample()).sample
        # In [-1, 1] a variance is four times that in [0, 1].
        distortion = (x_hat - x).square().mean() / (2 * 4 * self.pixel_variance)
        return distortion + posterior.kl().sum() / x.numel()

    @torch.no_grad()
    def evaluate(self, model: AutoencoderKL, device: torch.device) -> dict[str, float]:
        x = torch.from_numpy(np.array(self.held_out.images)).float() / 255
        latents = model.encode((x * 2 - 1).to(device)).latent_dist.sample(torch.Generator(device).manual_seed(0))
        x_hat = (model.decode(latents).sample.cpu() / 2 + 0.5).clamp(0, 1)
        psnr = -10 * torch.log10((x_hat - x).square().mean((1, 2, 3)))
        masks = np.stack([self.held_out.scene(index).instances > 0 for index in range(len(self.held_out))])
        return {
            "psnr_db": float(psnr.mean()),
            "psnr_db_lowest": float(psnr.min()),
            "hue_error_degrees": hue_error(x.numpy(), x_hat.numpy(), masks),
            "latent_mean": float(latents.mean()),
            "latent_std": float(latents.std()),
            "latent_std_lowest_channel": float(latents.std((0, 2, 3)).min()),
            "latent_std_highest_channel": float(latents.std((0, 2, 3)).max()),
        }

    @torch.no_grad()
    def pictures(self, model: AutoencoderKL, device: torch.device) -> np.ndarray:
        x = torch.from_numpy(np.array(self.held_out.images[:10])).float() / 255
        x_hat = (model.decode(model.encode((x * 2 - 1).to(device)).latent_dist.mean).sample.cpu() / 2 + 0.5).clamp(0, 1)
        return np.stack([x.numpy(), x_hat.numpy()])

    @torch.no_grad()
    def save(self, model: AutoencoderKL, folder: Path) -> None:
        # The pipelines multiply latents by this factor, after which their variance is one.
        x = torch.from_numpy(np.array(self.held_out.images)).to(next(model.parameters())) / 127.5 - 1
        latents = model.encode(x).latent_dist.sample(torch.Generator().manual_seed(0))
        model.register_to_config(scaling_factor=round(1 / float(latents.std()), 4))
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> AutoencoderKL:
        from diffusers import AutoencoderKL

        return AutoencoderKL.from_pretrained(folder, dtype=torch.float32)


@checked
def hue_error(images: np.ndarray, others: np.ndarray, masks: np.ndarray) -> float:
    """Mean difference of hue over the coloured pixels of things, in degrees.

    Parameters
    ----------
    images, others : numpy.ndarray
        [batch, 3, rows, columns] in [0, 1].
    masks : numpy.ndarray
        Bool [batch, rows, columns]: where the things are. Pixels with a saturation below 0.3 in ``images`` have no hue
        to speak of and are left out.

    Returns
    -------
    float
        0 to 180.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    hsv, other = rgb2hsv(images, channel_axis=1), rgb2hsv(others, channel_axis=1)
    coloured = masks & (hsv[:, 1] > 0.3) & (hsv[:, 2] > 0.2)
    difference = np.abs(hsv[:, 0] - other[:, 0])[coloured]
    return float(360 * np.minimum(difference, 1 - difference).mean())
