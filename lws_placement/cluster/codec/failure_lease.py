"""The failure history of a group as a Lease, and back."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import TypeVar

from lws_placement.cluster.codec.groups import decode_group, encode_group
from lws_placement.cluster.codec.hold_lease import our_lease
from lws_placement.cluster.codec.objects import UNREADABLE, checked_text
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.failure_history import History, Refused
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.objects.nodes import DomainName

log = logging.getLogger(__name__)

VERSION = "v1"

_MOST_DOMAINS = 64
_MOST_WORDS = 500
_MOST_NODES = 8
"""A few are tried before the whole domain is passed over."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A group's history, with version and UID of its Lease if there is one."""

    group: GroupId
    history: History
    resource_version: str = ""
    uid: str = ""


def encode_failures(remembered: Remembered, *, namespace: str) -> Raw:
    """Encodes the Lease; of very many domains it keeps those with the latest failures."""
    group, history = remembered.group, remembered.history
    refused = nlargest(_MOST_DOMAINS, history.refused.items(), key=lambda i: (i[1].last_s, i[0]))
    failed = nlargest(
        _MOST_DOMAINS, history.failed.items(), key=lambda i: (max(i[1].values()), i[0])
    )
    body = {
        "version": VERSION,
        **encode_group(group),
        "refused": [_encode_refused(domain, one) for domain, one in sorted(refused)],
        "failed": [{**_encode_domain(d), "at": dict(times)} for d, times in sorted(failed)],
    }
    return our_lease(
        lease_name(group),
        "troubles",
        {keys.TROUBLES: body},
        namespace=namespace,
        holder=str(group),
        written=(remembered.resource_version, remembered.uid),
    )


def decode_failures(raw: Raw) -> Remembered | None:
    """None, with a warning in the log, if even the group is unreadable."""
    meta = raw["metadata"]
    try:
        body = json.loads((meta.get("annotations") or {})[keys.TROUBLES])
        group = decode_group(body)
        known = body["version"] == VERSION
    except UNREADABLE as e:
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
        except UNREADABLE as e:
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
        **({"nodes": sorted(refused.nodes)[:_MOST_NODES]} if refused.nodes else {}),
    }


def _decode_domain(raw: Raw) -> DomainName:
    return DomainName(checked_text(raw["topologyKey"]), checked_text(raw["domain"]))


def _decode_refused(raw: Raw) -> tuple[DomainName, Refused]:
    times = int(raw["times"])
    if times < 1:
        raise ValueError(f"refused {times} times")
    words, plan = checked_text(raw["words"]), checked_text(raw["plan"])
    nodes = frozenset(checked_text(name) for name in raw.get("nodes") or ())
    return _decode_domain(raw), Refused(times, float(raw["at"]), words, plan, nodes)


def _decode_failed(raw: Raw) -> tuple[DomainName, Mapping[str, float]]:
    times = {incarnation: float(at) for incarnation, at in raw["at"].items()}
    if not times:
        raise ValueError("failed at no time")
    return _decode_domain(raw), times


def lease_name(group: GroupId) -> str:
    parts = (group.namespace, group.lws, group.lws_uid, group.group_key)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"troubles-{digest[:32]}"
