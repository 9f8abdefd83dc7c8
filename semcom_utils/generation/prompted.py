"""A text-to-image pipeline taken apart for whoever wants to stop it halfway: its denoiser under fixed prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from semcom_utils.checks import checked, positive_integer, real_number, torch_generator

from .samplers import guide
from .schedules import convert
from .split import level_at

__all__ = ["PromptedDenoiser"]

_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}


class PromptedDenoiser:
    """The noise that a latent diffusion model sees in latents, given prompts: ``epsilon(z, t)``.

    What :mod:`.samplers` and :mod:`.split` want of a denoiser, with classifier-free guidance (derived in
    ``notebooks/03_diffusion_models``). Latents are in the model's own scale, about unit variance. They may lie on any
    device and have any precision: they are taken to the network's, and results come back on theirs.

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
    alpha_bar : torch.Tensor
        ᾱ, ``[T]``, float64, on the CPU.
    shape : tuple of int
        Of one latent, ``(channels, rows, columns)``.

    Raises
    ------
    ValueError
        If ``prompts`` is no sequence of strings, or ``guidance`` no finite number.
    """

    @checked
    def __init__(self, pipeline: Any, prompts: Sequence[str], guidance: float = 3.0, unet: Any | None = None) -> None:
        parts = ("unet", "vae", "tokenizer", "text_encoder", "scheduler")
        if isinstance(pipeline, type) or not all(hasattr(pipeline, part) for part in parts):
            raise ValueError(f"pipeline must be a text-to-image pipeline of diffusers, got {pipeline!r:.80}")
        if unet is not None and not hasattr(unet, "config"):
            raise ValueError(f"unet must be a network of diffusers, or None, got {unet!r:.80}")
        if isinstance(prompts, str) or not len(prompts) or not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError(f"prompts must be a sequence of strings, got {prompts!r}"[:300])
        self.pipeline, self.unet = pipeline, pipeline.unet if unet is None else unet
        self.guidance = real_number("guidance", guidance)
        self.alpha_bar = pipeline.scheduler.alphas_cumprod.double().cpu()
        self.prediction = _PREDICTIONS[pipeline.scheduler.config.prediction_type]
        side = self.unet.config.sample_size
        self.shape = (self.unet.config.in_channels, side, side)
        self.told, self.untold = self._embed(list(prompts)), self._embed([""])

    def __len__(self) -> int:
        return len(self.told)

    @torch.no_grad()
    def _embed(self, prompts: list[str]) -> torch.Tensor:
        tokens = self.pipeline.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        encoder = self.pipeline.text_encoder
        return encoder(tokens.to(encoder.device)).last_hidden_state.to(self.unet.device)

    @torch.no_grad()
    @checked
    def predict(self, z: torch.Tensor, t: float) -> torch.Tensor:
        """What the network says of latents, in its own terms (noise, clean latent or velocity), with guidance.

        Parameters
        ----------
        z : torch.Tensor
            Latents ``[k · prompts, channels, rows, columns]``, k rounds of all prompts, on any device.
        t : float
            Timestep in [0, T − 1], fractional if need be.

        Returns
        -------
        torch.Tensor
            Of the shape and precision of ``z``, on its device.

        Raises
        ------
        ValueError
            If ``z`` has another shape.
        """
        real_number("t", t, low=0, high=len(self.alpha_bar) - 1)
        if z.ndim != 4 or tuple(z.shape[1:]) != self.shape or not len(z) or len(z) % len(self):
            raise ValueError(
                f"z must be [a multiple of {len(self)}, {', '.join(map(str, self.shape))}], got {tuple(z.shape)}"
            )
        x, y = z.to(self.unet.device, self.unet.dtype), self.told.repeat(len(z) // len(self), 1, 1)
        if self.guidance == 1:
            return self.unet(x, t, y).sample.to(z.device, z.dtype)
        both = self.unet(torch.cat([x, x]), t, torch.cat([self.untold.expand(len(z), -1, -1), y])).sample
        untold, told = both.to(z.device, z.dtype).chunk(2)
        return guide(untold, told, self.guidance)

    @checked
    def __call__(self, z: torch.Tensor, t: float) -> torch.Tensor:
        """Noise predicted in states ``[k · prompts, ...]`` of timestep t, fractional if need be; as :meth:`predict`."""
        level = level_at(self.alpha_bar, real_number("t", t, low=0, high=len(self.alpha_bar) - 1))
        return convert(self.predict(z, t), z, level, have=self.prediction, want="epsilon")

    @checked
    def noise(self, generator: torch.Generator, rounds: int = 1) -> torch.Tensor:
        """Latents to start from, standard normal.

        Parameters
        ----------
        generator : torch.Generator
            Draws them, on its own device: one on the CPU gives the same latents whatever the model computes on.
        rounds : int
            How many for each prompt.

        Returns
        -------
        torch.Tensor
            ``[rounds · prompts, channels, rows, columns]``, float32.

        Raises
        ------
        ValueError
            If ``generator`` is none, or ``rounds`` no positive integer.
        """
        shape = (positive_integer("rounds", rounds) * len(self), *self.shape)
        device = torch_generator("generator", generator).device
        return torch.randn(shape, generator=generator, device=device)

    @torch.no_grad()
    @checked(shapes={"z": "batch+ channels+ rows+ columns+"})
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Pictures of clean latents; values beyond [0, 1] are cut, as in any file.

        Parameters
        ----------
        z : torch.Tensor
            ``[batch, channels, rows, columns]``, on any device.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, rows, columns]`` in [0, 1], float32, on the device of ``z``.

        Raises
        ------
        ValueError
            If an argument is not what it should be.
        """
        vae = self.pipeline.vae
        x = vae.decode((z / vae.config.scaling_factor).to(vae.device, vae.dtype)).sample
        return (x.float().to(z.device) / 2 + 0.5).clamp(0, 1)
