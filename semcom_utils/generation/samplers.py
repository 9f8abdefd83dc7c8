"""From noise to a picture: the DDPM and DDIM steps, a loop over any denoiser, and classifier-free guidance.

Derived in the chapter ``notebooks/03_diffusion_models``; the exact law of what these samplers make of Gaussian data is
:meth:`.gaussian.GaussianModel.sampler_law`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, one_of, plain_array, positive_integer, real_number, torch_generator

from .schedules import convert

__all__ = ["SPACINGS", "VARIANCES", "ddim_step", "ddpm_step", "guide", "sample", "step_coefficients", "timesteps"]

#: How a few timesteps are picked out of the training ones, named as in diffusers.
SPACINGS = ("leading", "trailing")
#: Variance of an ancestral step: that of q(x_s | x_t, x_0), or the larger β; Ho et al. (2020, section 3.2) use either.
VARIANCES = ("posterior", "beta")


@checked
def timesteps(training: int, steps: int, spacing: str = "trailing") -> list[int]:
    """Timesteps that a sampler visits, noisiest first.

    Parameters
    ----------
    training : int
        T, how many timesteps the model was trained on.
    steps : int
        How many of them to visit, at most ``training``.
    spacing : str
        ``"trailing"`` begins at T − 1, the noisiest there is. ``"leading"`` ends at 0 and may begin well below T − 1,
        although a sampler starts from pure noise.

    Returns
    -------
    list of int
        ``steps`` of them, falling, from 0 to T − 1.

    Raises
    ------
    ValueError
        If a number is no positive integer, ``steps`` exceeds ``training``, or ``spacing`` is unknown.

    Examples
    --------
    >>> timesteps(1000, 5)
    [999, 799, 599, 399, 199]
    >>> timesteps(1000, 5, "leading")
    [800, 600, 400, 200, 0]
    """
    positive_integer("training", training)
    if positive_integer("steps", steps) > training:
        raise ValueError(f"steps must be at most training = {training}, got {steps!r}")
    if one_of("spacing", spacing, SPACINGS) == "trailing":
        return [round(training - i * training / steps) - 1 for i in range(steps)]
    return [i * (training // steps) for i in reversed(range(steps))]


@checked
def step_coefficients(
    alpha_bar_t: float,
    alpha_bar_s: float,
    *,
    eta: float = 0.0,
    variance: str = "posterior",
) -> tuple[float, float, float]:
    """Coefficients a, b, σ of a step from ᾱ_t to the cleaner ᾱ_s, x_s = a x̂_0 + b x_t + σ z.

    Song et al. (2021), eqs. 12 and 16: σ² = η² (1 − ᾱ_s)/(1 − ᾱ_t) (1 − ᾱ_t/ᾱ_s), b = sqrt((1 − ᾱ_s − σ²)/(1 − ᾱ_t)),
    a = sqrt(ᾱ_s) − b sqrt(ᾱ_t). With η = 1 these are the posterior mean and variance of Ho et al. (2020), eqs. 6 and 7.

    Parameters
    ----------
    alpha_bar_t, alpha_bar_s : float
        0 ≤ ᾱ_t < ᾱ_s ≤ 1.
    eta : float
        0 (DDIM) to 1 (DDPM).
    variance : str
        One of :data:`VARIANCES`. ``"beta"``, σ² = 1 − ᾱ_t/ᾱ_s, needs ``eta = 1``, and adds nothing in a step to
        ᾱ_s = 1.

    Returns
    -------
    a, b, sigma : float
        On x̂_0, on x_t, and the standard deviation of the new noise.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> [round(c, 3) for c in step_coefficients(0.25, 1.0)]  # the last step returns x̂_0 itself
    [1.0, 0.0, 0.0]
    """
    now = real_number("alpha_bar_t", alpha_bar_t, low=0, high=1, high_open=True)
    then = real_number("alpha_bar_s", alpha_bar_s, low=now, low_open=True, high=1)
    eta = real_number("eta", eta, low=0, high=1)
    if one_of("variance", variance, VARIANCES) == "beta" and eta != 1:
        raise ValueError(f"eta must be 1 with variance 'beta', got {eta!r}")
    sigma2 = eta**2 * (1 - then) / (1 - now) * (1 - now / then)
    on_x = math.sqrt(max(1 - then - sigma2, 0.0) / (1 - now))
    if variance == "beta" and then < 1:
        sigma2 = 1 - now / then
    return math.sqrt(then) - on_x * math.sqrt(now), on_x, math.sqrt(sigma2)


@checked
def ddim_step(
    x_t: torch.Tensor,
    epsilon: torch.Tensor,
    alpha_bar_t: float,
    alpha_bar_s: float,
    *,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
    variance: str = "posterior",
) -> torch.Tensor:
    """One step from the state x_t to a cleaner one, x_s (Song et al., 2021, eq. 12).

    Parameters
    ----------
    x_t, epsilon : torch.Tensor
        State and predicted noise, ``[batch, ...]``.
    alpha_bar_t, alpha_bar_s : float
        0 < ᾱ_t < ᾱ_s ≤ 1.
    eta : float
        0: no new noise. 1: as :func:`ddpm_step`.
    generator : torch.Generator, optional
        For the new noise; needed where there is any.
    variance : str
        As for :func:`step_coefficients`.

    Returns
    -------
    torch.Tensor
        x_s, of the shape of ``x_t``.

    Raises
    ------
    ValueError
        If an argument is out of its range, or noise is wanted and no generator is given.
    """
    on_x0, on_x, sigma = step_coefficients(alpha_bar_t, alpha_bar_s, eta=eta, variance=variance)
    x_0 = convert(epsilon, x_t, alpha_bar_t, have="epsilon", want="x0")
    x_s = on_x0 * x_0 + on_x * x_t
    if sigma == 0:
        return x_s
    generator = torch_generator("generator", generator)
    z = torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype, device=generator.device)
    return x_s + sigma * z.to(x_t.device)


@checked
def ddpm_step(
    x_t: torch.Tensor,
    epsilon: torch.Tensor,
    alpha_bar_t: float,
    alpha_bar_s: float,
    generator: torch.Generator,
    *,
    variance: str = "posterior",
) -> torch.Tensor:
    """One ancestral step, x_s ~ N(posterior mean at x̂_0, σ² I) (Ho et al., 2020, eqs. 6, 7, 11).

    Parameters
    ----------
    x_t, epsilon : torch.Tensor
        State and predicted noise, ``[batch, ...]``.
    alpha_bar_t, alpha_bar_s : float
        0 < ᾱ_t < ᾱ_s ≤ 1.
    generator : torch.Generator
        For the new noise, on whatever device.
    variance : str
        As for :func:`step_coefficients`.

    Returns
    -------
    torch.Tensor
        x_s, of the shape of ``x_t``.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    return ddim_step(x_t, epsilon, alpha_bar_t, alpha_bar_s, eta=1.0, generator=generator, variance=variance)


