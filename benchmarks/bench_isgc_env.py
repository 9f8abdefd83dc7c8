"""What does stepping many copies of the ISGC environment at once save over stepping one gymnasium environment?

    python benchmarks/bench_isgc_env.py [--repeats 7]

A training takes 200,000 states and more: one by one they would cost minutes of Python, at once they cost none to speak
of. The figure is the time of a state at once over the time of a state one by one.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from semcom_utils.papers.isgc.scenario import BatchIsgcEnv, IsgcEnv
from timing import paired, verdict

COPIES, SINGLE = 8192, 150
LIMIT = {"penalty": 1 / 50, "layer": 1 / 20}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="pairs, 2 or more")
    repeats = parser.parse_args().repeats
    rng, missed = np.random.default_rng(0), 0
    for feasibility, limit in LIMIT.items():
        batch = BatchIsgcEnv(COPIES, np.random.default_rng(1), feasibility=feasibility)
        action = rng.uniform(-1, 1, (COPIES, 3))
        env = IsgcEnv(feasibility=feasibility)
        env.reset(seed=0)
        ratio = paired(
            lambda batch=batch, action=action: [batch.step(action) for _ in range(4)],
            lambda env=env: [env.step(np.zeros(3, np.float32)) for _ in range(SINGLE)],
            repeats,
        )
        each = SINGLE / (4 * COPIES)  # of seconds for so many states to seconds for one
        scaled = ratio._replace(estimate=each * ratio.estimate, low=each * ratio.low, high=each * ratio.high)
        at_once, singly = 4 * COPIES / ratio.first, SINGLE / ratio.second
        print(f"{feasibility}: {at_once:,.0f} states a second at once, {singly:,.0f} one by one")
        missed |= verdict(f"{feasibility}, at once over one by one", scaled, limit)
    return missed


if __name__ == "__main__":
    sys.exit(main())
