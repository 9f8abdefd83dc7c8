"""The families at equal computation, on a law that an even square cannot pass for.

The second study behind the chapter "Families of generative models" (III of the survey). The heaps are narrow, so that
points which fill the square evenly reach none of them. Operations of the training are counted, not steps or seconds,
and every family has the same number; at two budgets, with the book's plain networks and with networks that see sines
and cosines of their inputs, as is usual where a network has to be steep.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from semcom_utils.checks import checked
from semcom_utils.generation.families import FAMILIES, Adversarial, Autoregressive, Family, fit, make
from semcom_utils.papers.gai_semcom_networks.model_families import _points, centres, draw, law, score_samples
from semcom_utils.statistics import iqm_interval
from semcom_utils.studies import Study, load_result

__all__ = [
    "BUDGETS",
    "FINER",
    "FINER_OPERATIONS",
    "MODELS",
    "NARROW",
    "RATES",
    "STUDIES",
    "WAVES",
    "budget_run",
    "budget_samples",
    "learnt",
    "operations_a_step",
]

#: Standard deviation of a heap; neighbours are 1 apart.
NARROW = 0.04
#: Operations of the training.
BUDGETS = {"small": 1e11, "large": 2.5e11}
SAMPLES, BATCH = 4000, 256
SEEDS = range(100, 110)  # rates and waves were tried out on seeds 0 to 2
#: Adam's rate and the number of waves of the steep networks, by family.
RATES = {"autoregressive": 5e-3, "vae": 2e-3, "gan": 3e-3, "flow": 2e-3, "diffusion": 1e-2}
WAVES = 6
#: Bins of a coordinate, a thirtieth of the gap between heaps wide, in place of 70, which are wider than a heap; and
#: operations of their training, which is a sixth of the larger budget.
FINER, FINER_OPERATIONS = 210, 4e10
RIVALS = ("autoregressive", "vae", "gan", "flow")


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


def _untrained(task: dict, generator: torch.Generator) -> Family:
    if "bins" not in task:
        return make(task["family"], 2, generator, waves=task["waves"])
    binned: type[Autoregressive] = type("Binned", (Autoregressive,), {"bins": task["bins"]})
    return binned(2, generator)


def budget_samples(task: dict) -> tuple[torch.Tensor, int]:
    """Train a family with a budget of operations, and draw from it.

    Parameters
    ----------
    task : dict
        As of :func:`budget_run`.

    Returns
    -------
    x : torch.Tensor
        ``[samples, 2]``.
    steps : int
        Of the training.
    """
    torch.set_num_threads(1)
    samples, generator = task.get("samples", SAMPLES), torch.Generator().manual_seed(task["seed"])
    mixture = law(spread=NARROW)
    points = draw(mixture, NARROW)
    if task["family"] == "data":
        return points(samples, generator), 0
    if task["family"] == "square":
        corner, along, up = centres(mixture)[[0, 1, 5]]
        u = 5 * torch.rand(samples, 2, generator=generator) - 0.5
        return corner + u[:, :1] * (along - corner) + u[:, 1:] * (up - corner), 0
    model = _untrained(task, generator)
    operations = task["operations"] if "operations" in task else BUDGETS[task["size"]]
    steps = max(1, round(operations / operations_a_step(model)))
    fit(model, points, generator, steps=steps, batch=BATCH, rate=RATES[task["family"]])
    with torch.no_grad():
        return model.sample(samples, generator), steps


def budget_run(task: dict) -> dict:
    """Train a family with a budget of operations, hold its samples against the law and against the even square.

    Parameters
    ----------
    task : dict
        ``family`` (or ``"data"``, fresh draws, and ``"square"``, the square that they stand on), ``waves``, ``size``
        (of the budget, a key of :data:`BUDGETS`) and ``seed``; ``bins`` of an autoregressive model instead of its own,
        ``operations`` instead of that budget's and ``samples`` that are drawn instead of ``SAMPLES``, optionally.

    Returns
    -------
    dict
        ``energy``, ``modes`` and ``off`` as of :func:`score_samples`; ``learnt``; ``steps`` of the training.
    """
    x, steps = budget_samples(task)
    generator = torch.Generator().manual_seed(task["seed"] + 1)
    scores: dict[str, Any] = score_samples(x, law(spread=NARROW), generator, NARROW)
    return scores | {"learnt": learnt(x), "steps": steps}


#: What is trained, by name: family and waves. The autoregressive model sees bins; of the plain ones, which the first
#: study trains, diffusion alone is beside the steep ones, at the small budget.
MODELS = {"autoregressive": ("autoregressive", 0), "diffusion": ("diffusion", 0)} | {
    f"steep_{name}": (name, WAVES) for name in FAMILIES if name != "autoregressive"
}


def _of(records: list[dict], family: str, waves: int, size: str) -> list[dict]:
    wanted = (family, waves, size)
    return [r for r in records if tuple(r["task"][k] for k in ("family", "waves", "size")) == wanted]


def _summarise(records: list[dict]) -> dict:
    summary: dict = {}
    for size in BUDGETS:
        table: dict[str, dict[str, Any]] = {}
        for name, (family, waves) in MODELS.items():
            if chosen := _of(records, family, waves, size):
                table[name] = {k: iqm_interval([r[k] for r in chosen]) for k in ("learnt", "energy", "modes", "off")}
                table[name] |= {
                    "steps": chosen[0]["steps"],
                    "median_modes": float(np.median([r["modes"] for r in chosen])),
                }
        diffusion = _of(records, "diffusion", WAVES, size)
        lead = {}
        for rival in RIVALS:
            rows = _of(records, rival, 0 if rival == "autoregressive" else WAVES, size)
            lead[rival] = iqm_interval([d["learnt"] - r["learnt"] for d, r in zip(diffusion, rows, strict=True)])
        summary[size] = table | {"diffusion_ahead": lead}
    for name in ("data", "square"):
        chosen = _of(records, name, 0, "small")
        summary[name] = {k: iqm_interval([r[k] for r in chosen]) for k in ("learnt", "energy", "modes", "off")}
    return summary


def _finer_summary(records: list[dict]) -> dict:
    """Of the finer bins, and how far the diffusion model with the same seeds and the larger budget is ahead of them."""
    diffusion = _of(load_result("gai_semcom_networks/budgets")["records"], "diffusion", WAVES, "large")
    pairs = zip(diffusion[: len(records)], records, strict=True)
    return {k: iqm_interval([r[k] for r in records]) for k in ("learnt", "energy", "modes", "off")} | {
        "steps": records[0]["steps"],
        "diffusion_ahead": iqm_interval([d["learnt"] - r["learnt"] for d, r in pairs]),
    }


STUDIES = {
    "budgets": Study(
        lambda: (
            [{"family": f, "waves": w, "size": "small", "seed": s} for s in SEEDS for f, w in MODELS.values()]
            + [
                {"family": f, "waves": w, "size": "large", "seed": s}
                for s in SEEDS
                for f, w in MODELS.values()
                if w or f == "autoregressive"
            ]
            + [{"family": f, "waves": 0, "size": "small", "seed": s} for s in SEEDS for f in ("data", "square")]
        ),
        budget_run,
        _summarise,
        small={"+operations": 1e8, "+samples": 100},
    ),
    "finer_bins": Study(
        lambda: [
            {"family": "autoregressive", "waves": 0, "bins": FINER, "operations": FINER_OPERATIONS, "seed": s}
            for s in SEEDS
        ],
        budget_run,
        _finer_summary,
        compares=("gai_semcom_networks/budgets",),
        small={"operations": 1e8, "+samples": 100},
    ),
}
