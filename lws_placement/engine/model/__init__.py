"""The values of all decisions: pods, groups, verdicts, a group's reservation, and a snapshot of the
cluster. Frozen, free of JSON. Imports `objects` and `base`.
"""
