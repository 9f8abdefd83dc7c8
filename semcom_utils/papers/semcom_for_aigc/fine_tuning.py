"""Fine-tuning parameters as a message (Liu et al., 2023, section III): what low-rank ones keep, and what they cost.

A customer wants pictures in a style of its own, which no caption mentions: everything wears white dots. The model that
both ends hold paints plain things. Sender and receiver could share a fine-tuned copy of it, or low-rank changes of some
of its matrices (LoRA: Hu et al., 2021, by peft), or send pictures and no model at all.

The style was chosen before any low-rank run, by two questions: does a short full fine-tuning gain clearly, and can the
autoencoder carry it? Colours that their kind never had were no task, since the model paints them already; darkness, and
scenes upside down, its decoder spoils. White marks it has seen, if not on everything.

All fine-tunings take the same number of steps. The learning rate of each comes from ``adapter_rates``, where each had
the same number of tries on scenes and a seed of their own.
"""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.checks import checked, one_of, positive_integer
from semcom_utils.generation import Judge, load
from semcom_utils.studies import load_result
from semcom_utils.toyworld import Description, Texture

__all__ = [
    "LEARNERS",
    "RATES",
    "PAINTED",
    "PRECISIONS",
    "STEPS",
    "adapted",
    "adapters_run",
    "denoising_loss",
    "dotted",
    "fine_tune",
    "in_style",
    "latents",
    "parameters_of",
    "randomised",
    "rates_run",
    "rounded",
    "sent_parameters",
]

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
#: Learner -> rank and the layers whose matrices change (those of attention); the full one changes all of the UNet.
LEARNERS: dict[str, tuple[int, tuple[str, ...]] | None] = {
    "full": None,
    "rank-1": (1, ATTENTION),
    "rank-4": (4, ATTENTION),
    "rank-16": (16, ATTENTION),
}
#: Learning rates that are tried: as many for each.
RATES = {name: (3e-4, 1e-3, 3e-3) if name == "full" else (3e-3, 1e-2, 3e-2) for name in LEARNERS}
STEPS, BATCH = 60, 16
#: Pictures that the customer has; held-out scenes for the loss; and how many of them are painted and judged.
TRAINED, HELD_OUT, PAINTED = 200, 48, 12
#: Ways to write a number of an adapter: name -> bits.
PRECISIONS = {"float16": 16, "int8": 8, "int4": 4}
#: From this brightness of the darkest colour on a pixel is a mark; from this share on of a picture's things, it is in
#: style. Of 120 held-out scenes all are below as they are (robots alone, with their visors, come up to it), and all
#: above with dots.
BRIGHT, MARKED = 0.6, 0.08
GUIDANCE, DENOISING = 3.0, 20
#: First of the seeds of the scenes of a task; the tries of a rate have their own.
TRAIN_FROM, HELD_FROM, TRIES = 3_000_000, 4_000_000, 999


