"""Objects of Kueue (`kueue.x-k8s.io/v1beta2`, read from Kueue 0.17): JSON -> values, and what we
write to them.
"""

from dataclasses import dataclass

from lws_placement.cluster.api.timestamps import decode_time, encode_now
from lws_placement.cluster.codec.objects import checked_text, checked_texts
from lws_placement.cluster.codec.pods.requirements import decode_toleration
from lws_placement.engine.base import keys
from lws_placement.engine.base.group_names import group_key
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_SIZE, whole_number
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.quota import Flavor

API_VERSION = "kueue.x-k8s.io/v1beta2"
_INDEX = "kueue.x-k8s.io/component-workload-index"
"""Annotation of a Workload of one group of a LeaderWorkerSet: the group's index."""
_MAIN, _LEADER, _WORKER = "main", "leader", "worker"
"""Names of pod sets: of a set without a leader template, else of leader and workers."""
PENDING, READY, RETRY, REJECTED = "Pending", "Ready", "Retry", "Rejected"


@dataclass(frozen=True, slots=True)
class CheckState:
    """An entry of a Workload's `status.admissionChecks`."""

    name: str
    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """The Workload of one group of a LeaderWorkerSet. `reserved`: its quota, unless it is evicted.
    `reserved_s`: since when. `flavors`: names of ResourceFlavors, of leader and worker.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    group: GroupId
    reserved: bool
    admitted: bool
    reserved_s: float = 0.0
    checks: tuple[CheckState, ...] = ()
    leader_flavors: tuple[str, ...] = ()
    worker_flavors: tuple[str, ...] = ()
    has_topology: bool = False
    """Kueue chooses its nodes itself, by the topology of a flavor."""


def decode_workload(raw: Raw) -> Workload | None:
    """None if it is of no group of a LeaderWorkerSet. Raises one of UNREADABLE."""
    meta, status = raw["metadata"], raw.get("status") or {}
    notes = checked_texts(meta.get("annotations"))
    index = whole_number(notes.get(_INDEX, ""), most=MOST_SIZE)
    owners = meta.get("ownerReferences") or ()
    owner = next((o for o in owners if o.get("kind") == "LeaderWorkerSet"), None)
    if owner is None or index is None:
        return None
    namespace, lws = checked_text(meta["namespace"]), checked_text(owner["name"])
    key = group_key(namespace, f"{lws}-{index}")
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    true = {name for name, c in conditions.items() if c["status"] == "True"}
    assigned = _assigned(status.get("admission") or {})
    return Workload(
        namespace=namespace,
        name=checked_text(meta["name"]),
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        group=GroupId(namespace, lws, checked_text(owner["uid"]), key),
        reserved="QuotaReserved" in true and "Evicted" not in true,
        admitted="Admitted" in true,
        reserved_s=decode_time(conditions.get("QuotaReserved", {}).get("lastTransitionTime")),
        checks=tuple(
            CheckState(str(c["name"]), str(c["state"]), str(c.get("message") or ""))
            for c in status.get("admissionChecks") or ()
        ),
        leader_flavors=assigned.get(_LEADER, assigned.get(_MAIN, ())),
        worker_flavors=assigned.get(_WORKER, assigned.get(_MAIN, ())),
        has_topology=any(
            one.get("topologyAssignment") or one.get("delayedTopologyRequest")
            for one in (status.get("admission") or {}).get("podSetAssignments") or ()
        ),
    )


def _assigned(admission: Raw) -> dict[str, tuple[str, ...]]:
    """Pod set -> its ResourceFlavors."""
    return {
        str(one["name"]): tuple(sorted(map(str, set((one.get("flavors") or {}).values()))))
        for one in admission.get("podSetAssignments") or ()
    }


def decode_flavor(raw: Raw) -> Flavor:
    spec = raw.get("spec") or {}
    return Flavor(
        selector=tuple(sorted(checked_texts(spec.get("nodeLabels")).items())),
        tolerations=tuple(sorted({decode_toleration(t) for t in spec.get("tolerations") or ()})),
    )


def is_ours(raw: Raw) -> bool:
    """Whether an AdmissionCheck is for us to answer."""
    return bool((raw.get("spec") or {}).get("controllerName") == keys.ADMISSION_CHECK)


def is_active(raw: Raw) -> bool:
    """Whether an AdmissionCheck says that somebody answers it."""
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Active" and c["status"] == "True" for c in conditions)


def encode_active(name: str) -> Raw:
    """For an apply to the status of our AdmissionCheck."""
    condition = {
        "type": "Active",
        "status": "True",
        "reason": "Active",
        "message": "lws-placement answers it",
        "lastTransitionTime": encode_now(),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "AdmissionCheck",
        "metadata": {"name": name},
        "status": {"conditions": [condition]},
    }


def encode_answer(workload: Workload, answer: CheckState) -> Raw:
    """For an apply to the Workload's status; refused if it has changed meanwhile. It has no
    `requeueAfterSeconds`: Kueue 0.17 would take the quota back only after that time.
    """
    entry: Raw = {
        "name": answer.name,
        "state": answer.state,
        "message": answer.message,
        "lastTransitionTime": encode_now(),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Workload",
        "metadata": {
            "name": workload.name,
            "namespace": workload.namespace,
            "resourceVersion": workload.resource_version,
        },
        "status": {"admissionChecks": [entry]},
    }
