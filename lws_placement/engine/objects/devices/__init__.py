"""Devices of Dynamic Resource Allocation, and what claims ask of them (`resource.k8s.io/v1`):
frozen values, free of JSON.
"""
