"""Generation level: makes content from what arrived. Models by :func:`load`, their training in ``training``."""

from .loading import ROLES, Detection, load

__all__ = ["ROLES", "Detection", "load"]
