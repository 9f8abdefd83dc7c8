"""How far a map can be made smaller before the picture suffers (Liu et al., 2023, sections IV-A and IV-B).

What :mod:`.downscaling` measured is summed up here: drops, straightness of responses, the workflow of Fig. 4. The
chapter ``notebooks/11_semcom_for_aigc`` explains what is measured and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from semcom_utils.checks import checked, finite_array, one_of
from semcom_utils.effectiveness.picture_metrics import METRICS
from semcom_utils.statistics import mean_interval, student_interval
from semcom_utils.studies import Study

from .downscaling import ALONE, COMPARED, quality_run, quality_tasks
from .scenario import EXTRACTORS, FACTORS

__all__ = [
    "CLEAR",
    "HEADER_BITS",
    "MEASURES",
    "NEVER",
    "SERVICES",
    "STUDIES",
    "choose_pair",
    "first_clear_drop",
    "linearity",
    "service_table",
]

#: Share of the way to the floor from which on a drop is called clear; the interval has to lie above it.
CLEAR = 0.1
#: Kind and factor of a map, whatever it holds.
HEADER_BITS = 8
#: Stands for "at no factor up to 16" where a smallest factor is asked for.
NEVER = 32
#: What a drop is looked for in, and the measure's floor: with the caption alone in place of the map, same seed, or with
#: another scene's caption. Only ``prompt`` enters the claims; the others ask other questions of the same pictures.
MEASURES = {"prompt": "prompt_other", "ssim": "none", "clip": "none", "obeys": "none"}
#: The four services of Fig. 4: what the provider states of (extractor, metric), None where it leaves that open. The
#: paper describes no service 2; it states its metric here, as service 1 does. Of service 3 text and figure disagree.
SERVICES = ((None, "ssim"), (None, "vi"), ("depth", "psnr"), ("pose", None))


@checked
def linearity(quality: Any, factors: Sequence[int] = FACTORS) -> float:
    r"""How straight a response to the factor is: :math:`R^2` of the least-squares line through its mean.

    .. math:: R^2 = 1 - \sum_f \big(\bar q(f) - a - b f\big)^2 \Big/ \sum_f \big(\bar q(f) - \bar{\bar q}\big)^2

    A response that does not change is not called straight: it has 0.

    Parameters
    ----------
    quality : array_like, ``[factors]`` or ``[scenes, factors]``
        Mean over scenes, or what to take it of.
    factors : sequence of int
        Where it was measured.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If ``quality`` does not have one column a factor.

    Examples
    --------
    >>> linearity([1.0, 0.75, 0.5, 0.0], factors=(1, 2, 3, 5))
    1.0
    """
    q = finite_array("quality", quality)
    if q.ndim not in (1, 2) or q.shape[-1] != len(factors):
        raise ValueError(f"quality must have one column for each of {len(factors)} factors, got shape {q.shape}")
    mean = q.reshape(-1, len(factors)).mean(0)
    return 0.0 if np.ptp(mean) < 1e-12 else float(stats.pearsonr(factors, mean)[0] ** 2)


@checked
def first_clear_drop(measure: Any, floor: Any, factors: Sequence[int] = FACTORS, level: float = 0.95) -> int:
    """The smallest factor at which a measure has clearly dropped from its value at factor 1.

    A drop is clear if the interval (Student, over scenes) of what it exceeds a tenth of the way to the floor by lies
    above zero.

    Parameters
    ----------
    measure : array_like, ``[scenes, factors]``
        The first column is at factor 1.
    floor : array_like, ``[scenes]``
        What is reached without the map, or with another scene's caption.
    factors : sequence of int
        Of the columns.
    level : float
        Of the interval.

    Returns
    -------
    int
        A factor, or :data:`NEVER`.

    Raises
    ------
    ValueError
        If the shapes do not fit each other.
    """
    x, low = finite_array("measure", measure), finite_array("floor", floor)
    if x.ndim != 2 or x.shape[1] != len(factors) or len(x) < 2:
        raise ValueError(f"measure must be [scenes, {len(factors)}], got shape {x.shape}")
    if low.shape != x.shape[:1]:
        raise ValueError(f"floor must be one number for each of {len(x)} scenes, got shape {low.shape}")
    return int(_clear_drops(x[None], low[None], factors, level)[0])


def _clear_drops(curves: np.ndarray, floors: np.ndarray, factors: Sequence[int], level: float = 0.95) -> np.ndarray:
    """:func:`first_clear_drop` of many measures at once, [measures, scenes, factors]; bootstraps ask for thousands.

    One scene has no interval, so that nothing is clear.
    """
    n = curves.shape[1]
    if n < 2:
        return np.full(len(curves), NEVER)
    beyond = curves[:, :, :1] - curves - CLEAR * (curves[:, :, :1] - floors[:, :, None])
    error = beyond.std(1, ddof=1) / np.sqrt(n)
    clear = beyond.mean(1) - _student(level, n - 1) * error > 0
    return np.where(clear.any(1), np.asarray(factors)[clear.argmax(1)], NEVER)


@lru_cache
def _student(level: float, freedom: int) -> float:
    return float(stats.t.isf((1 - level) / 2, freedom))


@checked
def choose_pair(
    table: Mapping[str, Mapping[str, float]], extractor: str | None = None, metric: str | None = None
) -> tuple[str, str]:
    """The workflow of Fig. 4: complete what a provider states to a pair of extractor and metric.

    With the metric given the extractor is chosen, with the extractor given the metric; with both there is nothing left
    to choose. A table of linearity gives the paper's rule, one of quality another.

    Parameters
    ----------
    table : mapping
        Extractor -> metric -> what is to be as high as possible.
    extractor, metric : str, optional
        What the provider states; at least one of them.

    Returns
    -------
    tuple of str
        Extractor and metric.

    Raises
    ------
    ValueError
        If neither is given, or what is given does not stand in the table.

    Examples
    --------
    >>> table = {"pose": {"ssim": 0.9, "mse": 0.8}, "depth": {"ssim": 0.7, "mse": 0.6}}
    >>> choose_pair(table, metric="ssim"), choose_pair(table, extractor="depth")
    (('pose', 'ssim'), ('depth', 'ssim'))
    """
    if extractor is None and metric is None:
        raise ValueError("extractor or metric must be given, got neither")
    if extractor is not None:
        one_of("extractor", extractor, table)
    if metric is not None:
        one_of("metric", metric, dict.fromkeys(name for row in table.values() for name in row))
    rows = [extractor] if extractor is not None else list(table)
    pairs = [(row, name) for row in rows for name in ([metric] if metric is not None else list(table[row]))]
    return max(pairs, key=lambda pair: table[pair[0]][pair[1]])


@checked
def service_table(
    records: Sequence[Mapping], services: Sequence[tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quality and cost of services at each factor, on the scenes with a robot.

    Parameters
    ----------
    records : sequence of mapping
        Of the study ``quality``, as ``load_result`` gives them.
    services : sequence of (str, str)
        Extractor and metric of each.

    Returns
    -------
    quality : numpy.ndarray, ``[draws, services, factors]``
        In [0, 1]; a draw is a scene and a seed, the seeds of a scene one after the other.
    bits : numpy.ndarray of int, ``[services, factors]``
        Of the map, coded, mean over scenes.
    scenes : numpy.ndarray of int, ``[draws]``
        Number of each draw's scene.

    Raises
    ------
    ValueError
        If a service's extractor or metric is unknown, or has no record.
    """
    quality, bits, numbers = [], [], []
    for extractor, metric in services:
        one_of("extractor", extractor, EXTRACTORS), one_of("metric", metric, METRICS)
        own = _of(records, extractor)
        if not own:
            raise ValueError(f"records must hold some of {extractor!r} on scenes with a robot, got none")
        quality.append(np.concatenate([np.array(r[metric])[:, :-1] for r in own]))
        bits.append(np.mean([r["bits"] for r in own], axis=0))
        numbers.append([r["task"]["scene"] for r in own for _ in r[metric]])
    return np.stack(quality, axis=1), np.round(bits).astype(int), np.array(numbers[0])


