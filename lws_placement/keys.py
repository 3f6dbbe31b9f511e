"""Every label, annotation, gate, resource and field-manager name we read or write.

`LWS_*` names are LeaderWorkerSet's (API `leaderworkerset.x-k8s.io/v1`); the rest are ours.
The engine may not import this module (it sits below it); it receives decoded values, and the few
pure rules about LWS objects take the names from `engine/base/keys.py`, which this module
re-exports.
"""

from lws_placement.engine.base.keys import (
    ADMITTED,
    FOREIGN,
    GANG,
    GATE,
    GROUP,
    GROUP_SIZE,
    GROUP_TOPOLOGY,
    GUEST_MARKER,
    LAST_APPLIED,
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
    LWS_UID,
    LWS_WORKER_INDEX,
    MANAGED,
    MEMBER_MARKER,
    NODE_NAME_FIELD,
    OUR_PREFIX,
    OWNER_UID,
    PINNED_NODE,
    PLAN,
    PREFER_TOPOLOGY,
    RELEASED,
    RESTART_BACKOFF_SECONDS,
    RESTART_BUDGET,
    RESTARTS,
    SCOPE,
    SLOT,
    WITHIN_TOPOLOGY,
)

__all__ = [
    "ADMITTED",
    "CONDITION",
    "FIELD_MANAGER",
    "FOREIGN",
    "GANG",
    "GATE",
    "GROUP",
    "GROUP_SIZE",
    "GROUP_TOPOLOGY",
    "GUEST_MARKER",
    "HISTORY_OF",
    "HOLD",
    "HOLD_LABEL",
    "LAST_APPLIED",
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
    "MANAGED",
    "MEMBER_MARKER",
    "NODE_NAME_FIELD",
    "NO_ROOM",
    "OUR_PREFIX",
    "OWNER_UID",
    "PINNED_NODE",
    "PLAN",
    "PREFER_TOPOLOGY",
    "RELEASED",
    "RESTARTS",
    "RESTART_BACKOFF_SECONDS",
    "RESTART_BUDGET",
    "SCOPE",
    "SLOT",
    "TROUBLES",
    "WITHIN_TOPOLOGY",
    "WOKEN",
]

FIELD_MANAGER = "lws-placement"
"""Server-side-apply and Event field manager of everything we write."""

HOLD = OUR_PREFIX + "hold"
"""Lease annotation: the hold itself, as versioned JSON (`cluster/codec/hold_lease.py`)."""

HOLD_LABEL = OUR_PREFIX + "kind"
"""Lease label with value `hold`: what our watches select; or `troubles`."""

TROUBLES = OUR_PREFIX + "troubles"
"""Lease annotation: what went wrong for a group lately, as versioned JSON
(`cluster/stores/failure_store.py`)."""

HISTORY_OF = OUR_PREFIX + "history-of"
"""Label of a ControllerRevision that is kept to go back to: name of its LeaderWorkerSet."""

NO_ROOM = OUR_PREFIX + "no-room"
"""Pod annotation on the gated leader of a surge group that waits for a domain: why. The controller
that asked for the group can do without it, and has to know."""

CONDITION = OUR_PREFIX + "condition"
"""Pod annotation on a gated leader: why its group waits, as JSON in the form of a condition."""

WOKEN = OUR_PREFIX + "woken"
"""Pod annotation on a foreign pod that we kept off held room: written when room became free, since
nothing that kube-scheduler watches tells it of a hold that has ended."""
