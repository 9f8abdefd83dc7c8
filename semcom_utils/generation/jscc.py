"""Deep joint source-channel coding: a picture becomes complex channel symbols by a network, and back by another.

After Bourtsoulatze, Kurka and Gündüz (2019), with one network for all SNRs: both sides are told the SNR, which scales
and shifts their features (Xu et al., 2022). Not a generative model: here it is the classical semantic system that
those are compared with.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from semcom_utils.checks import one_of, positive_integer, real_number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CHANNELS", "DeepJscc", "carry", "unit_power"]

#: Channels that symbols are sent over: noise alone, or a gain for each picture (``block``) or each symbol (``fast``).
CHANNELS = ("awgn", "rayleigh-block", "rayleigh-fast")


def unit_power(z: torch.Tensor) -> torch.Tensor:
    """Scale each picture's symbols to an average power of 1 per complex channel use.

    Parameters
    ----------
    z : torch.Tensor
        Complex [batch, symbols].

    Returns
    -------
    torch.Tensor
        Complex [batch, symbols], the mean of \\|z\\|² being 1 in each row.
    """
    return z / z.abs().square().mean(1, keepdim=True).clamp(min=1e-12).sqrt()


def carry(
    z: torch.Tensor, snr_db: torch.Tensor, channel: str, generator: torch.Generator | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Send symbols over a channel whose receiver knows the gain, and equalise them.

    y = h z + n with n complex Gaussian of variance 1/snr per complex use (half of it in each real part), E\\|h\\|² = 1;
    the receiver forms y / h, at an SNR of \\|h\\|² snr.

    Parameters
    ----------
    z : torch.Tensor
        Complex [batch, symbols], of unit average power.
    snr_db : torch.Tensor
        [batch]: Es/N0 per complex channel use, dB.
    channel : str
        One of :data:`CHANNELS`.
    generator : torch.Generator, optional
        Torch's current one by default.

    Returns
    -------
    z_hat : torch.Tensor
        Complex [batch, symbols].
    snr_db : torch.Tensor
        [batch]: the SNR after equalisation (for ``rayleigh-fast`` that of the mean noise, with gains below 0.1 in
        power counted as 0.1).

    Raises
    ------
    ValueError
        If the channel is unknown.
    """
    one_of("channel", channel, CHANNELS)

    def gaussian(*shape: int) -> torch.Tensor:
        parts = torch.randn(*shape, 2, generator=generator, device=z.device if generator is None else generator.device)
        return torch.view_as_complex(parts.to(z.device)) / 2**0.5

    snr = 10 ** (snr_db / 10)
    noise = gaussian(*z.shape) / snr.sqrt()[:, None]
    if channel == "awgn":
        return z + noise, snr_db
    gain = gaussian(len(z), 1 if channel == "rayleigh-block" else z.shape[1])
    strength = gain.abs().square().clamp(min=1e-4)
    mean = strength[:, 0] if channel == "rayleigh-block" else 1 / (1 / strength.clamp(min=0.1)).mean(1)
    return z + noise * gain.conj() / strength, snr_db + 10 * mean.log10()


