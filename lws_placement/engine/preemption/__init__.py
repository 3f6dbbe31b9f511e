"""Selects what to evict for a group or a foreign pod: victims, budgets, the searches for the
cheapest set, and the blockers of a group that may evict nothing. Imports `planning` and below.
"""
