"""A text-to-image pipeline taken apart for whoever wants to stop it halfway: its denoiser under fixed prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from semcom_utils.checks import real_number

from .samplers import guide
from .schedules import convert

__all__ = ["PromptedDenoiser"]

_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}


class PromptedDenoiser:
    """The noise that a latent diffusion model sees in latents, given prompts: ``epsilon(z, t)``.

    What :mod:`.samplers` and :mod:`.split` want of a denoiser, with classifier-free guidance (derived in
    ``notebooks/03_diffusion_models``). Latents are in the model's own scale, about unit variance.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionPipeline
        Of either tier.
    prompts : sequence of str
        One for each latent of a batch.
    guidance : float
        w; 1 asks the network once, anything else twice.
    unet : diffusers.UNet2DConditionModel, optional
        In place of the pipeline's own, as a receiver with a network of its own has.

    Attributes
    ----------
    alphas_cumprod : torch.Tensor
        ᾱ, ``[T]``, float64, on the CPU.
    shape : tuple of int
        Of one latent, ``(channels, rows, columns)``.
    """

    def __init__(self, pipeline: Any, prompts: Sequence[str], guidance: float = 3.0, unet: Any | None = None):
        if isinstance(prompts, str) or not prompts or not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError(f"prompts must be a sequence of strings, got {prompts!r}"[:300])
        self.pipeline, self.unet = pipeline, pipeline.unet if unet is None else unet
        self.guidance = real_number("guidance", guidance)
        self.alphas_cumprod = pipeline.scheduler.alphas_cumprod.double().cpu()
        self.prediction = _PREDICTIONS[pipeline.scheduler.config.prediction_type]
        side = self.unet.config.sample_size
        self.shape = (self.unet.config.in_channels, side, side)
        self.told, self.untold = self._embed(list(prompts)), self._embed([""])

    def __len__(self) -> int:
        return len(self.told)

    @torch.no_grad()
    def _embed(self, prompts: list[str]) -> torch.Tensor:
        tokens = self.pipeline.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return self.pipeline.text_encoder(tokens.to(self.unet.device)).last_hidden_state

    @torch.no_grad()
    def predict(self, z: torch.Tensor, t: float) -> torch.Tensor:
        """What the network says of latents ``[k · prompts, ...]``, k rounds of all prompts, in its own terms."""
        if z.ndim != 4 or tuple(z.shape[1:]) != self.shape or len(z) % len(self):
            raise ValueError(
                f"z must be [a multiple of {len(self)}, {', '.join(map(str, self.shape))}], got {tuple(z.shape)}"
            )
        x, y = z.to(self.unet.device, self.unet.dtype), self.told.repeat(len(z) // len(self), 1, 1)
        if self.guidance == 1:
            return self.unet(x, t, y).sample.to(z.dtype)
        both = self.unet(torch.cat([x, x]), t, torch.cat([self.untold.expand(len(z), -1, -1), y])).sample
        return guide(*both.to(z.device, z.dtype).chunk(2), self.guidance)

    def __call__(self, z: torch.Tensor, t: float) -> torch.Tensor:
        """Noise predicted in the states z of timestep t, fractional if need be."""
        # ᾱ between whole timesteps as in .split.level_at: linear
        low = int(t)
        high = min(low + 1, len(self.alphas_cumprod) - 1)
        level = float(torch.lerp(self.alphas_cumprod[low], self.alphas_cumprod[high], float(t) - low))
        return convert(self.predict(z, t), z, level, have=self.prediction, want="epsilon")

    def noise(self, generator: torch.Generator, rounds: int = 1) -> torch.Tensor:
        """Latents to start from, ``[rounds · prompts, ...]``, standard normal."""
        return torch.randn(rounds * len(self), *self.shape, generator=generator)

    @torch.no_grad()
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Pictures ``[batch, 3, rows, columns]`` in [0, 1] of clean latents; values beyond are cut, as in any file."""
        vae = self.pipeline.vae
        x = vae.decode((z / vae.config.scaling_factor).to(vae.device, vae.dtype)).sample
        return (x.float().cpu() / 2 + 0.5).clamp(0, 1)
