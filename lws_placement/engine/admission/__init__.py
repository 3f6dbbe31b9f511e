"""What our webhook makes of a pod: gate, pin, marker, affinity, and what it refuses. Imports `lws`,
`model` and `base`.
"""
