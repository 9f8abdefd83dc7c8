"""The judge of identity: which of the toy world's subjects does a picture show? Trained on rendered views only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from semcom_utils import toyworld
from semcom_utils.paths import MODELS

from ..identity import Identity, windows
from .data import to_bytes
from .loop import Recipe

if TYPE_CHECKING:
    from transformers import ResNetForImageClassification

__all__ = ["IdentityRecipe"]

#: Views from which on the judge learns; those below are for whom is judged.
FIRST_VIEW = 1_000
#: Views of all subjects together that are enough to learn from.
ENOUGH = 3_000


class IdentityRecipe(Recipe["ResNetForImageClassification"]):
    """A residual network (He et al., 2016) that sees a window around a subject, from its box to the whole picture.

    Windows are resized to one size, so the judge can look at a whole picture or at one box of it.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered views are kept between runs; in memory alone if None.
    scenes : int
        How many views of all subjects together to learn from; of more, 3,000.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "identity"
    steps = 1200
    rate = 2e-3
    weight_decay = 1e-3
    ema_decay = 0.99
    batch_size = 64
    targets = {"identity_right": (0.95, 1.0)}
    about = (
        "a classifier (`transformers.ResNetForImageClassification`) of the toy world's thirty subjects: which of them "
        "does a picture, or a box of it, show?"
    )
    limits = (
        "It is the judge of personalised models and has seen rendered views only. It always names one of the thirty: "
        "what is none of them is not told apart."
    )
    data = f"views from number {FIRST_VIEW:,} on of each subject"
    meanings = {
        "identity_right": "share of rendered views, 8 of each subject, in which the right one of thirty subjects is "
        "likeliest",
        "identity_right_in_box": "the same, told the subject's box",
    }

    def __init__(self, scratch: Path | None = None, scenes: int = ENOUGH, models: Path = MODELS) -> None:
        self.views = max(min(scenes, ENOUGH) // toyworld.SUBJECTS, 1)
        kept = None if scratch is None else Path(scratch) / f"subjects-{self.views}.npz"
        if kept is not None and kept.exists():
            with np.load(kept) as arrays:
                self.images, self.boxes = arrays["images"], arrays["boxes"]
        else:
            views = [
                toyworld.subject_scene(number, FIRST_VIEW + view)
                for number in range(toyworld.SUBJECTS)
                for view in range(self.views)
            ]
            self.images = np.stack([to_bytes(scene.image) for scene in views])
            self.boxes = np.stack([scene.boxes[0] for scene in views]) / toyworld.SIZE
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, images=self.images, boxes=self.boxes)
        self.scenes = {"subjects": range(len(self.images))}

    def build(self) -> ResNetForImageClassification:
        from transformers import ResNetConfig, ResNetForImageClassification

        return ResNetForImageClassification(
            ResNetConfig(
                num_channels=3,
                embedding_size=16,
                hidden_sizes=[16, 32, 64, 96],
                depths=[1, 1, 1, 1],
                layer_type="basic",
                id2label={number: str(number) for number in range(toyworld.SUBJECTS)},
            )
        )

    def loss(
        self, model: ResNetForImageClassification, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        chosen = rng.integers(len(self.images), size=self.batch_size)
        x = torch.from_numpy(self.images[chosen]).float() / 255
        # From a little less than the box to all of the picture.
        left, top, right, bottom = self.boxes[chosen].T
        side = np.maximum(right - left, bottom - top)
        wanted = np.minimum(side * np.exp(rng.uniform(np.log(0.9), np.log(1 / side))), 1.0)
        across = (left + right) / 2 + rng.uniform(-0.5, 0.5, len(side)) * np.abs(wanted - side)
        down = (top + bottom) / 2 + rng.uniform(-0.5, 0.5, len(side)) * np.abs(wanted - side)
        across, down = (np.clip(middle, wanted / 2, 1 - wanted / 2) for middle in (across, down))
        boxes = np.stack([across - wanted / 2, down - wanted / 2, across + wanted / 2, down + wanted / 2], axis=1)
        x = windows(x, boxes)
        # A generated picture is a little off in brightness, sharpness and grain; the judge must not mind.
        soft = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        x = torch.lerp(x, soft, torch.empty(len(x), 1, 1, 1).uniform_(0, 0.7))
        x = x * torch.empty(len(x), 1, 1, 1).uniform_(0.9, 1.1) + torch.randn(x.shape) * torch.empty(
            len(x), 1, 1, 1
        ).uniform_(0, 0.08)
        numbers = torch.from_numpy(chosen // self.views).to(device)
        return model(pixel_values=(2 * x - 1).to(device), labels=numbers).loss

    @torch.no_grad()
    def evaluate(self, model: ResNetForImageClassification, device: torch.device) -> dict[str, float]:
        judge = Identity(model)
        truth = np.repeat(np.arange(toyworld.SUBJECTS), 8)
        views = [toyworld.subject_scene(int(number), 100 + place % 8) for place, number in enumerate(truth)]
        images = torch.from_numpy(np.stack([scene.image for scene in views]))
        boxes = np.stack([scene.boxes[0] for scene in views]) / toyworld.SIZE
        return {
            "identity_right": float((judge(images).argmax(1).numpy() == truth).mean()),
            "identity_right_in_box": float((judge(images, boxes).argmax(1).numpy() == truth).mean()),
        }

    def save(self, model: ResNetForImageClassification, folder: Path) -> None:
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> ResNetForImageClassification:
        from transformers import ResNetForImageClassification

        return ResNetForImageClassification.from_pretrained(folder, dtype=torch.float32)
