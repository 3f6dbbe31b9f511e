"""The values of all decisions: nodes, pods, groups, verdicts, a group's request and its
reservation, and a snapshot of the cluster. Frozen, free of JSON. Imports `base`.
"""
