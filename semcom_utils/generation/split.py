r"""Denoising split between an edge server and a phone, and what the phone does with the channel's noise.

The edge runs the first steps of a sampler and sends the state :math:`z_t`; :math:`z' = z_t + n` arrives, with
:math:`n \sim \mathcal N(0, \sigma^2 I)`; the receiver goes on. Four receivers are told apart (Cheng et al., 2023,
section III, and what follows from it):

- ``resume`` takes z' for z_t;
- ``printed`` steps with the coefficient of the paper's eq. (8);
- ``corrected`` steps with the coefficient that the paper's own eq. (14) gives;
- ``matched`` rescales z' and takes it for the state of a later timestep, which it is, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from semcom_utils.checks import checked, finite_array, one_of, plain_array, real_number, torch_generator

from .samplers import ddim_step, sample

__all__ = [
    "PREDICTORS",
    "RECEIVERS",
    "level_at",
    "matched_timestep",
    "printed_noise_coefficient",
    "receive",
    "reverse_step",
    "send",
    "semantic_noise_coefficient",
]

#: What the receiver does with the channel's noise.
RECEIVERS = ("resume", "printed", "corrected", "matched")
#: How ``printed`` and ``corrected`` ask for the noise: ``plain``, the model as it was trained; ``tuned``, what a model
#: that was fine-tuned to perfection on channel-noised latents would say; ``network``, a model that was fine-tuned,
#: asked with the excess as well.
PREDICTORS = ("plain", "tuned", "network")


@checked
def level_at(alpha_bar: ArrayLike | torch.Tensor, timestep: float) -> float:
    """ᾱ at a fractional timestep, linear between the whole ones.

    Parameters
    ----------
    alpha_bar : array_like
        ᾱ, ``[T]``, falling, in (0, 1].
    timestep : float
        In [0, T − 1].

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If ``alpha_bar`` is no such row, or the timestep lies outside.

    Examples
    --------
    >>> round(level_at([0.9, 0.5, 0.1], 1.25), 3)
    0.4
    """
    levels = _schedule(alpha_bar)
    t = real_number("timestep", timestep, low=0, high=len(levels) - 1)
    return float(np.interp(t, np.arange(len(levels)), levels))


@checked
def matched_timestep(timestep: float, noise_variance: float, alpha_bar: ArrayLike | torch.Tensor) -> float:
    r"""Timestep whose state a noisy latent is, once it is rescaled.

    From :math:`z' = \sqrt{\bar\alpha_t} z_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon + n` follows that
    :math:`z' / \sqrt{1 + \sigma^2}` is a state with :math:`\bar\alpha_{t^*} = \bar\alpha_t / (1 + \sigma^2)`: signal
    and noise have the right powers, and their sum is Gaussian as it should be.

    Parameters
    ----------
    timestep : float
        t, at which the latent was sent, in [0, T − 1].
    noise_variance : float
        σ², the channel's noise on a latent of unit power, absolute, at least 0.
    alpha_bar : array_like
        ᾱ, ``[T]``, falling, in (0, 1].

    Returns
    -------
    float
        t* in [t, T − 1], fractional, ᾱ being linear between whole timesteps.

    Raises
    ------
    ValueError
        If an argument is out of its range, or the latent is noisier than the schedule's last state.
    """
    levels = _schedule(alpha_bar)
    variance = real_number("noise_variance", noise_variance, low=0)
    target = level_at(levels, timestep) / (1 + variance)
    if target < levels[-1]:
        raise ValueError(
            f"noise_variance must leave more signal than the schedule's last state, at timestep {timestep} at most "
            f"{level_at(levels, timestep) / levels[-1] - 1:g}, got {variance:g}"
        )
    if variance == 0:
        return float(timestep)
    return float(np.interp(-target, -levels, np.arange(len(levels))))


@checked
def semantic_noise_coefficient(alpha_t: float, alpha_bar_t: float, sigma2_prev: float, sigma2_step: float) -> float:
    r"""Coefficient of the predicted noise in a reverse step under semantic noise.

    With :math:`V_t = 1 - \bar\alpha_t + \alpha_t \sigma^2_{t-1} + \sigma^2_{t,t-1}`, all of the noise in z_t, and
    :math:`v_t = 1 - \alpha_t + \sigma^2_{t,t-1}`, that of the last step, eq. (14) of Cheng et al. (2023) and
    :math:`z_0 = (z_t - \sqrt{V_t}\,\eta) / \sqrt{\bar\alpha_t}` give :math:`C = v_t / \sqrt{V_t}`. Without
    semantic noise it is the DDPM's :math:`(1 - \alpha_t) / \sqrt{1 - \bar\alpha_t}`.

    Parameters
    ----------
    alpha_t, alpha_bar_t : float
        α of the step and ᾱ of the state, 0 < ᾱ ≤ α ≤ 1.
    sigma2_prev, sigma2_step : float
        σ²_{t−1} and σ²_{t,t−1} of the paper's eq. (11), at least 0.

    Returns
    -------
    float
        C.

    Raises
    ------
    ValueError
        If an argument is out of its range, or there is no noise at all.
    """
    step, total, _ = _variances(alpha_t, alpha_bar_t, sigma2_prev, sigma2_step)
    return step / math.sqrt(total)


@checked
def printed_noise_coefficient(alpha_t: float, alpha_bar_t: float, sigma2_prev: float, sigma2_step: float) -> float:
    """The coefficient of :func:`semantic_noise_coefficient` as eq. (8) of Cheng et al. (2023) prints it.

    It writes sqrt(1 − ᾱ_t) − σ_t² where the standard deviation sqrt(V_t) belongs, so it is too small for every σ_t² >
    0, and negative for large ones.

    Parameters
    ----------
    alpha_t, alpha_bar_t : float
        α of the step and ᾱ of the state, 0 < ᾱ ≤ α ≤ 1.
    sigma2_prev, sigma2_step : float
        σ²_{t−1} and σ²_{t,t−1} of the paper's eq. (11), at least 0.

    Returns
    -------
    float
        The printed coefficient; equal to the right one without semantic noise.

    Raises
    ------
    ValueError
        If an argument is out of its range, or there is no noise at all.
    """
    step, total, sigma2 = _variances(alpha_t, alpha_bar_t, sigma2_prev, sigma2_step)
    return step * (math.sqrt(1 - alpha_bar_t) - sigma2) / total


@checked
def reverse_step(alpha_t: float, alpha_bar_prev: float, sigma2_prev: float, sigma2_step: float) -> dict[str, float]:
    r"""What eq. (8) of Cheng et al. (2023) costs in one reverse step, against what their own eq. (14) gives.

    With the right coefficient the state after the step has the posterior's error, :math:`V_{t-1} v_t / V_t`; every
    other one adds its squared difference over :math:`\alpha_t` (the noise that it takes for granted has unit variance).

    Parameters
    ----------
    alpha_t : float
        α of the step, in (0, 1].
    alpha_bar_prev : float
        ᾱ of the cleaner state, in (0, 1].
    sigma2_prev, sigma2_step : float
        σ²_{t−1} and σ²_{t,t−1} of the paper's eq. (11), at least 0.

    Returns
    -------
    dict
        ``right`` and ``printed``, the coefficients; ``error_right`` and ``error_printed``, the variances of the error
        of z_{t−1} that they leave.

    Raises
    ------
    ValueError
        If an argument is out of its range, or there is no noise at all.
    """
    previous = real_number("alpha_bar_prev", alpha_bar_prev, low=0, low_open=True, high=1)
    alpha_bar = real_number("alpha_t", alpha_t, low=0, low_open=True, high=1) * previous
    step, total, _ = _variances(alpha_t, alpha_bar, sigma2_prev, sigma2_step)
    right = semantic_noise_coefficient(alpha_t, alpha_bar, sigma2_prev, sigma2_step)
    printed = printed_noise_coefficient(alpha_t, alpha_bar, sigma2_prev, sigma2_step)
    posterior = (1 - previous + sigma2_prev) * step / total
    return {
        "right": right,
        "printed": printed,
        "error_right": posterior,
        "error_printed": posterior + (right - printed) ** 2 / alpha_t,
    }


@checked(shapes={"alpha_bar": "T+"})
def send(
    epsilon: Callable[[torch.Tensor, float], torch.Tensor],
    z_T: torch.Tensor,
    alpha_bar: ArrayLike | torch.Tensor,
    visited: Sequence[int],
    steps: int,
) -> torch.Tensor:
    """The edge's part: the first ``steps`` of the visited timesteps, without noise of their own (DDIM).

    Parameters
    ----------
    epsilon : callable
        The denoiser, ``epsilon(z, t)``.
    z_T : torch.Tensor
        Noise to start from, ``[batch, ...]``.
    alpha_bar : array_like
        ᾱ, ``[T]``.
    visited : sequence of int
        All timesteps of the sampler, falling.
    steps : int
        How many the edge does, 0 to all.



    Returns
    -------
    torch.Tensor
        z_t with t = ``visited[steps]``, or z_0 if the edge does all.

    Raises
    ------
    ValueError
        If ``steps`` is none of 0 to all, or a timestep or level is out of its range.
    """
    one_of("steps", steps, range(len(visited) + 1))
    if steps == 0:
        return z_T
    levels = plain_array("alpha_bar", alpha_bar)
    if not len(visited) or not 0 <= min(visited) <= max(visited) < len(levels):
        raise ValueError(f"visited must be timesteps from 0 to {len(levels) - 1}, got {list(visited)!r}")
    final = float(levels[visited[steps]]) if steps < len(visited) else 1.0
    if not float(levels[visited[0]]) < final <= 1:
        raise ValueError(f"alpha_bar must rise from step to step, within [0, 1], got {final:g} after {steps} steps")
    return sample(epsilon, z_T, alpha_bar, visited[:steps], final=final)


@checked
def receive(
    epsilon: Callable[..., torch.Tensor],
    received: torch.Tensor,
    alpha_bar: ArrayLike | torch.Tensor,
    visited: Sequence[int],
    noise_variance: float,
    *,
    receiver: str = "matched",
    predictor: str = "tuned",
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    r"""The phone's part: the remaining timesteps, from what arrived.

    ``printed`` and ``corrected`` need to know how much semantic noise is left at each step. The paper leaves its
    schedule γ
    open; here the noise goes with the diffusion's own, :math:`\sigma_t^2 = \kappa\,(1 - \bar\alpha_t)`, which gives
    :math:`\sigma^2_{t,t-1} = \kappa\,(1 - \alpha_t) \ge 0` in every step.

    Parameters
    ----------
    epsilon : callable
        The denoiser, ``epsilon(z, t)``; t may be fractional for ``matched`` and ``tuned``. For ``network``,
        ``epsilon(z, t, excess)`` gives the unit noise η of :math:`z = \sqrt{\bar\alpha_t} z_0 + \sqrt{V_t}\,\eta`,
        with excess :math:`V_t - (1 - \bar\alpha_t)`.
    received : torch.Tensor
        z' = z_t + n, t = ``visited[0]``, ``[batch, ...]``.
    alpha_bar : array_like
        ᾱ, ``[T]``.
    visited : sequence of int
        Timesteps that are left, falling; all receivers ask the denoiser once for each.
    noise_variance : float
        σ² of the channel's noise, absolute, on a latent of unit power.
    receiver : str
        One of :data:`RECEIVERS`.
    predictor : str
        One of :data:`PREDICTORS`, for ``printed`` and ``corrected``.
    generator : torch.Generator, optional
        With one, ``printed`` and ``corrected`` add the posterior's noise, variance V_{t−1} v_t / V_t, in every step but
        the last; without, nothing is added.

    Returns
    -------
    torch.Tensor
        z_0, of the shape of ``received``.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    one_of("receiver", receiver, RECEIVERS)
    one_of("predictor", predictor, PREDICTORS)
    variance = real_number("noise_variance", noise_variance, low=0)
    levels = _schedule(alpha_bar)
    if generator is not None:
        torch_generator("generator", generator)
    if receiver == "resume":
        return sample(epsilon, received, alpha_bar, visited)
    if not len(visited) or any(a <= b for a, b in zip(visited[:-1], visited[1:], strict=True)):
        raise ValueError(f"visited must be falling timesteps, got {list(visited)!r}")
    if receiver == "matched":
        start = matched_timestep(visited[0], variance, levels)
        z = received / math.sqrt(1 + variance)
        times = [start, *visited[1:]]
        for t, now, then in zip(times, *_ends([level_at(levels, t) for t in times]), strict=True):
            z = ddim_step(z, epsilon(z, t), now, then)
        return z
    coefficient = printed_noise_coefficient if receiver == "printed" else semantic_noise_coefficient
    first = level_at(levels, visited[0])
    kappa = variance / (1 - first) if first < 1 else 0.0
    z = received
    for t, now, then in zip(visited, *_ends([level_at(levels, t) for t in visited]), strict=True):
        alpha, step, previous = now / then, kappa * (1 - now / then), kappa * (1 - then)
        v, total, _ = _variances(alpha, now, previous, step)
        excess = total - (1 - now)
        if predictor == "network":
            eta = epsilon(z, t, excess)
        elif predictor == "tuned":  # the same noise, looked at in the state that z really is
            eta = epsilon(z / math.sqrt(1 + excess), matched_timestep(t, excess, levels))
        else:
            eta = epsilon(z, t)
        z = (z - coefficient(alpha, now, previous, step) * eta) / math.sqrt(alpha)
        if generator is not None and then < 1:
            spread = math.sqrt((1 - then + previous) * v / total)
            noise = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=generator.device)
            z = z + spread * noise.to(z.device)
    return z


