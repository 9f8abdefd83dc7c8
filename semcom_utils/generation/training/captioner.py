"""The captioner: pictures to canonical captions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.paths import MODELS

from .clip import MEAN, STD, normalise
from .data import Scenes
from .loop import Recipe
from .tokens import LENGTH, bert_tokenizer

if TYPE_CHECKING:
    from transformers import BlipForConditionalGeneration

__all__ = ["CaptionerRecipe"]


class CaptionerRecipe(Recipe["BlipForConditionalGeneration"]):
    """BLIP (Li et al., 2022), its captioning half: a vision transformer and a text decoder that looks at it.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "captioner"
    steps = 8000
    rate = 8e-4
    weight_decay = 1e-3
    batch_size = 64
    targets = {"exact": (0.90, 1.0)}
    about = "a captioner (`transformers.BlipForConditionalGeneration`) that writes the canonical caption of a picture"
    limits = (
        "It can say what the toy world's grammar can say, and is trusted least where a kind has a colour that it "
        "never had in training (see `exact_attributes`)."
    )
    meanings = {
        "exact": "share of captions right word for word (400 scenes)",
    }

    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        self.scenes, self.tokenizer = Scenes("train", scenes, scratch), bert_tokenizer()

    def build(self) -> BlipForConditionalGeneration:
        from transformers import BlipConfig, BlipForConditionalGeneration

        width, tokens = 128, self.tokenizer
        return BlipForConditionalGeneration(
            BlipConfig(
                vision_config={
                    "hidden_size": width,
                    "intermediate_size": 4 * width,
                    "num_hidden_layers": 4,
                    "num_attention_heads": 4,
                    "image_size": toyworld.SIZE,
                    "patch_size": 8,
                },
                text_config={
                    "vocab_size": len(tokens),
                    "hidden_size": width,
                    "encoder_hidden_size": width,
                    "intermediate_size": 4 * width,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 4,
                    "max_position_embeddings": 2 * LENGTH,
                    "hidden_dropout_prob": 0.0,
                    "attention_probs_dropout_prob": 0.0,
                    "pad_token_id": tokens.pad_token_id,
                    "sep_token_id": tokens.sep_token_id,
                    "eos_token_id": tokens.sep_token_id,
                    "bos_token_id": tokens.bos_token_id,
                    "label_smoothing": 0.0,
                },
                projection_dim=width,
            )
        )

    def loss(
        self, model: BlipForConditionalGeneration, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        chosen = np.sort(rng.integers(len(self.scenes), size=self.batch_size))
        captions = [toyworld.caption(self.scenes.description(index)) for index in chosen]
        tokens = self.tokenizer(captions, padding=True, return_tensors="pt")
        ids = tokens.input_ids.clone()
        ids[:, 0] = self.tokenizer.bos_token_id  # generation starts from [DEC], not from [CLS]
        labels = ids.masked_fill(ids == self.tokenizer.pad_token_id, -100).to(device)
        return model(
            pixel_values=normalise(self.scenes.images[chosen]).to(device),
            input_ids=ids.to(device),
            attention_mask=tokens.attention_mask.to(device),
            labels=labels,
        ).loss

    @torch.no_grad()
    def describe(self, model: BlipForConditionalGeneration, pictures: np.ndarray, device: torch.device) -> list[str]:
        """Captions of pictures, the likeliest word by word.

        Parameters
        ----------
        model : transformers.BlipForConditionalGeneration
            In evaluation mode, on ``device``.
        pictures : numpy.ndarray
            ``[batch, 3, 64, 64]`` in [0, 1].
        device : torch.device
            Where the model computes.

        Returns
        -------
        list of str
            One a picture.
        """
        ids = model.generate(
            pixel_values=normalise(255 * pictures).to(device), max_length=LENGTH + 1, num_beams=1, do_sample=False
        )
        return [text.replace(" ,", ",") for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def evaluate(self, model: BlipForConditionalGeneration, device: torch.device) -> dict[str, float]:
        figures = {}
        for split in toyworld.SPLITS:
            scenes = [toyworld.scene(seed, split) for seed in range(1_000_000, 1_000_400)]
            texts = self.describe(model, np.stack([scene.image for scene in scenes]), device)
            figures[f"exact_{split}"] = float(np.mean([t == s.caption for t, s in zip(texts, scenes, strict=True)]))
        figures["exact"] = figures["exact_combinations"]
        return figures

    def save(self, model: BlipForConditionalGeneration, folder: Path) -> None:
        from transformers import BlipImageProcessorPil

        model.half().save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save_pretrained(folder)
        size = {"height": toyworld.SIZE, "width": toyworld.SIZE}
        BlipImageProcessorPil(size=size, image_mean=[MEAN] * 3, image_std=[STD] * 3).save_pretrained(folder)

    def restore(self, folder: Path) -> BlipForConditionalGeneration:
        from transformers import BlipForConditionalGeneration

        return BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
