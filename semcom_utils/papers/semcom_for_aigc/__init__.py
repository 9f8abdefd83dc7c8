"""SemCom for AIGC (Liu et al., 2023): controlled diffusion as a codec, and services on one budget."""

__all__ = ["STUDIES"]

STUDIES: dict = {}
