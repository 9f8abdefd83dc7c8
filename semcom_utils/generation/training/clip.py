"""CLIP: pictures and captions in one space, in which a picture lies nearest to the caption that describes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.paths import MODELS

from .data import Scenes
from .loop import Recipe
from .tokens import LENGTH, clip_tokenizer

if TYPE_CHECKING:
    from transformers import CLIPModel

__all__ = ["ClipRecipe", "features", "misstatement", "normalise"]

#: What the image processors subtract and divide by, for all three colours.
MEAN, STD = 0.5, 0.5


@checked
def misstatement(said: toyworld.Meaning, rng: np.random.Generator) -> toyworld.Meaning:
    """Change one fact of a meaning: a colour, a kind, the ground, or which of two things has which colour.

    Random captions differ in so much that a model can tell them apart by counting words; these it must read.

    Parameters
    ----------
    said : toyworld.Meaning
        What is right.
    rng : numpy.random.Generator
        Draws which fact, and what it becomes.

    Returns
    -------
    toyworld.Meaning
        Of as many things.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    things, place = list(said.things), int(rng.integers(len(said.things)))
    choice = rng.integers(4)
    if choice == 0:
        return replace(said, ground=str(rng.choice([ground for ground in toyworld.GROUNDS if ground != said.ground])))
    if choice == 1 and len({thing.colour for thing in things}) > 1:
        colours = [thing.colour for thing in things]
        colours = colours[1:] + colours[:1]
        return replace(said, things=tuple(replace(t, colour=c) for t, c in zip(things, colours, strict=True)))
    if choice == 2 and not said.inside:
        kind = str(rng.choice([kind for kind in toyworld.KINDS if kind != things[place].kind]))
        things[place] = replace(
            things[place], kind=kind, pose=str(rng.choice(toyworld.POSES)) if kind == "robot" else None
        )
        return replace(said, things=tuple(things))
    colour = str(rng.choice([colour for colour in toyworld.COLOURS if colour != things[place].colour]))
    things[place] = replace(things[place], colour=colour)
    return replace(said, things=tuple(things))


