"""The numbers that ``errata.md`` quotes; ``tests/test_errata_semaigc_root.py`` proves what it states."""

from __future__ import annotations

import math

from semcom_utils.checks import checked, real_number
from semcom_utils.generation.split import printed_noise_coefficient, semantic_noise_coefficient
from semcom_utils.papers.semaigc_root.scenario import STATE, RootConstants

__all__ = ["EXAMPLE", "numbers", "reverse_step"]

#: An example step: alpha_t, the cumulative product before it, and the two noise variances of eq. (11).
EXAMPLE = {"alpha": 0.98, "alpha_bar_prev": 0.6, "sigma2_prev": 0.2, "sigma2_step": 0.05}
#: Seconds that Fig. 9(c) gives to the transmission at the lowest SNR.
PRINTED_SECONDS = 45.0


@checked
def reverse_step(alpha: float, alpha_bar_prev: float, sigma2_prev: float, sigma2_step: float) -> dict[str, float]:
    """Coefficients of SemAIGC's reverse step and the error variances that they leave (eqs. 8, 11 and 14).

    Parameters
    ----------
    alpha, alpha_bar_prev : float
        α_t and ᾱ_{t−1}, in (0, 1).
    sigma2_prev, sigma2_step : float
        σ²_{t−1} and σ²_{t,t−1} of eq. (11), at least 0.

    Returns
    -------
    dict of str to float
        ``right`` and ``printed``, the coefficient as eq. (14) gives it and as eq. (8) prints it; ``error_right``, the
        posterior's variance, and ``error_printed``.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    for name, value in (("alpha", alpha), ("alpha_bar_prev", alpha_bar_prev)):
        real_number(name, value, low=0, high=1, low_open=True, high_open=True)
    for name, value in (("sigma2_prev", sigma2_prev), ("sigma2_step", sigma2_step)):
        real_number(name, value, low=0)
    if not math.isfinite((1 + sigma2_prev) * (1 + sigma2_step)):
        raise ValueError(
            "sigma2_prev and sigma2_step must have a product that a number holds, "
            f"got {sigma2_prev:g} and {sigma2_step:g}"
        )
    arguments = (alpha, alpha * alpha_bar_prev, sigma2_prev, sigma2_step)
    right, printed = semantic_noise_coefficient(*arguments), printed_noise_coefficient(*arguments)
    step = 1 - alpha + sigma2_step
    before = 1 - alpha_bar_prev + sigma2_prev
    posterior = before * step / (alpha * before + step)
    return {
        "right": right,
        "printed": printed,
        "error_right": posterior,
        "error_printed": posterior + (right - printed) ** 2 / alpha,
    }


def numbers() -> dict[str, float]:
    """Every number that the errata of Cheng et al. (2023) quote.

    Returns
    -------
    dict of str to float
        The :data:`EXAMPLE` and its :func:`reverse_step`; ``raw_mbit``, a picture on the air; ``raw_s_20_mhz``, its
        transmission at the paper's lowest SNR and stated bandwidth; ``mhz_for_45_s``, the bandwidth of 45 s.
    """
    constants = RootConstants()
    snr_db, hertz = constants.low[STATE.index("SNR")], constants.high[STATE.index("B")]
    efficiency = math.log2(1 + 10 ** (snr_db / 10))
    return {
        **EXAMPLE,
        **reverse_step(**EXAMPLE),
        "raw_mbit": constants.image_bits / 1e6,
        "raw_s_20_mhz": constants.image_bits / (hertz * efficiency),
        "mhz_for_45_s": constants.image_bits / (PRINTED_SECONDS * efficiency) / 1e6,
    }
