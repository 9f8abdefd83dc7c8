"""What the records of the adapters say: the share of the gain that is kept, and the share of the bits that it takes.

The runs are in ``fine_tuning``; a change here sets no record aside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from semcom_utils.statistics import iqm_interval, mean_interval
from semcom_utils.studies import Study

from .fine_tuning import LEARNERS, PAINTED, PRECISIONS, RATES, STEPS, adapters_run, rates_run

__all__ = ["FURTHER", "KEPT", "STUDIES"]

#: A fourth learning rate for each: of the first three the least was the best for two learners.
FURTHER = {name: 1e-4 if name == "full" else 1e-3 for name in RATES}

#: Share of the gain that low-rank parameters should keep, and share of the model's bits that they may take.
KEPT, AT_MOST = 0.95, 0.05
#: Bits of the seed that is sent with a caption.
SEED_BITS = 32


def _rates_tasks() -> list[dict]:
    return [
        {"learner": learner, "rate": rate, "steps": STEPS}
        for learner, rates in RATES.items()
        for rate in (*rates, FURTHER[learner])
    ]


def _rates_summary(records: list[dict]) -> dict:
    losses: dict[str, dict[str, float]] = {}
    for record in records:
        losses.setdefault(record["task"]["learner"], {})[f"{record['task']['rate']:g}"] = record["loss"]
    return {
        "losses": losses,
        "best": {learner: float(min(tried, key=lambda rate: tried[rate])) for learner, tried in losses.items()},
    }


def _tasks() -> list[dict]:
    return [
        {"seed": seed, "learner": learner, "steps": STEPS, "painted": PAINTED}
        for seed in range(10)
        for learner in ("none", *LEARNERS)
    ]


def _by_learner(records: list[dict]) -> dict[str, dict[int, dict]]:
    """Learner -> seed -> record."""
    found: dict[str, dict[int, dict]] = {}
    for record in records:
        found.setdefault(record["task"]["learner"], {})[record["task"]["seed"]] = record
    return found


def _hits(row: dict[str, str]) -> np.ndarray:
    """Which pictures are in style and show what was asked for."""
    return np.array([a == b == "1" for a, b in zip(row["style"], row["right"], strict=True)])


def _ratio_interval(above: np.ndarray, below: np.ndarray) -> dict[str, Any]:
    """Sum over sum, over seeds, with its percentile bootstrap interval; of no gain nothing is kept."""
    estimate = float(above.sum() / below.sum()) if below.sum() else 0.0
    if len(below) == 1:
        return {"estimate": estimate, "low": None, "high": None, "n": 1}
    if not below.sum():
        return {"estimate": 0.0, "low": 0.0, "high": 0.0, "n": len(below)}
    drawn = np.random.default_rng(0).integers(len(below), size=(10_000, len(below)))
    sums = below[drawn].sum(1)
    ratios = above[drawn].sum(1)[sums > 0] / sums[sums > 0]
    low, high = np.quantile(ratios, [0.025, 0.975]) if len(ratios) else (0.0, 0.0)
    return {"estimate": estimate, "low": float(low), "high": float(high), "n": len(below)}


def _summary(records: list[dict]) -> dict:
    rows = _by_learner(records)
    seeds, model = sorted(rows["none"]), next(iter(rows["full"].values()))["parameters"]

    def losses(learner: str) -> np.ndarray:
        return np.array([rows[learner][seed]["loss"] for seed in seeds])

    base, full = losses("none"), losses("full")
    painted = {
        learner: np.array([_hits(rows[learner][seed]).mean() for seed in seeds]) for learner in ("none", *LEARNERS)
    }
    truth = np.concatenate([_hits(rows["none"][seed]["truth"]) for seed in seeds])
    saved = float(np.mean([rows["none"][seed]["jpeg"] - rows["none"][seed]["caption"] for seed in seeds])) - SEED_BITS
    told: dict[str, Any] = {}
    for learner in LEARNERS:
        ours = rows[learner]
        parameters = ours[seeds[0]]["parameters"]
        told[learner] = {
            "parameters": parameters,
            "bits": 16 * parameters,
            "share_of_bits": parameters / model,
            "loss": mean_interval(losses(learner)),
            "kept": iqm_interval((base - losses(learner)) / (base - full)),
            "painted": mean_interval(painted[learner]),
            "painted_kept": _ratio_interval(painted[learner] - painted["none"], painted["full"] - painted["none"]),
            "break_even": 16 * parameters / saved,
        }
        if learner != "full":
            control = np.array([ours[seed]["random"] for seed in seeds])
            told[learner]["random_kept"] = iqm_interval((base - control) / (base - full))
            told[learner]["coarse"] = {
                name: {
                    "bits": bits * parameters,
                    "kept": iqm_interval(
                        (base - np.array([ours[seed]["coarse"][name] for seed in seeds])) / (base - full)
                    ),
                }
                for name, bits in PRECISIONS.items()
                if bits < 16
            }
    low_rank = [learner for learner in LEARNERS if learner != "full"]
    enough = [
        learner
        for learner in low_rank
        if (told[learner]["kept"]["low"] or 0) >= KEPT and told[learner]["share_of_bits"] <= AT_MOST
    ]
    chosen = (
        min(enough, key=lambda learner: told[learner]["bits"])
        if enough
        else max(low_rank, key=lambda learner: told[learner]["kept"]["estimate"])
    )
    return {
        "learners": told,
        "base": {"loss": mean_interval(base), "painted": mean_interval(painted["none"])},
        "truth_painted": mean_interval(truth),
        "gain": mean_interval((base - full) / base),
        "painted_gain": mean_interval(painted["full"] - painted["none"]),
        "chosen": {"learner": chosen, **told[chosen]},
        "bits_saved_a_picture": saved,
        "jpeg_bits": float(np.mean([rows["none"][seed]["jpeg"] for seed in seeds])),
        "caption_bits": float(np.mean([rows["none"][seed]["caption"] for seed in seeds])),
    }


STUDIES = {
    "adapter_rates": Study(_rates_tasks, rates_run, _rates_summary, small={"steps": 1}),
    "adapters": Study(
        _tasks, adapters_run, _summary, reads=("semcom_for_aigc/adapter_rates",), small={"steps": 1, "painted": 2}
    ),
}
