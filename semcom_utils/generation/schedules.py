"""Noise schedules, and the three ways of saying what a denoiser predicts.

Everywhere, with ᾱ (``alpha_bar``) the share of the signal's power that is left, a noised picture is

    x_t = sqrt(ᾱ_t) x_0 + sqrt(1 − ᾱ_t) ε,   ε ~ N(0, I).

``alpha_bar`` is a number or one value for each picture of the batch, ``[batch]``. The chapter
``notebooks/03_diffusion_models`` derives everything.
"""

from __future__ import annotations

import math

import torch

from semcom_utils.checks import checked, one_of, positive_integer, real_number

__all__ = [
    "PREDICTIONS",
    "SCHEDULES",
    "add_noise",
    "alphas_cumprod",
    "convert",
    "per_picture",
    "signal_to_noise",
]

#: Kind of schedule -> default variances of the first and the last step (of 1,000). ``linear``: Ho et al. (2020).
#: ``scaled-linear``: linear in the root, as Rombach et al. (2022) train latent models. ``cosine``: given by ᾱ itself.
SCHEDULES: dict[str, tuple[float, float] | None] = {
    "linear": (1e-4, 0.02),
    "scaled-linear": (0.00085, 0.012),
    "cosine": None,
}
#: What a denoiser may predict: the noise, the clean picture, or the velocity v = sqrt(ᾱ) ε − sqrt(1 − ᾱ) x_0.
PREDICTIONS = ("epsilon", "x0", "v")


@checked
def alphas_cumprod(
    kind: str = "linear",
    steps: int = 1000,
    beta_start: float | None = None,
    beta_end: float | None = None,
) -> torch.Tensor:
    """The schedule ᾱ_t = Π_{i≤t} (1 − β_i).

    Parameters
    ----------
    kind : str
        Key of :data:`SCHEDULES`. ``cosine`` is Nichol and Dhariwal's (2021), ᾱ(s) ∝ cos²(π/2 · (s + 0.008)/1.008), its
        β_t at most 0.999.
    steps : int
        T, the number of noising steps.
    beta_start, beta_end : float, optional
        First and last β of the two linear kinds, in (0, 1); not scaled with ``steps``.

    Returns
    -------
    torch.Tensor
        ``[steps]``, float64, falling; element 0 belongs to the first noising step.

    Raises
    ------
    ValueError
        If an argument is out of its range, or a β is given for the cosine.
    """
    one_of("kind", kind, SCHEDULES)
    positive_integer("steps", steps)
    ends = SCHEDULES[kind]
    if ends is None:  # the cosine
        if beta_start is not None or beta_end is not None:
            raise ValueError(
                f"beta_start and beta_end must be None for the cosine, got {beta_start!r} and {beta_end!r}"
            )
        s = torch.arange(steps + 1, dtype=torch.float64) / steps
        level = torch.cos((s + 0.008) / 1.008 * math.pi / 2) ** 2
        return torch.cumprod(1 - (1 - level[1:] / level[:-1]).clamp(max=0.999), 0)
    first, last = (
        real_number(name, default if value is None else value, low=0, high=1, low_open=True, high_open=True)
        for name, value, default in zip(("beta_start", "beta_end"), (beta_start, beta_end), ends, strict=True)
    )
    power = 1 if kind == "linear" else 2
    beta = torch.linspace(first ** (1 / power), last ** (1 / power), steps, dtype=torch.float64) ** power
    return torch.cumprod(1 - beta, 0)


