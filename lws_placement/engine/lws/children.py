"""The child objects of a LeaderWorkerSet, exactly as upstream's controller creates them.

Names, labels and annotations match upstream's to the letter, so that either controller can take
over the other's objects without restarting a pod.
"""

from collections.abc import Mapping

from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.pod_env import requests_tpu
from lws_placement.engine.lws.rollout import strategy_of

Annotations = tuple[tuple[str, str], ...]
"""Annotations, sorted by name."""

CLAIM_FIELDS = ("accessModes", "storageClassName", "volumeMode", "resources")
"""What LeaderWorkerSet copies of a claim template's spec."""

API_VERSION = "leaderworkerset.x-k8s.io/v1"


def leader_set(lws: Raw, *, revision: str, replicas: int, partition: int) -> Raw:
    """The leader StatefulSet, for server-side apply."""
    meta, spec = lws["metadata"], lws["spec"]
    name = meta["name"]
    strategy = strategy_of(lws)
    at_once = max(1, strategy.unavailable + strategy.surge)
    parts = spec["leaderWorkerTemplate"]
    template = json_copy(parts.get("leaderTemplate") or parts["workerTemplate"])
    annotations = _template_annotations(lws)
    if _subdomain_policy(spec) == "UniquePerReplica":
        annotations[keys.LWS_SUBDOMAIN_POLICY] = "UniquePerReplica"
    set_labels = {keys.LWS_NAME: name, keys.LWS_REVISION: revision}
    selected = {keys.LWS_NAME: name, keys.LWS_WORKER_INDEX: "0"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {**(meta.get("labels") or {}), **set_labels},
            "annotations": {
                **_annotations_for_sets(meta),
                keys.LWS_REPLICAS: str(spec.get("replicas", 1)),
            },
            "ownerReferences": [owner_reference(API_VERSION, "LeaderWorkerSet", meta)],
        },
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": selected},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"partition": partition, "maxUnavailable": at_once},
            },
            "template": _with(template, {**selected, **set_labels}, annotations),
            **_claims(parts),
        },
    }


def unversioned(annotations: Mapping[str, str]) -> Annotations:
    """The annotations of a pod that come from the LeaderWorkerSet's own: they are part of the
    template, but of no revision of it.
    """
    shown = (keys.LWS_EXCLUSIVE_TOPOLOGY, keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
    return tuple((key, annotations[key]) for key in shown if annotations.get(key))


def leader_annotations(lws: Raw) -> Annotations:
    """The `unversioned` annotations of leaders at the current template."""
    parts = lws["spec"]["leaderWorkerTemplate"]
    template = parts.get("leaderTemplate") or parts["workerTemplate"]
    own = (template.get("metadata") or {}).get("annotations") or {}
    return unversioned({**own, **_template_annotations(lws)})


def worker_set(
    lws: Raw, *, leader: Raw, revision: str, node_selector: dict[str, str] | None
) -> Raw:
    """The worker StatefulSet of one group.

    `lws`: the LeaderWorkerSet with the templates of `revision` and its live metadata. `leader`:
    labels, annotations and spec of the leader pod. Its placement annotations also apply to its
    workers, whatever the LeaderWorkerSet now has. `node_selector`: the group's domain.
    """
    meta, spec, parts = lws["metadata"], lws["spec"], lws["spec"]["leaderWorkerTemplate"]
    leader_meta = leader["metadata"]
    group = {k: leader_meta["labels"][k] for k in (keys.LWS_GROUP_INDEX, keys.LWS_GROUP_KEY)}
    annotations = _template_annotations(lws, unversioned(leader_meta.get("annotations") or {}))
    annotations[keys.LWS_LEADER_NAME] = leader_meta["name"]
    if requests_tpu(leader["spec"]):
        annotations[keys.LWS_LEADER_REQUESTS_TPUS] = "true"
    labels = {keys.LWS_NAME: meta["name"], **group, keys.LWS_REVISION: revision}
    template = _with(json_copy(parts["workerTemplate"]), labels, annotations)
    if node_selector:
        selector = template["spec"].get("nodeSelector") or {}
        template["spec"]["nodeSelector"] = {**selector, **node_selector}
    unique = _subdomain_policy(spec) == "UniquePerReplica"
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": leader_meta["name"],
            "namespace": meta["namespace"],
            "labels": {**(meta.get("labels") or {}), **labels},
            "annotations": _annotations_for_sets(meta),
            "ownerReferences": [owner_reference("v1", "Pod", leader_meta)],
        },
        "spec": {
            "replicas": parts.get("size", 1) - 1,
            "serviceName": leader_meta["name"] if unique else meta["name"],
            "podManagementPolicy": "Parallel",
            "ordinals": {"start": 1},
            "selector": {"matchLabels": {keys.LWS_NAME: meta["name"], **group}},
            "template": template,
            **_claims(parts),
        },
    }