@checked
def dotted(description: Description) -> Description:
    """A scene in the customer's style.

    Parameters
    ----------
    description : Description
        Of a scene.

    Returns
    -------
    Description
        The same, every thing with white dots.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    return replace(description, things=tuple(replace(thing, texture=Texture("dotted")) for thing in description.things))


@lru_cache(maxsize=1)
def _models() -> dict[str, Any]:
    models = {role: load(role, device="cpu") for role in ("text-to-image", "segmentation")}
    models["judge"] = Judge(load("detector", device="cpu"))
    return models


@checked
def latents(first: int, count: int, split: str) -> dict[str, Any]:
    """Scenes in style, as the fine-tuning takes them.

    Parameters
    ----------
    first, count : int
        Seeds of the scenes.
    split : str
        Of the toy world.

    Returns
    -------
    dict
        ``captions``, which do not mention the style, and ``labels`` of the things; ``images``, float
        ``[count, 3, 64, 64]`` in [0, 1]; ``mean`` and ``std`` of the latents, ``[count, 16, 8, 8]``; ``said``, the
        captions' embedding, ``[count, 24, 128]``.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    positive_integer("first", first, low=0), positive_integer("count", count)
    one_of("split", split, toyworld.SPLITS)
    pipeline = _models()["text-to-image"]
    scenes = [toyworld.describe(first + k, split, textured=0.0, inside=0.0) for k in range(count)]
    images = torch.tensor(np.stack([toyworld.render(dotted(scene)).image for scene in scenes]), dtype=torch.float32)
    captions = [toyworld.caption(scene) for scene in scenes]
    tokens = pipeline.tokenizer(
        captions, padding="max_length", max_length=pipeline.tokenizer.model_max_length, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        told = [pipeline.vae.encode(2 * part - 1).latent_dist for part in images.split(32)]
        said = pipeline.text_encoder(tokens).last_hidden_state
    scale = pipeline.vae.config.scaling_factor
    return {
        "captions": captions,
        "labels": [[thing.label for thing in scene.things] for scene in scenes],
        "images": images,
        "mean": scale * torch.cat([one.mean for one in told]),
        "std": scale * torch.cat([one.std for one in told]),
        "said": said,
    }


@lru_cache(maxsize=2)
def _scenes(seed: int) -> tuple[dict, dict]:
    """What a seed learns from, and what it is measured on: other scenes, of combinations that training never had."""
    return (
        latents(TRAIN_FROM + 1000 * seed, TRAINED, "train"),
        latents(HELD_FROM + 1000 * seed, HELD_OUT, "combinations"),
    )


@checked
def adapted(unet: torch.nn.Module, learner: str, seed: int) -> torch.nn.Module:
    """A copy of a UNet of which the learner's parameters, and no others, learn; it paints as the original does.

    Parameters
    ----------
    unet : torch.nn.Module
        A ``diffusers.UNet2DConditionModel``; it stays as it is.
    learner : str
        Key of :data:`LEARNERS`.
    seed : int
        Of the low-rank matrices' first half, which is random; the other half is zero.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If there is no such learner.
    """
    told = LEARNERS[one_of("learner", learner, LEARNERS)]
    ours = copy.deepcopy(unet).requires_grad_(told is None)
    if told is not None:
        from peft import LoraConfig

        rank, layers = told
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            # the library's types do not know add_adapter of this mixin
            ours.add_adapter(  # type: ignore[operator]
                LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers), init_lora_weights="gaussian")
            )
    return ours


@checked
def sent_parameters(unet: torch.nn.Module) -> list[torch.nn.Parameter]:
    """What of a copy has to be sent: the parameters that learn.

    Parameters
    ----------
    unet : torch.nn.Module
        Of :func:`adapted`.

    Returns
    -------
    list of torch.nn.Parameter

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    return [weights for weights in unet.parameters() if weights.requires_grad]


@checked
def parameters_of(learner: str) -> int:
    """How many numbers a learner's message has.

    Parameters
    ----------
    learner : str
        Key of :data:`LEARNERS`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no such learner.
    """
    unet = adapted(_models()["text-to-image"].unet, learner, 0)
    return sum(weights.numel() for weights in sent_parameters(unet))


def _v_loss(
    unet: torch.nn.Module, z_0: torch.Tensor, said: torch.Tensor, t: torch.Tensor, epsilon: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of v = √ᾱ ε − √(1 − ᾱ) z₀, the target that the model was trained on."""
    alpha_bar = _models()["text-to-image"].scheduler.alphas_cumprod[t][:, None, None, None]
    signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    found = unet(signal * z_0 + noise * epsilon, t, said).sample
    return (found - (signal * epsilon - noise * z_0)).square().mean()


