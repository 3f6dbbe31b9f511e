"""What others ask of the cluster, answered from the cache, or by a live read where a promise
depends on it. Imports `cache` and below.
"""
