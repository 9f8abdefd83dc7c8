"""States per second of the batched ISGC environment on one core, beside the single gymnasium form in the same run."""

import sys
import time

import numpy as np

from semcom_utils.papers.isgc.scenario import BatchIsgcEnv, IsgcEnv

TARGET = 1e6


def rate(step, states: int, repeats: int = 7) -> list[float]:
    """States per processor second, one figure a repeat."""
    figures = []
    for _ in range(repeats):
        start = time.process_time()
        step()
        figures.append(states / (time.process_time() - start))
    return sorted(figures)


def main() -> int:
    rng = np.random.default_rng(0)
    print("form                      states per second: median [slowest, fastest]")
    medians = {}
    for feasibility in ("penalty", "layer"):
        batch = BatchIsgcEnv(8192, np.random.default_rng(1), feasibility=feasibility)
        action = rng.uniform(-1, 1, (8192, 3))
        figures = rate(lambda batch=batch, action=action: [batch.step(action) for _ in range(20)], 20 * 8192)
        medians[feasibility] = figures[len(figures) // 2]
        print(f"batched, {feasibility:8}         {medians[feasibility]:12,.0f} [{figures[0]:,.0f}, {figures[-1]:,.0f}]")
    env = IsgcEnv()
    env.reset(seed=0)
    figures = rate(lambda: [env.step(np.zeros(3, np.float32)) for _ in range(300)], 300)
    print(f"single, gymnasium        {figures[3]:12,.0f} [{figures[0]:,.0f}, {figures[-1]:,.0f}]")
    print(f"batched over single: {medians['penalty'] / figures[3]:.0f} times")
    if medians["penalty"] < TARGET:
        print(f"below the target of {TARGET:,.0f} states per second")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
