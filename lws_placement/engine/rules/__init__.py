"""What kube-scheduler checks of a pod beyond the node itself, for a whole group in one state of the
cluster: other pods, topology spread, volumes. Imports `fit`, `model`, `objects` and `base`.
"""
