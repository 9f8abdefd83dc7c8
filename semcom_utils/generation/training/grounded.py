"""Grounding: layers that put named things where their boxes are, added to the text-to-image model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils import toyworld
from semcom_utils.paths import MODELS

from ..eight_bits import from_eight_bits, to_eight_bits
from ..grounding import WINDOW, Grounded, gated_unet, gates, new_layers, phrase_features, picture_latents
from ..identity import windows
from ..judging import Detection, Judge, box_overlap
from ..loading import load
from .data import Scenes, to_bytes
from .detector import LABELS
from .subject_autoencoder import MARKS, coloured_description, coloured_scene, with_decoder
from .text_to_image import Denoiser, LockedDenoiser, TextToImageRecipe

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

__all__ = [
    "MAX_BOXES",
    "GroundedRecipe",
    "NewLayers",
    "StoredPictures",
    "coverage",
    "draw",
    "exchanged",
    "held_out",
    "mixtures",
    "obedience",
    "outlined",
    "scene_boxes",
    "stored_picture",
    "stored_scene",
    "subject_drawings",
]

#: Boxes of a picture: a scene of the toy world has at most three things.
MAX_BOXES = 3
#: Share of the pictures that are learnt without caption, and without boxes (Li et al., 2023, drop boxes in 10%).
NO_CAPTION, NO_BOXES = 0.15, 0.1
#: Of a batch, the share of scenes whose things have a stored picture; of these things, how many are told without their
#: label, and how many without their picture; of these scenes, how many are told without a caption.
STORED, NO_LABEL, NO_PICTURE, NO_WORDS = 0.5, 0.3, 0.1, 0.5
#: Weight of the help with where to look, at the start.
HELP = 10.0
#: Where the gates' numbers start; the layers behind them start with an output of zero. So the network starts as the
#: plain one, and what the layers learn arrives undiminished. (From 0, gates alone get a gradient in the first step, and
#: at the layers' rate they grow by a thousandth a step; users of the source's code report gates that stayed too small.)
FIRST_GATE = 1.0
#: Share of the sampling steps in which the gates are on, and the timestep from which on they are trained. Where things
#: stand is settled at high noise, but the pattern of an individual only at the end.
SHARE, FIRST_TIME = 1.0, 0


class NewLayers(LockedDenoiser):
    """The layers that are trained, in networks that stay as they are.

    Parameters
    ----------
    unet : diffusers.UNet2DConditionModel
        With gated self-attention.
    text_encoder : transformers.CLIPTextModel
        Reads the captions.
    """

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__(unet, text_encoder)
        self.layers = torch.nn.ModuleDict(new_layers(unet)).requires_grad_(True)

    def forward(
        self, x_t: torch.Tensor, t: torch.Tensor, tokens: torch.Tensor, grounding: dict[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Predict v.

        Parameters
        ----------
        x_t : torch.Tensor
            Noised latents, ``[batch, channels, rows, columns]``.
        t : torch.Tensor
            Timesteps, ``[batch]``.
        tokens : torch.Tensor
            Token numbers of the captions, ``[batch, LENGTH]``.
        grounding : dict of str to torch.Tensor, optional
            What :meth:`GroundedRecipe.grounding` makes.

        Returns
        -------
        torch.Tensor
            Of the shape of ``x_t``.
        """
        with torch.no_grad():
            words = self.text_encoder(tokens).last_hidden_state
        told = None if grounding is None else {"gligen": grounding}
        return self.unet(x_t, t, words, cross_attention_kwargs=told).sample