class ClipRecipe(Recipe["CLIPModel"]):
    """Contrastive training (Radford et al., 2021); each picture also sees one misstatement of its own caption.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "clip"
    steps = 6000
    rate = 8e-4
    weight_decay = 0.02
    batch_size = 128
    targets = {"retrieval_of_100": (0.90, 1.0)}
    about = "a contrastive image-text model (`transformers.CLIPModel`): how well does a caption fit a picture?"
    limits = (
        "It understands the toy world's grammar only. No training picture was darkened, blurred or noisy, and on "
        "such pictures it errs more often: the book's chapter on the toy world measures how much."
    )
    meanings = {
        "retrieval_of_100": "share of pictures whose caption is found among 100 (5 times 100 pictures, `combinations`)",
        "retrieval_of_100_unseen_attributes": "the same for `attributes`",
        "prefers_truth_to_misstatement": (
            "share of pictures that fit their caption better than one with a wrong fact (500)"
        ),
    }

    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        self.scenes, self.tokenizer = Scenes("train", scenes, scratch), clip_tokenizer()

    def build(self) -> CLIPModel:
        from transformers import CLIPConfig, CLIPModel

        width, end = 128, self.tokenizer.eos_token_id
        tower = {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_attention_heads": 4,
            "projection_dim": width,
        }
        return CLIPModel(
            CLIPConfig(
                text_config={
                    **tower,
                    "num_hidden_layers": 3,
                    "vocab_size": len(self.tokenizer),
                    "max_position_embeddings": LENGTH,
                    "bos_token_id": end - 1,
                    "eos_token_id": end,
                    "pad_token_id": end,
                },
                vision_config={**tower, "num_hidden_layers": 4, "image_size": toyworld.SIZE, "patch_size": 8},
                projection_dim=width,
            )
        )

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

    def loss(self, model: CLIPModel, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        chosen = np.sort(rng.integers(len(self.scenes), size=self.batch_size))
        said = [toyworld.meaning(self.scenes.description(index)) for index in chosen]
        captions = [toyworld.paraphrase(s, rng) for s in said]
        captions += [toyworld.paraphrase(misstatement(s, rng), rng) for s in said]
        output = model(
            input_ids=self.tokens(captions).to(device), pixel_values=normalise(self.scenes.images[chosen]).to(device)
        )
        # Pictures whose captions mean the same are each other's right answers, not negatives.
        key = {s.canonical(): number for number, s in enumerate(said)}
        numbers = torch.tensor([key[s.canonical()] for s in said])
        same = (numbers[:, None] == numbers[None, :]).float()
        truth = torch.cat([same, torch.zeros_like(same)], dim=1).to(device)
        by_image = -(truth / truth.sum(1, keepdim=True) * output.logits_per_image.log_softmax(1)).sum(1).mean()
        by_text = output.logits_per_text[: len(said)]
        return (
            by_image - (same.to(device) / same.sum(1, keepdim=True).to(device) * by_text.log_softmax(1)).sum(1).mean()
        ) / 2

    @torch.no_grad()
    def evaluate(self, model: CLIPModel, device: torch.device) -> dict[str, float]:
        figures = {}
        for split, name in (("combinations", "retrieval_of_100"), ("attributes", "retrieval_of_100_unseen_attributes")):
            right = []
            for trial in range(5):
                scenes: dict[str, toyworld.Scene] = {}
                seed = 100_000 * (trial + 1)
                while len(scenes) < 100:  # a hundred different captions: else more than one would be right
                    scene = toyworld.scene(seed, split)
                    scenes.setdefault(scene.caption, scene)
                    seed += 1
                images = normalise(np.stack([np.round(255 * scene.image) for scene in scenes.values()])).to(device)
                logits = model(input_ids=self.tokens(list(scenes)).to(device), pixel_values=images).logits_per_image
                right.append((logits.argmax(1).cpu() == torch.arange(100)).float().mean().item())
            figures[name] = float(np.mean(right))
        rng = np.random.default_rng(0)
        shown = [toyworld.scene(seed, "combinations") for seed in range(500)]
        said = [toyworld.meaning(scene.description) for scene in shown]
        images = normalise(np.stack([np.round(255 * scene.image) for scene in shown])).to(device)
        pixels = torch.nn.functional.normalize(features(model.get_image_features(pixel_values=images)), dim=1)
        pair = [[s.canonical() for s in said], [misstatement(s, rng).canonical() for s in said]]
        words = [
            torch.nn.functional.normalize(
                features(model.get_text_features(input_ids=self.tokens(captions).to(device))), dim=1
            )
            for captions in pair
        ]
        true, misstated = ((pixels * embedded).sum(1) for embedded in words)
        figures["prefers_truth_to_misstatement"] = float((true > misstated).float().mean())
        return figures

    def save(self, model: CLIPModel, folder: Path) -> None:
        from transformers import CLIPImageProcessorPil

        model.half().save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        size = {"height": toyworld.SIZE, "width": toyworld.SIZE}
        CLIPImageProcessorPil(
            size=size,
            do_center_crop=False,
            image_mean=[MEAN] * 3,
            image_std=[STD] * 3,
        ).save_pretrained(folder)

    def restore(self, folder: Path) -> CLIPModel:
        from transformers import CLIPModel

        return CLIPModel.from_pretrained(folder, dtype=torch.float32)


@checked
def normalise(images: np.ndarray) -> torch.Tensor:
    """Pictures of bytes as the vision models want them: about -1 to 1.

    Parameters
    ----------
    images : numpy.ndarray
        ``[batch, 3, rows, columns]``, 0 to 255.

    Returns
    -------
    torch.Tensor
        Float32, of that shape.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    return (torch.from_numpy(np.asarray(images)).float() / 255 - MEAN) / STD


def features(output: Any) -> torch.Tensor:
    """Embedding of a CLIP tower, whichever way this release of transformers returns it.

    Parameters
    ----------
    output : torch.Tensor or transformers.utils.ModelOutput
        What ``get_image_features`` or ``get_text_features`` returned.

    Returns
    -------
    torch.Tensor
        ``[batch, dimension]``.
    """
    return output if isinstance(output, torch.Tensor) else output.pooler_output
