"""The text-to-image latent diffusion model: a UNet and a text encoder, trained together on latents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.paths import MODELS

from ..judging import Judge
from ..loading import load
from .data import Scenes
from .loop import Recipe
from .tokens import LENGTH, clip_tokenizer

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

__all__ = ["Denoiser", "LockedDenoiser", "TextToImageRecipe", "encode_scenes"]

#: Side of a latent, and how many channels it has.
SIDE, CHANNELS = 8, 16
#: Share of the captions that are replaced by the empty one, for classifier-free guidance.
UNCONDITIONAL = 0.1


class Denoiser(torch.nn.Module):
    """The two networks that learn together.

    Parameters
    ----------
    unet : diffusers.UNet2DConditionModel
        Predicts v.
    text_encoder : transformers.CLIPTextModel
        Reads the captions.
    """

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Predict v.

        Parameters
        ----------
        x_t : torch.Tensor
            Noised latents, ``[batch, channels, rows, columns]``.
        t : torch.Tensor
            Timesteps, ``[batch]``.
        tokens : torch.Tensor
            Token numbers of the captions, ``[batch, LENGTH]``.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.
        """
        return self.unet(x_t, t, self.text_encoder(tokens).last_hidden_state).sample


class LockedDenoiser(Denoiser):
    """Two networks that stay as they are, for a subclass that trains something in them.

    They are held, not registered: the optimiser, the average of the weights, the stored state and the count of
    parameters see what the subclass registers, and nothing else.

    Parameters
    ----------
    unet : diffusers.UNet2DConditionModel
        Predicts v.
    text_encoder : transformers.CLIPTextModel
        Reads the captions.
    """

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        torch.nn.Module.__init__(self)
        held = {"unet": unet.requires_grad_(False), "text_encoder": text_encoder.requires_grad_(False)}
        self.__dict__.update(held)  # past the module's own __setattr__, which would register them

    def _apply(self, fn: Any, recurse: bool = True) -> LockedDenoiser:
        for network in (self.unet, self.text_encoder):  # devices and memory formats are for all of it
            network._apply(fn)
        return self