@checked
def fine_tune(unet: torch.nn.Module, scenes: dict, rate: float, seed: int, steps: int = STEPS) -> torch.nn.Module:
    """Teach a copy the scenes' style; the learning rate rises over 10 steps and falls over the second half.

    Parameters
    ----------
    unet : torch.nn.Module
        Of :func:`adapted`; it is changed.
    scenes : dict
        Of :func:`latents`.
    rate : float
        Highest learning rate of AdamW.
    seed : int
        Of the batches, their noise and timesteps.
    steps : int
        How many, of ``BATCH`` latents each.

    Returns
    -------
    torch.nn.Module
        The copy, in evaluation mode.

    Raises
    ------
    ValueError
        If ``steps`` is no positive integer.
    """
    _are_latents(scenes)
    draws, learned = torch.Generator().manual_seed(seed), sent_parameters(unet)
    optimiser = torch.optim.AdamW(learned, lr=rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    unet.train()
    for step in range(positive_integer("steps", steps)):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 10, 2 * (steps - step) / steps)
        chosen = torch.randint(len(scenes["mean"]), (BATCH,), generator=draws)
        mean, std = scenes["mean"][chosen], scenes["std"][chosen]
        z_0 = mean + std * torch.randn(mean.shape, generator=draws)
        t, epsilon = torch.randint(1000, (BATCH,), generator=draws), torch.randn(mean.shape, generator=draws)
        optimiser.zero_grad()
        _v_loss(unet, z_0, scenes["said"][chosen], t, epsilon).backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
    return unet.eval()


def _are_latents(scenes: dict) -> None:
    if lacks := {"mean", "std", "said"} - scenes.keys():
        raise ValueError(f"scenes must be what latents() gives, got none of {sorted(lacks)[0]!r}")


@torch.no_grad()
@checked
def denoising_loss(unet: torch.nn.Module, scenes: dict, rounds: int = 4) -> float:
    """How well a network denoises scenes: the same latents, noise and timesteps for every network.

    Parameters
    ----------
    unet : torch.nn.Module
        In evaluation mode.
    scenes : dict
        Of :func:`latents`.
    rounds : int
        How often each scene is noised; the timesteps of all are spread evenly.

    Returns
    -------
    float
        Mean squared error of v.

    Raises
    ------
    ValueError
        If ``rounds`` is no positive integer.
    """
    _are_latents(scenes)
    draws, count = torch.Generator().manual_seed(0), len(scenes["mean"])
    losses = []
    for k in range(positive_integer("rounds", rounds)):
        z_0 = scenes["mean"] + scenes["std"] * torch.randn(scenes["mean"].shape, generator=draws)
        epsilon = torch.randn(z_0.shape, generator=draws)
        t = ((torch.arange(count) + (k + 0.5) / rounds) * 1000 / count).long()
        losses.append(float(_v_loss(unet, z_0, scenes["said"], t, epsilon)))
    return float(np.mean(losses))


