"""Deep joint source-channel coding: a picture becomes complex channel symbols by a network, and back by another.

:class:`DeepJscc` is the convolutional kind, after Bourtsoulatze, Kurka and Gündüz (2019), with one network for all
SNRs: both sides are told the SNR, which scales and shifts their features (Xu et al., 2022). What it shares with other
such codes, as :class:`.witt.Witt`, is :class:`JointCode`. Not generative models: here they are the classical semantic
systems that those are compared with.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from semcom_utils.checks import checked, one_of, positive_integer, real_number

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["CHANNELS", "DeepJscc", "JointCode", "carry", "effective_snr_db", "told", "unit_power"]

#: Channels that symbols are sent over: noise alone, or a gain for each picture (``block``) or each symbol (``fast``).
CHANNELS = ("awgn", "rayleigh-block", "rayleigh-fast")
_NEPER = math.log(10) / 10
#: Numbers by which a network is told what it knows of the channel.
TOLD = 3


@checked(complexes=("z",), shapes={"z": "batch symbols+"})
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

    Raises
    ------
    ValueError
        If ``z`` is no such tensor.
    """
    parts = torch.view_as_real(_complex("z", z))
    power = parts.square().sum(2).mean(1).clamp(min=1e-12)
    return torch.view_as_complex(parts * power.rsqrt()[:, None, None])


def _complex(name: str, z: torch.Tensor) -> torch.Tensor:
    if not z.is_complex():
        raise ValueError(f"{name} must be complex, got {z.dtype}")
    return z


