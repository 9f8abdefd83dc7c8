"""The numbers that ``errata.md`` quotes; ``tests/test_errata_isgc.py`` proves what it states."""

from __future__ import annotations

import math

from semcom_utils.papers.isgc.scenario import PAPER_STATES, STATE, IsgcConstants, paper_states, spectral_rates

__all__ = ["numbers"]


def numbers() -> dict[str, float]:
    """Every number that the errata of Lin et al. (2023) quote.

    Returns
    -------
    dict of str to float
        ``k_*`` the printed K of Fig. 5; ``mean_one_over_k`` E[1/K] on our range of K; ``sign_odds`` in how many draws
        of Fig. 5's noise all signs are positive once; and of each state ``hk_*``, H/K, and ``best_*``, the best hop's
        rate per hertz.
    """
    states = paper_states()
    rates = spectral_rates(states)
    k = states[:, STATE.index("K_s^a")]
    low, high = IsgcConstants().symbols
    found = {
        "k_min": k.min(),
        "k_max": k.max(),
        "mean_one_over_k": math.log(high / low) / (high - low),
        "sign_odds": 2.0 ** states[:, [STATE.index("sigma_a"), STATE.index("sigma_m")]].size,
    }
    for name, rate in zip(PAPER_STATES, rates, strict=True):
        suffix = name.lower().replace(" ", "_")
        found[f"hk_{suffix}"] = rate[0]
        found[f"best_{suffix}"] = rate.max()
    return {name: float(value) for name, value in found.items()}
