"""The three channels of the book, drawn with an explicit generator.

Sionna's channel blocks draw from one global generator (``sionna.phy.config``) and take none as an argument, so the
draws are made here: a run is then reproducible from its own seed, whatever ran before it.
"""

from __future__ import annotations

import torch

__all__ = ["CHANNELS", "complex_normal", "fading"]

#: ``awgn``: no fading. ``rayleigh-fast``: a new coefficient for every symbol. ``rayleigh-block``: one coefficient
#: per block. The receiver knows the coefficients (perfect channel state information), the transmitter does not.
CHANNELS = ("awgn", "rayleigh-fast", "rayleigh-block")


def complex_normal(shape: tuple[int, ...], generator: torch.Generator, device: str = "cpu") -> torch.Tensor:
    """Circularly symmetric complex Gaussian numbers of variance 1 (1/2 per real dimension), complex64."""
    return torch.randn(shape, dtype=torch.complex64, generator=generator, device=generator.device).to(device)


def fading(
    channel: str, blocks: int, symbols: int, generator: torch.Generator, device: str = "cpu"
) -> torch.Tensor | None:
    """The fading coefficients of ``blocks`` blocks of ``symbols`` symbols: mean power 1, Rayleigh amplitude.

    Returns
    -------
    torch.Tensor or None
        Complex, of shape ``[blocks, symbols]`` (``rayleigh-fast``) or ``[blocks, 1]`` (``rayleigh-block``); None
        on ``awgn``, where nothing is drawn.
    """
    if channel == "awgn":
        return None
    return complex_normal((blocks, symbols if channel == "rayleigh-fast" else 1), generator, device)


def check_generator(generator: object) -> torch.Generator:
    """Return ``generator``, or raise ``ValueError`` if it is no ``torch.Generator``."""
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"generator must be a torch.Generator, got {generator!r}")
    return generator
