"""How pods are admitted: the webhook's edits (gate, pin, marker, affinity), the pods that it
refuses, which pods are members, and what a member to come will have. Imports `lws`, `model` and
`base`.
"""
