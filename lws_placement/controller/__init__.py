"""The built-in LeaderWorkerSet controller, for clusters that have none: creates what upstream's
controller creates, to the letter. Imports `cluster` and `engine`.
"""
