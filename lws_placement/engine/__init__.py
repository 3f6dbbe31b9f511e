"""Pure rules: observed state in, decisions out. No I/O, no clock, no Kubernetes client.

Each package imports only those below it (`pyproject.toml` holds this): `reconcile` decides for one
group; `messages` puts verdicts into the words that users read; `preemption` finds who is evicted
for a group; `planning` finds domains and nodes for a group; `fit` says what fits on a node or in a
domain; `admission` says what a pod becomes at admission; `lws` has the rules of LeaderWorkerSet
itself; `model` has the values; `base` has names, quantities and bounded parsers.
"""
