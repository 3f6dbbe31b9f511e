"""Plans whole groups: one domain, or several domains and a region, with a node for each member.
Selects the waiting groups to plan again, and the places that backfill keeps. Imports `fit` and
below.
"""
