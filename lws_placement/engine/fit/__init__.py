"""What fits where: kube-scheduler's node filters, the assignment of members to the nodes of a
domain, indexes that follow changes of nodes, and what a domain that does not fit lacks. Imports
`model` and `base`.
"""