def _of(records: Sequence[Mapping], extractor: str, robot: bool = True) -> list[Mapping]:
    return [r for r in records if r["task"]["extractor"] == extractor and r["task"]["robot"] == robot]


def _by_scene(records: Sequence[Mapping], measure: str) -> np.ndarray:
    """Mean over seeds, [scenes, factors + 1]."""
    return np.array([np.mean(r[measure], axis=0) for r in records])


def _shuffled(values: np.ndarray) -> np.ndarray:
    """The control: what was measured at each factor, in random order."""
    return np.random.default_rng(1).permuted(values, axis=-1)


def _falls(own: Sequence[Mapping], measure: str, factors: Sequence[int], shuffled: bool = False) -> dict:
    """Spearman's correlation of a measure with the factor over all pictures; bootstrap over scenes."""
    values = np.array([np.array(r[measure])[:, :-1] for r in own])
    if shuffled:
        values = _shuffled(values)

    ranks = stats.rankdata(np.broadcast_to(factors, values.shape).ravel())  # of the factors: the same in each resample

    def correlation(chosen: np.ndarray) -> float:
        return float(np.corrcoef(ranks, stats.rankdata(values[chosen].ravel()))[0, 1])

    everyone, rng = np.arange(len(own)), np.random.default_rng(0)
    if np.ptp(values) == 0:
        return {"estimate": 0.0, "low": 0.0, "high": 0.0, "n": len(own)}
    resampled = [correlation(rng.choice(everyone, len(own))) for _ in range(499)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"estimate": correlation(everyone), "low": float(low), "high": float(high), "n": len(own)}


