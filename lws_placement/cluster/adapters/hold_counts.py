"""Counts of holds and domains for /metrics.

Computed when /metrics is read, on the event loop: O(domains of the keys in use), plus the nodes of
domains that have changed or are not held.
"""

from collections import Counter

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.fit.fragmentation import DomainState, state_of
from lws_placement.metrics import HoldCounts


def count_figures(cache: ClusterCache, *, guarded: frozenset[str]) -> HoldCounts:
    """Includes every state of every key in use that a node carries, with 0 if no domain is in it.
    Other keys are whatever users write.
    """
    domains = Counter[tuple[str, DomainState]]()
    for key in cache.topology_keys():
        views = list(cache.domains.domains(key))
        domains.update({(key, state): 0 for state in DomainState if views})
        domains.update((key, state_of(view, guarded)) for view in views)
    holds = Counter(hold.state for hold in cache.holds())
    return HoldCounts(holds=holds, domains=domains)
