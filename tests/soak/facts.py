"""What the checks need of a pod and of a hold; all of it from the raw objects, by nobody's code but
this.
"""

import json
from dataclasses import dataclass

from e2e.stack import CHIPS, LWS

OURS = "lws-placement.dev"
KEY = "topology.example.com/soak"
HOSTNAME = "kubernetes.io/hostname"
FORGED = "soak.example.com/forged"
"""Label of whatever a tenant has made to pass for something else."""
DIRECT = "soak.example.com/direct"
"""Label of pods that name their node themselves."""
_NARROW = ("Namespace", "LeaderWorkerSet")
((_CHIP, _each),) = CHIPS.items()
CHIPS_EACH = int(_each)


@dataclass(frozen=True)
class Group:
    namespace: str
    lws: str
    uid: str
    """Empty: admitted while the webhook did not find the pod's owner."""
    index: str

    def is_same(self, other):
        mine = self.namespace, self.lws, self.index
        theirs = other.namespace, other.lws, other.index
        return mine == theirs and (self.uid == other.uid or not self.uid or not other.uid)

    def __str__(self):
        return f"{self.namespace}/{self.lws}-{self.index} ({self.uid[:8]})"


@dataclass(frozen=True)
class SeenPod:
    uid: str
    name: str
    node: str
    """Empty if it is on none, or finished: then it takes no room."""
    group: Group | None
    key: str
    """The topology key of its group; empty if that is not exclusive."""
    narrow: bool
    """Its group may share its domain with some groups."""
    size: int
    chips: int
    direct: bool
    goes: bool

    @property
    def domain(self):
        return domain_of(self.node, self.key) if self.node and self.key else None


def node_name(domain, number):
    return f"soak-{domain:02}-{number}"


def domain_of(node, key):
    """(key, value); None for a key that no node has."""
    if key == HOSTNAME:
        return key, node
    return (key, node.rsplit("-", 1)[0]) if key == KEY else None


def seen_pod(raw):
    meta, spec = raw["metadata"], raw["spec"]
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    member = (
        FORGED not in labels
        and f"{LWS}/name" in labels
        and notes.get(f"{OURS}/admitted") in ("gated", "pinned")
    )
    group = None
    if member:
        name, index = labels[f"{LWS}/name"], labels.get(f"{LWS}/group-index", "")
        group = Group(meta["namespace"], name, notes.get(f"{OURS}/lws-uid", ""), index)
    size = notes.get(f"{LWS}/size", "")
    return SeenPod(
        uid=meta["uid"],
        name=f"{meta['namespace']}/{meta['name']}",
        node="" if _is_finished(raw) else spec.get("nodeName") or "",
        group=group,
        key=notes.get(f"{LWS}/exclusive-topology", "") if member else "",
        narrow=notes.get(f"{OURS}/scope") in _NARROW,
        size=int(size) if size.isdecimal() and len(size) < 10 else 0,
        chips=sum(_chips(c) for c in spec["containers"]),
        direct=DIRECT in labels,
        goes="deletionTimestamp" in meta,
    )


def _is_finished(raw):
    return (raw.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _chips(container):
    asked = (container.get("resources") or {}).get("requests") or {}
    text = asked.get(_CHIP, "0")
    return int(text) if text.isdecimal() else 0


def domain_and_holders(lease):
    """((key, value), groups that hold it); None if it is no hold."""
    body = (lease["metadata"].get("annotations") or {}).get(f"{OURS}/hold")
    if body is None:
        return None
    hold = json.loads(body)
    groups = [
        Group(h["namespace"], h["lws"], h["lwsUid"], h["groupIndex"]) for h in hold["holders"]
    ]
    return (hold["topologyKey"], hold["domain"]), groups
