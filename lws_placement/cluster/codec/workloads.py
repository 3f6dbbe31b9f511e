"""LeaderWorkerSets, their ControllerRevisions and DaemonSets -> the facts that placement needs."""

from collections.abc import Collection, Mapping

from lws_placement.cluster.codec.objects import checked_text, checked_texts
from lws_placement.cluster.codec.pods.requirements import decode_demand
from lws_placement.cluster.codec.pods.volumes import decode_claim_spec
from lws_placement.engine.admission.limit_ranges import why_refused
from lws_placement.engine.admission.pod_defaults import NO_DEFAULTS, PodDefaults, admitted_spec
from lws_placement.engine.admission.pod_gating import gates_of_others
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_REPLICAS, MOST_SIZE, whole_number
from lws_placement.engine.fit.extended_resources import extended_resources
from lws_placement.engine.lws.children import CLAIM_FIELDS
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.workload import DaemonSetInfo, LwsInfo, Templates
from lws_placement.engine.objects.nodes import Labels
from lws_placement.engine.objects.placement_request import PlacementRequest, placement_request_of
from lws_placement.errors import InvalidObjectError

_SUSPENDED_BY_KUEUE = "kueue.x-k8s.io/pod-suspending-parent"

_EXCLUSIVE = "ExclusiveTopology"


def _tolerated(condition: str, effect: str) -> Raw:
    return {"key": f"node.kubernetes.io/{condition}", "operator": "Exists", "effect": effect}


# Tolerations that the DaemonSet controller adds to its pods (pkg/controller/daemon/util
# AddOrUpdateDaemonPodTolerations).
_DAEMON_TOLERATIONS = (
    _tolerated("not-ready", "NoExecute"),
    _tolerated("unreachable", "NoExecute"),
    _tolerated("disk-pressure", "NoSchedule"),
    _tolerated("memory-pressure", "NoSchedule"),
    _tolerated("pid-pressure", "NoSchedule"),
    _tolerated("unschedulable", "NoSchedule"),
)


def decode_lws(raw: Raw, defaults: PodDefaults = NO_DEFAULTS) -> LwsInfo:
    """`defaults`: pod defaults of its namespace."""
    meta, spec = raw["metadata"], raw["spec"]
    annotations, template = checked_texts(meta.get("annotations")), spec["leaderWorkerTemplate"]
    return LwsInfo(
        namespace=checked_text(meta["namespace"]),
        name=checked_text(meta["name"]),
        uid=checked_text(meta["uid"]),
        replicas=_number(spec, "replicas", most=MOST_REPLICAS),
        request=placement_request_of_lws(annotations, template),
        templates=decode_templates(template, defaults),
        annotations=annotations_for_pods(annotations, template),
        deleting=bool(meta.get("deletionTimestamp")),
        restarts_whole=template.get("restartPolicy") not in ("None", "Default"),
        leader_first=spec.get("startupPolicy") == "LeaderReady",
        keyed=spec.get("groupIdentity") == "Hash",
    )


def annotations_for_pods(annotations: Mapping[str, str], template: Raw) -> Mapping[str, str]:
    """Annotations that the pods lack otherwise: our own, and those that stand for typed fields."""
    ours = {k: v for k, v in annotations.items() if k.startswith(keys.OUR_PREFIX)}
    typed = _typed_placement(template)
    return {**ours, **{key: value for key, value in typed.items() if not annotations.get(key)}}


def _typed_placement(template: Raw) -> dict[str, str]:
    """`placementPolicy {type, topology}` of the group and of its subgroups (KEP-1064), as the
    equivalent annotations. Present where a newer CustomResourceDefinition serves it.
    """
    found = {}
    for key, holder in (
        (keys.LWS_EXCLUSIVE_TOPOLOGY, template),
        (keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY, template.get("subGroupPolicy") or {}),
    ):
        policy = holder.get("placementPolicy") or {}
        if policy.get("type") == _EXCLUSIVE and policy.get("topology"):
            found[key] = checked_text(policy["topology"])
    return found


def placement_request_of_lws(annotations: Mapping[str, str], template: Raw) -> PlacementRequest:
    """The pods alone carry the subgroup's annotations; here they are derived from the spec."""
    annotations = {**_typed_placement(template), **{k: v for k, v in annotations.items() if v}}
    policy = template.get("subGroupPolicy") or {}
    size = whole_number(policy.get("subGroupSize"), most=MOST_SIZE)
    if size:
        kind = str(policy.get("subGroupPolicyType") or "LeaderWorker")
        by_spec = {keys.LWS_SUBGROUP_SIZE: str(size), keys.LWS_SUBGROUP_POLICY_TYPE: kind}
        annotations = {**annotations, **by_spec}
    return placement_request_of(annotations)


