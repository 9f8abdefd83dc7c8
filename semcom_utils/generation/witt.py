"""WITT: a Swin transformer as joint source-channel code, one network for all SNRs (Yang et al., 2023).

A compact implementation of what that paper describes. The picture is cut into patches of 2x2 pixels; stages of
transformer blocks attend within windows, every second block within shifted ones (Liu et al., 2021), and merge patches
between stages. The channel modulation, a chain of linear layers each multiplied by what an SNR says, gates the
innermost features, on both sides. A linear layer makes symbols of them. The decoder mirrors the encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from semcom_utils.checks import checked, positive_integer

from .jscc import TOLD, JointCode, _three_integers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Witt"]


class _Attention(nn.Module):
    """Attention within windows of a grid of features, with a bias learned for each offset.

    Parameters
    ----------
    width, heads, grid, window, shift : int
        Features, heads, places along a side, places along a window's side, and how far the windows are shifted.
    """

    offset: torch.Tensor
    apart: torch.Tensor

    def __init__(self, width: int, heads: int, grid: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.grid, self.window, self.shift = heads, grid, window, shift
        self.to_qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, (2 * window - 1) ** 2))
        nn.init.trunc_normal_(self.bias, std=0.02)
        place = torch.cartesian_prod(torch.arange(window), torch.arange(window))
        offset = place[:, None] - place[None] + window - 1
        index = offset[..., 0] * (2 * window - 1) + offset[..., 1]
        self.register_buffer("offset", index.flatten(), persistent=False)
        # After the shift, places that were at opposite sides of the picture share a window: they must not attend.
        line = torch.zeros(grid, dtype=torch.long)
        if shift:
            line[grid - window :] = 1
            line[grid - shift :] = 2
        region = self._windows((3 * line[:, None] + line[None])[None, :, :, None].float())[..., 0]
        apart = region[:, :, None] != region[:, None, :]
        self.register_buffer("apart", torch.where(apart, -100.0, 0.0)[:, None], persistent=False)

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, grid, grid, width] -> [batch * windows, window², width]"""
        batch, grid, _, width = x.shape
        n, w = grid // self.window, self.window
        return x.reshape(batch, n, w, n, w, width).transpose(2, 3).reshape(batch * n * n, w * w, width)

    def _whole(self, x: torch.Tensor, batch: int) -> torch.Tensor:
        n, w = self.grid // self.window, self.window
        return x.reshape(batch, n, n, w, w, -1).transpose(2, 3).reshape(batch, self.grid, self.grid, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, _, _, width = x.shape
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        seen = self._windows(x)
        q, k, v = self.to_qkv(seen).reshape(len(seen), -1, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-1, -2)
        scores = scores + self.bias.index_select(1, self.offset).reshape(self.heads, *scores.shape[-2:])
        if self.shift:
            windows = len(self.apart)
            scores = (scores.reshape(batch, windows, *scores.shape[1:]) + self.apart).reshape(scores.shape)
        x = self._whole(self.out((scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)), batch)
        return x.roll((self.shift, self.shift), (1, 2)) if self.shift else x


class _Block(nn.Module):
    """A transformer block: attention within windows and two linear layers, each after a norm and around a skip."""

    def __init__(self, width: int, heads: int, grid: int, window: int, shift: int, ratio: int) -> None:
        super().__init__()
        self.norm_one, self.norm_two = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads, grid, window, shift)
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm_one(x))
        return x + self.mlp(self.norm_two(x))


