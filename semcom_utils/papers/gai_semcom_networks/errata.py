"""The numbers that ``errata.md`` quotes; ``tests/test_errata_gai_semcom_networks.py`` proves what it states."""

from __future__ import annotations

from semcom_utils.physical.limits import uncoded_bit_error_rate

__all__ = ["numbers"]


def numbers() -> dict[str, float]:
    """Every number that the errata of Liang et al. (2025) quote.

    Returns
    -------
    dict of str to float
        ``awgn_*`` and ``rayleigh_*``: bit errors of uncoded BPSK in a million bits, at that SNR in dB; ``float_share``:
        bits of a visual prompt of the picture's size in floating point over the picture's; ``rounded_share``: of the
        mini models' latent at two bits a number, %.
    """
    pixels = 3 * 64 * 64
    return {
        "float_share": 32 * pixels / (8 * pixels),
        "rounded_share": 100 * 2 * 16 * 8 * 8 / (8 * pixels),
    } | {
        f"{name}_{db}": 1e6 * float(uncoded_bit_error_rate(1, db, channel=channel))
        for name, channel in (("awgn", "awgn"), ("rayleigh", "rayleigh-fast"))
        for db in (10, 13, 35)
    }