def _ends(levels: list[float]) -> tuple[list[float], list[float]]:
    """Levels before and after each step; after the last the latent is clean."""
    return levels, [*levels[1:], 1.0]


def _variances(
    alpha_t: float, alpha_bar_t: float, sigma2_prev: float, sigma2_step: float
) -> tuple[float, float, float]:
    """v_t, V_t and σ_t² of the docstrings above."""
    alpha = real_number("alpha_t", alpha_t, low=0, low_open=True, high=1)
    alpha_bar = real_number("alpha_bar_t", alpha_bar_t, low=0, low_open=True, high=alpha)
    previous, step = real_number("sigma2_prev", sigma2_prev, low=0), real_number("sigma2_step", sigma2_step, low=0)
    sigma2 = alpha * previous + step
    total = 1 - alpha_bar + sigma2
    if total == 0:
        raise ValueError(f"alpha_bar_t must be below 1 where there is no semantic noise, got {alpha_bar_t!r}")
    return 1 - alpha + step, total, sigma2


def _schedule(alpha_bar: ArrayLike | torch.Tensor) -> np.ndarray:
    numbers = alpha_bar.detach().cpu().double().numpy() if isinstance(alpha_bar, torch.Tensor) else alpha_bar
    levels = finite_array("alpha_bar", numbers, low=0, low_open=True)
    if levels.ndim != 1 or len(levels) < 1 or levels[0] > 1 or (np.diff(levels) >= 0).any():
        raise ValueError(f"alpha_bar must be one row of falling numbers in (0, 1], got shape {levels.shape}")
    return levels
