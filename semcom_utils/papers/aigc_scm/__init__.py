"""AIGC-SCM (Wang et al., 2024): words, boxes and a shared memory against pixels."""

__all__ = ["STUDIES"]

STUDIES: dict = {}
