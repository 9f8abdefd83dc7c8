"""Recipes of the mini checkpoints, started by ``python -m semcom_utils.generation.training``."""
