"""Holds in the API server: read live, written with compare-and-swap, deleted with preconditions.

The Lease name encodes the domain, so the API server lets one of two competing writers win. Every
write carries the resourceVersion it was decided on; after a ConflictError the caller observes
again.
"""

from collections.abc import Sequence
from contextlib import suppress

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.codec.hold_lease import decode_holds, encode_holds
from lws_placement.engine.base.keys import HOLD_LABEL
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.exclusivity import at_odds
from lws_placement.engine.model.reservation import Hold, lease_name
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.errors import ConflictError, NotFoundError

SELECTOR = f"{HOLD_LABEL}=hold"


class HoldStore:
    def __init__(self, api: Api, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def fetch(self, domain: DomainName) -> list[Hold]:
        """Reads the holds on `domain` live (a quorum read); none if it is free."""
        try:
            return decode_holds(await self._api.get(f"{self.path}/{lease_name(domain)}"))
        except NotFoundError:
            return []

    async def fetch_all(self) -> list[Raw]:
        """Every hold Lease, by a quorum list."""
        items, _ = await self._api.list_all(self.path, labelSelector=SELECTOR)
        return items

    async def write(self, hold: Hold, *, beside: Sequence[Hold] = ()) -> list[Hold]:
        """Create the Lease, or replace the version it was decided on; returns all holds in it now.

        `beside`: the other groups' holds on the domain. Refuses, whoever decided, a hold at odds
        with one of them unless one succeeds the other (ConflictError).
        """
        if any(_clash(hold, other) for other in beside):
            raise ConflictError(f"{hold.domain} has been taken by another group", status=409)
        body = encode_holds([hold, *beside], namespace=self._namespace)
        if "resourceVersion" in body["metadata"]:
            return decode_holds(await self._api.replace(f"{self.path}/{hold.name}", body))
        return decode_holds(await self._api.create(self.path, body))

    async def end(self, hold: Hold, *, beside: Sequence[Hold] = ()) -> list[Hold]:
        """Remove the hold from this version of the Lease; deletes the Lease with its last hold.
        Ignores a missing Lease. Returns the holds that remain.
        """
        path = f"{self.path}/{hold.name}"
        preconditions = {"uid": hold.uid, "resourceVersion": hold.resource_version}
        with suppress(NotFoundError):
            if beside:
                body = encode_holds(beside, namespace=self._namespace)
                return decode_holds(await self._api.replace(path, body))
            await self._api.delete(path, {"preconditions": preconditions})
        return []


def _clash(one: Hold, other: Hold) -> bool:
    if one.succeeds(other) or other.succeeds(one):
        return False
    return at_odds(one.claim, other.claim)
