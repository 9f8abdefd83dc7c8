"""Effectiveness: how well what arrived served its purpose."""
