"""What went wrong for a group lately, in the API server: a Lease per group, beside the holds.

Why an object of its own: a group's hold ends just when it matters that it was refused there, its
pods are what repair deletes, and the LeaderWorkerSet is its user's (other groups have none). So it
is none of these, needs no right that holds do not need, and is there as long as it matters.

It is written when something went wrong or is forgotten, never otherwise, and read when a planner
begins to lead, or when somebody asks; the caches do not watch it. It only makes the choice of a
domain better, so nothing is promised on it: what cannot be read of it counts as never written,
entry by entry.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from heapq import nlargest
from typing import TypeVar

from lws_placement.cluster.api.client import Api
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.failure_history import History, Refused
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.nodes import DomainName
from lws_placement.errors import ConflictError, NotFoundError

log = logging.getLogger(__name__)

VERSION = "v1"
SELECTOR = f"{keys.HOLD_LABEL}=troubles"

_MOST_DOMAINS = 64
_MOST_WORDS = 500
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A group's history and the version of the Lease that it is in, if it is in one."""

    group: GroupId
    history: History
    resource_version: str = ""
    uid: str = ""


class FailureStore:
    def __init__(self, api: Api, *, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def fetch_all(self) -> list[Remembered]:
        """Of every group, by a quorum list."""
        items, _ = await self._api.list_all(self._path, labelSelector=SELECTOR)
        found = map(decode_failures, items)
        return [one for one in found if one is not None]

    async def fetch(self, group: GroupId) -> Remembered:
        """As the API server has it now; nothing, if it has nothing that can be read."""
        nothing = Remembered(group, History())
        try:
            raw = await self._api.get(f"{self._path}/{_name(group)}")
        except NotFoundError:
            return nothing
        meta = raw["metadata"]
        found = decode_failures(raw)
        if found is not None and found.group == group:
            return found
        return Remembered(group, History(), meta["resourceVersion"], meta["uid"])

    async def write(self, remembered: Remembered) -> Remembered:
        """Over the version that it carries; the Lease goes when there is nothing to remember.

        Raises ConflictError if another version is there.
        """
        path = f"{self._path}/{_name(remembered.group)}"
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


def encode_failures(remembered: Remembered, *, namespace: str) -> Raw:
    """The Lease; of very many domains those where something happened last."""
    group, history = remembered.group, remembered.history
    refused = nlargest(_MOST_DOMAINS, history.refused.items(), key=lambda i: (i[1].last_s, i[0]))
    failed = nlargest(
        _MOST_DOMAINS, history.failed.items(), key=lambda i: (max(i[1].values()), i[0])
    )
    body = {
        "version": VERSION,
        "namespace": group.namespace,
        "lws": group.lws,
        "lwsUid": group.lws_uid,
        "groupKey": group.group_key,
        "refused": [_encode_refused(domain, one) for domain, one in sorted(refused)],
        "failed": [{**_encode_domain(d), "at": dict(times)} for d, times in sorted(failed)],
    }
    meta: Raw = {
        "name": _name(group),
        "namespace": namespace,
        "labels": {keys.HOLD_LABEL: "troubles", "app.kubernetes.io/managed-by": keys.FIELD_MANAGER},
        "annotations": {keys.TROUBLES: json.dumps(body, separators=(",", ":"))},
    }
    if remembered.resource_version:
        meta |= {"resourceVersion": remembered.resource_version, "uid": remembered.uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {"holderIdentity": str(group)},
    }


def decode_failures(raw: Raw) -> Remembered | None:
    """None, and a line in the log, if not even the group can be read."""
    meta = raw["metadata"]
    try:
        body = json.loads((meta.get("annotations") or {})[keys.TROUBLES])
        group = GroupId.read(*(_text(body[k]) for k in ("namespace", "lws", "lwsUid", "groupKey")))
        known = body["version"] == VERSION
    except _UNREADABLE as e:
        where = f"{meta.get('namespace')}/{meta.get('name')}"
        log.warning("failures unreadable, passed over", extra={"lease": where, "error": repr(e)})
        return None
    history = History(
        dict(_readable(body.get("refused"), _decode_refused)) if known else {},
        dict(_readable(body.get("failed"), _decode_failed)) if known else {},
    )
    return Remembered(group, history, meta["resourceVersion"], meta["uid"])


def _readable(entries: object, decode: Callable[[Raw], T]) -> Iterable[T]:
    for entry in entries if isinstance(entries, list) else ():
        try:
            yield decode(entry)
        except _UNREADABLE as e:
            log.warning("failure unreadable, passed over", extra={"error": repr(e)})


def _encode_domain(domain: DomainName) -> Raw:
    return {"topologyKey": domain.key, "domain": domain.value}


def _encode_refused(domain: DomainName, refused: Refused) -> Raw:
    return {
        **_encode_domain(domain),
        "times": refused.times,
        "at": refused.last_s,
        "plan": refused.plan,
        "words": refused.words[:_MOST_WORDS],
    }


def _decode_domain(raw: Raw) -> DomainName:
    return DomainName(_text(raw["topologyKey"]), _text(raw["domain"]))


def _decode_refused(raw: Raw) -> tuple[DomainName, Refused]:
    times = int(raw["times"])
    if times < 1:
        raise ValueError(f"refused {times} times")
    refused = Refused(times, float(raw["at"]), _text(raw["words"]), _text(raw["plan"]))
    return _decode_domain(raw), refused


def _decode_failed(raw: Raw) -> tuple[DomainName, Mapping[str, float]]:
    times = {incarnation: float(at) for incarnation, at in raw["at"].items()}
    if not times:
        raise ValueError("failed at no time")
    return _decode_domain(raw), times


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _name(group: GroupId) -> str:
    parts = (group.namespace, group.lws, group.lws_uid, group.group_key)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"troubles-{digest[:32]}"
