"""The text-to-image latent diffusion model: a UNet and a text encoder, trained together on latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils import toyworld

from .data import Scenes
from .loop import Recipe
from .tokens import LENGTH, clip_tokenizer

__all__ = ["TextToImage", "encode_scenes"]

#: Side of a latent, and how many channels it has.
SIDE, CHANNELS = 8, 16
#: Share of the captions that are replaced by the empty one, for classifier-free guidance.
UNCONDITIONAL = 0.1


class Denoiser(torch.nn.Module):
    """The two networks that learn together."""

    def __init__(self, unet: torch.nn.Module, text_encoder: torch.nn.Module):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.unet(x_t, t, self.text_encoder(tokens).last_hidden_state).sample


class TextToImage(Recipe):
    """Predicts v = sqrt(ᾱ) ε − sqrt(1 − ᾱ) z₀ (Salimans and Ho, 2022) on a cosine schedule of 1,000 steps.

    ε alone is a poor target at high noise, where z₀ = (z_t − sqrt(1 − ᾱ) ε) / sqrt(ᾱ) magnifies every error of the
    network; v is well conditioned at both ends, and a short training has no time to spare.
    """

    role = "text-to-image"
    steps = 40_000
    rate = 1e-3
    weight_decay = 1e-3
    ema_decay = 0.999
    batch_size = 64
    targets = {"one_thing_right": (0.90, 1.0), "two_things_right": (0.75, 1.0)}

    def __init__(self, autoencoder: Path, scratch: Path | None = None, scenes: int = 60_000, judge: Path | None = None):
        from diffusers import AutoencoderKL

        self.autoencoder = AutoencoderKL.from_pretrained(autoencoder, dtype=torch.float32).eval()
        self.scale = self.autoencoder.config.scaling_factor
        self.tokenizer, self.judge = clip_tokenizer(), judge
        self.alpha_bar = self.scheduler().alphas_cumprod
        self.scenes = Scenes("train", scenes, scratch)
        self.mean, self.std = encode_scenes(self.autoencoder, self.scenes, scratch)

    def scheduler(self):
        """The noise schedule; its ``alphas_cumprod`` are ᾱ."""
        from diffusers import DDIMScheduler

        return DDIMScheduler(
            num_train_timesteps=1000,
            beta_schedule="squaredcos_cap_v2",
            prediction_type="v_prediction",
            clip_sample=False,
            timestep_spacing="trailing",
            steps_offset=1,
        )

    def build(self):
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
        """Token numbers [batch, LENGTH]."""
        return self.tokenizer(
            captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
        ).input_ids

    def loss(self, model, progress, rng, device):
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

    def pipeline(self, model: Denoiser):
        """The trained parts as a diffusers pipeline."""
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
        """Pictures [batch, 3, 64, 64] in [0, 1], in 20 steps with guidance."""
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

    def evaluate(self, model, device):
        if self.judge is None or not self.judge.exists():
            return {}
        from .detector import Judge

        judge, figures = Judge.load(self.judge), {}
        for split, name in (("combinations", ""), ("attributes", "_unseen_attributes")):
            for things, word in ((1, "one_thing"), (2, "two_things")):
                descriptions = [
                    toyworld.describe(seed, split, things=things, textured=0.0, inside=0.0)
                    for seed in range(10_000, 10_200)
                ]
                pictures = self.generate(model, [toyworld.caption(description) for description in descriptions], device)
                asked = [sorted(thing.label for thing in description.things) for description in descriptions]
                found = [sorted(label for label, _, _ in found) for found in judge(pictures)]
                figures[f"{word}_right{name}"] = float(np.mean([a == f for a, f in zip(asked, found, strict=True)]))
        return figures

    def pictures(self, model, device):
        captions = [
            toyworld.caption(toyworld.describe(seed, "combinations", things=things))
            for things in (1, 1, 2, 2, 3)
            for seed in range(10 * things, 10 * things + 10)
        ]
        return self.generate(model, captions, device).reshape(5, 10, 3, toyworld.SIZE, toyworld.SIZE)

    def save(self, model, folder):
        pipeline = self.pipeline(model)
        for part in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
            part.half()
        pipeline.save_pretrained(folder, safe_serialization=True)

    def restore(self, folder):
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel

        unet = UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
        return Denoiser(unet, CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32))


@torch.no_grad()
def encode_scenes(autoencoder: torch.nn.Module, scenes: Scenes, scratch: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every scene's latent, float16 [scenes, 16, 8, 8] each; kept on disk."""
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
