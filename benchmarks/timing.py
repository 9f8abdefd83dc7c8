"""What the benchmarks share: two pieces of work timed in turns within one run, and a verdict that knows its noise.

Seconds of one machine say little on another, and on a busy one little at all. So each figure is a ratio of two pieces
of work that take turns on one thread, in processor seconds, with the 95% bootstrap interval of its median. A limit is
missed only where the whole interval lies beyond it; where the interval holds the limit the figure is noise, and the
verdict says so instead of failing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap

__all__ = ["Ratio", "paired", "verdict"]


class Ratio(NamedTuple):
    """Median of the ratios of neighbours, ``first`` over ``second``, its interval, and either's median in seconds."""

    estimate: float
    low: float
    high: float
    first: float
    second: float


def paired(first: Callable[[], object], second: Callable[[], object], repeats: int) -> Ratio:
    """Time two pieces of work in turns; the pair before the first that counts warms caches up.

    Parameters
    ----------
    first, second : callable
        Called without arguments.
    repeats : int
        Pairs that count, two or more.
    """
    if repeats < 2:
        raise ValueError(f"repeats must be at least 2, for an interval, got {repeats}")
    seconds: dict[str, list[float]] = {"first": [], "second": []}
    work = {"first": first, "second": second}
    for i in range(repeats + 1):
        for key in sorted(work, reverse=bool(i % 2)):
            start = time.process_time()
            work[key]()
            if i:
                seconds[key].append(time.process_time() - start)
    ratio = np.array(seconds["first"]) / np.array(seconds["second"])
    interval = bootstrap((ratio,), np.median, rng=np.random.default_rng(1), method="percentile").confidence_interval
    return Ratio(
        float(np.median(ratio)), float(interval.low), float(interval.high),
        float(np.median(seconds["first"])), float(np.median(seconds["second"])),
    )  # fmt: skip


def verdict(name: str, ratio: Ratio, limit: float) -> int:
    """Print a figure beside its limit; return 1 if the whole interval lies above the limit, else 0."""
    said = f"{name}: {ratio.estimate:.3g} [{ratio.low:.3g}, {ratio.high:.3g}], limit {limit:g}"
    if ratio.low > limit:
        print(f"{said}: missed")
        return 1
    print(f"{said}: {'holds' if ratio.high <= limit else 'noise, the interval holds the limit'}")
    return 0