class TextToImageRecipe(Recipe[Denoiser]):
    """Predicts v = sqrt(ᾱ) ε − sqrt(1 − ᾱ) z₀ (Salimans and Ho, 2022) on a cosine schedule of 1,000 steps.

    ε alone is a poor target at high noise, where z₀ = (z_t − sqrt(1 − ᾱ) ε) / sqrt(ᾱ) magnifies every error of the
    network; v is well conditioned at both ends, and a short training has no time to spare.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads: mini-autoencoder and, to judge its pictures, mini-detector.
    """

    role = "text-to-image"
    steps = 40_000
    rate = 1e-3
    weight_decay = 1e-3
    ema_decay = 0.999
    batch_size = 64
    targets = {"one_thing_right": (0.90, 1.0), "two_things_right": (0.75, 1.0)}
    about = (
        "a text-to-image latent diffusion model (`diffusers.StableDiffusionPipeline`: a UNet that predicts v, a "
        "text encoder trained with it, mini-autoencoder, DDIM) that makes pictures of 64x64 pixels"
    )
    limits = (
        "It understands the words of the toy world's grammar only, up to three things on one ground. Colours that a"
        " kind never had in training come out worse than known ones, and patterns are often blurred."
    )
    stands_on = "mini-autoencoder, whose weights stay as they are (linked from this folder, not counted above)"
    made = "Pictures are made in 20 steps with guidance 3."
    samples = (
        "pictures made from captions of `combinations`, of one thing (two rows, the same captions with other "
        "noise), two things (likewise) and three"
    )
    meanings = {
        "one_thing_right": (
            "share of pictures of one thing where mini-detector finds just what the caption asked for (200)"
        ),
        "two_things_right": "the same for two things",
        "one_thing_right_unseen_attributes": "one thing, in a colour that its kind never had (`attributes`, 200)",
        "two_things_right_unseen_attributes": "two things, at least one in such a colour (`attributes`, 200)",
    }

    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        from diffusers import AutoencoderKL

        self.autoencoder = AutoencoderKL.from_pretrained(models / "mini-autoencoder", dtype=torch.float32).eval()
        self.scale = self.autoencoder.config.scaling_factor
        self.tokenizer, self.judge = clip_tokenizer(), models / "mini-detector"
        self.alpha_bar = self.scheduler().alphas_cumprod
        self.scenes = Scenes("train", scenes, scratch)
        self.mean, self.std = encode_scenes(self.autoencoder, self.scenes, scratch)

    def scheduler(self) -> Any:
        """The noise schedule; its ``alphas_cumprod`` are ᾱ.

        Returns
        -------
        diffusers.DDIMScheduler
            A cosine of 1,000 steps, for a network that predicts v.
        """
        from diffusers import DDIMScheduler

        return DDIMScheduler(
            num_train_timesteps=1000,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            clip_sample=False,
            timestep_spacing="trailing",
            steps_offset=1,
        )

    def build(self) -> Denoiser:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextConfig, CLIPTextModel

        width = 128
        end = self.tokenizer.eos_token_id
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(self.tokenizer),
                hidden_size=width,
                intermediate_size=4 * width,
                projection_dim=width,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=LENGTH,
                bos_token_id=end - 1,
                eos_token_id=end,
                pad_token_id=end,
            )
        )
        unet = UNet2DConditionModel(
            sample_size=SIDE,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            block_out_channels=(64, 128),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2,
            cross_attention_dim=width,
            attention_head_dim=(2, 4),
            norm_num_groups=16,
        )
        return Denoiser(unet, text_encoder)

    def tokens(self, captions: list[str]) -> torch.Tensor:
        """Token numbers of captions.

        Parameters
        ----------
        captions : list of str
            In the grammar of the toy world; what exceeds the length is cut off.

        Returns
        -------
        torch.Tensor
            Int64 ``[batch, LENGTH]``, padded.
        """
        return self.tokenizer(
            captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
        ).input_ids

    def loss(self, model: Denoiser, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        chosen = rng.integers(len(self.scenes), size=self.batch_size)
        captions = [
            "" if rng.random() < UNCONDITIONAL else toyworld.paraphrase(self.scenes.description(index), rng)
            for index in chosen
        ]
        mean, std = (torch.from_numpy(array[chosen]).float() * self.scale for array in (self.mean, self.std))
        z_0 = (mean + std * torch.randn(mean.shape)).to(device)
        alpha_bar = self.alpha_bar.to(device)
        t = torch.from_numpy(rng.integers(len(alpha_bar), size=len(chosen))).to(device)
        signal, noise = (root[:, None, None, None] for root in (alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()))
        epsilon = torch.randn(z_0.shape).to(device)
        v = signal * epsilon - noise * z_0
        return (model(signal * z_0 + noise * epsilon, t, self.tokens(captions).to(device)) - v).square().mean()

    def pipeline(self, model: Denoiser) -> Any:
        """The trained parts as a diffusers pipeline.

        Parameters
        ----------
        model : Denoiser
            The two networks.

        Returns
        -------
        diffusers.StableDiffusionPipeline
            Without a safety checker.
        """
        from diffusers import StableDiffusionPipeline

        pipeline = StableDiffusionPipeline(
            vae=self.autoencoder,
            text_encoder=model.text_encoder,
            tokenizer=self.tokenizer,
            unet=model.unet,
            scheduler=self.scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @torch.no_grad()
    def generate(self, model: Denoiser, captions: list[str], device: torch.device, seed: int = 0) -> np.ndarray:
        """Draw pictures in 20 steps with guidance 3.

        Parameters
        ----------
        model : Denoiser
            The two networks.
        captions : list of str
            One a picture.
        device : torch.device
            Where to compute.
        seed : int
            Of the noise.

        Returns
        -------
        numpy.ndarray
            ``[batch, 3, 64, 64]`` in [0, 1].
        """
        pipeline = self.pipeline(model).to(device)
        pictures = []
        for start in range(0, len(captions), 100):
            images = pipeline(
                captions[start : start + 100],
                num_inference_steps=20,
                guidance_scale=3.0,
                output_type="np",
                generator=torch.Generator().manual_seed(seed + start),
                height=toyworld.SIZE,
                width=toyworld.SIZE,
            ).images
            pictures.append(images.transpose(0, 3, 1, 2))
        return np.concatenate(pictures)

    def evaluate(self, model: Denoiser, device: torch.device) -> dict[str, float]:
        if not self.judge.is_dir():
            return {}
        judge, figures = Judge(load("detector", folder=self.judge, device=device)), {}
        for split, name in (("combinations", ""), ("attributes", "_unseen_attributes")):
            for things, word in ((1, "one_thing"), (2, "two_things")):
                descriptions = [
                    toyworld.describe(seed, split, things=things, textured=0.0, inside=0.0)
                    for seed in range(10_000, 10_200)
                ]
                pictures = self.generate(model, [toyworld.caption(description) for description in descriptions], device)
                asked = [[thing.label for thing in description.things] for description in descriptions]
                figures[f"{word}_right{name}"] = float(judge.right(pictures, asked).mean())
        return figures

    def pictures(self, model: Denoiser, device: torch.device) -> np.ndarray | None:
        captions = [
            toyworld.caption(toyworld.describe(seed, "combinations", things=things))
            for things in (1, 1, 2, 2, 3)
            for seed in range(10 * things, 10 * things + 10)
        ]
        return self.generate(model, captions, device).reshape(5, 10, 3, toyworld.SIZE, toyworld.SIZE)

    def save(self, model: Denoiser, folder: Path) -> None:
        pipeline = self.pipeline(model)
        for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
            part.half()
        pipeline.save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> Denoiser:
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel

        unet = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
        return Denoiser(unet, CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32))


@torch.no_grad()
@checked
def encode_scenes(autoencoder: AutoencoderKL, scenes: Scenes, scratch: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Encode every scene's picture; what comes out is kept on disk.

    Parameters
    ----------
    autoencoder : diffusers.AutoencoderKL
        On whatever device.
    scenes : Scenes
        What to encode.
    scratch : pathlib.Path or None
        Where to keep the latents; nowhere if None.

    Returns
    -------
    mean, std : numpy.ndarray
        Of each latent, float16 ``[scenes, 16, 8, 8]``.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    first = next(autoencoder.parameters())
    key = f"latents-{scenes.split}-{len(scenes)}-{float(sum(p.double().sum() for p in autoencoder.parameters())):.6f}"
    kept = None if scratch is None else Path(scratch) / f"{key}.npz"
    if kept is not None and kept.exists():
        with np.load(kept) as arrays:
            return arrays["mean"], arrays["std"]
    mean, std = (np.empty((len(scenes), CHANNELS, SIDE, SIDE), np.float16) for _ in range(2))
    for start in tqdm(range(0, len(scenes), 64), desc="encoding", mininterval=5):
        x = torch.from_numpy(np.array(scenes.images[start : start + 64])).to(first.device, first.dtype) / 127.5 - 1
        posterior = autoencoder.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist
        mean[start : start + 64], std[start : start + 64] = posterior.mean.cpu().half(), posterior.std.cpu().half()
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, mean=mean, std=std)
    return mean, std