@torch.no_grad()
@checked
def rounded(unet: torch.nn.Module, bits: int) -> torch.nn.Module:
    """A copy whose sent parameters have the precision in which they are sent.

    Parameters
    ----------
    unet : torch.nn.Module
        Of :func:`adapted`.
    bits : int
        16 is float16; fewer are whole multiples of a step that each tensor has of its own.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    ours = copy.deepcopy(unet)
    for weights in sent_parameters(ours):
        if bits == 16:
            weights.copy_(weights.half().float())
        else:
            step = weights.abs().max() / (2 ** (bits - 1) - 1)
            weights.copy_(torch.round(weights / step.clamp_min(1e-20)) * step)
    return ours


@torch.no_grad()
@checked
def randomised(unet: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The control: a copy whose sent parameters are random, each tensor with its own norm.

    Parameters
    ----------
    unet : torch.nn.Module
        Of :func:`adapted`, after the training.
    seed : int
        Of the numbers.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    draws, ours = torch.Generator().manual_seed(seed), copy.deepcopy(unet)
    for weights in sent_parameters(ours):
        random = torch.randn(weights.shape, generator=draws)
        weights.copy_(random * weights.norm() / random.norm())
    return ours


@checked
def in_style(images: torch.Tensor) -> np.ndarray:
    """Whether pictures are dotted: white marks on at least ``MARKED`` of what mini-segmentation takes for things.

    Parameters
    ----------
    images : torch.Tensor
        ``[batch, 3, 64, 64]`` in [0, 1].

    Returns
    -------
    numpy.ndarray
        Bool ``[batch]``; a picture without things is not.

    Raises
    ------
    ValueError
        If an argument is not of its kind.
    """
    things = _models()["segmentation"](images) >= 2
    marks = (images.amin(1) > BRIGHT) & things
    return (marks.sum((1, 2)) > MARKED * things.sum((1, 2))).numpy()


@torch.no_grad()
def _paint(unet: torch.nn.Module, captions: list[str], seed: int) -> torch.Tensor:
    pipeline = _models()["text-to-image"]
    own, pipeline.unet = pipeline.unet, unet
    try:
        made = pipeline(
            captions,
            num_inference_steps=DENOISING,
            guidance_scale=GUIDANCE,
            output_type="np",
            generator=torch.Generator().manual_seed(seed),
        ).images
    finally:
        pipeline.unet = own
    return torch.from_numpy(made.transpose(0, 3, 1, 2).copy())


def _judged(images: torch.Tensor, labels: list[list[str]]) -> dict[str, str]:
    """For each picture 1 or 0: in style; the things that were asked for."""
    told = {"style": in_style(images), "right": _models()["judge"].right(images, labels)}
    return {name: "".join(str(int(hit)) for hit in hits) for name, hits in told.items()}


def rates_run(task: dict) -> dict:
    """A learner at a learning rate, on scenes of its own.

    Parameters
    ----------
    task : dict
        ``learner``, ``rate``; ``steps`` in place of ``STEPS``.

    Returns
    -------
    dict
        ``loss`` on scenes that it did not learn from.
    """
    torch.set_num_threads(1)
    learned, held = _scenes(TRIES)
    unet = adapted(_models()["text-to-image"].unet, task["learner"], TRIES)
    fine_tune(unet, learned, task["rate"], TRIES, task["steps"])
    return {"loss": round(denoising_loss(unet, held), 6)}


@lru_cache(maxsize=1)
def _best_rates() -> dict[str, float]:
    return load_result("semcom_for_aigc/adapter_rates")["summary"]["best"]


def adapters_run(task: dict) -> dict:
    """One fine-tuning and what it makes of held-out scenes; or, of the learner ``none``, the model as it is.

    Parameters
    ----------
    task : dict
        ``seed``, ``learner``, ``steps``, ``painted``: how many pictures.

    Returns
    -------
    dict
        ``loss``, ``style`` and ``right`` (a digit a picture), all with the parameters as float16; ``parameters``, how
        many are sent; ``coarse``, losses at fewer bits, and ``random``, that of the control, for low-rank learners; of
        ``none``, ``truth``, the same judgements of the scenes' own pictures, and what else could be sent: ``jpeg`` and
        ``caption``, mean bits of a picture and of its caption.
    """
    torch.set_num_threads(1)
    seed, learner = task["seed"], task["learner"]
    learned, held = _scenes(seed)
    captions, labels = held["captions"][: task["painted"]], held["labels"][: task["painted"]]
    unet = _models()["text-to-image"].unet
    record: dict[str, Any] = {"parameters": 0}
    if learner == "none":
        own = held["images"][: task["painted"]]
        record["truth"] = _judged(own, labels)
        record |= {"jpeg": _jpeg_bits(own), "caption": float(np.mean([8 * len(text.encode()) for text in captions]))}
    else:
        unet = fine_tune(adapted(unet, learner, seed), learned, _best_rates()[learner], seed, task["steps"])
        record["parameters"] = sum(weights.numel() for weights in sent_parameters(unet))
        if learner != "full":
            record["random"] = round(denoising_loss(randomised(unet, seed), held), 6)
            coarse = {name: bits for name, bits in PRECISIONS.items() if bits < 16}
            record["coarse"] = {
                name: round(denoising_loss(rounded(unet, bits), held), 6) for name, bits in coarse.items()
            }
        unet = rounded(unet, 16)
    record["loss"] = round(denoising_loss(unet, held), 6)
    return record | _judged(_paint(unet, captions, seed).clamp(0, 1), labels)


def _jpeg_bits(images: torch.Tensor, quality: int = 50) -> float:
    from PIL import Image

    sizes = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray((255 * image.permute(1, 2, 0)).round().byte().numpy()).save(
            buffer, "JPEG", quality=quality, optimize=True
        )
        sizes.append(8 * len(buffer.getvalue()))
    return float(np.mean(sizes))
