"""A ProvisioningRequest (`autoscaling.x-k8s.io/v1`, KEP of Cluster Autoscaler "Provisioning Request
CRD") with its PodTemplates as JSON, and what its conditions say.
"""

import json
from collections.abc import Sequence

from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.engine.model.scale_up import Answer, Provisioning

API_VERSION = "autoscaling.x-k8s.io/v1"
NAME = "scale-up-"
"""How the names begin; the request's id follows."""


def encode_request(
    request: str, placeholders: Sequence[Raw], *, namespace: str, class_name: str
) -> tuple[RawList, Raw]:
    """The PodTemplates, one for each kind of placeholder pod, and the ProvisioningRequest that
    counts them. `placeholders`: the pods' bodies.
    """
    kinds: dict[str, RawList] = {}
    for pod in placeholders:
        alike = json.dumps((pod["metadata"]["labels"], pod["spec"]), sort_keys=True)
        kinds.setdefault(alike, []).append(pod)
    templates, pod_sets = [], []
    for number, pods in enumerate(kinds.values()):
        template = _meta(f"{NAME}{request}-{number}", request, namespace)
        labels = pods[0]["metadata"]["labels"]
        body = {"metadata": {"labels": labels}, "spec": pods[0]["spec"]}
        templates.append(
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": template, "template": body}
        )
        pod_sets.append({"podTemplateRef": {"name": template["name"]}, "count": len(pods)})
    return templates, {
        "apiVersion": API_VERSION,
        "kind": "ProvisioningRequest",
        "metadata": _meta(f"{NAME}{request}", request, namespace),
        "spec": {"provisioningClassName": class_name, "podSets": pod_sets},
    }


def decode_answer(raw: Raw) -> Answer:
    """What the conditions say, the last of them first. Others may write the object."""
    try:
        conditions = (raw.get("status") or {}).get("conditions") or ()
        said = {str(c["type"]): (c["status"], str(c.get("message") or "")) for c in conditions}
    except UNREADABLE:
        return Answer(Provisioning.UNSEEN)
    for condition, stage in _STAGES.items():
        status, words = said.get(condition, ("", ""))
        if status == "True":
            return Answer(stage, words)
    _, words = said.get("Provisioned", ("", ""))
    status, accepted = said.get("Accepted", ("", ""))
    stage = Provisioning.PENDING if status == "True" else Provisioning.UNSEEN
    return Answer(stage, words or accepted)


_STAGES = {
    "Failed": Provisioning.FAILED,
    "CapacityRevoked": Provisioning.FAILED,
    "BookingExpired": Provisioning.OVER,
    "Provisioned": Provisioning.PROVISIONED,
}


def _meta(name: str, request: str, namespace: str) -> Raw:
    labels = {"app.kubernetes.io/managed-by": keys.FIELD_MANAGER, keys.SCALE_UP: request}
    return {"name": name, "namespace": namespace, "labels": labels}
