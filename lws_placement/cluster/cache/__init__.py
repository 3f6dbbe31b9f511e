"""What the API server said last, indexed for placement. `informers` fills a `ClusterCache` by one
watch per kind; the other modules are its indexes. Imports `stores` and below.
"""