@checked
def per_picture(name: str, value: float | torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Make ``value`` broadcast over the pictures ``x``.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : float or torch.Tensor
        In [0, 1]: one number, or ``[batch]``.
    x : torch.Tensor
        ``[batch, ...]``.

    Returns
    -------
    torch.Tensor
        Shape ``[]`` or ``[batch, 1, ...]``, of the dtype and on the device of ``x``.

    Raises
    ------
    ValueError
        If a value is outside [0, 1] or the shape is neither.
    """
    values = torch.as_tensor(value, dtype=torch.float64)
    if values.ndim > 1 or (values.ndim == 1 and (x.ndim == 0 or len(values) != len(x))):
        raise ValueError(
            f"{name} must be one number or one for each of the pictures of shape {tuple(x.shape)}, "
            f"got shape {tuple(values.shape)}"
        )
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")
    values = values.to(x.device, x.dtype)
    return values.reshape(-1, *[1] * (x.ndim - 1)) if values.ndim else values


@checked(together=("x_0", "epsilon"))
def add_noise(x_0: torch.Tensor, epsilon: torch.Tensor, alpha_bar: float | torch.Tensor) -> torch.Tensor:
    """The forward process in one jump, x_t = sqrt(ᾱ) x_0 + sqrt(1 − ᾱ) ε (Ho et al., 2020, eq. 4).

    Parameters
    ----------
    x_0 : torch.Tensor
        Clean pictures, ``[batch, ...]``.
    epsilon : torch.Tensor
        Standard normal noise, of the shape of ``x_0``.
    alpha_bar : float or torch.Tensor
        ᾱ in [0, 1], one number or ``[batch]``.

    Returns
    -------
    torch.Tensor
        x_t, of the shape of ``x_0``.

    Raises
    ------
    ValueError
        If a level is outside [0, 1], or there is neither one nor one a picture.

    Examples
    --------
    >>> add_noise(torch.tensor([[4.0]]), torch.tensor([[1.0]]), 0.25)
    tensor([[2.8660]])
    """
    level = per_picture("alpha_bar", alpha_bar, x_0)
    return level.sqrt() * x_0 + (1 - level).sqrt() * epsilon


@checked
def signal_to_noise(alpha_bar: float | torch.Tensor) -> torch.Tensor:
    """Signal power over noise power of x_t for data of unit power, ᾱ / (1 − ᾱ).

    Parameters
    ----------
    alpha_bar : float or torch.Tensor
        ᾱ in [0, 1], of any shape.

    Returns
    -------
    torch.Tensor
        Linear (not in dB), float64, of that shape; infinite at ᾱ = 1.

    Raises
    ------
    ValueError
        If a level is outside [0, 1].
    """
    level = torch.as_tensor(alpha_bar, dtype=torch.float64)
    if not bool(((level >= 0) & (level <= 1)).all()):
        raise ValueError(f"alpha_bar must lie in [0, 1], got {alpha_bar!r}")
    return level / (1 - level)


@checked
def convert(
    value: torch.Tensor,
    x_t: torch.Tensor,
    alpha_bar: float | torch.Tensor,
    *,
    have: str,
    want: str,
) -> torch.Tensor:
    """Turn one prediction at x_t into another.

    Two of x_t, x_0, ε and v determine the others: (x_t, v) is (x_0, ε) turned by the angle φ with cos φ = sqrt(ᾱ)
    (Salimans and Ho, 2022, appendix D).

    Parameters
    ----------
    value : torch.Tensor
        The prediction, of the shape of ``x_t``.
    x_t : torch.Tensor
        ``[batch, ...]``.
    alpha_bar : float or torch.Tensor
        ᾱ_t, one number or ``[batch]``.
    have, want : str
        Each one of :data:`PREDICTIONS`.

    Returns
    -------
    torch.Tensor
        Of the shape of ``x_t``.

    Raises
    ------
    ValueError
        If a name is unknown, shapes differ, or the answer is not determined: x_0 (or v) from ε at ᾱ = 0, ε (or v) from
        x_0 at ᾱ = 1.
    """
    one_of("have", have, PREDICTIONS)
    one_of("want", want, PREDICTIONS)
    if value.shape != x_t.shape:
        raise ValueError(f"value must have the shape of x_t, {tuple(x_t.shape)}, got {tuple(value.shape)}")
    level = per_picture("alpha_bar", alpha_bar, x_t)
    signal, noise = level.sqrt(), (1 - level).sqrt()
    if have == want:
        return value
    if have == "v":
        return signal * x_t - noise * value if want == "x0" else noise * x_t + signal * value
    power = torch.as_tensor(alpha_bar, dtype=torch.float64).to(x_t.dtype)  # where it came from: a GPU need not be asked
    if bool(((power if have == "epsilon" else 1 - power) == 0).any()):
        raise ValueError(
            f"alpha_bar must be {'above 0' if have == 'epsilon' else 'below 1'} to get {want} from {have}, "
            f"got {alpha_bar!r}"
        )
    x_0, epsilon = (
        ((x_t - noise * value) / signal, value) if have == "epsilon" else (value, (x_t - signal * value) / noise)
    )
    return {"x0": x_0, "epsilon": epsilon, "v": signal * epsilon - noise * x_0}[want]
