"""Grounding: layers that put named things where their boxes are, added to the text-to-image model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from semcom_utils import toyworld
from semcom_utils.paths import MODELS

from ..grounding import Grounded, gated_unet, gates, new_layers, phrase_features
from ..judging import Detection, Judge, box_overlap
from ..loading import load
from .data import Scenes
from .detector import LABELS
from .text_to_image import Denoiser, LockedDenoiser, TextToImageRecipe

if TYPE_CHECKING:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

__all__ = [
    "MAX_BOXES",
    "GroundedRecipe",
    "NewLayers",
    "coverage",
    "draw",
    "exchanged",
    "held_out",
    "mixtures",
    "obedience",
    "outlined",
    "scene_boxes",
]

#: Boxes of a picture: a scene of the toy world has at most three things.
MAX_BOXES = 3
#: Share of the pictures that are learnt without caption, and without boxes (Li et al., 2023, drop boxes in 10%).
NO_CAPTION, NO_BOXES = 0.15, 0.1
#: Weight of the help with where to look, at the start.
HELP = 10.0
#: Where the gates' numbers start; the layers behind them start with an output of zero. So the network starts as the
#: plain one, and what the layers learn arrives undiminished. (From 0, gates alone get a gradient in the first step, and
#: at the layers' rate they grow by a thousandth a step; users of the source's code report gates that stayed too small.)
FIRST_GATE = 1.0
#: The gates are on in this share of the sampling steps, the first ones, so they are trained on these timesteps only:
#: where things stand is settled at high noise.
SHARE, FIRST_TIME = 0.5, 500


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


@lru_cache
def _readout(width: int) -> torch.Tensor:
    """Twelve fixed directions of ``width`` numbers, orthonormal: one for each colour and each kind."""
    draws = torch.Generator().manual_seed(width)
    return torch.linalg.qr(torch.randn(width, len(toyworld.COLOURS) + len(toyworld.KINDS), generator=draws))[0]


class GroundedRecipe(TextToImageRecipe):
    """Trains fusers and ``position_net`` alone, on the text-to-image model's own loss and scenes (Li et al., 2023).

    A box is that of a thing's visible part, its label the thing's colour and kind.

    Noise predicted a little better is a faint hint that a place should have looked at a box's token: with this loss
    alone, boxes were still ignored after 270 batches. So the first half of a run says it outright (deep supervision;
    Lee et al., 2015): in twelve fixed directions, what a gate's attention brings to a place should tell the colour and
    the kind of the box that covers it. The help fades to nothing, and leaves no weights behind.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads: mini-autoencoder,
        mini-text-to-image and, to judge its pictures, mini-detector.
    """

    role = "grounded"
    steps = 3000
    rate = 1e-3
    weight_decay = 0.0
    ema_decay = 0.998
    batch_size = 16
    targets = {
        "box_iou": (0.6, 1.0),
        "box_iou_shuffled": (0.0, 0.3),
        "prompt_obeyed": (0.85, 1.0),
    }
    about = (
        "what grounding adds to mini-text-to-image: gated self-attention (`diffusers.UNet2DConditionModel` with "
        '`attention_type="gated"`) that puts named things where their boxes are'
    )
    limits = (
        "It takes up to three boxes, each with a colour and a kind. It knows boxes that the toy world's camera could "
        "have given: a thing's size follows from where it stands, and a box of another size is obeyed less well."
    )
    stands_on = "mini-text-to-image, whose weights stay as they are, and mini-autoencoder; mini-detector judges"
    added_to = "mini-text-to-image"
    samples = (
        "rendered scenes of `combinations` with the boxes that are sent; drawn from caption and boxes (two rows, the "
        "same with other noise), from labels and boxes without a caption, and from the caption without boxes"
    )
    meanings = {
        "box_iou": "mean overlap (intersection over union) of the boxes sent and the best box of the same label that "
        "mini-detector finds in the picture, 0 where it finds none (200 scenes of one to three things, `combinations`)",
        "box_iou_shuffled": "the same for pictures drawn with the boxes of another scene with as many things",
        "box_iou_none": "the same for pictures drawn without boxes: where things stand by chance",
        "box_iou_no_caption": "the same for pictures drawn from labels and boxes without a caption",
        "box_iou_rendered": "the same for the rendered scenes: what the judge leaves within reach",
        "prompt_obeyed": "share of these pictures in which mini-detector finds just the labels that were sent",
        "prompt_obeyed_shuffled": "the same with the boxes of another scene",
        "prompt_obeyed_none": "the same without boxes",
        "prompt_obeyed_no_caption": "the same without a caption",
    }

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        super().__init__(scratch, scenes, models)
        self.text_to_image = models / "mini-text-to-image"
        self.boxes = scene_boxes(self.scenes, scratch)
        self.features: torch.Tensor | None = None

    def build(self) -> NewLayers:
        plain = super().restore(self.text_to_image)
        unet = gated_unet(plain.unet)
        with torch.no_grad():
            for gate in gates(unet):
                gate.alpha_attn.fill_(FIRST_GATE)
                gate.alpha_dense.fill_(FIRST_GATE)
                for last in (gate.attn.to_out[0], gate.ff.net[-1]):
                    last.weight.zero_()
                    last.bias.zero_()
        return NewLayers(unet, plain.text_encoder)

    def grounding(
        self, model: Denoiser, chosen: np.ndarray, keep: np.ndarray, device: torch.device
    ) -> dict[str, torch.Tensor]:
        """What the UNet is told of the boxes of training scenes.

        Parameters
        ----------
        model : NewLayers
            Whose text encoder reads the labels.
        chosen : numpy.ndarray
            Numbers of the scenes, ``[batch]``.
        keep : numpy.ndarray
            Bool ``[batch]``; where it is False, nothing is told.
        device : torch.device
            Where to compute.

        Returns
        -------
        dict of str to torch.Tensor
            As :meth:`.grounding.Grounded.inputs` makes it.
        """
        if self.features is None:
            self.features = phrase_features(self.pipeline(model), LABELS).float().cpu()
        boxes = torch.from_numpy(self.boxes[chosen]).float()
        masks = (~boxes.isnan().any(-1)).float() * torch.from_numpy(keep).float()[:, None]
        numbers = torch.zeros(len(chosen), MAX_BOXES, dtype=torch.long)
        for row, index in enumerate(chosen):
            for place, thing in enumerate(self.scenes.description(index).things):
                numbers[row, place] = LABELS.index(thing.label)
        parts = {"boxes": boxes.nan_to_num(), "positive_embeddings": self.features[numbers], "masks": masks}
        return {name: part.to(device) for name, part in parts.items()}

    def loss(self, model: Denoiser, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        chosen = rng.integers(len(self.scenes), size=self.batch_size)
        captions = [
            "" if rng.random() < NO_CAPTION else toyworld.paraphrase(self.scenes.description(index), rng)
            for index in chosen
        ]
        grounding = self.grounding(model, chosen, rng.random(len(chosen)) >= NO_BOXES, device)
        mean, std = (torch.from_numpy(array[chosen]).float() * self.scale for array in (self.mean, self.std))
        z_0 = (mean + std * torch.randn(mean.shape)).to(device)
        alpha_bar = self.alpha_bar.to(device)
        t = torch.from_numpy(rng.integers(FIRST_TIME, len(alpha_bar), size=len(chosen))).to(device)
        signal, noise = (root[:, None, None, None] for root in (alpha_bar[t].sqrt(), (1 - alpha_bar[t]).sqrt()))
        epsilon = torch.randn(z_0.shape).to(device)
        v = signal * epsilon - noise * z_0
        with mixtures(model.unet) as seen:
            v_hat = model(signal * z_0 + noise * epsilon, t, self.tokens(captions).to(device), grounding)
        loss = (v_hat - v).square().mean()
        help_ = HELP * max(0.0, 1 - 2 * progress)
        return loss + help_ * self.told_apart(seen, chosen, grounding) if help_ else loss

    def told_apart(
        self, seen: list[torch.Tensor], chosen: np.ndarray, grounding: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """Mean squared error of the boxes' colours and kinds, read at each place from what gates brought there.

        Parameters
        ----------
        seen : list of torch.Tensor
            From :func:`mixtures`.
        chosen : numpy.ndarray
            Numbers of the scenes, ``[batch]``.
        grounding : dict of str to torch.Tensor
            From :meth:`grounding`.

        Returns
        -------
        torch.Tensor
            A number, with its graph.
        """
        device, colours, kinds = seen[0].device, list(toyworld.COLOURS), list(toyworld.KINDS)
        words = torch.zeros(len(chosen), MAX_BOXES, len(colours) + len(kinds), device=device)
        for row, index in enumerate(chosen):
            for place, thing in enumerate(self.scenes.description(index).things):
                words[row, place, colours.index(thing.colour)] = 1
                words[row, place, len(colours) + kinds.index(thing.kind)] = 1
        words = words * grounding["masks"][..., None]
        errors = []
        for mixed in seen:
            places = mixed.shape[1] - MAX_BOXES
            wanted = torch.einsum("bnp,bnw->bpw", coverage(grounding["boxes"], round(places**0.5)).flatten(2), words)
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
        .grounding.Grounded
        """
        return Grounded(self.pipeline(model).to(device), MAX_BOXES, SHARE)

    def evaluate(self, model: Denoiser, device: torch.device) -> dict[str, float]:
        if not self.judge.is_dir():
            return {}
        drawer, judge = self.drawer(model, device), Judge(load("detector", folder=self.judge, device=device))
        scenes = held_out(200)
        own = [scene.boxes / toyworld.SIZE for scene in scenes]
        others = exchanged(scenes)
        blank = [np.empty((0, 4))] * len(scenes)
        figures: dict[str, float] = {}
        for name, boxes in (("", own), ("_shuffled", others), ("_none", blank)):
            found = judge(draw(drawer, scenes, boxes))
            figures |= {f"{what}{name}": value for what, value in obedience(found, scenes).items()}
        silent = judge(draw(drawer, scenes, own, captions=False))
        figures |= {f"{what}_no_caption": value for what, value in obedience(silent, scenes).items()}
        rendered = judge(np.stack([scene.image for scene in scenes]))
        figures["box_iou_rendered"] = obedience(rendered, scenes)["box_iou"]
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
            f"{name.replace('/', '.')}.{part}": value.detach().half().contiguous().cpu()
            for name, layer in new_layers(model.unet).items()
            for part, value in layer.state_dict().items()
        }
        save_file(weights, folder / "grounding.safetensors", metadata={"format": "pt"})
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
        weights = {name: value.float() for name, value in load_file(folder / "grounding.safetensors").items()}
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
            others[row] = scenes[other].boxes[::-1] / toyworld.SIZE
    return others


