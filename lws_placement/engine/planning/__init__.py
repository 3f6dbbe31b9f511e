"""Where a whole group goes: one domain, or several domains and a region, with a node for each
member; which waiting groups are worth asking about; which places are kept by backfill. Imports
`fit` and below.
"""
