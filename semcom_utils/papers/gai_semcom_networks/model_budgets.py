"""The families at equal computation, on a law that an even square cannot pass for.

For the chapter "Families of generative models" (III of the survey). The heaps are narrow, so that points which fill
the square evenly reach none of them. Operations of the training are counted, not steps or seconds, and every family
has the same number; with the book's plain networks, or with networks that see sines and cosines of their inputs, as is
usual where a network has to be steep.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from semcom_utils.checks import checked
from semcom_utils.generation.families import Adversarial, Family, fit, make
from semcom_utils.papers.gai_semcom_networks.model_families import _points, centres, draw, law, score_samples

__all__ = ["NARROW", "RATES", "WAVES", "budget_run", "learnt", "operations_a_step"]

#: Standard deviation of a heap; neighbours are 1 apart.
NARROW = 0.04
SAMPLES, BATCH = 4000, 256
#: Adam's rates, tried out on seed 0 with three or four values each, and the waves of the steep networks.
RATES = {"autoregressive": 5e-3, "vae": 2e-3, "gan": 3e-3, "flow": 2e-3, "diffusion": 1e-2}
WAVES = 6


@checked
def learnt(x: torch.Tensor, spread: float = NARROW) -> float:
    r"""How far samples are on the way from the even square to the law: 0 for the one, about 1 for the other.

    Within two standard deviations of a heap's middle lies a share :math:`s = (1 - e^{-2}) / 25` of the law. What the
    samples have there counts up to that share and not beyond, so that one heap too many does not make up for another
    that is missing. An evenly filled square with a heap in each of its unit cells has :math:`4\pi\sigma^2` in all.

    Parameters
    ----------
    x : torch.Tensor
        ``[n, 2]``.
    spread : float
        Standard deviation of a heap.

    Returns
    -------
    float
        Negative for what avoids the heaps; of 4,000 draws of the law 0.97, since some heaps get too few by chance.

    Raises
    ------
    ValueError
        If ``x`` are no points of the plane, or ``spread`` is out of its range.
    """
    _points(x)
    middles = centres(law(spread=spread)).to(x.dtype)
    near, which = torch.cdist(x, middles).min(1)
    shares = torch.bincount(which[near < 2 * spread], minlength=len(middles)).double() / len(x)
    whole, even = 1 - math.exp(-2), 4 * math.pi * spread**2
    return (float(shares.clamp(max=whole / len(middles)).sum()) - even) / (whole - even)


@checked
def operations_a_step(model: Family) -> int:
    """Floating-point operations of one step of training, both players of a GAN included.

    Parameters
    ----------
    model : Family
        Of any family.

    Returns
    -------
    int
        As PyTorch counts the products of matrices, with those of the way back.

    Raises
    ------
    ValueError
        If ``model`` is none.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(BATCH, model.dimension)
    with FlopCounterMode(display=False) as counter:
        if isinstance(model, Adversarial):
            model.critic_loss(x, generator).backward()
        model.loss(x, generator).backward()
    model.zero_grad()
    return int(counter.get_total_flops())


def budget_run(task: dict) -> dict:
    """Train a family with a budget of operations, hold its samples against the law and against the even square.

    Parameters
    ----------
    task : dict
        ``family`` (or ``"data"``, fresh draws, and ``"square"``, the square that they stand on), ``waves``,
        ``operations`` of the training and ``seed``; ``samples`` that are drawn instead of 4,000, optionally.

    Returns
    -------
    dict
        ``energy``, ``modes`` and ``off`` as of :func:`score_samples`; ``learnt``; ``steps`` of the training; and ``x``,
        the samples, ``[samples, 2]``.
    """
    torch.set_num_threads(1)
    samples, generator = task.get("samples", SAMPLES), torch.Generator().manual_seed(task["seed"])
    mixture, steps = law(spread=NARROW), 0
    points = draw(mixture, NARROW)
    if task["family"] == "data":
        x = points(samples, generator)
    elif task["family"] == "square":
        corner, along, up = centres(mixture)[[0, 1, 5]]
        u = 5 * torch.rand(samples, 2, generator=generator) - 0.5
        x = corner + u[:, :1] * (along - corner) + u[:, 1:] * (up - corner)
    else:
        model = make(task["family"], 2, generator, waves=task["waves"])
        steps = max(1, round(task["operations"] / operations_a_step(model)))
        fit(model, points, generator, steps=steps, batch=BATCH, rate=RATES[task["family"]])
        with torch.no_grad():
            x = model.sample(samples, generator)
    scores: dict[str, Any] = score_samples(x, mixture, generator, NARROW)
    return scores | {"learnt": learnt(x), "steps": steps, "x": x}