@contextmanager
def mixtures(unet: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects what each gate's attention mixes for every place, before it is projected.

    Parameters
    ----------
    unet : torch.nn.Module
        With gated self-attention.

    Yields
    ------
    list of torch.Tensor
        For each gate that has computed, ``[batch, places + tokens, width]``.
    """
    seen: list[torch.Tensor] = []
    handles = [
        gate.attn.to_out[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
        for gate in gates(unet)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def coverage(boxes: torch.Tensor, side: int) -> torch.Tensor:
    """Share of each cell of a grid that each box covers.

    Parameters
    ----------
    boxes : torch.Tensor
        [batch, boxes, 4]: left, top, right, bottom in [0, 1].
    side : int
        Rows and columns of the grid.

    Returns
    -------
    torch.Tensor
        [batch, boxes, side, side] in [0, 1].
    """
    low = torch.arange(side, device=boxes.device) / side
    high = low + 1 / side
    across, down = (
        (torch.minimum(boxes[..., end, None], high) - torch.maximum(boxes[..., start, None], low)).clamp(min=0)
        for start, end in ((0, 2), (1, 3))
    )
    return down[..., :, None] * across[..., None, :] * side**2


#: What the help tells of a thing, each a number that is 0 or 1: colour, kind and, of one with a stored picture, pattern
#: and colour of the marks.
TOLD = (*toyworld.COLOURS, *toyworld.KINDS, *toyworld.PATTERNS, *(f"marks {name}" for name in MARKS))


@lru_cache
def _readout(width: int) -> torch.Tensor:
    """Fixed directions of ``width`` numbers, orthonormal: one for each of :data:`TOLD`."""
    draws = torch.Generator().manual_seed(width)
    return torch.linalg.qr(torch.randn(width, len(TOLD), generator=draws))[0]


@cache
def _told_of(description: toyworld.Description) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the things' labels [3], and of :data:`TOLD` what a label tells and what a picture adds [3, told]."""
    numbers = np.zeros(MAX_BOXES, np.int64)
    label, individual = np.zeros((2, MAX_BOXES, len(TOLD)), np.float32)
    names = {colour: name for name, colour in MARKS.items()}
    for place, thing in enumerate(description.things):
        numbers[place] = LABELS.index(thing.label)
        label[place, [TOLD.index(thing.colour), TOLD.index(thing.kind)]] = 1
        if thing.texture is not None and thing.texture.colour in names:
            marks = [thing.texture.pattern, f"marks {names[thing.texture.colour]}"]
            individual[place, [TOLD.index(what) for what in marks]] = 1
    return numbers, label, individual


class StoredPictures:
    """Scenes of patterned things, with another picture of each thing.

    The patterns' marks have any colour; none is a subject's (:func:`.subject_autoencoder.coloured_scene`).

    Parameters
    ----------
    count : int
        How many scenes.
    autoencoder : diffusers.AutoencoderKL
        What latents are of.
    scratch : pathlib.Path, optional
        Where what was rendered is kept; in memory alone if None.

    Attributes
    ----------
    mean, std : torch.Tensor
        Latents of the scenes, before scaling, ``[count, 16, 8, 8]``.
    boxes : numpy.ndarray
        Float32 ``[count, 3, 4]``: left, top, right, bottom as shares of the picture; NaN where no thing is seen.
    stored : torch.Tensor
        Latents of the things' other pictures, scaled, ``[count, 3, 16, 4, 4]``.
    """

    def __init__(self, count: int, autoencoder: Any, scratch: Path | None = None) -> None:
        kept = None if scratch is None else Path(scratch) / f"stored-{count}.npz"
        if kept is not None and kept.exists():
            with np.load(kept) as arrays:
                images, self.boxes, pictures = (arrays[name] for name in ("images", "boxes", "pictures"))
        else:
            made = [stored_scene(seed) for seed in tqdm(range(count), desc="stored pictures", mininterval=5)]
            images, self.boxes, pictures = (np.stack(part) for part in zip(*made, strict=True))
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, images=images, boxes=self.boxes, pictures=pictures)
        self.description = lru_cache(maxsize=None)(coloured_description)
        means, stds, stored = [], [], []
        place = next(autoencoder.parameters()).device
        for start in range(0, count, 250):
            part = slice(start, start + 250)
            with torch.no_grad():
                x = torch.from_numpy(images[part]).to(place).float() / 127.5 - 1
                posterior = autoencoder.encode(x).latent_dist
            means.append(posterior.mean.cpu())
            stds.append(posterior.std.cpu())
            small = torch.from_numpy(pictures[part]).float() / 255
            latents = picture_latents(autoencoder, small.flatten(0, 1)).cpu()
            stored.append(latents.unflatten(0, (-1, MAX_BOXES)))
        self.mean, self.std, self.stored = torch.cat(means), torch.cat(stds), torch.cat(stored)

    def __len__(self) -> int:
        return len(self.boxes)