@checked(shapes={"alpha_bar": "T+"})
def sample(
    epsilon: Callable[[torch.Tensor, int], torch.Tensor],
    x_T: torch.Tensor,
    alpha_bar: ArrayLike | torch.Tensor,
    visited: Sequence[int],
    *,
    eta: float = 0.0,
    generator: torch.Generator | None = None,
    variance: str = "posterior",
    final: float = 1.0,
) -> torch.Tensor:
    """Run a sampler over the visited timesteps.

    Parameters
    ----------
    epsilon : callable
        The denoiser, ``epsilon(x_t, t)``: predicted noise of the shape of ``x_t``, for a timestep t of the schedule.
    x_T : torch.Tensor
        Where to start, ``[batch, ...]``; pure noise as a rule.
    alpha_bar : array_like
        The whole schedule, ``[T]``.
    visited : sequence of int
        Timesteps, falling, as from :func:`timesteps`.
    eta : float
        As for :func:`ddim_step`.
    generator : torch.Generator, optional
        As for :func:`ddim_step`.
    variance : str
        As for :func:`ddim_step`.
    final : float
        ᾱ of the returned state: 1, or that of a timestep if someone else goes on from there.

    Returns
    -------
    torch.Tensor
        Of the shape of ``x_T``.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    kept = plain_array("alpha_bar", alpha_bar)
    if (
        not len(visited)
        or any(a <= b for a, b in zip(visited[:-1], visited[1:], strict=True))
        or not 0 <= visited[-1] <= visited[0] < len(kept)
    ):
        raise ValueError(f"visited must be falling timesteps from 0 to {len(kept) - 1}, got {list(visited)!r}")
    levels = [float(kept[t]) for t in visited] + [final]
    if not (0 <= levels[0] and all(a < b for a, b in pairwise(levels[:-1])) and levels[-2] < 1):
        raise ValueError(f"alpha_bar must rise from step to step, within [0, 1), got {levels[:-1]}")
    real_number("final", final, low=levels[-2], low_open=True, high=1)
    x = x_T
    for t, now, then in zip(visited, levels[:-1], levels[1:], strict=True):
        x = ddim_step(x, epsilon(x, t), now, then, eta=eta, generator=generator, variance=variance)
    return x


@checked
def guide(unconditional: torch.Tensor, conditional: torch.Tensor, scale: float) -> torch.Tensor:
    """Classifier-free guidance, ε̃ = ε_∅ + w (ε_c − ε_∅) (Ho and Salimans, 2022, in the form that diffusers uses).

    The paper writes (1 + w') ε_c − w' ε_∅, so w = 1 + w'. Predictions of x_0 and v are affine in ε and mix alike.

    Parameters
    ----------
    unconditional, conditional : torch.Tensor
        Predictions without and with the condition, of one shape.
    scale : float
        w: 0 ignores the condition, 1 is plain conditioning, more exaggerates it.

    Returns
    -------
    torch.Tensor
        Of that shape.

    Raises
    ------
    ValueError
        If the shapes differ or the scale is not finite.
    """
    if unconditional.shape != conditional.shape:
        raise ValueError(
            f"conditional must have the shape of unconditional, {tuple(unconditional.shape)}, "
            f"got {tuple(conditional.shape)}"
        )
    return unconditional + real_number("scale", scale) * (conditional - unconditional)
