"""The numbers of the errata page, and the page itself: ``book/errata.in.md`` with every ``{{name:format}}`` filled in.

The page's statements are proved in ``tests/test_errata.py``; here is only what the prose quotes, so that nobody types
a result there either.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
from scipy.special import erfc

from .claims import LedgerError, repository_root

__all__ = ["errata", "errata_numbers"]

#: The four states of Fig. 5 of the ISGC paper (section IV-C), in the order in which they are printed.
ISGC_STATES = {
    "PPO 1": (1.17, 0.66, 1.97, 0.30, 0.24, 4.76, 4.46, 0.91, 8.03, 15.28),
    "PPO 2": (1.40, 0.30, 0.65, 0.58, 0.16, 3.42, 4.69, 0.89, 7.49, 15.24),
    "Diffusion 1": (1.80, 1.05, 0.47, 0.05, 0.0004, 4.23, 4.58, 0.91, 5.02, 19.73),
    "Diffusion 2": (1.52, 0.12, 1.23, 0.03, 0.14, 4.83, 3.86, 0.96, 9.93, 18.42),
}
#: The components as the paper lists them, and in the order that fits the printed ranges.
ISGC_ORDER_PRINTED = ("H", "sigma_a", "sigma_m", "g_a", "p_a", "g_m", "p_m", "K", "C_a", "C_m")
ISGC_ORDER_FITTING = ("H", "sigma_a", "sigma_m", "g_a", "g_m", "p_a", "p_m", "K", "C_a", "C_m")
#: The uniform distributions of the components (section IV-C).
ISGC_RANGES = {"H": (1, 2), "K": (0, 0.8), "g_a": (0, 1), "p_a": (3, 5), "g_m": (0, 1), "p_m": (3, 5)}

#: An example step of SemAIGC, with alpha_t, the cumulative product before it, and the two noise variances of (11).
ROOT_EXAMPLE = {"alpha": 0.98, "alpha_bar_prev": 0.6, "sigma2_prev": 0.2, "sigma2_step": 0.05}


def best_rate_per_hertz(state: tuple) -> float:
    """Highest rate per hertz over the three hops of an ISGC state, read in the fitting order."""
    s = dict(zip(ISGC_ORDER_FITTING, state, strict=True))
    hops = [math.log2(1 + s[f"g_{i}"] * s[f"p_{i}"] / s[f"sigma_{i}"] ** 2) for i in "am"]
    return max(s["H"] / s["K"], *hops)


def reverse_step(alpha: float, alpha_bar_prev: float, sigma2_prev: float, sigma2_step: float) -> dict[str, float]:
    """Coefficients and error variances of SemAIGC's reverse step (8), printed and as its own (14) gives them."""
    alpha_bar, sigma2 = alpha * alpha_bar_prev, alpha * sigma2_prev + sigma2_step
    v, V, V_prev = 1 - alpha + sigma2_step, 1 - alpha_bar + sigma2, 1 - alpha_bar_prev + sigma2_prev
    right, printed = v / math.sqrt(V), v * (math.sqrt(1 - alpha_bar) - sigma2) / V
    posterior = V_prev * v / V
    return {
        "right": right,
        "printed": printed,
        "error_right": posterior,
        "error_printed": posterior + (right - printed) ** 2 / alpha,
    }


def errata_numbers() -> dict[str, float]:
    """Return every number that ``book/errata.in.md`` quotes, computed from the papers' own equations and data."""
    states = {name.lower().replace(" ", "_"): values for name, values in ISGC_STATES.items()}
    k = [values[ISGC_ORDER_PRINTED.index("K")] for values in states.values()]
    numbers = {"k_min": min(k), "k_max": max(k), "mean_one_over_k": 5 * math.log(5 / 4)}
    numbers["sign_odds"] = 2.0 ** (2 * len(k))  # two draws a state
    for name, values in states.items():
        numbers[f"hk_{name}"] = values[0] / values[7]
        numbers[f"best_{name}"] = best_rate_per_hertz(values)
    numbers |= {f"root_{key}": value for key, value in reverse_step(**ROOT_EXAMPLE).items()} | ROOT_EXAMPLE
    # 16-QAM at rate 1/2 carries 2 bits per complex channel use; Shannon: 2 = log2(1 + SNR).
    numbers["qam_db"] = 10 * math.log10(2**2 - 1)
    numbers["capacity_10_db"] = math.log2(1 + 10.0)
    # Uncoded BPSK, bit errors in a million bits: Q(sqrt(2 SNR)) on AWGN, (1 - sqrt(SNR / (1 + SNR))) / 2 on Rayleigh.
    for db in (10, 13, 35):
        snr = 10 ** (db / 10)
        numbers[f"awgn_{db}"] = 1e6 * 0.5 * float(erfc(math.sqrt(snr)))
        numbers[f"rayleigh_{db}"] = 1e6 * 0.5 * (1 - math.sqrt(snr / (1 + snr)))
    # SemAIGC: a raw 512 x 512 picture at 24 bits and -6 dB; the bandwidth at which sending it takes 45 s.
    efficiency = math.log2(1 + 10**-0.6)
    numbers["raw_mbit"] = 512 * 512 * 24 / 1e6
    numbers["raw_s_20_mhz"] = numbers["raw_mbit"] / (20 * efficiency)
    numbers["mhz_for_45_s"] = numbers["raw_mbit"] / (45 * efficiency)
    return {key: float(np.float64(value)) for key, value in numbers.items()}


def errata(template: str | Path | None = None) -> str:
    """Return the text of the errata page: the template with every ``{{name:format}}`` replaced by its number.

    Raises
    ------
    LedgerError
        If the template quotes a number that :func:`errata_numbers` does not compute.
    """
    path = repository_root() / "book" / "errata.in.md" if template is None else Path(template)
    numbers = errata_numbers()

    def fill(match: re.Match) -> str:
        name, spec = match.group(1), match.group(2)
        if name not in numbers:
            raise LedgerError(f"{path.name}: no number is called {name!r}; there are {', '.join(sorted(numbers))}")
        return format(numbers[name], spec)

    return re.sub(r"\{\{(\w+):([^}]*)\}\}", fill, path.read_text(encoding="utf-8"))
