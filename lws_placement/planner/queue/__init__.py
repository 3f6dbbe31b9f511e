"""Selects which groups the planner plans, and when."""
