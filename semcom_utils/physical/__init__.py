"""The physical level: it carries symbols, and knows what no code can beat.

:class:`DigitalLink` carries bits (5G LDPC codes, QAM, AWGN or Rayleigh fading, over Sionna),
:class:`AnalogLink` carries real or complex numbers as they are, and the functions of
:mod:`semcom_utils.physical.limits` say how far any link can go.

The signal-to-noise ratio is :math:`E_s/N_0` per complex channel use, in dB, everywhere. The closed forms need NumPy
and SciPy alone: PyTorch is imported when a link is first named, Sionna when the first :class:`DigitalLink` sends.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from semcom_utils.physical.limits import (
    capacity_awgn,
    ergodic_capacity_rayleigh,
    finite_blocklength_error,
    finite_blocklength_rate,
    min_snr_db,
    outage_probability_rayleigh,
    uncoded_bit_error_rate,
)

if TYPE_CHECKING:
    from semcom_utils.physical.analog import AnalogLink, AnalogResult
    from semcom_utils.physical.digital import DigitalLink, Layout, LinkResult

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

_HOMES = {"analog": ("AnalogLink", "AnalogResult"), "digital": ("DigitalLink", "Layout", "LinkResult")}
_LINKS = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """A link, imported with PyTorch when it is first asked for (PEP 562)."""
    if name not in _LINKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_LINKS[name]}"), name)
    globals()[name] = value  # the next time it is found without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