def stored_scene(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A scene of patterned things, and another picture of each.

    Parameters
    ----------
    seed : int
        At least 0.

    Returns
    -------
    image : numpy.ndarray
        Uint8 ``[3, 64, 64]``.
    boxes : numpy.ndarray
        Float32 ``[3, 4]``, NaN where there is no thing.
    pictures : numpy.ndarray
        Uint8 ``[3, 3, 32, 32]``, zero where there is no thing.
    """
    scene, rng = coloured_scene(seed), np.random.default_rng([10_2023, seed])
    boxes = np.full((MAX_BOXES, 4), np.nan, np.float32)
    boxes[: len(scene.boxes)] = scene.boxes / toyworld.SIZE
    pictures = np.zeros((MAX_BOXES, 3, WINDOW, WINDOW), np.uint8)
    for place, thing in enumerate(scene.description.things[: len(scene.boxes)]):
        alone = replace(thing, x=float(rng.uniform(20, 44)), y=float(rng.uniform(50, 60)))
        ground = str(rng.choice(list(toyworld.GROUNDS)))
        pictures[place] = to_bytes(stored_picture(toyworld.render(toyworld.Description(ground, (alone,)))))
    return to_bytes(scene.image), boxes, pictures


def stored_picture(scene: toyworld.Scene) -> np.ndarray:
    """The part of a scene's picture that its first thing fills.

    Parameters
    ----------
    scene : Scene
        Rendered, its first thing in sight.

    Returns
    -------
    numpy.ndarray
        Float32 ``[3, 32, 32]`` in [0, 1].
    """
    image = torch.from_numpy(np.asarray(scene.image, np.float32))[None]
    return windows(image, scene.boxes[:1] / toyworld.SIZE, WINDOW)[0].clamp(0, 1).numpy()


class GroundedRecipe(TextToImageRecipe):
    """Trains fusers and ``position_net`` alone, on the text-to-image model's own loss and scenes (Li et al., 2023).

    A box is that of a thing's visible part, its label the thing's colour and kind. Half of a batch are scenes of
    things with patterns that no caption tells and no subject wears. There a second token tells of each thing's look by
    another picture of the same individual (in the source, by CLIP's feature of the picture; here, by its latents).

    Noise predicted a little better is a faint hint that a place should have looked at a box's token: with this loss
    alone, boxes were still ignored after 270 batches of 16. So the first half of a run says it outright (deep
    supervision; Lee et al., 2015): in fixed directions, what a gate's attention brings to a place should tell the
    colour and the kind of the box that covers it and, by a stored picture, pattern and colour of the marks. The help
    fades to nothing, and leaves no weights behind.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads: mini-autoencoder,
        mini-text-to-image and, to draw patterns and to judge pictures, mini-subject-autoencoder, mini-detector and
        mini-identity.
    stored : int
        How many scenes with stored pictures to learn from.
    """

    role = "grounded"
    steps = 5_000
    rate = 1e-3
    weight_decay = 0.0
    ema_decay = 0.998
    batch_size = 256
    targets = {
        "box_iou": (0.6, 1.0),
        "box_iou_moved": (0.6, 1.0),
        "box_iou_elsewhere": (0.0, 0.4),
        "prompt_obeyed": (0.85, 1.0),
        "identity_right": (0.8, 1.0),
    }
    about = (
        "what grounding adds to mini-text-to-image: gated self-attention (`diffusers.UNet2DConditionModel` with "
        '`attention_type="gated"`) that puts named things where their boxes are'
    )
    limits = (
        "It takes up to three boxes, each with a colour and a kind. It knows boxes that the toy world's camera could "
        "have given: a thing's size follows from where it stands, and a box of another size is obeyed less well."
    )
    stands_on = (
        "mini-text-to-image, whose weights stay as they are, and mini-autoencoder; mini-subject-autoencoder draws the "
        "things with stored pictures; mini-detector and mini-identity judge"
    )
    precision = "eight bits a weight, with a scale for each row (vectors in float16)"
    added_to = "mini-text-to-image"
    samples = (
        "rendered scenes of `combinations` with the boxes that are sent; drawn from caption and boxes (two rows, the "
        "same with other noise), from labels and boxes without a caption, and from the caption without boxes"
    )
    meanings = {
        "box_iou": "mean overlap (intersection over union) of the boxes sent and the best box of the same label that "
        "mini-detector finds in the picture, 0 where it finds none (200 scenes of one to three things, `combinations`)",
        "box_iou_moved": "the same for pictures of one thing with the box of another scene's thing",
        "box_iou_elsewhere": "these pictures' overlap with the box that was not sent, the scene's own",
        "box_iou_none": "the same for pictures drawn without boxes: of three things named from left to right, the "
        "order alone says roughly where they stand",
        "box_iou_none_one": "the same, of one thing",
        "box_iou_no_caption": "the same for pictures drawn from labels and boxes without a caption",
        "box_iou_rendered": "the same for the rendered scenes: what the judge leaves within reach",
        "prompt_obeyed": "share of these pictures in which mini-detector finds just the labels that were sent",
        "prompt_obeyed_none": "the same without boxes",
        "prompt_obeyed_no_caption": "the same without a caption",
        "identity_right": "share of pictures, 4 of each subject, drawn from label, box and a stored picture, in whose "
        "box mini-identity finds the right one of thirty subjects likeliest",
        "identity_right_without": "the same without the stored picture",
        "identity_right_other": "the same with the stored picture of another subject",
    }

    def __init__(
        self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS, *, stored: int = 40_000
    ) -> None:
        super().__init__(scratch, scenes, models)
        self.models, self.text_to_image = models, models / "mini-text-to-image"
        self.boxes = scene_boxes(self.scenes, scratch)
        self.stored = StoredPictures(min(stored, scenes), self.autoencoder, scratch)
        self.description = lru_cache(maxsize=None)(self.scenes.description)
        self.features: torch.Tensor | None = None
        self.moved: dict[str, torch.Tensor] | None = None

    def build(self) -> NewLayers:
        plain = super().restore(self.text_to_image)
        unet = gated_unet(plain.unet, pictures=True)
        with torch.no_grad():
            for gate in gates(unet):
                gate.alpha_attn.fill_(FIRST_GATE)
                gate.alpha_dense.fill_(FIRST_GATE)
                for last in (gate.attn.to_out[0], gate.ff.net[-1]):
                    last.weight.zero_()
                    last.bias.zero_()
        return NewLayers(unet, plain.text_encoder)

    def batch(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Draw what one step learns from, all but noise.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws it.

        Returns
        -------
        dict of str to torch.Tensor
            On the CPU, of ordinary scenes and then of scenes with stored pictures: ``chosen`` and ``patterned``, their
            numbers; ``tokens`` of the captions; ``boxes`` ``[batch, 3, 4]``; ``labels`` ``[batch, 3]``, their numbers;
            ``masks`` and ``seen`` ``[batch, 3]``, 1 where a label and where a picture is told; ``words`` and ``looks``
            ``[batch, 3, told]``, what they tell; timesteps ``t``.
        """
        second = round(STORED * self.batch_size)
        first = self.batch_size - second
        chosen, patterned = rng.integers(len(self.scenes), size=first), rng.integers(len(self.stored), size=second)
        descriptions = [self.description(int(k)) for k in chosen] + [self.stored.description(int(k)) for k in patterned]
        silent = rng.random(self.batch_size) < np.repeat([NO_CAPTION, NO_WORDS], [first, second])
        captions = [
            "" if quiet else toyworld.paraphrase(description, rng)
            for quiet, description in zip(silent, descriptions, strict=True)
        ]
        boxes = np.concatenate([self.boxes[chosen], self.stored.boxes[patterned]])
        there = ~np.isnan(boxes).any(-1)
        anything = rng.random((self.batch_size, 1)) >= NO_BOXES
        draws = rng.random((self.batch_size, MAX_BOXES))
        masks, seen = anything & there, np.zeros((self.batch_size, MAX_BOXES), bool)
        masks[first:] &= draws[first:] >= NO_LABEL
        seen[first:] = (anything & there)[first:] & (draws[first:] <= 1 - NO_PICTURE)
        labels, words, looks = (np.stack(part) for part in zip(*map(_told_of, descriptions), strict=True))
        drawn = {
            "chosen": chosen,
            "patterned": patterned,
            "boxes": np.nan_to_num(boxes),
            "labels": labels,
            "masks": masks.astype(np.float32),
            "seen": seen.astype(np.float32),
            "words": words,
            "looks": looks,
            "t": rng.integers(FIRST_TIME, len(self.alpha_bar), size=self.batch_size),
        }
        return {"tokens": self.tokens(captions)} | {name: torch.from_numpy(part) for name, part in drawn.items()}

    def latents(self, device: torch.device) -> dict[str, torch.Tensor]:
        """What batches' numbers point to, on a device; moved there once.

        Parameters
        ----------
        device : torch.device
            Where to compute.

        Returns
        -------
        dict of str to torch.Tensor
            ``mean``, ``std`` of scenes' latents, ``stored_mean``, ``stored_std`` of those with stored pictures, before
            scaling; ``stored``, the pictures' own latents; ``alpha_bar``.
        """
        if self.moved is None or self.moved["stored"].device != device:
            parts = {
                "mean": torch.from_numpy(np.asarray(self.mean)),
                "std": torch.from_numpy(np.asarray(self.std)),
                "stored_mean": self.stored.mean,
                "stored_std": self.stored.std,
                "stored": self.stored.stored,
                "alpha_bar": self.alpha_bar,
            }
            self.moved = {name: part.to(device) for name, part in parts.items()}
        return self.moved

    def loss(self, model: Any, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        batch = {name: part.to(device) for name, part in self.batch(rng).items()}
        return self.error(model, batch, HELP * max(0.0, 1 - 2 * progress))

    def error(self, model: NewLayers, batch: dict[str, torch.Tensor], help_: float | torch.Tensor) -> torch.Tensor:
        """Mean squared error of v and, weighed, that of :meth:`told_apart`.

        Parameters
        ----------
        model : NewLayers
            On the batch's device.
        batch : dict of str to torch.Tensor
            From :meth:`batch`.
        help_ : float or torch.Tensor
            Weight of the help.

        Returns
        -------
        torch.Tensor
            A number, with its graph.
        """
        device, chosen, patterned = batch["t"].device, batch["chosen"], batch["patterned"]
        have = self.latents(device)
        mean = torch.cat([have["mean"][chosen].float(), have["stored_mean"][patterned]]) * self.scale
        std = torch.cat([have["std"][chosen].float(), have["stored_std"][patterned]]) * self.scale
        z_0 = mean + std * torch.randn(mean.shape, device=device)
        epsilon = torch.randn(z_0.shape, device=device)
        alpha_bar = have["alpha_bar"][batch["t"]]
        signal, noise = (root[:, None, None, None] for root in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt()))
        grounding = self.grounding(model, batch)
        with mixtures(model.unet) as seen:
            v_hat = model(signal * z_0 + noise * epsilon, batch["t"], batch["tokens"], grounding)
        loss = (v_hat - (signal * epsilon - noise * z_0)).square().mean()
        without = isinstance(help_, float) and not help_
        return loss if without else loss + help_ * self.told_apart(seen, batch)

    def grounding(self, model: NewLayers, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What the UNet is told of a batch's things.

        Parameters
        ----------
        model : NewLayers
            Whose text encoder reads the labels, and whose ``picture_net`` the pictures.
        batch : dict of str to torch.Tensor
            From :meth:`batch`, on the model's device.

        Returns
        -------
        dict of str to torch.Tensor
            As :meth:`.grounding.Grounded.inputs` makes it.
        """
        device, first = batch["boxes"].device, len(batch["chosen"])
        if self.features is None:
            self.features = phrase_features(self.pipeline(model), LABELS).float()
        self.features, stored = self.features.to(device), self.latents(device)["stored"]
        pictures = torch.zeros(len(batch["boxes"]), MAX_BOXES, *stored.shape[2:], device=device)
        pictures[first:] = stored[batch["patterned"]]
        looks = model.layers["picture_net"](pictures.flatten(0, 1)).unflatten(0, (-1, MAX_BOXES))
        return {
            "boxes": batch["boxes"].repeat(1, 2, 1),
            "positive_embeddings": torch.cat([self.features[batch["labels"]], looks], dim=1),
            "masks": torch.cat([batch["masks"], batch["seen"]], dim=1),
        }

    def told_apart(self, seen: list[torch.Tensor], batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean squared error of what is told of the boxes, read at each place from what gates brought there.

        Parameters
        ----------
        seen : list of torch.Tensor
            From :func:`mixtures`.
        batch : dict of str to torch.Tensor
            From :meth:`batch`.

        Returns
        -------
        torch.Tensor
            A number, with its graph.
        """
        either = torch.maximum(batch["masks"], batch["seen"])
        told = batch["words"] * either[..., None] + batch["looks"] * batch["seen"][..., None]
        errors = []
        for mixed in seen:
            places = mixed.shape[1] - 2 * MAX_BOXES
            wanted = torch.einsum("bnp,bnw->bpw", coverage(batch["boxes"], round(places**0.5)).flatten(2), told)
            errors.append((mixed[:, :places] @ _readout(mixed.shape[2]).to(mixed) - wanted).square().mean())
        return torch.stack(errors).mean()

    def drawer(self, model: Denoiser, device: torch.device | str = "cpu") -> Grounded:
        """The trained layers at work.

        Parameters
        ----------
        model : NewLayers
            The two networks.
        device : torch.device or str
            Where to compute.

        Returns
        -------
        semcom_utils.generation.grounding.Grounded
        """
        return Grounded(self.pipeline(model).to(device), MAX_BOXES, SHARE)

    def evaluate(self, model: Denoiser, device: torch.device) -> dict[str, float]:
        if not self.judge.is_dir():
            return {}
        drawer, judge = self.drawer(model, device), Judge(load("detector", folder=self.judge, device=device))
        scenes = held_out(200)
        own = [scene.boxes / toyworld.SIZE for scene in scenes]
        blank = [np.empty((0, 4))] * len(scenes)
        figures: dict[str, float] = {}
        for name, boxes in (("", own), ("_none", blank)):
            found = judge(draw(drawer, scenes, boxes))
            figures |= {f"{what}{name}": value for what, value in obedience(found, scenes).items()}
        one = [row for row, scene in enumerate(scenes) if len(scene.boxes) == 1]
        alone = [scenes[row] for row in one]
        figures["box_iou_none_one"] = obedience([found[row] for row in one], alone)["box_iou"]
        moved = judge(draw(drawer, alone, exchanged(alone)))
        figures["box_iou_elsewhere"] = obedience(moved, alone)["box_iou"]
        figures["box_iou_moved"] = obedience(moved, alone, exchanged(alone))["box_iou"]
        silent = judge(draw(drawer, scenes, own, captions=False))
        figures |= {f"{what}_no_caption": value for what, value in obedience(silent, scenes).items()}
        rendered = judge(np.stack([scene.image for scene in scenes]))
        figures["box_iou_rendered"] = obedience(rendered, scenes)["box_iou"]
        decoder, whose = self.models / "mini-subject-autoencoder", self.models / "mini-identity"
        if not (decoder.is_dir() and whose.is_dir()):
            return figures
        before = self.autoencoder
        self.autoencoder = with_decoder(self.models / "mini-autoencoder", decoder).to(device)
        try:
            drawer = self.drawer(model, device)
        finally:
            self.autoencoder = before
        identity = load("identity", folder=whose, device=device)
        for name, whom in (("", 0), ("_without", None), ("_other", 7)):
            numbers, places, made = subject_drawings(drawer, 4, whom)
            found = identity(torch.from_numpy(made), places).argmax(1).numpy()
            figures[f"identity_right{name}"] = float((found == numbers).mean())
        return figures

    def pictures(self, model: Denoiser, device: torch.device) -> np.ndarray:
        drawer, scenes = self.drawer(model, device), held_out(10)
        own, blank = [scene.boxes / toyworld.SIZE for scene in scenes], [np.empty((0, 4))] * 10
        rows = [
            draw(drawer, scenes, own),
            draw(drawer, scenes, own, seed=1),
            draw(drawer, scenes, own, captions=False),
            draw(drawer, scenes, blank),
        ]
        rows = [np.stack([scene.image for scene in scenes]), *rows]
        return np.stack([outlined(row, scenes) for row in rows])

    def save(self, model: Denoiser, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = {
            f"{name.replace('/', '.')}.{part}": value
            for name, layer in new_layers(model.unet).items()
            for part, value in layer.state_dict().items()
        }
        save_file(to_eight_bits(weights), folder / "grounding.safetensors", metadata={"format": "pt"})
        settings = {"attention_type": "gated", "base": "mini-text-to-image", "max_boxes": MAX_BOXES, "share": SHARE}
        (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")

    def restore(self, folder: Path) -> NewLayers:
        from safetensors.torch import load_file

        model = self.build()
        wanted = {
            f"{name.replace('/', '.')}.{part}"
            for name, layer in new_layers(model.unet).items()
            for part in layer.state_dict()
        }
        weights = from_eight_bits(load_file(folder / "grounding.safetensors"))
        if wanted != weights.keys():
            raise ValueError(
                f"folder must hold the weights of the new layers, {folder} differs in "
                f"{sorted(wanted ^ weights.keys())[:3]}"
            )
        model.unet.load_state_dict(weights, strict=False)
        return model


def scene_boxes(scenes: Scenes, scratch: Path | None) -> np.ndarray:
    """Boxes of scenes' visible parts; what comes out is kept on disk.

    Parameters
    ----------
    scenes : Scenes
        Whose boxes.
    scratch : pathlib.Path or None
        Where to keep the boxes; nowhere if None.

    Returns
    -------
    numpy.ndarray
        Float32 ``[scenes, 3, 4]``: left, top, right, bottom as shares of the picture; NaN where no thing is seen.
    """
    kept = None if scratch is None else Path(scratch) / f"boxes-{scenes.split}-{len(scenes)}.npy"
    if kept is not None and kept.exists():
        return np.load(kept)
    boxes = np.full((len(scenes), MAX_BOXES, 4), np.nan, np.float32)
    for index in tqdm(range(len(scenes)), desc="boxes", mininterval=5):
        found = toyworld.render(scenes.description(index)).boxes
        boxes[index, : len(found)] = found / toyworld.SIZE
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, boxes)
    return boxes


def subject_drawings(
    drawer: Grounded, views: int, whose: int | None = 0, seed: int = 0, first: int = 100
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the toy world's subjects from label, box and the stored picture, which is that of the subject's view 0.

    Parameters
    ----------
    drawer : semcom_utils.generation.grounding.Grounded
        The model.
    views : int
        How many pictures of each subject; where it stands is that of the views from ``first`` on.
    whose : int or None
        0 for the subject's own stored picture, a higher number for that of the subject so many places further; None
        for none.
    seed : int
        Of the noise.
    first : int
        Number of the first view.

    Returns
    -------
    numbers : numpy.ndarray
        Int ``[30 views]``: the subjects.
    boxes : numpy.ndarray
        ``[30 views, 4]``: left, top, right, bottom in [0, 1].
    images : numpy.ndarray
        ``[30 views, 3, 64, 64]`` in [0, 1].
    """
    numbers = np.repeat(np.arange(toyworld.SUBJECTS), views)
    scenes = [toyworld.subject_scene(int(number), first + place % views) for place, number in enumerate(numbers)]
    boxes = [scene.boxes[:1] / toyworld.SIZE for scene in scenes]
    pictures = None
    if whose is not None:
        stored = [
            stored_picture(toyworld.subject_scene((number + whose) % toyworld.SUBJECTS, 0))
            for number in range(toyworld.SUBJECTS)
        ]
        pictures = [[stored[number]] for number in numbers]
    return numbers, np.concatenate(boxes), draw(drawer, scenes, boxes, captions=False, seed=seed, pictures=pictures)


def held_out(count: int, first: int = 10_000) -> list[toyworld.Scene]:
    """Scenes of one, two and three things in turn, of ``combinations``, every thing in sight.

    Parameters
    ----------
    count : int
        How many.
    first : int
        Seed of the first.

    Returns
    -------
    list of Scene
    """
    return [
        toyworld.scene(seed, "combinations", things=1 + seed % 3, textured=0.0, inside=0.0)
        for seed in range(first, first + count)
    ]


def exchanged(scenes: list[toyworld.Scene]) -> list[np.ndarray]:
    """For each scene, the boxes of another with as many things.

    Parameters
    ----------
    scenes : list of Scene
        At least two of each number of things, or a scene gets its own boxes.

    Returns
    -------
    list of numpy.ndarray
        ``[things, 4]`` in [0, 1].
    """
    others = [np.empty((0, 4))] * len(scenes)
    for count in {len(scene.boxes) for scene in scenes}:
        rows = [row for row, scene in enumerate(scenes) if len(scene.boxes) == count]
        for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
            others[row] = scenes[other].boxes / toyworld.SIZE
    return others


def draw(
    drawer: Grounded,
    scenes: list[toyworld.Scene],
    boxes: list[np.ndarray],
    *,
    captions: bool = True,
    seed: int = 0,
    pictures: list[Any] | None = None,
    **options: Any,
) -> np.ndarray:
    """Draw scenes from their captions and labels with these boxes.

    Parameters
    ----------
    drawer : semcom_utils.generation.grounding.Grounded
        The model.
    scenes : list of Scene
        Whose captions and labels.
    boxes : list of numpy.ndarray
        ``[things, 4]`` in [0, 1] for each scene, or none.
    captions : bool
        Whether captions are given beside the labels.
    seed : int
        Of the noise.
    pictures : list, optional
        For each scene, the stored pictures of its things.
    **options
        For the model.

    Returns
    -------
    numpy.ndarray
        ``[scenes, 3, 64, 64]`` in [0, 1].
    """
    drawn = []
    for start in range(0, len(scenes), 100):
        part = slice(start, start + 100)
        labels = [scene.labels[: len(box)] for scene, box in zip(scenes[part], boxes[part], strict=True)]
        said: list[Any] = [scene.caption if captions else None for scene in scenes[part]]
        drawn.append(
            drawer(
                said,
                labels,
                boxes[part],
                pictures=None if pictures is None else pictures[part],
                generator=torch.Generator().manual_seed(seed + start),
                height=toyworld.SIZE,
                width=toyworld.SIZE,
                **options,
            ).numpy()
        )
    return np.concatenate(drawn)


def obedience(
    found: list[list[Detection]], scenes: list[toyworld.Scene], boxes: list[np.ndarray] | None = None
) -> dict[str, float]:
    """How well what a judge found in pictures fits the boxes and the labels of scenes.

    Parameters
    ----------
    found : list of list of Detection
        For each picture, from a :class:`.judging.Judge`.
    scenes : list of Scene
        What was asked for.
    boxes : list of numpy.ndarray, optional
        For each scene, ``[things, 4]`` in [0, 1], in place of its own boxes.

    Returns
    -------
    dict
        ``box_iou``: mean over all things of the intersection over union of the thing's box with the best box of the
        same label, 0 where none is found. ``prompt_obeyed``: share of pictures with just the scene's labels.
    """
    asked = [scene.boxes for scene in scenes] if boxes is None else [part * toyworld.SIZE for part in boxes]
    shared = [
        max((box_overlap(box, there) for name, _, there in claims if name == label), default=0.0)
        for claims, scene, places in zip(found, scenes, asked, strict=True)
        for label, box in zip(scene.labels, places, strict=True)
    ]
    right = [
        sorted(name for name, _, _ in claims) == sorted(scene.labels)
        for claims, scene in zip(found, scenes, strict=True)
    ]
    return {"box_iou": float(np.mean(shared)), "prompt_obeyed": float(np.mean(right))}


def outlined(pictures: np.ndarray, scenes: list[toyworld.Scene]) -> np.ndarray:
    """Draw the scenes' boxes into pictures.

    Parameters
    ----------
    pictures : numpy.ndarray
        ``[scenes, 3, 64, 64]``; it stays as it is.
    scenes : list of Scene
        Whose boxes.

    Returns
    -------
    numpy.ndarray
        A copy, with the boxes in black.
    """
    pictures = pictures.copy()
    for picture, scene in zip(pictures, scenes, strict=True):
        for box in scene.boxes:
            left, top, right, bottom = np.clip(np.round(box).astype(int), 0, toyworld.SIZE - 1)
            picture[:, [top, bottom], left : right + 1] = 0
            picture[:, top : bottom + 1, [left, right]] = 0
    return pictures
