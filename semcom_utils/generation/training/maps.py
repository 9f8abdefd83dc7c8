"""Learned extractors of maps: depth (the role of MiDaS), soft edges (the role of HED), classes and poses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from semcom_utils import toyworld
from semcom_utils.paths import MODELS
from semcom_utils.toyworld.agreement import keypoint_distance, segmentation_iou
from semcom_utils.toyworld.maps import control_array, draw_pose, draw_segmentation, soften

from ..parsing import BLOCK, figures, parse
from .clip import MEAN, STD, normalise
from .data import Scenes
from .loop import Recipe

if TYPE_CHECKING:
    from diffusers import UNet2DModel
    from transformers import DPTForDepthEstimation

__all__ = ["DepthRecipe", "ParserRecipe", "SoftEdgesRecipe"]


class _Maps(Recipe):
    """A picture in, one number for each pixel out; the exact map of the scene is the target."""

    batch_size = 16

    scenes: Scenes

    def __init__(self, scratch: Path | None = None, scenes: int = 60_000, models: Path = MODELS) -> None:
        self.scenes = Scenes("train", scenes, scratch)

    def batch(self, rng: np.random.Generator) -> tuple[torch.Tensor, list[toyworld.Scene]]:
        chosen = np.sort(rng.integers(len(self.scenes), size=self.batch_size))
        return normalise(self.scenes.images[chosen]), [self.scenes.scene(index) for index in chosen]

    def held_out(self) -> tuple[torch.Tensor, list[toyworld.Scene]]:
        scenes = [toyworld.scene(seed, "combinations") for seed in range(1_000_000, 1_000_200)]
        return normalise(np.stack([np.round(255 * scene.image) for scene in scenes])), scenes


class DepthRecipe(_Maps):
    """Inverse depth by a dense prediction transformer (Ranftl et al., 2021).

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "depth"
    steps = 2500
    rate = 1e-3
    targets = {"mean_absolute_error": (0.0, 0.03)}
    about = (
        "a depth estimator (`transformers.DPTForDepthEstimation`) that gives inverse depth, from 0 at infinity to 1"
        " on the lower rim of the picture"
    )
    limits = (
        "It knows the toy world's one camera, so its scale means nothing elsewhere. The ground comes out nearly "
        "exact; things are blurred, thin ones most (see the error on things)."
    )
    samples = "pictures of `combinations`, their exact inverse depth, and the model's"
    meanings = {
        "mean_absolute_error": "mean absolute error of inverse depth (200 scenes, `combinations`)",
        "mean_absolute_error_on_things": "the same on the pixels of things",
    }

    def build(self) -> DPTForDepthEstimation:
        from transformers import DPTConfig, DPTForDepthEstimation

        return DPTForDepthEstimation(
            DPTConfig(
                hidden_size=96,
                num_hidden_layers=4,
                num_attention_heads=4,
                intermediate_size=288,
                image_size=toyworld.SIZE,
                patch_size=8,
                backbone_out_indices=[0, 1, 2, 3],
                neck_hidden_sizes=[24, 48, 64, 64],
                fusion_hidden_size=32,
                reassemble_factors=[2, 1, 0.5, 0.25],
                is_hybrid=False,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                use_auxiliary_head=False,
                head_in_index=-1,
            )
        )

    def loss(
        self, model: DPTForDepthEstimation, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        x, scenes = self.batch(rng)
        truth = torch.from_numpy(np.stack([scene.depth for scene in scenes])).to(device)
        return (model(pixel_values=x.to(device)).predicted_depth - truth).abs().mean()

    @torch.no_grad()
    def evaluate(self, model: DPTForDepthEstimation, device: torch.device) -> dict[str, float]:
        x, scenes = self.held_out()
        truth = torch.from_numpy(np.stack([scene.depth for scene in scenes]))
        error = (model(pixel_values=x.to(device)).predicted_depth.cpu() - truth).abs()
        things = torch.from_numpy(np.stack([scene.instances > 0 for scene in scenes]))
        return {
            "mean_absolute_error": float(error.mean()),
            "mean_absolute_error_on_things": float(error[things].mean()),
        }

    @torch.no_grad()
    def pictures(self, model: DPTForDepthEstimation, device: torch.device) -> np.ndarray:
        x, scenes = self.held_out()
        found = model(pixel_values=x[:10].to(device)).predicted_depth.cpu().numpy().clip(0, 1)
        rows = [
            np.stack([scene.image for scene in scenes[:10]]),
            *(
                np.repeat(maps[:, None], 3, axis=1)
                for maps in (np.stack([scene.depth for scene in scenes[:10]]), found)
            ),
        ]
        return np.stack(rows)

    def save(self, model: DPTForDepthEstimation, folder: Path) -> None:
        from transformers import DPTImageProcessorPil

        model.half().save_pretrained(folder, safe_serialization=True)
        DPTImageProcessorPil(
            size={"height": toyworld.SIZE, "width": toyworld.SIZE},
            image_mean=[MEAN] * 3,
            image_std=[STD] * 3,
        ).save_pretrained(folder)

    def restore(self, folder: Path) -> DPTForDepthEstimation:
        from transformers import DPTForDepthEstimation

        return DPTForDepthEstimation.from_pretrained(folder, dtype=torch.float32)


class SoftEdgesRecipe(_Maps):
    """Edge probability by a small UNet (its time step is always 0).

    The target is 1 on an edge of the scene and falls off within two pixels, as an annotators' average does.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "soft-edges"
    steps = 1500
    rate = 2e-3
    targets = {"f_score": (0.85, 1.0)}
    about = (
        "an edge detector (`diffusers.UNet2DModel`, its time step always 0) whose output's sigmoid is the "
        "probability of an edge"
    )
    limits = (
        "It draws the outlines of things and the horizon, and leaves textures and shading out, as it was taught to."
    )
    samples = "pictures of `combinations`, their exact edges softened as the training target is, and the model's"
    meanings = {
        "f_score": "F score of pixels with probability above 0.6, to within a pixel (200 scenes, `combinations`)",
        "precision": "precision of the same",
        "recall": "recall of the same",
    }

    def build(self) -> UNet2DModel:
        from diffusers import UNet2DModel

        return UNet2DModel(
            sample_size=toyworld.SIZE,
            in_channels=3,
            out_channels=1,
            block_out_channels=(16, 32, 48),
            layers_per_block=1,
            down_block_types=("DownBlock2D",) * 3,
            up_block_types=("UpBlock2D",) * 3,
            norm_num_groups=8,
            add_attention=False,
        )

    @staticmethod
    def soft(edges: np.ndarray) -> np.ndarray:
        """Edges, softened: exp(−d²/2) of the distance d to the nearest edge, in pixels.

        Parameters
        ----------
        edges : numpy.ndarray
            Bool ``[rows, columns]``.

        Returns
        -------
        numpy.ndarray
            Float32 ``[rows, columns]`` in [0, 1]; zero everywhere if there is no edge.
        """
        return soften(edges)

    def loss(self, model: UNet2DModel, progress: float, rng: np.random.Generator, device: torch.device) -> torch.Tensor:
        x, scenes = self.batch(rng)
        truth = torch.from_numpy(np.stack([self.soft(scene.edges) for scene in scenes])).to(device)
        return torch.nn.functional.binary_cross_entropy_with_logits(model(x.to(device), 0).sample[:, 0], truth)

    @torch.no_grad()
    def evaluate(self, model: UNet2DModel, device: torch.device) -> dict[str, float]:
        x, scenes = self.held_out()
        found = (
            torch.cat([model(part.to(device), 0).sample[:, 0].sigmoid().cpu() for part in x.split(50)]).numpy() > 0.6
        )
        truth = np.stack([scene.edges for scene in scenes])
        near = lambda maps: np.stack([ndimage.binary_dilation(m, iterations=1) for m in maps])  # noqa: E731
        precision, recall = (found & near(truth)).sum() / max(found.sum(), 1), (truth & near(found)).sum() / truth.sum()
        return {
            "f_score": float(2 * precision * recall / (precision + recall)),
            "precision": float(precision),
            "recall": float(recall),
        }

    @torch.no_grad()
    def pictures(self, model: UNet2DModel, device: torch.device) -> np.ndarray:
        x, scenes = self.held_out()
        found = model(x[:10].to(device), 0).sample[:, 0].sigmoid().cpu().numpy()
        rows = [
            np.stack([scene.image for scene in scenes[:10]]),
            *(
                np.repeat(maps[:, None], 3, axis=1)
                for maps in (np.stack([self.soft(scene.edges) for scene in scenes[:10]]), found)
            ),
        ]
        return np.stack(rows)

    def save(self, model: UNet2DModel, folder: Path) -> None:
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> UNet2DModel:
        from diffusers import UNet2DModel

        return UNet2DModel.from_pretrained(folder, dtype=torch.float32)


class ParserRecipe(_Maps):
    """Classes and joints by one small UNet with two heads (see :mod:`semcom_utils.generation.parsing`).

    The joints' maps are what is usual for poses (Tompson et al., 2014): a bump around each visible joint. Bumps cover a
    thousandth of the picture, so their pixels weigh more.

    Parameters
    ----------
    scratch : pathlib.Path, optional
        Where rendered scenes are kept between runs; in memory alone if None.
    scenes : int
        How many scenes of the split ``train`` to learn from.
    models : pathlib.Path
        Folder of the checkpoints that the recipe reads (none).
    """

    role = "segmentation"
    steps = 1500
    rate = 2e-3
    #: Standard deviation of a bump in pixels, and how much more a bump's pixels weigh.
    bump, weight = 1.2, 20.0
    targets = {"iou": (0.85, 1.0), "keypoint_distance": (0.0, 2.0)}
    about = (
        "a reader of classes and poses (`diffusers.UNet2DModel`, its time step always 0; its input is the picture with "
        "each 2x2 block of pixels stacked into channels, and its output, stacked likewise, has 8 channels for the "
        "classes and 14 for the joints of robots). The roles `segmentation` and `pose` share it"
    )
    limits = (
        "It tells classes, not single things: two of a kind that touch are one area. Of two robots it takes every "
        "joint to belong to the nearer neck."
    )
    samples = "pictures of `combinations`, their exact classes and the model's, their exact poses and the model's"
    meanings = {
        "iou": "pixels of things with the right class, over pixels that are a thing's in truth or in the result, mean "
        "of 200 scenes (`combinations`)",
        "pixels_right": "share of all pixels whose class is right",
        "keypoint_distance": "mean distance of visible joints in pixels, a missed one counted as 16 (`combinations`)",
        "robots_counted_right": "share of scenes in which as many robots are found as there are",
    }

    def build(self) -> torch.nn.Module:
        from diffusers import UNet2DModel

        return UNet2DModel(
            sample_size=toyworld.SIZE // BLOCK,
            in_channels=3 * BLOCK**2,
            out_channels=(len(toyworld.CLASSES) + len(toyworld.JOINTS)) * BLOCK**2,
            block_out_channels=(32, 48, 64),
            layers_per_block=1,
            down_block_types=("DownBlock2D",) * 3,
            up_block_types=("UpBlock2D",) * 3,
            norm_num_groups=8,
            add_attention=False,
        )

    def bumps(self, keypoints: np.ndarray) -> np.ndarray:
        """What the joints' maps should be.

        Parameters
        ----------
        keypoints : numpy.ndarray
            ``[robots, 14, 3]``: column and row in pixels, and 1 where the joint is visible.

        Returns
        -------
        numpy.ndarray
            Float32 ``[14, 64, 64]`` in [0, 1]: for each joint the largest of all robots' bumps.
        """
        maps = np.zeros((len(toyworld.JOINTS), toyworld.SIZE, toyworld.SIZE), np.float32)
        axis = np.arange(toyworld.SIZE) + 0.5
        for figure in keypoints:
            columns, rows = (np.exp(-0.5 * ((axis - figure[:, [k]]) / self.bump) ** 2) for k in (0, 1))
            maps = np.maximum(maps, rows[:, :, None] * columns[:, None, :] * figure[:, 2, None, None])
        return maps.astype(np.float32)

    def loss(
        self, model: torch.nn.Module, progress: float, rng: np.random.Generator, device: torch.device
    ) -> torch.Tensor:
        x, scenes = self.batch(rng)
        # A generated picture is a little off in brightness and grain; the reader must not mind.
        x = x * torch.empty(len(x), 1, 1, 1).uniform_(0.9, 1.1)
        x = x + torch.randn(x.shape) * torch.empty(len(x), 1, 1, 1).uniform_(0, 0.08)
        classes, joints = parse(model, x.to(device))
        labels = torch.from_numpy(np.stack([scene.segmentation for scene in scenes])).to(device)
        bumps = torch.from_numpy(np.stack([self.bumps(control_array(scene, "pose")) for scene in scenes])).to(device)
        named = torch.nn.functional.cross_entropy(classes, labels)
        placed = torch.nn.functional.binary_cross_entropy_with_logits(joints, bumps, 1 + self.weight * bumps)
        return named + 5 * placed

    @torch.no_grad()
    def read(
        self, model: torch.nn.Module, x: torch.Tensor, device: torch.device
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Read pictures.

        Parameters
        ----------
        model : torch.nn.Module
            In evaluation mode, on ``device``.
        x : torch.Tensor
            ``[batch, 3, 64, 64]`` in [-1, 1].
        device : torch.device
            Where the model computes.

        Returns
        -------
        labels : numpy.ndarray
            Class numbers, ``[batch, 64, 64]``.
        poses : list of numpy.ndarray
            ``[robots, 14, 3]`` for each picture, as from :func:`semcom_utils.generation.parsing.figures`.
        """
        parts = [parse(model, part.to(device)) for part in x.split(50)]
        labels = torch.cat([classes.argmax(1).cpu() for classes, _ in parts]).numpy()
        heat = torch.cat([joints.sigmoid().cpu() for _, joints in parts]).numpy()
        return labels, [figures(one) for one in heat]

    def evaluate(self, model: torch.nn.Module, device: torch.device) -> dict[str, float]:
        x, scenes = self.held_out()
        labels, poses = self.read(model, x, device)
        truth = [control_array(scene, "pose") for scene in scenes]
        with_robots = [k for k, joints in enumerate(truth) if len(joints)]
        ious = [segmentation_iou(scene.segmentation, found) for scene, found in zip(scenes, labels, strict=True)]
        return {
            "iou": float(np.mean(ious)),
            "pixels_right": float(np.mean(labels == np.stack([scene.segmentation for scene in scenes]))),
            "keypoint_distance": float(np.mean([keypoint_distance(truth[k], poses[k]) for k in with_robots])),
            "robots_counted_right": float(np.mean([len(a) == len(b) for a, b in zip(truth, poses, strict=True)])),
        }

    def pictures(self, model: torch.nn.Module, device: torch.device) -> np.ndarray:
        x, scenes = self.held_out()
        labels, poses = self.read(model, x[:10], device)
        rows = [
            [np.round(255 * scene.image).transpose(1, 2, 0) for scene in scenes[:10]],
            [draw_segmentation(scene.segmentation) for scene in scenes[:10]],
            [draw_segmentation(found) for found in labels],
            [draw_pose(control_array(scene, "pose")) for scene in scenes[:10]],
            [draw_pose(joints) for joints in poses],
        ]
        return np.stack([np.stack(row) for row in rows]).transpose(0, 1, 4, 2, 3) / 255

    def save(self, model: UNet2DModel, folder: Path) -> None:
        model.half().save_pretrained(folder, safe_serialization=True)

    def restore(self, folder: Path) -> torch.nn.Module:
        from diffusers import UNet2DModel

        return UNet2DModel.from_pretrained(folder, dtype=torch.float32)
