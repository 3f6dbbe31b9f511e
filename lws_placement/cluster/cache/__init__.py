"""The last known state of the API server, indexed for placement. `informers` fills a `ClusterCache`
by one watch per kind; the other modules are its indexes. Imports `stores` and below.
"""