def _stage(width: int, heads: int, grid: int, window: int, depth: int, ratio: int) -> nn.Sequential:
    window = min(window, grid)
    shifts = [window // 2 if number % 2 and window < grid else 0 for number in range(depth)]
    return nn.Sequential(*(_Block(width, heads, grid, window, shift, ratio) for shift in shifts))


class _Merge(nn.Module):
    """Four neighbouring places become one."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4 * width), nn.Linear(4 * width, out, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, grid, _, width = x.shape
        x = x.reshape(batch, grid // 2, 2, grid // 2, 2, width).transpose(2, 3).flatten(3)
        return self.linear(self.norm(x)).float()


class _Expand(nn.Module):
    """One place becomes four neighbouring ones."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, 4 * out, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(self.norm(x))
        batch, grid, _, width = x.shape
        x = x.reshape(batch, grid, grid, 2, 2, width // 4).transpose(2, 3)
        return x.reshape(batch, 2 * grid, 2 * grid, width // 4).float()


class _Modulation(nn.Module):
    """Channel modulation: linear layers, between them factors that an SNR says; their end gates the features."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth + 1))
        self.factors = nn.ModuleList(
            nn.Sequential(nn.Linear(TOLD, 32), nn.ReLU(), nn.Linear(32, width), nn.Sigmoid()) for _ in range(depth)
        )

    def forward(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        gate = x
        for layer, factor in zip(self.layers, self.factors, strict=False):
            # Twice a number in (0, 1): at first the factors neither shrink nor grow what passes.
            gate = layer(gate) * (2 * factor(known))[:, None, None]
        return x * torch.sigmoid(self.layers[-1](gate))


class Witt(JointCode):
    """Swin-transformer encoder and decoder of 64x64 pictures for one number of channel uses.

    Parameters
    ----------
    symbols : int
        Complex channel uses of a picture; a multiple of 64, the places of the innermost features.
    widths : sequence of int
        Features at a half, a quarter and an eighth of the resolution.
    depths : sequence of int
        Blocks there; the decoder has as many.
    heads : sequence of int
        Attention heads there, divisors of the widths.
    window : int
        Places along a window's side, a divisor of 32 and 16.
    ratio : int
        Width inside a block's linear layers, in terms of the stage's.
    modulation : int
        Factors in each chain of the channel modulation.

    Raises
    ------
    ValueError
        If ``symbols`` is no positive multiple of 64, or another argument is not as described.

    References
    ----------
    K. Yang, S. Wang, J. Dai, K. Tan, K. Niu and P. Zhang, "WITT: A wireless image transmission transformer for semantic
    communications", ICASSP 2023. Z. Liu et al., "Swin transformer", ICCV 2021.
    """

    @checked
    def __init__(
        self,
        symbols: int = 768,
        widths: Sequence[int] = (48, 72, 96),
        depths: Sequence[int] = (2, 2, 2),
        heads: Sequence[int] = (3, 4, 6),
        window: int = 8,
        ratio: int = 2,
        modulation: int = 3,
    ) -> None:
        super().__init__(symbols)
        widths, depths, heads = (
            _three_integers(name, values, high)
            for name, values, high in (("widths", widths, 4096), ("depths", depths, 64), ("heads", heads, 64))
        )
        if any(width % count for width, count in zip(widths, heads, strict=True)):
            raise ValueError(f"heads must divide the widths, got {heads} and {widths}")
        if positive_integer("window", window) not in (2, 4, 8, 16):
            raise ValueError(f"window must be 2, 4, 8 or 16, a divisor of 16, got {window}")
        for name, number in (("ratio", ratio), ("modulation", modulation)):
            if positive_integer(name, number) > 64:
                raise ValueError(f"{name} must be at most 64, got {number}")
        self.settings = {
            "symbols": symbols,
            "widths": list(widths),
            "depths": list(depths),
            "heads": list(heads),
            "window": window,
            "ratio": ratio,
            "modulation": modulation,
        }
        grids, out = (32, 16, 8), 2 * symbols // 64
        a, _, c = widths

        def stage(number: int) -> nn.Sequential:
            return _stage(widths[number], heads[number], grids[number], window, depths[number], ratio)

        self.embed = nn.Conv2d(3, a, 2, 2)
        self.inward = nn.ModuleList(stage(number) for number in (0, 1, 2))
        self.merge = nn.ModuleList(_Merge(widths[number], widths[number + 1]) for number in (0, 1))
        self.sender, self.receiver = _Modulation(c, modulation), _Modulation(c, modulation)
        self.inner_norm, self.outer_norm = nn.LayerNorm(c), nn.LayerNorm(a)
        self.to_symbols, self.from_symbols = nn.Linear(c, out), nn.Linear(out, c)
        self.outward = nn.ModuleList(stage(number) for number in (2, 1, 0))
        self.expand = nn.ModuleList(_Expand(widths[number + 1], widths[number]) for number in (1, 0))
        self.pixels = nn.Linear(a, 12)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        # What is not around a skip keeps the size of what passes.
        for linear in (self.to_symbols, self.from_symbols, *self.sender.layers, *self.receiver.layers):
            nn.init.trunc_normal_(linear.weight, std=linear.in_features**-0.5)

    def _features(self, images: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        x = self.inward[0](self.embed(2 * images - 1).permute(0, 2, 3, 1).float())
        x = self.inward[1](self.merge[0](x))
        x = self.inner_norm(self.inward[2](self.merge[1](x)))
        return self.to_symbols(self.sender(x, known)).permute(0, 3, 1, 2)

    def _picture(self, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        x = self.from_symbols(features.permute(0, 2, 3, 1)).float()
        x = self.receiver(x, known)
        x = self.expand[0](self.outward[0](x))
        x = self.expand[1](self.outward[1](x))
        x = self.pixels(self.outer_norm(self.outward[2](x))).permute(0, 3, 1, 2)
        return functional.pixel_shuffle(x, 2)
