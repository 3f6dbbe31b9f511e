"""The kube-scheduler extender: filters, scores and binds members, and keeps foreign pods off held
room. Imports `cluster` and `engine`.
"""
