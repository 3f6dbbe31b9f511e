"""An empty cache, configured by the settings."""

from lws_placement.cluster.cache.admission.admissions import Admissions
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.settings import Settings


def empty_cache(settings: Settings) -> ClusterCache:
    domains = TopologyIndex(headroom=settings.headroom_amounts(), policy=settings.topology_policy())
    return ClusterCache(
        domains,
        Admissions(adds_tolerations=settings.extended_resource_toleration.known),
        namespace=settings.namespace,
    )
