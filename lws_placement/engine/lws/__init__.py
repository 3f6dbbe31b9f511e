"""LeaderWorkerSet's own rules, as in upstream: defaults, validation, child objects, identity and
environment of pods, revisions, rolling updates, restarts, status. Imports `model` and `base`.
"""
