"""The receiver's network of split denoising: the text-to-image UNet, fine-tuned on latents with channel noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.paths import MODELS

from .data import Scenes
from .text_to_image import Denoiser, TextToImageRecipe, encode_scenes

__all__ = ["ReceiverRecipe"]

#: SNR of the channel in training, dB, drawn evenly (Cheng et al., 2023, section V-A).
SNR_DB = (-6.0, 15.0)


class ReceiverRecipe(TextToImageRecipe):
    """Fine-tunes the UNet on z = sqrt(ᾱ_t) z₀ + sqrt(V_t) η with V_t = 1 − ᾱ_t + excess, as section III-C has it.

    The network sees z and t, and is not told the SNR, as in the paper's eq. (8). A latent is sent at a timestep
    t' ≥ t with noise σ²; by t, (1 − ᾱ_t) / (1 − ᾱ_t') of it is left (see
    :func:`semcom_utils.generation.split.receive`). Its output is v at the level ᾱ_t / (1 + excess), which z has once
    it is rescaled; the sampler, which knows the SNR, turns v into η.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads: mini-autoencoder and mini-text-to-image.
    """

    role = "receiver"
    steps = 1200
    rate = 5e-4
    targets = {"error_over_resume": (0.0, 0.5)}
    about = (
        "the UNet of mini-text-to-image (`diffusers.UNet2DConditionModel`), fine-tuned on latents with channel noise"
    )
    limits = (
        "It knows noise of channels between -6 and 15 dB; it expects the text encoder of mini-text-to-image as it is."
    )
    stands_on = "mini-text-to-image, whose UNet it starts from and whose text encoder it keeps, and mini-autoencoder"
    made = samples = ""
    meanings = {
        "error_tuned": "mean squared error of the estimated latent (640 scenes, `combinations`)",
        "error_matched": "the same for mini-text-to-image told a matching later timestep",
        "error_resume": "the same for mini-text-to-image told nothing of the channel's noise",
        "error_over_resume": "`error_tuned` over `error_resume`",
    }

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        super().__init__(scratch, scenes, models)
        self.text_to_image = models / "mini-text-to-image"

    def build(self) -> Denoiser:
        model = TextToImageRecipe.restore(self, self.text_to_image)
        model.text_encoder.requires_grad_(False)
        return model

    def draw(self, count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw timesteps, and what is left at them of noise that the channel added at a noisier one.

        Parameters
        ----------
        count : int
            How many.
        rng : numpy.random.Generator
            Draws timesteps and SNRs.

        Returns
        -------
        t, level, excess : torch.Tensor
            Timesteps, their ᾱ, and the variance of the channel's noise that is left at them, each ``[count]``.
        """
        alpha_bar = self.alpha_bar.double()
        t = torch.from_numpy(rng.integers(len(alpha_bar), size=count))
        sent = torch.from_numpy(rng.integers(t.numpy(), len(alpha_bar)))
        sigma2 = torch.from_numpy(10 ** (-rng.uniform(*SNR_DB, size=count) / 10))
        return t, alpha_bar[t], sigma2 * (1 - alpha_bar[t]) / (1 - alpha_bar[sent])

    def noised(self, z_0: torch.Tensor, level: torch.Tensor, excess: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The state z that the network sees, and the velocity that it is to say.

        Parameters
        ----------
        z_0 : torch.Tensor
            Clean latents, ``[batch, channels, rows, columns]``.
        level, excess : torch.Tensor
            As from :meth:`draw`, ``[batch]``.

        Returns
        -------
        z, v : torch.Tensor
            Of the shape of ``z_0``.
        """
        level, excess = (part[:, None, None, None].to(z_0) for part in (level, excess))
        eta = torch.randn(z_0.shape).to(z_0.device)
        z = level.sqrt() * z_0 + (1 - level + excess).sqrt() * eta
        matched = level / (1 + excess)
        return z, matched.sqrt() * eta - (1 - matched).sqrt() * z_0

    def loss(self, model: Denoiser, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        chosen = rng.integers(len(self.scenes), size=self.batch_size)
        captions = [
            "" if rng.random() < 0.1 else toyworld.paraphrase(self.scenes.description(index), rng) for index in chosen
        ]
        mean, std = (torch.from_numpy(array[chosen]).float() * self.scale for array in (self.mean, self.std))
        t, level, excess = self.draw(len(chosen), rng)
        z, v = self.noised((mean + std * torch.randn(mean.shape)).to(device), level, excess)
        return (model(z, t.to(device), self.tokens(captions).to(device)) - v).square().mean()

    @torch.no_grad()
    def evaluate(self, model: Denoiser, device: torch.device) -> dict[str, float]:
        # mean squared error of z₀ on held-out scenes: this network, the map to a later timestep, and neither
        scenes = Scenes("combinations", 640)
        mean, _ = encode_scenes(self.autoencoder, scenes, None)
        plain, rng = self.build().to(device).eval(), np.random.default_rng(0)
        torch.manual_seed(0)
        errors: dict[str, list[torch.Tensor]] = {"tuned": [], "matched": [], "resume": []}
        for start in range(0, len(scenes), self.batch_size):
            rows = range(start, min(start + self.batch_size, len(scenes)))
            z_0 = torch.from_numpy(mean[rows.start : rows.stop]).float() * self.scale
            y = self.tokens([toyworld.caption(scenes.description(index)) for index in rows])
            t, level, excess = self.draw(len(z_0), rng)
            z, _ = self.noised(z_0, level, excess)
            level, wide = (part[:, None, None, None].float() for part in (level, 1 + excess))
            matched = level / wide
            later = torch.from_numpy(np.interp(-matched.flatten().numpy(), -self.alpha_bar.numpy(), np.arange(1000)))
            for name, network, state, time, at in (
                ("tuned", model, z, t, matched),
                ("matched", plain, z / wide.sqrt(), later, matched),
                ("resume", plain, z, t, level),
            ):
                v = network(state.to(device), time.to(device), y.to(device)).cpu()
                x = z if name == "resume" else z / wide.sqrt()
                errors[name].append((at.sqrt() * x - (1 - at).sqrt() * v - z_0).square().mean((1, 2, 3)))
        figures = {f"error_{name}": float(torch.cat(parts).mean()) for name, parts in errors.items()}
        return figures | {"error_over_resume": figures["error_tuned"] / figures["error_resume"]}

    def pictures(self, model: Denoiser, device: torch.device) -> None:
        return None

    def save(self, model: Denoiser, folder: Path) -> None:
        model.unet.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> Denoiser:
        from diffusers import UNet2DConditionModel

        model = self.build()
        return Denoiser(UNet2DConditionModel.from_pretrained(folder, dtype=torch.float32), model.text_encoder)