def draw(
    drawer: Grounded,
    scenes: list[toyworld.Scene],
    boxes: list[np.ndarray],
    *,
    captions: bool = True,
    seed: int = 0,
    **options: Any,
) -> np.ndarray:
    """Draw scenes from their captions and labels with these boxes.

    Parameters
    ----------
    drawer : .grounding.Grounded
        The model.
    scenes : list of Scene
        Whose captions and labels.
    boxes : list of numpy.ndarray
        ``[things, 4]`` in [0, 1] for each scene, or none.
    captions : bool
        Whether captions are given beside the labels.
    seed : int
        Of the noise.
    **options
        For the model.

    Returns
    -------
    numpy.ndarray
        ``[scenes, 3, 64, 64]`` in [0, 1].
    """
    pictures = []
    for start in range(0, len(scenes), 100):
        part = slice(start, start + 100)
        labels = [scene.labels[: len(box)] for scene, box in zip(scenes[part], boxes[part], strict=True)]
        said: list[Any] = [scene.caption if captions else None for scene in scenes[part]]
        pictures.append(
            drawer(
                said,
                labels,
                boxes[part],
                generator=torch.Generator().manual_seed(seed + start),
                height=toyworld.SIZE,
                width=toyworld.SIZE,
                **options,
            ).numpy()
        )
    return np.concatenate(pictures)


def obedience(found: list[list[Detection]], scenes: list[toyworld.Scene]) -> dict[str, float]:
    """How well what a judge found in pictures fits the boxes and the labels of scenes.

    Parameters
    ----------
    found : list of list of Detection
        For each picture, from a :class:`.judging.Judge`.
    scenes : list of Scene
        What was asked for.

    Returns
    -------
    dict
        ``box_iou``: mean over all things of the intersection over union of the thing's box with the best box of the
        same label, 0 where none is found. ``prompt_obeyed``: share of pictures with just the scene's labels.
    """
    shared = [
        max((box_overlap(box, there) for name, _, there in claims if name == label), default=0.0)
        for claims, scene in zip(found, scenes, strict=True)
        for label, box in zip(scene.labels, scene.boxes, strict=True)
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
