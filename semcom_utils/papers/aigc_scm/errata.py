"""The numbers that ``errata.md`` quotes; ``tests/test_errata_aigc_scm.py`` proves what it states."""

from __future__ import annotations

from semcom_utils.physical.limits import capacity_awgn, min_snr_db

__all__ = ["BITS_PER_USE", "SNR_DB", "numbers"]

#: What 16-QAM at rate 1/2 carries, in bits per complex channel use, and the one SNR of Fig. 6, in dB.
BITS_PER_USE, SNR_DB = 2.0, 10.0


def numbers() -> dict[str, float]:
    """Every number that the errata of Wang et al. (2024) quote.

    Returns
    -------
    dict of str to float
        ``qam_db`` the lowest SNR at which the link can work, ``capacity_10_db`` what Fig. 6's SNR could carry.
    """
    return {"qam_db": float(min_snr_db(BITS_PER_USE)), "capacity_10_db": float(capacity_awgn(SNR_DB))}
