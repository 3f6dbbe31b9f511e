"""A hold as a `coordination.k8s.io/v1` Lease, and back.

The whole hold is one annotation of versioned JSON, with a list of holders: one group, or several
whose scopes let them share a domain. `holderIdentity` is for users of `kubectl get leases`. An
unreadable Lease is an error and its domain stays shut: reading it as "free" would break P2.
"""

import json
from collections.abc import Mapping, Sequence

from lws_placement.cluster.codec.groups import decode_group, encode_group
from lws_placement.cluster.codec.objects import UNREADABLE, checked_text
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_SIZE, whole_number
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand, HostPort
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.errors import InvalidObjectError

VERSION = "v1"


def encode_holds(holds: Sequence[Hold], *, namespace: str) -> Raw:
    """The Lease of the domain that all of `holds` are on, with the resourceVersion and UID of the
    hold that was written last.
    """
    first = holds[0]
    body = {
        "version": VERSION,
        "topologyKey": first.domain.key,
        "domain": first.domain.value,
        "holders": [_encode_holder(hold) for hold in holds],
    }
    latest = max(holds, key=lambda h: int(h.resource_version or 0))
    return our_lease(
        first.name,
        "hold",
        {keys.HOLD: body},
        namespace=namespace,
        holder=", ".join(f"{h.group.namespace}/{h.leader_name}" for h in holds),
        written=(latest.resource_version, latest.uid),
    )


def our_lease(
    name: str,
    kind: str,
    annotations: Mapping[str, Raw],
    *,
    namespace: str,
    holder: str,
    written: tuple[str, str],
) -> Raw:
    """`kind`: the value of its selector label. `written`: resourceVersion and UID of the version
    that it replaces; both empty for a new Lease.
    """
    meta: Raw = {
        "name": name,
        "namespace": namespace,
        "labels": {keys.HOLD_LABEL: kind, "app.kubernetes.io/managed-by": keys.FIELD_MANAGER},
        "annotations": {
            key: json.dumps(body, separators=(",", ":")) for key, body in annotations.items()
        },
    }
    version, uid = written
    if version:
        meta |= {"resourceVersion": version, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {"holderIdentity": holder},
    }


def decode_holds(raw: Raw) -> list[Hold]:
    """Raises InvalidObjectError unless the Lease has at least one hold of a known version."""
    meta = raw["metadata"]
    where = f"lease {meta.get('namespace')}/{meta.get('name')}"
    try:
        body = json.loads((meta.get("annotations") or {})[keys.HOLD])
        if body["version"] != VERSION:
            raise ValueError(f"hold version {str(body['version'])[:20]!r} is not {VERSION}")
        domain = DomainName(checked_text(body["topologyKey"]), checked_text(body["domain"]))
        holds = [_decode_holder(holder, domain=domain, meta=meta) for holder in body["holders"]]
        if not holds:
            raise ValueError("no holders")
        return holds
    except UNREADABLE as e:
        raise InvalidObjectError(
            f"{where}: annotation {keys.HOLD} is not a hold we can read ({e!r}); "
            "its domain stays shut until the Lease is repaired or deleted"
        ) from e


def _encode_holder(hold: Hold) -> Raw:
    return {
        **encode_group(hold.group),
        "groupIndex": hold.group_index,
        "leader": hold.leader_name,
        "revision": hold.revision,
        "size": hold.size,
        "scope": hold.scope.value,
        "plan": hold.plan,
        "parts": hold.parts,
        "state": hold.state.value,
        **({"evicts": [encode_group(g) for g in hold.evicts]} if hold.evicts else {}),
        "nodes": {str(rank): hold.nodes[rank] for rank in sorted(hold.nodes)},
        **_encode_demands(hold),
    }


def _decode_holder(holder: Raw, *, domain: DomainName, meta: Raw) -> Hold:
    scope = Scope(holder.get("scope", Scope.CLUSTER))
    group = decode_group(holder)
    if not group.group_key and scope is Scope.NOBODY and not domain.anywhere:
        # A group without an exclusive claim takes no domain.
        group = GroupId.of_pod(group.namespace, group.lws, group.lws_uid)
    return Hold(
        domain=domain,
        group=group,
        group_index=checked_text(holder["groupIndex"]),
        leader_name=checked_text(holder["leader"]),
        revision=checked_text(holder["revision"]),
        size=_number(holder["size"], most=MOST_SIZE),
        plan=checked_text(holder["plan"]),
        nodes={
            _number(rank, most=MOST_SIZE): checked_text(node)
            for rank, node in holder["nodes"].items()
        },
        demands=_decode_demands(holder),
        scope=scope,
        parts=_number(holder.get("parts", 1), most=MOST_SIZE),
        state=HoldState(holder["state"]),
        evicts=tuple(decode_group(g) for g in holder.get("evicts", ())),
        resource_version=checked_text(meta.get("resourceVersion", "")),
        uid=checked_text(meta.get("uid", "")),
    )


def _encode_demands(hold: Hold) -> Raw:
    """Ranks share few templates: lists each distinct demand once, and per rank its index."""
    distinct = list(dict.fromkeys(hold.demands[rank] for rank in sorted(hold.demands)))
    return {
        "reserved": [
            {
                "resources": dict(d.resources),
                **(
                    {"ports": [[p.ip, p.protocol, p.port] for p in d.host_ports]}
                    if d.host_ports
                    else {}
                ),
            }
            for d in distinct
        ],
        "reservedFor": {str(r): distinct.index(hold.demands[r]) for r in sorted(hold.demands)},
    }


def _decode_demands(holder: Raw) -> dict[int, Demand]:
    distinct = [
        Demand(
            resources=tuple(sorted((name, int(n)) for name, n in d["resources"].items())),
            host_ports=tuple(
                HostPort(checked_text(ip), checked_text(protocol), int(port))
                for ip, protocol, port in d.get("ports", ())
            ),
        )
        for d in holder["reserved"]
    ]
    return {
        _number(rank, most=MOST_SIZE): distinct[index]
        for rank, index in holder["reservedFor"].items()
    }


def _number(value: object, *, most: int) -> int:
    number = whole_number(value, most=most)
    if number is None:
        raise ValueError(f"no whole number up to {most}")
    return number
