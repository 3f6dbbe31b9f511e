"""A hold as a `coordination.k8s.io/v1` Lease, and back.

The whole hold is one annotation of versioned JSON; `holderIdentity` is for people who type `kubectl
get leases`. A Lease that we cannot read is an error and its domain stays shut: reading it as "free"
would break P2.
"""

import json

from lws_placement import keys
from lws_placement.cluster.client import Raw
from lws_placement.engine.holds import Hold, HoldState
from lws_placement.engine.model import (
    Demand,
    DomainName,
    GroupId,
    HostPort,
)
from lws_placement.errors import InvalidObjectError

VERSION = "v1"


def encode_hold(hold: Hold, *, namespace: str) -> Raw:
    """The Lease; with resourceVersion and UID if the hold has been written before."""
    group = hold.group
    body = {
        "version": VERSION,
        "topologyKey": hold.domain.key,
        "domain": hold.domain.value,
        "holders": [
            {
                "namespace": group.namespace,
                "lws": group.lws,
                "lwsUid": group.lws_uid,
                "groupKey": group.group_key,
                "groupIndex": hold.group_index,
                "leader": hold.leader_name,
                "revision": hold.revision,
                "size": hold.size,
                "plan": hold.plan,
                "state": hold.state.value,
                "nodes": {str(rank): hold.nodes[rank] for rank in sorted(hold.nodes)},
                **_encode_demands(hold),
            }
        ],
    }
    meta: Raw = {
        "name": hold.name,
        "namespace": namespace,
        "labels": {keys.HOLD_LABEL: "hold", "app.kubernetes.io/managed-by": keys.FIELD_MANAGER},
        "annotations": {keys.HOLD: json.dumps(body, separators=(",", ":"))},
    }
    if hold.resource_version:
        meta |= {"resourceVersion": hold.resource_version, "uid": hold.uid}
    holder = f"{group.namespace}/{hold.leader_name}"
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": meta,
        "spec": {"holderIdentity": holder},
    }


def decode_hold(raw: Raw) -> Hold:
    """Raises InvalidObjectError for a Lease that is not a hold of a version we know."""
    meta = raw["metadata"]
    where = f"lease {meta.get('namespace')}/{meta.get('name')}"
    try:
        body = json.loads((meta.get("annotations") or {})[keys.HOLD])
        if body["version"] != VERSION:
            raise InvalidObjectError(f"{where}: hold version {body['version']!r} is not {VERSION}")
        (holder,) = body["holders"]
        return Hold(
            domain=DomainName(body["topologyKey"], body["domain"]),
            group=GroupId(holder["namespace"], holder["lws"], holder["lwsUid"], holder["groupKey"]),
            group_index=holder["groupIndex"],
            leader_name=holder["leader"],
            revision=holder["revision"],
            size=holder["size"],
            plan=holder["plan"],
            nodes={int(rank): node for rank, node in holder["nodes"].items()},
            demands=_decode_demands(holder),
            state=HoldState(holder["state"]),
            resource_version=meta.get("resourceVersion", ""),
            uid=meta.get("uid", ""),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        raise InvalidObjectError(
            f"{where}: annotation {keys.HOLD} is not a hold we can read ({e!r}); "
            "its domain stays shut until the Lease is repaired or deleted"
        ) from e


def _encode_demands(hold: Hold) -> Raw:
    """Few templates serve all ranks: each distinct reservation once, and per rank its index."""
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
            resources=tuple(sorted(d["resources"].items())),
            host_ports=tuple(HostPort(*p) for p in d.get("ports", ())),
        )
        for d in holder["reserved"]
    ]
    return {int(rank): distinct[index] for rank, index in holder["reservedFor"].items()}
