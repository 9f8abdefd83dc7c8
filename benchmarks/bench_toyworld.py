"""Does the toy world draw at least 200 scenes a second on one core?

    python benchmarks/bench_toyworld.py [--scenes 1000]

Timed in processor seconds, so that other work on the machine disturbs little. Beside it stands a yardstick, a fixed
piece of numpy work of the same kind (square roots of 64x64 arrays), timed in turns within the same run: the ratio is
what can be compared between machines. Exit code 1 below 200 scenes a second.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from semcom_utils import toyworld

LEAST = 200.0


def seconds(work) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def yardstick() -> None:
    """A thousand square roots of a 64x64 array."""
    array = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    for _ in range(1000):
        np.sqrt(array * array + 1.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000)
    scenes = parser.parse_args().scenes
    if scenes < 10:
        parser.error(f"--scenes must be at least 10, got {scenes}")
    toyworld.scene(0), yardstick()  # warm
    parts = 10
    drawn, measured = [], []
    for part in range(parts):
        seeds = range(part * scenes // parts, (part + 1) * scenes // parts)
        drawn.append(seconds(lambda seeds=seeds: [toyworld.scene(seed) for seed in seeds]) / len(seeds))
        measured.append(seconds(yardstick))
    rate = 1 / np.median(drawn)
    ratio = np.median(drawn) / np.median(measured)
    print(
        f"{rate:.0f} scenes a second (asked: {LEAST:.0f}); one scene takes {ratio:.2f} "
        "of a thousand square roots of 64x64 numbers"
    )
    return 0 if rate >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