def decode_templates(template: Raw, defaults: PodDefaults = NO_DEFAULTS) -> Templates:
    """Decodes `spec.leaderWorkerTemplate` of the live object or of a ControllerRevision's patch."""
    worker = template["workerTemplate"]
    leader = template.get("leaderTemplate") or worker
    claims = {
        checked_text(claim["metadata"]["name"]): decode_claim_spec(
            {k: v for k, v in (claim.get("spec") or {}).items() if k in CLAIM_FIELDS}
        )
        for claim in template.get("volumeClaimTemplates") or ()
    }
    return Templates(
        size=_number(template, "size", least=1, most=MOST_SIZE),
        leader=_demand_of(leader, defaults, claims),
        worker=_demand_of(worker, defaults, claims),
        leader_forbidden=_why_forbidden(leader, template, defaults),
        worker_forbidden=_why_forbidden(worker, template, defaults),
        leader_extended=extended_resources(leader["spec"]),
        worker_extended=extended_resources(worker["spec"]),
        gates=tuple(sorted({*_gates_of(leader), *_gates_of(worker)})),
        leader_labels=_labels_of(leader),
        worker_labels=_labels_of(worker),
        claims=tuple(sorted(claims.items(), key=lambda c: c[0])),
        one_priority=_priority_of(leader) == _priority_of(worker),
    )


def _priority_of(template: Raw) -> tuple[str, str]:
    """The class gives both where the template names no policy."""
    spec = template["spec"]
    return str(spec.get("priorityClassName") or ""), str(spec.get("preemptionPolicy") or "")


def _labels_of(template: Raw) -> Labels:
    labels = checked_texts((template.get("metadata") or {}).get("labels"))
    return tuple(sorted(labels.items()))


def _gates_of(template: Raw) -> list[str]:
    """Foreign gates on its pods: the template's own, and the one that Kueue's pod webhook adds
    where Kueue has marked the template of a set that it queues.
    """
    annotations = checked_texts((template.get("metadata") or {}).get("annotations"))
    kueue = [keys.KUEUE_GATE] if _SUSPENDED_BY_KUEUE in annotations else []
    return [*gates_of_others(template["spec"]), *kueue]


def _number(raw: Raw, field: str, *, least: int = 0, most: int) -> int:
    """The field's value, 1 if absent. Raises InvalidObjectError."""
    number = whole_number(raw.get(field, 1), least=least, most=most)
    if number is None:
        raise InvalidObjectError(f"{field} is no whole number from {least} to {most}")
    return number


def _demand_of(template: Raw, defaults: PodDefaults, claims: Collection[str]) -> Demand:
    """The demand of a pod created from the template; `claims`: names of the claim templates."""
    return decode_demand(admitted_spec(template["spec"], defaults), claim_templates=claims)


def _why_forbidden(pod: Raw, template: Raw, defaults: PodDefaults) -> str:
    """`pod`: the pod template of `template`'s leaders or workers."""
    spec, claims = admitted_spec(pod["spec"], defaults), template.get("volumeClaimTemplates") or ()
    return why_refused(spec, defaults.limit_ranges, claims=claims)


def decode_revision(
    raw: Raw, defaults: PodDefaults = NO_DEFAULTS
) -> tuple[tuple[str, str, str], Templates] | None:
    """((namespace, LWS name, revision key), templates); None if the ControllerRevision is not of a
    LeaderWorkerSet.
    """
    labels = checked_texts(raw["metadata"].get("labels"))
    name, revision = labels.get(keys.LWS_NAME), labels.get(keys.LWS_REVISION)
    template = ((raw.get("data") or {}).get("spec") or {}).get("leaderWorkerTemplate")
    if not name or not revision or not template:
        return None
    namespace = checked_text(raw["metadata"]["namespace"])
    return (namespace, name, revision), decode_templates(template, defaults)


def decode_daemon_set(raw: Raw, defaults: PodDefaults = NO_DEFAULTS) -> DaemonSetInfo:
    spec = raw["spec"]["template"]["spec"]
    network = [_tolerated("network-unavailable", "NoSchedule")] if spec.get("hostNetwork") else []
    given = spec.get("tolerations") or ()
    extended = {**spec, "tolerations": [*given, *_DAEMON_TOLERATIONS, *network]}
    demand = decode_demand(admitted_spec(extended, defaults))
    return DaemonSetInfo(uid=raw["metadata"]["uid"], demand=demand)