@checked(complexes=("z",), shapes={"z": "batch symbols+", "snr_db": "batch"})
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
        The SNR after equalisation: [batch, symbols] for ``rayleigh-fast``, [batch, 1] for the others.

    Raises
    ------
    ValueError
        If the channel is unknown, ``z`` is not complex, or a shape is another.
    """
    one_of("channel", channel, CHANNELS)
    _complex("z", z)
    place = z.device if generator is None else generator.device

    def gaussian(*shape: int) -> torch.Tensor:
        """Real and imaginary part of complex Gaussian numbers of variance 1: half of it in each part."""
        return torch.randn(*shape, 2, generator=generator, device=place).to(z.device) / 2**0.5

    known = snr_db[:, None]
    if channel != "awgn":
        strength = gaussian(len(z), 1 if channel == "rayleigh-block" else z.shape[1]).square().sum(2).clamp(min=1e-6)
        known = known + 10 * strength.log10()
    # n / h is as Gaussian and as round as n / |h|, so the phase of h need not be drawn.
    noise = gaussian(*z.shape) * (10 ** (-known / 20))[:, :, None]
    return torch.view_as_complex(torch.view_as_real(z) + noise), known


@checked(shapes={"snr_db": "batch symbols+"})
def effective_snr_db(snr_db: torch.Tensor) -> torch.Tensor:
    """The one SNR at which a linear estimate of unit-power symbols errs as much as at these SNRs on average.

    1 / (1 + snr) is what the estimate errs by, so the result is 1/e - 1 with e the mean of 1 / (1 + snr).

    Parameters
    ----------
    snr_db : torch.Tensor
        [batch, symbols] or [batch, 1], dB.

    Returns
    -------
    torch.Tensor
        [batch], dB.

    Raises
    ------
    ValueError
        If ``snr_db`` has another shape.
    """
    error = torch.sigmoid(-_NEPER * snr_db).mean(1)
    return 10 * ((1 - error).clamp(min=1e-6) / error.clamp(min=1e-6)).log10()


@checked(shapes={"snr_db": "batch"})
def told(snr_db: torch.Tensor, fading: bool) -> torch.Tensor:
    """What the networks are told of the channel, as numbers near 1.

    Parameters
    ----------
    snr_db : torch.Tensor
        [batch], dB; beyond -15 and 30 they are told the nearest of these.
    fading : bool
        Whether the gain of the channel is still to be drawn: the sender knows the mean SNR alone.

    Returns
    -------
    torch.Tensor
        [batch, 3].

    Raises
    ------
    ValueError
        If ``snr_db`` has another shape.
    """
    near = (snr_db if snr_db.is_floating_point() else snr_db.float()).clamp(-15, 30)
    return torch.stack([near / 20, torch.sigmoid((near - 5) / 5), torch.full_like(near, float(fading))], dim=1)


def _three_integers(name: str, values: Sequence[int], high: int = 4096) -> tuple[int, int, int]:
    """Check what a network has one of at each of three resolutions.

    Parameters
    ----------
    name : str
        For the message.
    values : sequence of int
        What was passed.
    high : int
        The largest that is built.

    Returns
    -------
    tuple of int
        The three.

    Raises
    ------
    ValueError
        If they are not three positive integers up to ``high``.
    """
    numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if len(values) != 3 or len(numbers) != 3 or not all(0 < number <= high for number in numbers):
        raise ValueError(f"{name} must be three positive integers up to {high}, got {values!r}")
    a, b, c = numbers
    return a, b, c


class JointCode(nn.Module, ABC):
    """What every learned joint source-channel code of 64x64 pictures has: a way over the channel, and a file.

    A subclass defines the two networks, ``_features`` and ``_picture``, which are told what is known of the channel,
    and keeps in ``settings`` what it was made with.

    Parameters
    ----------
    symbols : int
        Complex channel uses of a picture; a multiple of 64, the places of the innermost features.

    Raises
    ------
    ValueError
        If ``symbols`` is no positive multiple of 64.
    """

    settings: dict[str, Any]

    def __init__(self, symbols: int) -> None:
        super().__init__()
        if positive_integer("symbols", symbols) % 64 or symbols > 12_288:
            raise ValueError(f"symbols must be a multiple of 64, at most 12,288, got {symbols}")
        self.symbols = symbols

    @checked
    def encode(self, images: torch.Tensor, snr_db: torch.Tensor, channel: str = "awgn") -> torch.Tensor:
        """Turn pictures into symbols.

        Parameters
        ----------
        images : torch.Tensor
            ``[batch, 3, 64, 64]`` in [0, 1].
        snr_db : torch.Tensor
            ``[batch]``: mean Es/N0 per complex channel use, dB.
        channel : str
            One of :data:`CHANNELS`; the sender knows its kind, not its gains.

        Returns
        -------
        torch.Tensor
            Complex ``[batch, symbols]``, of unit average power.

        Raises
        ------
        ValueError
            If an argument is no such tensor, or the channel is unknown.
        """
        if tuple(images.shape[1:]) != (3, 64, 64) or not images.is_floating_point():
            raise ValueError(
                f"images must be a floating-point tensor [batch, 3, 64, 64], got {images.dtype} {tuple(images.shape)}"
            )
        if snr_db.shape != (len(images),):
            raise ValueError(f"snr_db must have one number for each of {len(images)} images, got {tuple(snr_db.shape)}")
        one_of("channel", channel, CHANNELS)
        kind = next(self.parameters()).dtype
        return self._sent(self._features(images.to(kind), told(snr_db.to(kind), channel != "awgn")))

    @checked(complexes=("z_hat",))
    def decode(self, z_hat: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
        """Turn received symbols into pictures.

        Parameters
        ----------
        z_hat : torch.Tensor
            Complex ``[batch, symbols]``.
        snr_db : torch.Tensor
            ``[batch, symbols]`` or ``[batch, 1]``: SNR after equalisation, dB.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, 64, 64]``; in [0, 1] up to the network's error.

        Raises
        ------
        ValueError
            If an argument is no such tensor.
        """
        if z_hat.ndim != 2 or z_hat.shape[1] != self.symbols:
            raise ValueError(f"z_hat must be complex [batch, {self.symbols}], got shape {tuple(z_hat.shape)}")
        if tuple(snr_db.shape) not in ((len(z_hat), self.symbols), (len(z_hat), 1)):
            raise ValueError(
                f"snr_db must be [{len(z_hat)}, {self.symbols}] or [{len(z_hat)}, 1], as z_hat, got "
                f"{tuple(snr_db.shape)}"
            )
        kind = next(self.parameters()).dtype
        snr_db = snr_db.to(kind)
        features = self._received(_complex("z_hat", z_hat), snr_db).to(kind)
        return self._picture(features, told(effective_snr_db(snr_db), False)).float() + 0.5

    def _sent(self, features: torch.Tensor) -> torch.Tensor:
        """Symbols of innermost features [batch, 2 symbols / 64, 8, 8]: the first half real, the second imaginary."""
        real, imaginary = features.float().flatten(1).chunk(2, dim=1)
        return unit_power(torch.complex(real, imaginary))

    def _received(self, z_hat: torch.Tensor, snr_db: torch.Tensor) -> torch.Tensor:
        """Innermost features of what arrived, as a linear estimator would have it: shrunk by snr / (1 + snr)."""
        parts = torch.view_as_real(z_hat) * torch.sigmoid(_NEPER * snr_db)[:, :, None]
        return parts.transpose(1, 2).reshape(len(z_hat), -1, 8, 8)

    @abstractmethod
    def _features(self, images: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Innermost features of pictures, [batch, 2 symbols / 64, 8, 8]."""

    @abstractmethod
    def _picture(self, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Pictures less a half, of what arrived of the features."""

    @checked
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
            ``[batch]``: mean Es/N0 per complex channel use, dB.
        channel : str
            One of :data:`CHANNELS`.
        generator : torch.Generator, optional
            For noise and fading; torch's current one by default.

        Returns
        -------
        torch.Tensor
            ``[batch, 3, 64, 64]``; in [0, 1] up to the network's error.

        Raises
        ------
        ValueError
            If an argument is no such tensor, or the channel is unknown.
        """
        z_hat, known = carry(self.encode(images, snr_db, channel), snr_db, channel, generator)
        return self.decode(z_hat, known)

    @checked
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
            Mean Es/N0 per complex channel use, dB, from -100 to 100.
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
        snr_db = real_number("snr_db", snr_db, low=-100.0, high=100.0)
        if images.ndim != 4 or not images.numel() or not bool(((images >= 0) & (images <= 1)).all()):
            raise ValueError(
                f"images must be a floating-point tensor [batch, 3, 64, 64] in [0, 1], got {tuple(images.shape)}"
            )
        one_of("channel", channel, CHANNELS)
        place = next(self.parameters()).device
        mean = torch.full((len(images),), snr_db, device=place)
        return self(images.to(place), mean, channel, generator).clamp(0, 1).to(images.device)

    @checked
    def save(self, folder: Path) -> None:
        """Write weights (float16) and settings.

        Parameters
        ----------
        folder : pathlib.Path
            Exists.

        Raises
        ------
        ValueError
            If ``folder`` is no path.
        """
        from safetensors.torch import save_file

        weights = {name: value.detach().half().contiguous().cpu() for name, value in self.state_dict().items()}
        save_file(weights, Path(folder) / "model.safetensors", metadata={"format": "pt"})
        (Path(folder) / "config.json").write_text(json.dumps(self.settings, indent=2) + "\n", "utf-8")

    @classmethod
    @checked
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote, as float32.

        Parameters
        ----------
        folder : pathlib.Path
            Of the checkpoint.

        Returns
        -------
        JointCode
            Of the class whose method it is, on the CPU.

        Raises
        ------
        ValueError
            If ``folder`` is no path, or holds no such code.
        """
        from safetensors.torch import load_file

        config, file = Path(folder) / "config.json", Path(folder) / "model.safetensors"
        settings = json.loads(config.read_text("utf-8")) if config.is_file() else {}
        wanted = set(signature(cls.__init__).parameters) - {"self"}
        if set(settings) != wanted or not file.is_file():
            raise ValueError(
                f"folder must hold config.json and model.safetensors of a {cls.__name__}, {Path(folder).name} does not"
            )
        model = cls(**settings)
        try:
            model.load_state_dict({name: value.float() for name, value in load_file(file).items()})
        except RuntimeError as error:
            raise ValueError(f"folder must hold the weights of its own settings: {error}") from None
        return model


class _Scaled(nn.Module):
    """Scales and shifts features by what is known of the channel."""

    def __init__(self, width: int):
        super().__init__()
        last = nn.Linear(32, 2 * width)
        self.net = nn.Sequential(nn.Linear(TOLD, 32), nn.SiLU(), last)
        for weights in last.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        scale, shift = self.net(known)[..., None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class _Block(nn.Module):
    """Two convolutions around a skip, told of the channel in between."""

    def __init__(self, width: int):
        super().__init__()
        self.one, self.two = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.scaled = _Scaled(width)
        for weights in self.two.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return x.float() + self.two(functional.silu(self.scaled(self.one(functional.silu(x)), known)))


class DeepJscc(JointCode):
    """Convolutional encoder and decoder of 64x64 pictures for one number of channel uses.

    Parameters
    ----------
    symbols : int
        Complex channel uses of a picture; a multiple of 64, the places of the innermost features.
    widths : sequence of int
        Features at a half, a quarter and an eighth of the resolution.

    Raises
    ------
    ValueError
        If ``symbols`` is no positive multiple of 64, or ``widths`` are not three positive integers.
    """

    @checked
    def __init__(self, symbols: int = 512, widths: Sequence[int] = (24, 48, 72)) -> None:
        super().__init__(symbols)
        a, b, c = _three_integers("widths", widths)
        self.settings = {"symbols": symbols, "widths": [a, b, c]}
        out = 2 * symbols // 64
        self.down = nn.ModuleList([nn.Conv2d(3, a, 5, 2, 2), nn.Conv2d(a, b, 3, 2, 1), nn.Conv2d(b, c, 3, 2, 1)])
        self.inner = nn.ModuleList([_Block(b), _Block(c), _Block(c)])
        self.to_symbols = nn.Conv2d(c, out, 3, padding=1)
        self.from_symbols = nn.Conv2d(out, c, 3, padding=1)
        self.outer = nn.ModuleList([_Block(c), _Block(c), _Block(b)])
        self.up = nn.ModuleList(
            [nn.Conv2d(c, 4 * b, 3, padding=1), nn.Conv2d(b, 4 * a, 3, padding=1), nn.Conv2d(a, 12, 3, padding=1)]
        )

    def _features(self, images: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.down[0](2 * images - 1))
        x = self.inner[0](self.down[1](x), known)
        x = self.inner[2](self.inner[1](self.down[2](functional.silu(x)), known), known)
        return self.to_symbols(functional.silu(x))

    def _picture(self, features: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        x = self.from_symbols(features)
        x = self.outer[1](self.outer[0](x, known), known)
        x = self.outer[2](functional.pixel_shuffle(self.up[0](functional.silu(x)), 2), known)
        x = functional.pixel_shuffle(self.up[1](functional.silu(x)), 2)
        return functional.pixel_shuffle(self.up[2](functional.silu(x)), 2)
