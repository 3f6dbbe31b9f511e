"""Queries about the cluster, answered from the cache, or by a live read where a promise depends on
the answer. Imports `cache` and below.
"""
