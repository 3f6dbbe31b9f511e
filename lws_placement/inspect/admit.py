"""Turns a LeaderWorkerSet from a file into what a cluster would make of it: defaults, validation,
the leader StatefulSet, and its gated pods as admission lets them through.

Each step is the function that the webhook and the controller call. Workers have no pods here, as
they have none in a cluster until their leader is bound: they are planned from the templates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lws_placement.cluster.codec.workloads import decode_lws
from lws_placement.engine.admission.pod_defaults import PodDefaults, admitted_spec
from lws_placement.engine.admission.pod_gating import Owner, gate_or_pin, stamp
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.fit.extended_resources import with_tolerations
from lws_placement.engine.lws.children import leader_set, owner_reference
from lws_placement.engine.lws.defaults import with_defaults
from lws_placement.engine.lws.pod_identity import add_lws_identity
from lws_placement.engine.lws.revision import revision_data, revision_key
from lws_placement.engine.lws.validation import problems_of, scaled
from lws_placement.engine.messages import forbidden_note
from lws_placement.engine.model.workload import LwsInfo
from lws_placement.errors import InvalidObjectError

_MALFORMED = (KeyError, TypeError, AttributeError, ValueError)


@dataclass(frozen=True, slots=True)
class Refused:
    """Admission would not let the object, or its pods, through."""

    why: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A LeaderWorkerSet that the API server would store."""

    lws: Raw
    info: LwsInfo
    revision: str
    defaults: PodDefaults

    @property
    def surge(self) -> int:
        """Extra groups that a rolling update may create."""
        replicas = self.info.replicas
        return min(scaled(self._rolling("maxSurge", 0), replicas, round_up=True), replicas)

    @property
    def unavailable(self) -> int:
        return scaled(self._rolling("maxUnavailable", 1), self.info.replicas, round_up=False)

    def _rolling(self, name: str, default: int) -> Any:
        rolling = self.lws["spec"]["rolloutStrategy"].get("rollingUpdateConfiguration") or {}
        return rolling.get(name, default)


def admit(raw: Raw, *, uid: str, defaults: PodDefaults) -> Admitted | Refused:
    """`defaults`: what the API server adds to pods of its namespace."""
    try:
        lws = with_defaults(raw)
        problems = problems_of(lws)
        if problems:
            return Refused("; ".join(str(problem) for problem in problems))
        lws["metadata"]["uid"] = uid
        return Admitted(lws, decode_lws(lws, defaults), revision_key(revision_data(lws)), defaults)
    except InvalidObjectError as e:
        return Refused(str(e))
    except _MALFORMED as e:
        return Refused(f"a field is missing or of another type than the API allows: {e!r}")


def leader_pod(
    admitted: Admitted,
    index: int,
    *,
    created_s: float,
    priorities: Mapping[str, int],
    adds_tolerations: bool,
) -> Raw | Refused:
    """The gated leader of group `index`. `priorities`: value by name of PriorityClass;
    `adds_tolerations`: the API server adds tolerations for extended resources.
    """
    info = admitted.info
    if info.templates.leader_forbidden:
        return Refused(forbidden_note(0, info.templates.leader_forbidden))
    stateful_set = leader_set(
        admitted.lws, revision=admitted.revision, replicas=info.replicas, partition=0
    )
    template = json_copy(stateful_set["spec"]["template"])
    name = f"{info.name}-{index}"
    owner = {**stateful_set["metadata"], "uid": f"{info.uid}-leaders"}
    pod = {
        **template,
        "metadata": {
            **template["metadata"],
            "name": name,
            "namespace": info.namespace,
            "ownerReferences": [owner_reference("apps/v1", "StatefulSet", owner)],
        },
    }
    try:
        pod["spec"]["volumes"] = _volumes(stateful_set["spec"], pod=name)
        denied = add_lws_identity(pod, namespace=info.namespace)
        if denied is not None:
            return Refused(denied.message)
        stamp(pod, Owner(info.uid, info.annotations))
        gate_or_pin(pod, pin=None, keep_affinity=True)
    except _MALFORMED as e:
        return Refused(f"its pods are malformed: {e!r}")
    pod["spec"] = admitted_spec(pod["spec"], admitted.defaults)
    if adds_tolerations:
        pod["spec"] = with_tolerations(pod["spec"])
    # That of its class, else of the default class (under the empty name), else 0.
    priority = priorities.get(pod["spec"].get("priorityClassName") or "", 0)
    pod["spec"].setdefault("priority", priority)
    created = datetime.fromtimestamp(created_s, UTC).isoformat()
    pod["metadata"] |= {
        "uid": f"{info.uid}-{index}",
        "resourceVersion": "1",
        "creationTimestamp": created,
    }
    return pod


def _volumes(spec: Raw, *, pod: str) -> list[Raw]:
    """Those of the template, and of the claim templates in place of those of the same name, as the
    StatefulSet controller makes the pod. `spec`: of the StatefulSet.
    """
    claims = [c["metadata"]["name"] for c in spec.get("volumeClaimTemplates") or ()]
    given = spec["template"]["spec"].get("volumes") or []
    own = [{"name": c, "persistentVolumeClaim": {"claimName": f"{c}-{pod}"}} for c in claims]
    return [*(v for v in given if v.get("name") not in claims), *own]
