"""Recent failures of a group, in the API server: a Lease per group, beside the holds.

Why a separate object: a group's hold ends just when its refusal there matters, repair deletes its
pods, and the LeaderWorkerSet belongs to its user (other groups have none). A Lease needs no
permission that holds do not need, and lasts as long as it matters.

It is written only when a failure occurs or is forgotten. It is read when a planner begins to lead,
or on request; the caches do not watch it. It only improves the choice of a domain, so no promise
rests on it: an unreadable entry counts as never written, entry by entry.
"""

from contextlib import suppress

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.codec.failure_lease import (
    Remembered,
    decode_failures,
    encode_failures,
    lease_name,
)
from lws_placement.engine.base import keys
from lws_placement.engine.model.failure_history import History
from lws_placement.engine.model.groups import GroupId
from lws_placement.errors import ConflictError, NotFoundError

SELECTOR = f"{keys.HOLD_LABEL}=troubles"


class FailureStore:
    def __init__(self, api: Api, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def fetch_all(self) -> list[Remembered]:
        """Histories of all groups, by a quorum list."""
        items, _ = await self._api.list_all(self._path, labelSelector=SELECTOR)
        found = map(decode_failures, items)
        return [one for one in found if one is not None]

    async def fetch(self, group: GroupId) -> Remembered:
        """Reads the group's history live; it is empty if nothing readable exists."""
        nothing = Remembered(group, History())
        try:
            raw = await self._api.get(f"{self._path}/{lease_name(group)}")
        except NotFoundError:
            return nothing
        meta = raw["metadata"]
        found = decode_failures(raw)
        if found is not None and found.group == group:
            return found
        return Remembered(group, History(), meta["resourceVersion"], meta["uid"])

    async def write(self, remembered: Remembered) -> Remembered:
        """Replaces the version that `remembered` carries; deletes the Lease once the history is
        empty.

        Raises ConflictError if another version exists.
        """
        path = f"{self._path}/{lease_name(remembered.group)}"
        body = encode_failures(remembered, namespace=self._namespace)
        if remembered.history == History():
            await self._delete(path, remembered)
            return Remembered(remembered.group, History())
        try:
            if not remembered.resource_version:
                meta = (await self._api.create(self._path, body))["metadata"]
            else:
                meta = (await self._api.replace(path, body))["metadata"]
        except NotFoundError as e:
            raise ConflictError(str(e), status=409) from e
        return Remembered(
            remembered.group, remembered.history, meta["resourceVersion"], meta["uid"]
        )

    async def _delete(self, path: str, remembered: Remembered) -> None:
        preconditions = {"uid": remembered.uid, "resourceVersion": remembered.resource_version}
        with suppress(NotFoundError):
            await self._api.delete(path, {"preconditions": preconditions})
