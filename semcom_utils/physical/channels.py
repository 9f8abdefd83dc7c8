"""The three channels of the book, drawn with an explicit generator.

Sionna's channel blocks draw from one global generator (``sionna.phy.config``) and take none as an argument, so the
draws are made here: a run is then reproducible from its own seed, whatever ran before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from semcom_utils.checks import checked, one_of, positive_integer, torch_device, torch_generator

if TYPE_CHECKING:  # the closed forms need the channels' names alone, and PyTorch takes seconds to import
    import torch

__all__ = ["CHANNELS", "complex_normal", "fading"]

#: ``awgn``: no fading. ``rayleigh-fast``: a new coefficient for every symbol. ``rayleigh-block``: one coefficient
#: per block. The receiver knows the coefficients (perfect channel state information), the transmitter does not.
CHANNELS = ("awgn", "rayleigh-fast", "rayleigh-block")


@checked
def complex_normal(shape: tuple[int, ...], generator: torch.Generator, device: str = "cpu") -> torch.Tensor:
    """Circularly symmetric complex Gaussian numbers of variance 1 (1/2 per real dimension).

    Parameters
    ----------
    shape : tuple of int
        Of the result.
    generator : torch.Generator
        Source of the numbers; they are drawn on its device.
    device : str
        Where the result lies.

    Returns
    -------
    torch.Tensor
        complex64, of that shape.

    Raises
    ------
    ValueError
        If ``shape`` holds something else than whole numbers, ``generator`` is no ``torch.Generator``, or ``device``
        none that this machine has.
    """
    import torch

    sizes = [positive_integer("shape", size, low=0) for size in shape]
    torch_generator("generator", generator)
    place = torch_device("device", device)
    return torch.randn(sizes, dtype=torch.complex64, generator=generator, device=generator.device).to(place)


@checked
def fading(
    channel: str, blocks: int, symbols: int, generator: torch.Generator, device: str = "cpu"
) -> torch.Tensor | None:
    """The fading coefficients of ``blocks`` blocks of ``symbols`` symbols: mean power 1, Rayleigh amplitude.

    Parameters
    ----------
    channel : str
        One of :data:`CHANNELS`.
    blocks, symbols : int
        How many blocks, and complex channel uses a block.
    generator : torch.Generator
        Source of the coefficients.
    device : str
        Where the result lies.

    Returns
    -------
    torch.Tensor or None
        Complex, of shape ``[blocks, symbols]`` (``rayleigh-fast``) or ``[blocks, 1]`` (``rayleigh-block``); None
        on ``awgn``, where nothing is drawn.

    Raises
    ------
    ValueError
        If ``channel`` is unknown, a number is no positive whole one, ``generator`` is no ``torch.Generator``, or
        ``device`` none that this machine has.
    """
    one_of("channel", channel, CHANNELS)
    torch_generator("generator", generator)
    sizes = positive_integer("blocks", blocks), positive_integer("symbols", symbols)
    if channel == "awgn":
        return None
    return complex_normal((sizes[0], sizes[1] if channel == "rayleigh-fast" else 1), generator, device)