def shared_service(lws: Raw) -> Raw:
    """The headless Service of all groups (policy Shared)."""
    meta = lws["metadata"]
    owner = owner_reference(API_VERSION, "LeaderWorkerSet", meta)
    return _service(lws, meta["name"], selector={keys.LWS_NAME: meta["name"]}, owner=owner)


def replica_service(lws: Raw, *, leader: Raw) -> Raw:
    """The headless Service of one group (policy UniquePerReplica)."""
    meta = leader["metadata"]
    selector = {
        keys.LWS_NAME: lws["metadata"]["name"],
        keys.LWS_GROUP_INDEX: meta["labels"][keys.LWS_GROUP_INDEX],
    }
    return _service(lws, meta["name"], selector=selector, owner=owner_reference("v1", "Pod", meta))


def wants_shared_service(lws: Raw) -> bool:
    return _subdomain_policy(lws["spec"]) == "Shared"


def owner_reference(api_version: str, kind: str, meta: Raw) -> Raw:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _service(lws: Raw, name: str, *, selector: dict[str, str], owner: Raw) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": lws["metadata"]["namespace"],
            "labels": {keys.LWS_NAME: lws["metadata"]["name"]},
            "ownerReferences": [owner],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector,
        },
    }


def _annotations_for_sets(meta: Raw) -> dict[str, str]:
    """The user's annotations for the StatefulSets, without kubectl's last-applied annotation."""
    annotations = meta.get("annotations") or {}
    return {key: value for key, value in annotations.items() if key != keys.LAST_APPLIED}


def _template_annotations(lws: Raw, placement: Annotations | None = None) -> dict[str, str]:
    """Annotations of both pod templates. `placement`: replaces those of the LeaderWorkerSet."""
    if placement is None:
        placement = unversioned(lws["metadata"].get("annotations") or {})
    parts = lws["spec"]["leaderWorkerTemplate"]
    annotations = {keys.LWS_SIZE: str(parts.get("size", 1)), **dict(placement)}
    subgroups = parts.get("subGroupPolicy")
    if subgroups:
        annotations[keys.LWS_SUBGROUP_SIZE] = str(subgroups.get("subGroupSize"))
        annotations[keys.LWS_SUBGROUP_POLICY_TYPE] = (
            subgroups.get("subGroupPolicyType") or "LeaderWorker"
        )
    else:
        annotations.pop(keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY, None)
    return annotations


def _with(template: Raw, labels: dict[str, str], annotations: dict[str, str]) -> Raw:
    meta = template.get("metadata") or {}
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    template["metadata"] = meta
    return template


def _claims(parts: Raw) -> Raw:
    """Claim templates and retention policy; claim templates keep only what upstream copies."""
    result: Raw = {}
    templates = [
        {
            "metadata": {"name": claim["metadata"]["name"]},
            "spec": {k: v for k, v in (claim.get("spec") or {}).items() if k in CLAIM_FIELDS},
        }
        for claim in parts.get("volumeClaimTemplates") or ()
    ]
    if templates:
        result["volumeClaimTemplates"] = templates
    policy = parts.get("persistentVolumeClaimRetentionPolicy")
    if policy:
        result["persistentVolumeClaimRetentionPolicy"] = policy
    return result


def _subdomain_policy(spec: Raw) -> str:
    return str((spec.get("networkConfig") or {}).get("subdomainPolicy") or "Shared")
