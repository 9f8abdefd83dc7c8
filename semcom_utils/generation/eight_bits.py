"""Weights in eight bits: a whole number from -127 to 127 for each weight, and a scale for each row.

What is added to another checkpoint is small beside it, and its rows differ little in size: half of float16's bytes cost
less than the last digits that training leaves to chance. Vectors stay in float16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["SCALE", "from_eight_bits", "to_eight_bits"]

#: What a scale's name adds to that of its weights.
SCALE = ".scale"


def to_eight_bits(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Round weights to multiples of a scale of their row: ``q = round(w / s)``, ``s = max |w| / 127``.

    Parameters
    ----------
    weights : mapping of str to torch.Tensor
        Name -> weights, finite, of whatever floating type; a row is what shares the first index.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU, contiguous. Of a tensor with two axes or more, int8 of its shape under its name, and float32
        ``[rows]`` under the name with :data:`SCALE`; of others, float16.

    Raises
    ------
    ValueError
        If a weight is not finite, or a name ends as that of a scale does.
    """
    import torch

    packed: dict[str, torch.Tensor] = {}
    for name, value in weights.items():
        if name.endswith(SCALE):
            raise ValueError(f"weights must have names that do not end in {SCALE!r}, got {name!r}")
        if not value.isfinite().all():
            raise ValueError(f"weights must be finite, those of {name!r} are not")
        w = value.detach().float().cpu()
        if w.ndim < 2:
            packed[name] = w.half().contiguous()
            continue
        s = w.flatten(1).abs().amax(1) / 127
        s = torch.where(s > 0, s, torch.ones_like(s))  # a row of zeros has any scale
        packed[name] = (w / _column(s, w.ndim)).round().to(torch.int8).contiguous()
        packed[name + SCALE] = s
    return packed


def from_eight_bits(packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights that :func:`to_eight_bits` stored.

    Parameters
    ----------
    packed : mapping of str to torch.Tensor
        From :func:`to_eight_bits`.

    Returns
    -------
    dict of str to torch.Tensor
        Name -> weights, float32, off by half a scale at most.

    Raises
    ------
    ValueError
        If whole numbers have no scale, or one of another length.
    """
    import torch

    weights: dict[str, torch.Tensor] = {}
    for name, value in packed.items():
        if name.endswith(SCALE):
            continue
        if value.dtype != torch.int8:
            weights[name] = value.float()
            continue
        s = packed.get(name + SCALE)
        if s is None or s.shape != value.shape[:1]:
            raise ValueError(f"packed must hold a scale for each of the {len(value)} rows of {name!r}")
        weights[name] = value.float() * _column(s.float(), value.ndim)
    return weights


def _column(scale: torch.Tensor, axes: int) -> torch.Tensor:
    """One number a row, to multiply a tensor of so many axes with."""
    return scale.reshape(-1, *[1] * (axes - 1))
