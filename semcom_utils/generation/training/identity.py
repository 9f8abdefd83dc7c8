"""The judge of identity: which of the toy world's subjects does a picture show? Trained on rendered views only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from semcom_utils import toyworld

from ..identity import windows
from .data import to_bytes
from .loop import Recipe

__all__ = ["Identity"]

#: Views from which on the judge learns; those below are for whom is judged.
FIRST_VIEW = 1_000


class Identity(Recipe):
    """A residual network (He et al., 2016) that sees a window around a subject, from its box to the whole picture.

    Windows are resized to one size, so the judge can look at a whole picture or at one box of it.
    """

    role = "identity"
    steps = 1200
    rate = 2e-3
    weight_decay = 1e-3
    ema_decay = 0.99
    batch_size = 64
    targets = {"identity_right": (0.95, 1.0)}

    def __init__(self, scratch: Path | None = None, scenes: int = 3_000):
        self.views = max(scenes // toyworld.SUBJECTS, 1)
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

    def build(self):
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

    def loss(self, model, progress, rng, device):
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
    def evaluate(self, model, device):
        from ..identity import Identity as Judge

        judge = Judge(model.to(device))
        truth, views = zip(
            *((number, toyworld.subject_scene(number, view)) for number in range(toyworld.SUBJECTS) for view in
              range(100, 108)),
            strict=True,
        )
        images = torch.from_numpy(np.stack([scene.image for scene in views]))
        boxes = np.stack([scene.boxes[0] for scene in views]) / toyworld.SIZE
        return {
            "identity_right": float((judge(images).argmax(1).numpy() == truth).mean()),
            "identity_right_in_box": float((judge(images, boxes).argmax(1).numpy() == truth).mean()),
        }

    def save(self, model, folder):
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder):
        from transformers import ResNetForImageClassification

        return ResNetForImageClassification.from_pretrained(folder, dtype=torch.float32)
