"""The webhook's edits of a pod (gate, pin, marker, affinity) and the pods it refuses. Imports
`lws`, `model` and `base`.
"""
