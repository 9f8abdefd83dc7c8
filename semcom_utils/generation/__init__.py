"""Generation level: makes content from what arrived. Models by :func:`load`, their training in ``training``."""

from .loading import ROLES, Detection, load
from .split import matched_timestep, receive, semantic_noise_coefficient, send

__all__ = ["ROLES", "Detection", "load", "matched_timestep", "receive", "semantic_noise_coefficient", "send"]
