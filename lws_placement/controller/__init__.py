"""The built-in LeaderWorkerSet controller, for clusters without one. It creates exactly the objects
that upstream's controller creates. Imports `cluster` and `engine`.
"""
