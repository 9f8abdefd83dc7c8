"""Generation level: makes content from what arrived. Models by :func:`load`, their training in ``training``.

The names below are looked up when they are used: whoever asks for :data:`ROLES` alone does not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .roles import ROLES

if TYPE_CHECKING:
    from .judging import Detection, Judge
    from .loading import load, one_thread
    from .split import matched_timestep, receive, semantic_noise_coefficient, send

__all__ = [
    "ROLES",
    "Detection",
    "Judge",
    "load",
    "matched_timestep",
    "one_thread",
    "receive",
    "semantic_noise_coefficient",
    "send",
]
_HOME = {
    **dict.fromkeys(("Detection", "Judge"), "judging"),
    **dict.fromkeys(("load", "one_thread"), "loading"),
    **dict.fromkeys(("matched_timestep", "receive", "semantic_noise_coefficient", "send"), "split"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME[name]}", __name__), name)
    return value
