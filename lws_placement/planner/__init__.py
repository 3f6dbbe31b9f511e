"""Places groups: observes each one that changed, asks the engine what to do, and carries it out. It
runs only where the leader Lease is held. Imports `cluster` and `engine`.
"""
