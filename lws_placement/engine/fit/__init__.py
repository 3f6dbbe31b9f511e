"""What fits where: kube-scheduler's node filters, the assignment of members to the nodes of a
domain, indexes that follow node changes, and the shortfall of a domain that does not fit. Imports
`model`, `objects` and `base`.
"""
