"""Families of generative models (III and Table II of the survey) against one law, and their time over the length.

The chapter ``notebooks/13e_model_families`` explains what is measured and why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

from semcom_utils.checks import checked, positive_integer, real_number
from semcom_utils.generation.families import FAMILIES, Autoregressive, CouplingFlow, Diffusion, Family, make
from semcom_utils.generation.families import fit as fit_family
from semcom_utils.generation.gaussian import GaussianMixture, GaussianModel
from semcom_utils.statistics import energy_distance, iqm_interval
from semcom_utils.studies import Study

__all__ = [
    "RATE",
    "RATE_GAN",
    "SPREAD",
    "STEPS",
    "STUDIES",
    "centres",
    "draw",
    "evaluations",
    "law",
    "length_run",
    "quality_run",
    "score_samples",
]

#: Standard deviation of a mode; neighbours are 1 apart.
SPREAD = 0.15
#: Denoising steps at which the diffusion model is looked at; the last is its number elsewhere.
STEPS = (1, 2, 5, 10, 20, 50, 100)
LENGTHS = (1, 4, 16, 64)
SAMPLES = 4000
#: Training of all: steps, and Adam's rate (a GAN's was better at the smaller one), tried out on seeds 0 to 2.
TRAINING_STEPS, RATE, RATE_GAN = 2000, 5e-3, 2e-3
SEEDS = range(100, 110)
ONE_PASS = ("vae", "gan", "flow")


def _spread(spread: float) -> float:
    """A deviation whose square single precision holds."""
    return real_number("spread", spread, low=1e-6, high=1e6)


def _points(x: torch.Tensor, least: int = 1) -> None:
    """Refuse what are no points of the plane."""
    if not x.is_floating_point() or x.ndim != 2 or x.shape[1] != 2 or len(x) < least:
        raise ValueError(f"x must be floating-point [n, 2], n at least {least}, got {x.dtype} of shape {list(x.shape)}")
    if not torch.isfinite(x).all():
        raise ValueError("x must be finite, got NaN or an infinite number")


@checked
def law(modes: int = 25, spread: float = SPREAD) -> GaussianMixture:
    """A mixture of equal round Gaussians: 25 on a 5 x 5 grid turned by 30 degrees, or a single one.

    The grid is turned so that the two coordinates depend on one another.

    Parameters
    ----------
    modes : int
        25; with any other number, one.
    spread : float
        Standard deviation of a mode, from 1e-6 to 1e6.

    Returns
    -------
    GaussianMixture
        In the plane.

    Raises
    ------
    ValueError
        If ``modes`` is no positive whole number, or ``spread`` out of its range.
    """
    positive_integer("modes", modes)
    _spread(spread)
    grid = torch.arange(5.0) - 2 if modes == 25 else torch.zeros(1)
    angle = math.pi / 6
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    centres = torch.cartesian_prod(grid, grid) @ turn
    components = [GaussianModel(centre, spread**2) for centre in centres]
    return GaussianMixture(torch.full((len(centres),), 1 / len(centres)), components)


@checked
def centres(mixture: GaussianMixture) -> torch.Tensor:
    """Means of a mixture's components.

    Parameters
    ----------
    mixture : GaussianMixture
        As of :func:`law`.

    Returns
    -------
    torch.Tensor
        ``[modes, 2]``.

    Raises
    ------
    ValueError
        If ``mixture`` is none.
    """
    return torch.stack([component.mean for component in mixture.components])


@checked
def draw(mixture: GaussianMixture, spread: float = SPREAD) -> Callable[[int, torch.Generator], torch.Tensor]:
    """A source of training data: as ``mixture.sample``, without drawing from every component.

    Parameters
    ----------
    mixture : GaussianMixture
        As of :func:`law`.
    spread : float
        Standard deviation of its modes.

    Returns
    -------
    callable
        ``points(n, generator)``, ``[n, 2]``.

    Raises
    ------
    ValueError
        If ``mixture`` is none, or ``spread`` out of its range.
    """
    _spread(spread)
    middle = centres(mixture)

    def points(n, generator):
        chosen = torch.randint(len(middle), (n,), generator=generator)
        return middle[chosen] + spread * torch.randn(n, 2, generator=generator)

    return points


@checked
def score_samples(
    x: torch.Tensor, mixture: GaussianMixture, generator: torch.Generator, spread: float = SPREAD
) -> dict:
    """Hold samples ``[n, 2]`` against the law.

    Parameters
    ----------
    x : torch.Tensor
        ``[n, 2]``, two rows at least.
    mixture : GaussianMixture
        As of :func:`law`.
    generator : torch.Generator
        Draws the yardstick.
    spread : float
        Standard deviation of the modes.

    Returns
    -------
    dict
        ``energy``: :func:`energy_distance` to as many fresh draws. ``modes``: how many get, within three standard
        deviations, at least a tenth of their fair share. ``off``: share of the samples farther than four from any.

    Raises
    ------
    ValueError
        If ``x`` are no points of the plane, or another argument is not what it should be.
    """
    _points(x, 2)
    _spread(spread)
    near, which = torch.cdist(x, centres(mixture).to(x.dtype)).min(1)
    counts = torch.bincount(which[near < 3 * spread], minlength=len(mixture.components))
    fresh = draw(mixture, spread)(len(x), generator)
    return {
        "energy": energy_distance(x.numpy(), fresh.numpy()),
        "modes": int((counts >= 0.1 * len(x) / len(counts)).sum()),
        "off": float((near > 4 * spread).float().mean()),
    }


Result = TypeVar("Result")


def _timed(function: Callable[[], Result]) -> tuple[Result, float]:
    """What it returns, and the seconds of processor time (not of the clock: the machine may be busy)."""
    start = time.process_time()
    value = function()
    return value, time.process_time() - start


def quality_run(task: dict) -> dict:
    """Train a family on the law, draw samples, hold them against it.

    Parameters
    ----------
    task : dict
        ``family``: a key of FAMILIES; ``"data"`` (fresh draws instead of a model: the yardstick's own noise); or
        ``"exact"`` (the diffusion sampler with the exact best denoiser). ``modes``, ``seed``, ``steps`` of training;
        ``samples`` that are drawn instead of ``SAMPLES``, optionally.

    Returns
    -------
    dict
        As of :func:`score_samples`, with ``us_a_sample``; of a trained family ``training_s``, ``loss`` and
        ``parameters``, too; ``nats`` where there is a density, ``by_steps`` where there are steps.
    """
    samples = task.get("samples", SAMPLES)
    torch.set_num_threads(1)
    generator, mixture = torch.Generator().manual_seed(task["seed"]), law(task["modes"])
    name: str = task["family"]
    record: dict[str, Any] = {}
    if name == "data":
        return score_samples(draw(mixture)(samples, generator), mixture, generator)
    model = make("diffusion" if name == "exact" else name, 2, generator)
    if name == "exact":
        assert isinstance(model, Diffusion)
        levels = model.alpha_bar
        # this one model's network makes way for the exact denoiser
        model.epsilon = lambda x_t, t: mixture.epsilon(x_t, float(levels[t]))  # type: ignore[method-assign]
    else:
        rate = RATE_GAN if name == "gan" else RATE
        history, seconds = _timed(lambda: fit_family(model, draw(mixture), generator, steps=task["steps"], rate=rate))
        record = {
            "training_s": seconds,
            "loss": float(np.mean(history[-100:])),
            "parameters": sum(p.numel() for p in model.painter.parameters()),
        }
    with torch.no_grad():
        x, seconds = _timed(lambda: model.sample(samples, generator))
        record |= score_samples(x, mixture, generator) | {"us_a_sample": 1e6 * seconds / samples}
        if isinstance(model, Autoregressive | CouplingFlow):
            record["nats"] = float(-model.log_density(draw(mixture)(samples, generator)).mean())
        if isinstance(model, Diffusion):
            record["by_steps"] = [
                score_samples(model.sample(samples, generator, steps), mixture, generator) for steps in STEPS
            ]
    return record


@checked
def evaluations(model: Family, n: int, generator: torch.Generator) -> int:
    """How often one after the other the network runs while samples are drawn; all parts of a flow count as one.

    Parameters
    ----------
    model : Family
        Of any family.
    n : int
        Samples, drawn at once.
    generator : torch.Generator
        Draws them.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        If an argument is not what it should be.
    """
    positive_integer("n", n)
    parts = list(model.painter) if isinstance(model.painter, torch.nn.ModuleList) else [model.painter]
    calls = []
    hooks = [part.register_forward_hook(lambda *_: calls.append(1)) for part in parts]
    model.sample(n, generator)
    for hook in hooks:
        hook.remove()
    return len(calls) // len(parts)


def length_run(task: dict) -> dict:
    """Network evaluations and processor time of sampling, by the length of what is made.

    The networks are as large as elsewhere and untrained: time does not depend on the weights' values.

    Parameters
    ----------
    task : dict
        ``family``, ``length``, ``seed``, ``samples`` (drawn at once).

    Returns
    -------
    dict
        ``evaluations``, ``us_a_sample`` (microseconds of the processor) and ``parameters``.
    """
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(task["seed"])
    model = make(task["family"], task["length"], generator)
    with torch.no_grad():
        count = evaluations(model, 2, generator)
        model.sample(task["samples"], generator)  # warm caches
        times = [_timed(lambda: model.sample(task["samples"], generator))[1] for _ in range(3)]
    return {
        "evaluations": count,
        "us_a_sample": 1e6 * float(np.median(times)) / task["samples"],
        "parameters": sum(p.numel() for p in model.painter.parameters()),
    }


def _quality_summary(records: list[dict]) -> dict:
    def part(family, modes):
        return [r for r in records if (r["task"]["family"], r["task"]["modes"]) == (family, modes)]

    summary = {}
    for modes in (25, 1):
        table: dict[str, dict[str, Any]] = {}
        for family in dict.fromkeys(r["task"]["family"] for r in records if r["task"]["modes"] == modes):
            chosen = part(family, modes)
            keys = [k for k in ("energy", "modes", "off", "us_a_sample", "training_s", "nats") if k in chosen[0]]
            table[family] = {k: iqm_interval([r[k] for r in chosen]) for k in keys}
            covered = [r["modes"] for r in chosen]
            table[family] |= {
                "median_modes": float(np.median(covered)),
                "spread_modes": float(np.std(covered)),
                "parameters": chosen[0].get("parameters"),
            }
        gan = table["gan"]
        others = [f for f in ("vae", "flow", "diffusion") if f in table]
        summary[f"modes{modes}"] = {
            **table,
            "gan_fewer": {f: table[f]["median_modes"] - gan["median_modes"] for f in others},
            "gan_spread": gan["spread_modes"] - max(table[f]["spread_modes"] for f in others),
        }
    diffusion = part("diffusion", 25)

    def lead(steps_index):
        """By how much the rivals' energy distances exceed the diffusion model's, paired by seed."""
        ours = [r["by_steps"][steps_index]["energy"] for r in diffusion]
        return {
            f: iqm_interval([r["energy"] - e for r, e in zip(part(f, 25), ours, strict=True)])
            for f in FAMILIES
            if f != "diffusion"
        }

    leads = [lead(i) for i in range(len(STEPS))]
    return summary | {
        "steps": list(STEPS),
        "lead": leads[-1],
        "lead_in_one_step": leads[0],
        "lead_by_steps": leads,
        "by_steps": {
            f: [
                {k: iqm_interval([r["by_steps"][i][k] for r in part(f, 25)]) for k in ("energy", "off")}
                for i in range(len(STEPS))
            ]
            for f in ("diffusion", "exact")
        },
        "times_slower": {
            f: iqm_interval([a["us_a_sample"] / b["us_a_sample"] for a, b in zip(diffusion, part(f, 25), strict=True)])
            for f in FAMILIES
            if f != "diffusion"
        },
    }


def _length_summary(records: list[dict]) -> dict:
    def values(family, length, key):
        return np.array([r[key] for r in records if (r["task"]["family"], r["task"]["length"]) == (family, length)])

    table: dict[str, dict[str, Any]] = {
        f: {
            "evaluations": [int(values(f, n, "evaluations")[0]) for n in LENGTHS],
            "us_a_sample": [iqm_interval(values(f, n, "us_a_sample")) for n in LENGTHS],
            "parameters": [int(values(f, n, "parameters")[0]) for n in LENGTHS],
        }
        for f in FAMILIES
    }
    growth = {f: row["evaluations"][-1] - row["evaluations"][0] for f, row in table.items()}
    longest = LENGTHS[-1]
    ours = values("autoregressive", longest, "us_a_sample")
    one_pass = np.max([values(f, longest, "us_a_sample") for f in ONE_PASS], axis=0)
    return {
        "lengths": list(LENGTHS),
        **table,
        "growth": growth,
        "largest_growth_of_others": max(abs(g) for f, g in growth.items() if f != "autoregressive"),
        "over_slowest_one_pass": iqm_interval(ours / one_pass),
        "diffusion_over_it": iqm_interval(values("diffusion", longest, "us_a_sample") / ours),
        "more_at_length_one": table["autoregressive"]["evaluations"][0]
        - max(table[f]["evaluations"][0] for f in ONE_PASS),
    }


def _quality_tasks() -> list[dict]:
    tasks = [
        {"family": f, "modes": 25, "seed": s, "steps": TRAINING_STEPS}
        for s in SEEDS
        for f in (*FAMILIES, "data", "exact")
    ]
    # the control, a single mode, is learnt in a quarter of the steps
    return tasks + [
        {"family": f, "modes": 1, "seed": s, "steps": TRAINING_STEPS // 4}
        for s in SEEDS
        for f in ("vae", "gan", "flow", "diffusion")
    ]


STUDIES = {
    "families": Study(_quality_tasks, quality_run, _quality_summary, small={"steps": 10, "+samples": 50}),
    "lengths": Study(
        lambda: [
            {"family": f, "length": n, "seed": s, "samples": 200} for s in SEEDS for n in LENGTHS for f in FAMILIES
        ],
        length_run,
        _length_summary,
        small={"samples": 20},
    ),
}
