"""How much arithmetic a network does, counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from semcom_utils.checks import checked

__all__ = ["operations"]


@checked
def operations(work: Callable[[], Any]) -> tuple[Any, float]:
    """Floating-point operations of whatever is done with PyTorch, two for a product and a sum.

    Attention is taken apart into its products of matrices: in one piece PyTorch does not count it on a processor.

    Parameters
    ----------
    work : callable
        Without arguments.

    Returns
    -------
    result : object
        What ``work`` returns.
    operations : float

    Raises
    ------
    ValueError
        If ``work`` cannot be called.

    Examples
    --------
    >>> import torch
    >>> operations(lambda: torch.zeros(2, 3) @ torch.zeros(3, 5))[1]
    60.0
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        result = work()
    return result, float(counter.get_total_flops())
