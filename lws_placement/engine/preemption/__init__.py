"""Who is evicted so that a group, or a foreign pod, has room: victims, budgets, the searches for
the cheapest set, and what blocks a group that may evict nobody. Imports `planning` and below.
"""
