"""An analog link: numbers in, noisy numbers out, with a power constraint and every channel use counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from semcom_utils.checks import checked, one_of, real_number, torch_generator
from semcom_utils.physical.channels import CHANNELS, complex_normal, fading

__all__ = ["AnalogLink", "AnalogResult"]


@dataclass(frozen=True)
class AnalogResult:
    """What arrived and what it cost.

    Attributes
    ----------
    latent : numpy.ndarray or torch.Tensor
        The received numbers in the sender's own scale; shape, type and library of what was sent.
    channel_uses : int
        Complex channel uses, a padding sample counted.
    scale : float
        The side information: the root of the mean power per complex use, by which the sender divided and the
        receiver multiplies.
    side_information_bits : int
        Bits of ``scale`` (one 32-bit number). They are not in ``channel_uses``: the link takes them as delivered.
    error_variance : numpy.ndarray or torch.Tensor
        Mean squared error that the receiver expects of each number given the fading, in the sender's scale and in
        the shape of ``latent``; for the MMSE equaliser it is an average over numbers of the payload's mean power.
    """

    latent: np.ndarray | torch.Tensor
    channel_uses: int
    scale: float
    side_information_bits: int
    error_variance: np.ndarray | torch.Tensor


class AnalogLink:
    r"""Real or complex numbers over a noisy channel, without quantisation and without a code.

    All numbers of one call form one payload. Two real numbers make one complex channel use (an odd one out is
    padded with a zero, which is counted); a complex number is one use. The payload is divided by one scale so that
    the mean power per complex use over the payload, padding included, is exactly 1: the constraint holds per call,
    not per use. A mean value is not removed, so it costs power. Then :math:`y = h x + w` with noise of variance
    :math:`1/\mathrm{snr}` per complex use. A payload of zeros is sent as zeros and arrives as zeros.

    Parameters
    ----------
    channel : {"awgn", "rayleigh-block", "rayleigh-fast"}
        No fading; one Rayleigh coefficient for the whole call; one per channel use. The receiver knows the
        coefficients, the transmitter does not.
    equaliser : {"zf", "mmse"}
        Zero forcing returns :math:`y / h`: unbiased, with noise of power :math:`1 / (\mathrm{snr} |h|^2)`, which
        under Rayleigh fading has no finite mean. MMSE returns :math:`h^* y / (|h|^2 + 1/\mathrm{snr})`: the least
        mean squared error among linear receivers, biased towards zero.

    Raises
    ------
    ValueError
        If ``channel`` or ``equaliser`` is none of those listed.

    Examples
    --------
    >>> z = torch.ones(3)
    >>> AnalogLink("awgn").send(z, 30.0, torch.Generator().manual_seed(1)).channel_uses
    2
    """

    @checked
    def __init__(self, channel: str = "awgn", *, equaliser: str = "zf") -> None:
        self.channel = one_of("channel", channel, CHANNELS)
        self.equaliser = one_of("equaliser", equaliser, ("zf", "mmse"))

    def __repr__(self) -> str:
        return f"AnalogLink(channel={self.channel!r}, equaliser={self.equaliser!r})"

    @checked(complexes=("latent",))
    def send(self, latent: np.ndarray | torch.Tensor, snr_db: float, generator: torch.Generator) -> AnalogResult:
        r"""Send the numbers and return what the receiver makes of them.

        Parameters
        ----------
        latent : numpy.ndarray or torch.Tensor
            Floating-point or complex numbers of any shape with at least one element, all finite.
        snr_db : float
            (Mean) :math:`E_s/N_0` per complex channel use, in dB, from -100 to 100.
        generator : torch.Generator
            Source of the fading and the noise, and of nothing else.

        Returns
        -------
        AnalogResult
            The received numbers, the channel uses and the side information.

        Raises
        ------
        ValueError
            If an argument is none of the above; the message names it.
        """
        z = _check_latent(latent)
        snr = 10.0 ** (real_number("snr_db", snr_db, low=-100.0, high=100.0) / 10.0)
        torch_generator("generator", generator)
        flat = z.reshape(-1)
        x = (
            flat
            if flat.is_complex()
            else torch.view_as_complex(torch.nn.functional.pad(flat, (0, flat.numel() % 2)).reshape(-1, 2))
        )
        power = float(x.abs().double().square().mean())
        holds, exact = torch.finfo(z.dtype), torch.finfo(torch.float64)
        if bool((x != 0).any()) and not (max(exact.tiny, holds.tiny**2) <= power <= holds.max):
            raise ValueError(
                f"latent must have a mean power per channel use that {z.dtype} can hold, got {power:g}: scale it"
            )
        scale = math.sqrt(power)
        h = fading(self.channel, 1, len(x), generator)
        h = torch.ones(1, dtype=x.dtype) if h is None else h[0].to(x.dtype)
        gain = h.abs().square()
        w = complex_normal(x.shape, generator).to(x.dtype) / math.sqrt(snr)
        y = h * (x / scale if scale else x) + w
        if self.equaliser == "zf":
            estimate, error = y / h, 1.0 / (snr * gain)
        else:
            estimate, error = h.conj() * y / (gain + 1.0 / snr), 1.0 / (1.0 + snr * gain)
        estimate, error = scale * estimate, scale**2 * error.expand(len(x))
        if not flat.is_complex():  # half of a complex use's error falls on each of its two real numbers
            estimate, error = torch.view_as_real(estimate).reshape(-1), (error / 2.0).repeat_interleave(2)
        return AnalogResult(
            latent=_like(estimate[: flat.numel()].reshape(z.shape), latent),
            channel_uses=len(x),
            scale=scale,
            side_information_bits=32,
            error_variance=_like(error[: flat.numel()].reshape(z.shape), latent),
        )


def _check_latent(latent: object) -> torch.Tensor:
    if not isinstance(latent, np.ndarray | torch.Tensor):
        raise ValueError(f"latent must be a numpy array or a torch tensor, got {type(latent).__name__}")
    # NumPy's views may run backwards, and its numbers the other way round, which PyTorch's do not.
    array = np.array(latent, latent.dtype.newbyteorder("="), order="C") if isinstance(latent, np.ndarray) else latent
    if isinstance(array, np.ndarray):
        if array.dtype.kind not in "fc":
            raise ValueError(f"latent must hold floating-point or complex numbers, got {array.dtype}")
        if array.dtype.itemsize > (8 if array.dtype.kind == "f" else 16):
            array = array.astype(np.float64 if array.dtype.kind == "f" else np.complex128)
    tensor = torch.as_tensor(array).detach().cpu()
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"latent must hold floating-point or complex numbers, got {tensor.dtype}")
    if tensor.numel() == 0:
        raise ValueError(f"latent must have at least one element, got shape {tuple(tensor.shape)}")
    if not torch.isfinite(tensor).all():
        raise ValueError("latent must be finite, got NaN or infinity")
    double = tensor.dtype in (torch.float64, torch.complex128)
    kind = (
        (torch.complex128 if double else torch.complex64)
        if tensor.is_complex()
        else (torch.float64 if double else torch.float32)
    )
    return tensor.to(kind)


def _like(tensor: torch.Tensor, original: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """``tensor`` in the library of ``original``, and in its precision unless that would make it complex."""
    if isinstance(original, torch.Tensor):
        same = tensor.is_complex() == original.is_complex()
        return tensor.to(original.device, original.dtype) if same else tensor.to(original.device)
    same = tensor.is_complex() == np.iscomplexobj(original)
    return tensor.numpy().astype(original.dtype) if same else tensor.numpy()
