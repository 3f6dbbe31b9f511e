"""Holds in the API server: read live, written with compare-and-swap, deleted with preconditions.

The Lease name is the domain, so of two writers that want the same domain the API server lets one
win. Every write asks `may_write` first (leadership by the monotonic clock) and carries the
resourceVersion it was decided on; a ConflictError means: observe again.
"""

from collections.abc import Callable

from lws_placement.cluster.client import Api, Raw
from lws_placement.cluster.hold_codec import decode_hold, encode_hold
from lws_placement.engine.holds import Hold, lease_name
from lws_placement.engine.model import DomainName
from lws_placement.errors import NotFoundError
from lws_placement.keys import HOLD_LABEL

SELECTOR = f"{HOLD_LABEL}=hold"


class HoldStore:
    def __init__(self, api: Api, *, namespace: str, may_write: Callable[[], None]) -> None:
        self._api = api
        self._namespace = namespace
        self._may_write = may_write
        self.path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def fetch(self, domain: DomainName) -> Hold | None:
        """The hold on `domain` as the API server has it now (a quorum read)."""
        try:
            return decode_hold(await self._api.get(f"{self.path}/{lease_name(domain)}"))
        except NotFoundError:
            return None

    async def fetch_all(self) -> list[Raw]:
        """Every hold Lease, by a quorum list."""
        items, _ = await self._api.list_all(self.path, labelSelector=SELECTOR)
        return items

    async def write(self, hold: Hold) -> Hold:
        """Create it, or replace the version it was decided on."""
        body = encode_hold(hold, namespace=self._namespace)
        self._may_write()
        if hold.resource_version:
            return decode_hold(await self._api.replace(f"{self.path}/{hold.name}", body))
        return decode_hold(await self._api.create(self.path, body))

    async def end(self, hold: Hold) -> None:
        """Delete exactly this version of it; gone already is fine."""
        preconditions = {"uid": hold.uid, "resourceVersion": hold.resource_version}
        self._may_write()
        try:
            await self._api.delete(
                f"{self.path}/{hold.name}",
                body={"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions},
            )
        except NotFoundError:
            return
