"""The values that all decisions are made of: nodes, pods, groups, verdicts, what a group requests,
what is reserved for it, and a snapshot of the cluster. Frozen, free of JSON. Imports `base`.
"""
