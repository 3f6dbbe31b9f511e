"""What verbs begin with: a client of the API server, and a cache as the settings want it.

`serve` does, too, and shows nothing on a terminal: what draws there is not loaded from here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lws_placement.cluster.api.client import Api, connect
from lws_placement.cluster.cache.admissions import Admissions
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.settings import Settings


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Api]:
    """A client with the credentials of the person who calls us."""
    api = await connect(str(settings.kubeconfig) if settings.kubeconfig else None)
    try:
        yield api
    finally:
        await api.close()


def empty_cache(settings: Settings) -> ClusterCache:
    domains = TopologyIndex(headroom=settings.headroom_amounts())
    return ClusterCache(
        domains, Admissions(adds_tolerations=settings.extended_resource_toleration.known)
    )
