"""Every label, annotation, gate, resource and field-manager name we read or write.

`LWS_*` names are LeaderWorkerSet's (API `leaderworkerset.x-k8s.io/v1`); the rest are ours.
The engine may not import this module (it sits below it); it receives decoded values, and the few
pure rules about LWS objects take the names from `engine/lws_names.py`, which this module
re-exports.
"""

from lws_placement.engine.lws_names import (
    LWS_EXCLUSIVE_TOPOLOGY,
    LWS_GROUP_INDEX,
    LWS_GROUP_KEY,
    LWS_LEADER_NAME,
    LWS_LEADER_REQUESTS_TPUS,
    LWS_NAME,
    LWS_PREFIX,
    LWS_RECREATE_AFTER_START,
    LWS_REPLICAS,
    LWS_REVISION,
    LWS_SIZE,
    LWS_SUBDOMAIN_POLICY,
    LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY,
    LWS_SUBGROUP_INDEX,
    LWS_SUBGROUP_KEY,
    LWS_SUBGROUP_POLICY_TYPE,
    LWS_SUBGROUP_SIZE,
    LWS_WORKER_INDEX,
    OUR_PREFIX,
)

__all__ = [
    "ADMITTED",
    "FIELD_MANAGER",
    "GATE",
    "GROUP",
    "GUEST_MARKER",
    "HOLD",
    "HOLD_LABEL",
    "LWS_EXCLUSIVE_TOPOLOGY",
    "LWS_GROUP_INDEX",
    "LWS_GROUP_KEY",
    "LWS_LEADER_NAME",
    "LWS_LEADER_REQUESTS_TPUS",
    "LWS_NAME",
    "LWS_PREFIX",
    "LWS_RECREATE_AFTER_START",
    "LWS_REPLICAS",
    "LWS_REVISION",
    "LWS_SIZE",
    "LWS_SUBDOMAIN_POLICY",
    "LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY",
    "LWS_SUBGROUP_INDEX",
    "LWS_SUBGROUP_KEY",
    "LWS_SUBGROUP_POLICY_TYPE",
    "LWS_SUBGROUP_SIZE",
    "LWS_UID",
    "LWS_WORKER_INDEX",
    "MEMBER_MARKER",
    "NODE_NAME_FIELD",
    "OUR_PREFIX",
    "PINNED_NODE",
    "PLAN",
]

FIELD_MANAGER = "lws-placement"
"""Server-side-apply and Event field manager of everything we write."""

GATE = OUR_PREFIX + "unplanned"
"""Scheduling gate on a member until the planner has room for its whole group."""

MEMBER_MARKER = OUR_PREFIX + "member"
"""Extended resource of quantity 0 on a managed member: kube-scheduler sends marked pods to us."""

GUEST_MARKER = OUR_PREFIX + "guest"
"""Extended resource of quantity 0 on an LWS pod that asks for no placement: guarded as foreign."""

LWS_UID = OUR_PREFIX + "lws-uid"
"""Pod annotation written at admission: UID of the LeaderWorkerSet, which outlives its owner
chain.
"""

ADMITTED = OUR_PREFIX + "admitted"
"""Pod annotation written at admission: `gated` or `pinned`; tells what the webhook decided."""

PINNED_NODE = OUR_PREFIX + "pinned-node"
"""Pod annotation: the node that the hold assigns to this member."""

PLAN = OUR_PREFIX + "plan"
"""Pod annotation and hold field: id of the plan a member was released with; its wave."""

HOLD = OUR_PREFIX + "hold"
"""Lease annotation: the hold itself, as versioned JSON (`cluster/hold_codec.py`)."""

HOLD_LABEL = OUR_PREFIX + "kind"
"""Lease label with value `hold`: what our watches select."""

GROUP = OUR_PREFIX + "group"
"""Label of members of groups that are not LeaderWorkerSets (reserved; such groups come later)."""

NODE_NAME_FIELD = "metadata.name"
"""`matchFields` key of the node-name pin."""
