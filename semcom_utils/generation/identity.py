"""Which individual does a picture show? A judge that has seen rendered views of the toy world's subjects only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from semcom_utils.checks import checked, finite_array, positive_integer

if TYPE_CHECKING:
    import torch

__all__ = ["SIDE", "Identity", "windows"]

#: Side of what the judge sees, in pixels.
SIDE = 48


@checked(shapes={"images": "batch+ channels+ rows+ columns+"})
def windows(images: torch.Tensor, boxes: Any, side: int = SIDE) -> torch.Tensor:
    """Cut a window out of each picture and bring it to one size, by bilinear interpolation.

    Parameters
    ----------
    images : torch.Tensor
        [batch, channels, rows, columns].
    boxes : array_like
        [batch, 4]: left, top, right, bottom as shares of width and height.
    side : int
        Rows and columns of a window that is given back.

    Returns
    -------
    torch.Tensor
        [batch, channels, side, side].

    Raises
    ------
    ValueError
        If ``images`` are no pictures of floating-point numbers, or ``boxes`` are not one for each.
    """
    import torch

    positive_integer("side", side)
    if not images.is_floating_point():
        raise ValueError(f"images must be of floating-point numbers, got {images.dtype}")
    boxes = finite_array("boxes", boxes, last=4)
    if boxes.shape != (len(images), 4):
        raise ValueError(f"boxes must be one for each picture, [{len(images)}, 4], got shape {boxes.shape}")
    left, top, right, bottom = torch.as_tensor(np.asarray(boxes), dtype=images.dtype, device=images.device).T[..., None]
    middle = (torch.arange(side, dtype=images.dtype, device=images.device) + 0.5) / side
    across, down = (2 * (low + (high - low) * middle) - 1 for low, high in ((left, right), (top, bottom)))
    grid = torch.stack(torch.broadcast_tensors(across[:, None, :], down[:, :, None]), dim=-1)
    return torch.nn.functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass(frozen=True, eq=False)
class Identity:
    """How likely each of the toy world's subjects is the one in a picture.

    Parameters
    ----------
    model : transformers.ResNetForImageClassification
        One class for each subject.
    """

    model: Any

    def __call__(self, images: torch.Tensor, boxes: Any = None) -> torch.Tensor:
        """Judge pictures.

        Parameters
        ----------
        images : torch.Tensor
            [batch, 3, rows, columns] in [0, 1].
        boxes : array_like, optional
            [batch, 4]: left, top, right, bottom as shares of width and height: where to look in each picture. The
            whole of it by default.

        Returns
        -------
        torch.Tensor
            Float32 [batch, subjects]: probabilities, on the CPU.

        Raises
        ------
        ValueError
            If ``images`` are no pictures in [0, 1], or ``boxes`` are not one for each, inside of it.
        """
        import torch

        if (
            not isinstance(images, torch.Tensor)
            or images.ndim != 4
            or images.shape[1] != 3
            or not bool(((images >= 0) & (images <= 1)).all())
        ):
            raise ValueError(
                "images must be a tensor [batch, 3, rows, columns] in [0, 1], got "
                f"{tuple(images.shape) if isinstance(images, torch.Tensor) else images!r}"[:300]
            )
        if boxes is None:
            boxes = np.tile([0.0, 0.0, 1.0, 1.0], (len(images), 1))
        boxes = finite_array("boxes", boxes, last=4)
        if boxes.shape != (len(images), 4):
            raise ValueError(f"boxes must be one for each picture, [{len(images)}, 4], got shape {boxes.shape}")
        inside = (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= 1).all() and (boxes[:, :2] < boxes[:, 2:]).all()
        if not inside:
            raise ValueError(f"boxes must lie inside the pictures, as shares of width and height, got {boxes.tolist()}")
        with torch.no_grad():
            x = 2 * windows(images.float().cpu(), boxes) - 1
            return self.model(pixel_values=x.to(self.model.device, self.model.dtype)).logits.float().softmax(-1).cpu()