class _Told(nn.Module):
    """Scales and shifts features by what an SNR says."""

    def __init__(self, width: int):
        super().__init__()
        last = nn.Linear(32, 2 * width)
        self.net = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), last)
        for weights in last.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
        told = torch.stack([snr_db / 20, torch.sigmoid((snr_db - 5) / 5)], dim=1)
        scale, shift = self.net(told)[..., None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class _Block(nn.Module):
    """Two convolutions around a skip, told the SNR in between."""

    def __init__(self, width: int):
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.told = _Told(width)
        for weights in self.two.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
        return x + self.two(functional.silu(self.told(self.one(functional.silu(x)), snr_db)))


class DeepJscc(nn.Module):
    """Encoder and decoder of 64x64 pictures for one number of channel uses.

    Parameters
    ----------
    symbols : int
        Complex channel uses of a picture; a multiple of 64, the places of the innermost features.
    widths : sequence of int
        Features at a half, a quarter and an eighth of the resolution.

    Raises
    ------
    ValueError
        If ``symbols`` is no positive multiple of 64.
    """

    def __init__(self, symbols: int = 512, widths: Sequence[int] = (24, 48, 96)) -> None:
        super().__init__()
        if positive_integer("symbols", symbols) % 64:
            raise ValueError(f"symbols must be a multiple of 64, got {symbols}")
        self.symbols, self.widths = symbols, tuple(widths)
        a, b, c = self.widths
        out = 2 * symbols // 64
        self.down = nn.ModuleList([nn.Conv2d(3, a, 5, 2, 2), nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, c, 3, 2, 1)])
        self.inner = nn.ModuleList([_Block(b), _Block(c), _Block(c)])
        self.to_symbols = nn.Conv2d(c, out, 3, padding=1)
        self.from_symbols = nn.Conv2d(out, c, 3, padding=1)
        self.outer = nn.ModuleList([_Block(c), _Block(c), _Block(b)])
        self.up = nn.ModuleList(
            [nn.Conv2d(c, 4 * b, 3, padding=1), nn.Conv2d(b, 4 * a, 3, padding=1), nn.Conv2d(a, 12, 3, padding=1)]
        )

    def encode(self, images: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
        """Turn pictures into symbols.

        Parameters
        ----------
        images : torch.Tensor
            ``[batch, 3, 64, 64]`` in [0, 1].
        snr_db : torch.Tensor
            ``[batch]``: Es/N0 per complex channel use, dB.

        Returns
        -------
        torch.Tensor
            Complex ``[batch, symbols]``, of unit average power.
        """
        x = functional.silu(self.down[0](2 * images - 1))
        x = self.inner[0](self.down[1](x), snr_db)
        x = self.inner[2](self.inner[1](self.down[2](functional.silu(x)), snr_db), snr_db)
        x = self.to_symbols(functional.silu(x)).flatten(1)
        real, imaginary = x.chunk(2, dim=1)
        return unit_power(torch.complex(real, imaginary))

    def decode(self, z_hat: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
        """Turn received symbols into pictures.

        Parameters
        ----------
        z_hat : torch.Tensor
            Complex ``[batch, symbols]``.
        snr_db : torch.Tensor
            ``[batch]``: SNR after equalisation, dB.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, 64, 64]``; in [0, 1] up to the network's error.
        """
        x = torch.cat([z_hat.real, z_hat.imag], dim=1).reshape(len(z_hat), -1, 8, 8)
        # What a linear estimator would do to symbols of unit power: shrink by snr / (1 + snr).
        x = x * torch.sigmoid(snr_db * 0.2302585)[:, None, None, None]
        x = self.outer[1](self.outer[0](self.from_symbols(x), snr_db), snr_db)
        x = self.outer[2](functional.pixel_shuffle(self.up[0](functional.silu(x)), 2), snr_db)
        x = functional.pixel_shuffle(self.up[1](functional.silu(x)), 2)
        return functional.pixel_shuffle(self.up[2](functional.silu(x)), 2) + 0.5

    def forward(
        self,
        images: torch.Tensor,
        snr_db: torch.Tensor,
        channel: str = "awgn",
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Send pictures over a channel.

        Parameters
        ----------
        images : torch.Tensor
            ``[batch, 3, 64, 64]`` in [0, 1].
        snr_db : torch.Tensor
            ``[batch]``: Es/N0 per complex channel use, dB.
        channel : str
            One of :data:`CHANNELS`.
        generator : torch.Generator, optional
            For noise and fading; torch's current one by default.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, 64, 64]``; in [0, 1] up to the network's error.
        """
        z_hat, known = carry(self.encode(images, snr_db), snr_db, channel, generator)
        return self.decode(z_hat, known)

    @torch.no_grad()
    def send(
        self, images: torch.Tensor, snr_db: float, channel: str = "awgn", *, generator: torch.Generator
    ) -> torch.Tensor:
        """Send pictures.

        Parameters
        ----------
        images : torch.Tensor
            [batch, 3, 64, 64] in [0, 1].
        snr_db : float
            Es/N0 per complex channel use, dB.
        channel : str
            One of :data:`CHANNELS`.
        generator : torch.Generator
            For noise and fading.

        Returns
        -------
        torch.Tensor
            [batch, 3, 64, 64] in [0, 1].

        Raises
        ------
        ValueError
            If an argument is out of its range.
        """
        snr_db = real_number("snr_db", snr_db)
        if not isinstance(generator, torch.Generator):
            raise ValueError(f"generator must be a torch.Generator, got {type(generator).__name__}")
        if (
            not isinstance(images, torch.Tensor)
            or images.ndim != 4
            or tuple(images.shape[1:]) != (3, 64, 64)
            or not bool(((images >= 0) & (images <= 1)).all())
        ):
            shape = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
            raise ValueError(f"images must be a tensor [batch, 3, 64, 64] in [0, 1], got {shape}")
        place = next(self.parameters())
        told = torch.full((len(images),), snr_db, device=place.device)
        return self(images.to(place), told, channel, generator).clamp(0, 1).cpu()

    def save(self, folder: Path) -> None:
        """Write weights (float16) and settings.

        Parameters
        ----------
        folder : pathlib.Path
            Exists.
        """
        from safetensors.torch import save_file

        weights = {name: value.detach().half().contiguous().cpu() for name, value in self.state_dict().items()}
        save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        settings = {"symbols": self.symbols, "widths": list(self.widths)}
        (Path(folder) / "config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> DeepJscc:
        """Read what :meth:`save` wrote, as float32.

        Parameters
        ----------
        folder : pathlib.Path
            Of the checkpoint.

        Returns
        -------
        DeepJscc
            On the CPU.
        """
        from safetensors.torch import load_file

        model = cls(**json.loads((Path(folder) / "config.json").read_text("utf-8")))
        weights = load_file(Path(folder) / "model.safetensors")
        model.load_state_dict({name: value.float() for name, value in weights.items()})
        return model
