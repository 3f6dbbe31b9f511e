"""A client of the API server, with the credentials of the person who calls a verb."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lws_placement.cluster.api.client import Api, connect
from lws_placement.settings import Settings


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Api]:
    """A client with the credentials of the person who calls us."""
    api = await connect(str(settings.kubeconfig) if settings.kubeconfig else None)
    try:
        yield api
    finally:
        await api.close()
