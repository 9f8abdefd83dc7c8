"""The detector, which names and boxes things; trained on rendered scenes only, so it can judge generated ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.image_transforms import center_to_corners_format
from transformers.loss.loss_for_object_detection import generalized_box_iou

from semcom_utils import toyworld
from semcom_utils.checks import checked
from semcom_utils.paths import MODELS

from ..judging import THRESHOLD, Judge, box_overlap
from ..loading import Detector
from .clip import MEAN, STD, normalise
from .data import Scenes
from .loop import Recipe

if TYPE_CHECKING:
    from transformers import YolosForObjectDetection

__all__ = ["LABELS", "DetectorRecipe", "mean_average_precision"]

#: Class names: colour and kind.
LABELS = tuple(f"{colour} {kind}" for colour in toyworld.COLOURS for kind in toyworld.KINDS)


class DetectorRecipe(Recipe["YolosForObjectDetection"]):
    """YOLOS (Fang et al., 2021): a vision transformer with extra tokens, each of which may claim one thing.

    Which token is to claim which thing is for the loss to say. YOLOS asks for the cheapest matching, which changes from
    step to step and costs most of the training. Here the first half of a run fixes it: two tokens for each strip of the
    picture, one for the farther and one for the nearer thing whose middle lies in it (as YOLO's grid does). The
    matching then takes over, and settles what happens where strips meet.

    A judge must know what it judges: it learns from all splits, the held-out pairs too, and is tested on other seeds.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "detector"
    steps = 12_000
    rate = 6e-4
    weight_decay = 1e-3
    batch_size = 64
    strips = 8
    queries = 2 * strips
    matching_from = 0.5
    #: Weight of "no thing" in the loss. With YOLOS's 0.1, tokens of neighbouring strips claimed one thing twice.
    no_thing = 0.4
    targets = {"map_50": (0.90, 1.0)}
    about = "an object detector (`transformers.YolosForObjectDetection`) for 36 classes, each a colour and a kind"
    limits = (
        "It is the judge of other models, so it was trained on rendered scenes of every split: nothing said is new "
        "to it, only the scenes are. It does not read patterns, poses or the ground."
    )
    meanings = {
        "map_50": "mean average precision, a box counting from an overlap of 0.5 (500 scenes)",
        "all_labels_right": "share of scenes where what scores above 0.5 has just the right labels (500)",
    }

    scenes: dict[str, Scenes]

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        self.scenes = {
            "train": Scenes("train", scenes, scratch),
            "combinations": Scenes("combinations", scenes // 6, scratch),
            "attributes": Scenes("attributes", scenes // 3, scratch),
        }
        self._targets: dict[tuple[str, int], dict[str, torch.Tensor]] = {}

    def build(self) -> YolosForObjectDetection:
        from transformers import YolosConfig, YolosForObjectDetection

        return YolosForObjectDetection(
            YolosConfig(
                hidden_size=144,
                num_hidden_layers=5,
                num_attention_heads=4,
                intermediate_size=432,
                image_size=[toyworld.SIZE] * 2,
                patch_size=8,
                num_detection_tokens=self.queries,
                use_mid_position_embeddings=False,
                eos_coefficient=self.no_thing,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                id2label=dict(enumerate(LABELS)),
                label2id={label: number for number, label in enumerate(LABELS)},
            )
        )

    def truth(self, split: str, index: int) -> dict[str, torch.Tensor]:
        """Classes and boxes of the things that can be seen in a scene.

        Parameters
        ----------
        split : str
            One of ``toyworld.SPLITS``.
        index : int
            Of the scene in its split.

        Returns
        -------
        dict of str to torch.Tensor
            ``class_labels`` ``[things]``; ``boxes`` ``[things, 4]``: centre (column, row),
            width and height, as shares of the side.
        """
        key = split, int(index)
        if key not in self._targets:
            scene = self.scenes[split].scene(index)
            seen = ~np.isnan(scene.boxes[:, 0])
            left, top, right, bottom = scene.boxes[seen].T / toyworld.SIZE
            self._targets[key] = {
                "class_labels": torch.tensor([LABELS.index(n) for n, s in zip(scene.labels, seen, strict=True) if s]),
                "boxes": torch.from_numpy(
                    np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top], axis=1)
                ).float(),
            }
        return self._targets[key]

    def loss(
        self, model: YolosForObjectDetection, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        pictures: list[np.ndarray] = []
        labels: list[dict[str, torch.Tensor]] = []
        for split, scenes in self.scenes.items():
            share = {"train": self.batch_size - 24, "combinations": 8, "attributes": 16}[split]
            chosen = np.sort(rng.integers(len(scenes), size=share))
            pictures.append(scenes.images[chosen])
            labels += [{name: part.to(device) for name, part in self.truth(split, index).items()} for index in chosen]
        images = np.concatenate(pictures)
        # A generated picture is a little off in brightness and grain; the judge must not mind.
        x = normalise(images)
        x = x * torch.empty(len(x), 1, 1, 1).uniform_(0.9, 1.1) + torch.randn(x.shape) * torch.empty(
            len(x), 1, 1, 1
        ).uniform_(0, 0.1)
        if progress >= self.matching_from:
            return model(pixel_values=x.to(device), labels=labels).loss
        return self.loss_in_strips(model(pixel_values=x.to(device)), labels)

    def loss_in_strips(self, output: Any, labels: list[dict[str, torch.Tensor]]) -> torch.Tensor:
        """Loss of YOLOS, each thing claimed by a token of its own strip.

        Parameters
        ----------
        output : transformers.models.yolos.modeling_yolos.YolosObjectDetectionOutput
            Of a batch.
        labels : list of dict
            As from :meth:`truth`, one a picture.

        Returns
        -------
        torch.Tensor
            A number.
        """
        classes = torch.full(output.logits.shape[:2], len(LABELS), device=output.logits.device)
        rows, tokens = [], []
        for row, truth in enumerate(labels):
            taken = set()
            for place in np.argsort((truth["boxes"][:, 1] + truth["boxes"][:, 3] / 2).cpu().numpy()):
                token = 2 * min(int(truth["boxes"][place, 0] * self.strips), self.strips - 1)
                token += token in taken
                taken.add(token)
                classes[row, token] = truth["class_labels"][place]
                rows.append((row, int(place)))
                tokens.append((row, token))
        wanted = torch.stack([labels[row]["boxes"][place] for row, place in rows])
        found = output.pred_boxes[tuple(torch.tensor(tokens, device=classes.device).T)]
        weight = torch.ones(len(LABELS) + 1, device=classes.device)
        weight[-1] = self.no_thing
        named = torch.nn.functional.cross_entropy(output.logits.flatten(0, 1), classes.flatten(), weight)
        # the library's annotation names an enumeration of kinds of tensors where it means a tensor
        corners = [center_to_corners_format(boxes) for boxes in (found, wanted)]  # type: ignore[arg-type]
        overlap = torch.diag(generalized_box_iou(*corners))
        return named + 5 * (found - wanted).abs().sum(1).mean() + 2 * (1 - overlap).mean()

    @torch.no_grad()
    def evaluate(self, model: YolosForObjectDetection, device: torch.device) -> dict[str, float]:
        model.to(device).eval()  # type: ignore[arg-type]  # the library's wrapper of `to` types its arguments wrongly
        judge, figures = Judge(Detector(model, self.processor())), {}
        for split in toyworld.SPLITS:
            scenes = [toyworld.scene(seed, split) for seed in range(1_000_000, 1_000_500)]
            found = judge(np.stack([scene.image for scene in scenes]), threshold=0.0)
            figures[f"map_50_{split}"] = mean_average_precision(found, scenes)
            counted = [sorted(label for label, score, _ in boxes if score > THRESHOLD) for boxes in found]
            figures[f"all_labels_right_{split}"] = float(
                np.mean([labels == sorted(scene.labels) for labels, scene in zip(counted, scenes, strict=True)])
            )
        figures["map_50"] = figures["map_50_combinations"]
        return figures

    def save(self, model: YolosForObjectDetection, folder: Path) -> None:
        model.half().save_pretrained(folder, safe_serialization=True)
        self.processor().save_pretrained(folder)

    @staticmethod
    def processor() -> Any:
        """The image processor that goes with the model.

        Returns
        -------
        transformers.YolosImageProcessorPil
            For pictures of the toy world's size.
        """
        from transformers import YolosImageProcessorPil

        return YolosImageProcessorPil(
            size={"height": toyworld.SIZE, "width": toyworld.SIZE},
            image_mean=[MEAN] * 3,
            image_std=[STD] * 3,
            do_pad=False,
        )

    def restore(self, folder: Path) -> YolosForObjectDetection:
        from transformers import YolosForObjectDetection

        model = YolosForObjectDetection.from_pretrained(folder, dtype=torch.float32)
        model.config.eos_coefficient = self.no_thing
        self.matching_from = 0.0  # who claims what is settled
        return model


@checked
def mean_average_precision(found: list, scenes: list[toyworld.Scene], overlap: float = 0.5) -> float:
    """Mean over the classes of the area under the precision-recall curve (torchmetrics' needs torchvision).

    Parameters
    ----------
    found : list of list of tuple
        What a :class:`.judging.Judge` found in each scene, with a threshold of 0.
    scenes : list of toyworld.Scene
        What was there to be found.
    overlap : float
        Intersection over union from which a box counts as the same.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    hits: dict[str, list[tuple[float, bool]]] = {label: [] for label in LABELS}
    there = dict.fromkeys(LABELS, 0)
    for boxes, scene in zip(found, scenes, strict=True):
        free = list(zip(scene.labels, scene.boxes, strict=True))
        for label in scene.labels:
            there[label] += 1
        for label, score, box in sorted(boxes, key=lambda item: -item[1]):
            shared = [box_overlap(box, truth) if name == label else 0.0 for name, truth in free]
            best = int(np.argmax(shared)) if shared else -1
            right = best >= 0 and shared[best] >= overlap
            if right:
                free.pop(best)  # a thing can be found once
            hits[label].append((score, right))
    areas = []
    for label, count in there.items():
        if count:
            held = np.array([hit for _, hit in sorted(hits[label], key=lambda item: -item[0])], dtype=float)
            precision = np.cumsum(held) / np.arange(1, len(held) + 1)
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            areas.append(float((envelope * held).sum() / count))
    return float(np.mean(areas))
