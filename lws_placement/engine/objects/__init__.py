"""Parts of Kubernetes objects as placement sees them: nodes, selectors, what pods say about other
pods and volumes, claims, and the annotations that ask for placement. Frozen values, free of JSON.
Imports `base`.
"""
