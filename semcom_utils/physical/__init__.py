"""The physical level: it carries symbols, and knows what no code can beat.

:class:`DigitalLink` carries bits (5G LDPC codes, QAM, AWGN or Rayleigh fading, over Sionna),
:class:`AnalogLink` carries real or complex numbers as they are, and the functions of
:mod:`semcom_utils.physical.limits` say how far any link can go.

The signal-to-noise ratio is :math:`E_s/N_0` per complex channel use, in dB, everywhere. Sionna is imported when
the first :class:`DigitalLink` sends, not before (it takes seconds).
"""

from semcom_utils.physical.analog import AnalogLink, AnalogResult
from semcom_utils.physical.digital import DigitalLink, Layout, LinkResult
from semcom_utils.physical.limits import (
    capacity_awgn,
    ergodic_capacity_rayleigh,
    finite_blocklength_error,
    finite_blocklength_rate,
    min_snr_db,
    outage_probability_rayleigh,
    uncoded_bit_error_rate,
)

__all__ = [
    "AnalogLink",
    "AnalogResult",
    "DigitalLink",
    "Layout",
    "LinkResult",
    "capacity_awgn",
    "ergodic_capacity_rayleigh",
    "finite_blocklength_error",
    "finite_blocklength_rate",
    "min_snr_db",
    "outage_probability_rayleigh",
    "uncoded_bit_error_rate",
]
