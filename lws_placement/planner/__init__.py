"""Places groups: observes each group that changed, lets the engine decide, and carries out the
actions. Runs only in the process that holds the leader Lease. Imports `cluster` and `engine`.
"""