def _last_good(first: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """The largest factor before each first clear drop; 0 if there is none."""
    return np.where(np.asarray(factors) < first[:, None], factors, 0).max(1)


def _floor(own: Sequence[Mapping], measure: str) -> np.ndarray:
    floor = MEASURES[measure]
    return _by_scene(own, measure)[:, -1] if floor == "none" else _by_scene(own, floor)[:, 0]


def _first(own: Sequence[Mapping], measure: str, factors: Sequence[int]) -> int:
    return int(_clear_drops(_by_scene(own, measure)[None, :, :-1], _floor(own, measure)[None], factors)[0])


def _sensitivity(records: Sequence[Mapping], factors: Sequence[int], measure: str) -> dict:
    """Pose against depth, paired over scenes, and whether extractors differ at all, by exchange within scenes."""
    own = {name: _of(records, name) for name in EXTRACTORS}
    curves = np.array([_by_scene(part, measure)[:, :-1] for part in own.values()])  # [extractors, scenes, factors]
    floors = np.array([_floor(part, measure) for part in own.values()])
    names, n, rng = list(own), curves.shape[1], np.random.default_rng(0)

    def lasts(curves: np.ndarray, floors: np.ndarray) -> np.ndarray:
        return _last_good(_clear_drops(curves, floors, factors), factors)

    seen = lasts(curves, floors)
    pose, depth = names.index("pose"), names.index("depth")
    apart = []
    for _ in range(499):
        chosen = rng.choice(n, n)
        again = lasts(curves[[pose, depth]][:, chosen], floors[[pose, depth]][:, chosen])
        apart.append(again[0] - again[1])
    exchanged = []
    for _ in range(499):
        order = rng.permuted(np.tile(np.arange(len(names))[:, None], n), axis=0)
        mixed = lasts(np.take_along_axis(curves, order[:, :, None], 0), np.take_along_axis(floors, order, 0))
        exchanged.append(mixed.var())
    low, high = np.quantile(apart, [0.025, 0.975])
    return {
        "largest_factor": dict(zip(names, seen.tolist(), strict=True)),
        "pose_over_depth": {"estimate": float(seen[pose] - seen[depth]), "low": float(low), "high": float(high)},
        "p": float((1 + np.sum(np.array(exchanged) >= seen.var() - 1e-12)) / (1 + len(exchanged))),
    }


def _per_kilobit(records: Sequence[Mapping], measure: str, robot: bool) -> dict:
    """What the full map adds to the caption alone, by a thousand bits of the map and its header."""
    rows = {}
    for name in EXTRACTORS:
        own = _of(records, name, robot)
        gain = _by_scene(own, measure)
        bits = HEADER_BITS + np.array([r["bits"][0] for r in own])  # an empty pose has nothing but the header
        rows[name] = mean_interval(1000 * (gain[:, 0] - gain[:, -1]) / bits)
    others = [row["high"] for name, row in rows.items() if name != "pose"]
    known = rows["pose"]["low"] is not None  # one scene has no interval
    return {"by_extractor": rows, "pose_over_others": rows["pose"]["low"] - max(others) if known else None}


def _linear(own: Mapping[str, Sequence[Mapping]], factors: Sequence[int]) -> dict:
    def table(part: slice, first: int = 0) -> dict:
        return {
            name: {
                metric: linearity(_by_scene(records[part], metric)[:, first:-1], factors[first:]) for metric in METRICS
            }
            for name, records in own.items()
        }

    def shuffled(records: Sequence[Mapping], metric: str) -> float:
        return linearity(_shuffled(_by_scene(records, metric)[1 if several else 0 :: 2, :-1].mean(0)), factors)

    several = len(own["depth"]) > 1
    chosen, kept = table(slice(0, None, 2)), table(slice(1, None, 2) if several else slice(None))
    best = {metric: choose_pair(chosen, metric=metric)[0] for metric in METRICS}
    return {
        "r2": table(slice(None)),
        "r2_from_second_factor": table(slice(None), 1),
        "best_extractor": best,
        "held_out": {metric: kept[best[metric]][metric] for metric in METRICS},
        "shuffled": {metric: shuffled(own[best[metric]], metric) for metric in METRICS},
    }


def _summary(records: list[dict]) -> dict:
    factors = _of(records, "depth")[0]["task"]["factors"]
    own = {name: _of(records, name) for name in EXTRACTORS}
    linear = _linear(own, factors)
    mean_quality = {
        name: {metric: float(_by_scene(part, metric)[:, :-1].mean()) for metric in METRICS}
        for name, part in own.items()
    }
    pairs = [choose_pair(linear["r2"], *stated) for stated in SERVICES]
    return {
        "factors": factors,
        "bits": {name: np.mean([r["bits"] for r in part], axis=0).round(1).tolist() for name, part in own.items()},
        "response": {
            name: {
                measure: [student_interval(column) for column in _by_scene(part, measure).T]
                for measure in (*COMPARED, *ALONE)
            }
            for name, part in own.items()
        },
        "falls": {name: _falls(part, "ssim", factors) for name, part in own.items()},
        "falls_shuffled": {name: _falls(part, "ssim", factors, shuffled=True) for name, part in own.items()},
        "first_clear_drop": {
            measure: {name: _first(part, measure, factors) for name, part in own.items()} for measure in MEASURES
        },
        "sensitivity": {measure: _sensitivity(records, factors, measure) for measure in MEASURES},
        "service": {
            "with_figures": _per_kilobit(records, "pose", True),
            "without_figures": _per_kilobit(records, "segmentation", False),
        },
        "linearity": linear,
        "mean_quality": mean_quality,
        "services": [list(pair) for pair in pairs],
        "services_by_quality": [list(choose_pair(mean_quality, *stated)) for stated in SERVICES],
    }


STUDIES = {
    "quality": Study(quality_tasks, quality_run, _summary, small={"scene": 2008, "factors": [1, 16], "seeds": [0]})
}
