"""How long does the toy world draw at one scene?

    python benchmarks/bench_toyworld.py [--scenes 1000]

Beside it stands a yardstick, a fixed piece of numpy work of the same kind (square roots of 64x64 arrays): the ratio is
what can be compared between machines. A training draws scenes as it goes, some hundred a second; the limit is a third
of the speed that was measured when it was set.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from semcom_utils import toyworld
from timing import paired, verdict

LIMIT = 0.5


def yardstick() -> None:
    """A thousand square roots of a 64x64 array."""
    array = np.linspace(0, 1, 64 * 64).reshape(64, 64)
    for _ in range(1000):
        np.sqrt(array * array + 1.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1000)
    scenes = parser.parse_args().scenes
    if scenes < 20:
        parser.error(f"--scenes must be at least 20, got {scenes}")
    seeds = iter(range(10**9))
    parts = 10
    ratio = paired(
        lambda: [toyworld.scene(next(seeds)) for _ in range(scenes // parts)],
        lambda: [yardstick() for _ in range(scenes // parts // 10 or 1)],
        parts,
    )
    each = (scenes // parts // 10 or 1) / (scenes // parts)
    scaled = ratio._replace(estimate=each * ratio.estimate, low=each * ratio.low, high=each * ratio.high)
    print(f"{scenes // parts / ratio.first:.0f} scenes a second")
    return verdict("one scene over a thousand square roots of 64x64 numbers", scaled, LIMIT)


if __name__ == "__main__":
    sys.exit(main())
