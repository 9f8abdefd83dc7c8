"""AIGC-SCM (Wang et al., 2024): words, boxes and a shared memory against pixels."""

STUDIES: dict = {}
