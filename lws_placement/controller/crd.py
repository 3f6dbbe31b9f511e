"""The CustomResourceDefinition of LeaderWorkerSet, made from its types (defined here) and the API
server's own schema of pod templates.

With the whole pod schema in it the API server refuses a misspelt field in a template, as with
upstream's CRD. Enumerations of core types are left out, so that a newer Kubernetes' values pass.
"""

from collections.abc import Mapping
from typing import Any

from lws_placement.engine.base.raw import Raw

NAME = "leaderworkersets.leaderworkerset.x-k8s.io"

_POD_SPEC = "io.k8s.api.core.v1.PodSpec"
_CLAIM_SPEC = "io.k8s.api.core.v1.PersistentVolumeClaimSpec"
_INT_OR_STRING: Raw = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_SPECIAL: Mapping[str, Raw] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"type": "string", "format": "date-time"},
}
_DROPPED = frozenset(
    {
        "default",
        "enum",
        "x-kubernetes-group-version-kind",
        "x-kubernetes-unions",
        "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
    }
)
_DEFAULTS = {("ContainerPort", "protocol"): "TCP", ("LocalObjectReference", "name"): ""}
"""Optional keys of list maps need a default in a structural schema."""


def custom_resource_definition(schemas: Mapping[str, Raw]) -> Raw:
    """`schemas`: `components.schemas` of the API server's OpenAPI v3 document of apps/v1."""
    inline = _Inliner(schemas)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": "leaderworkerset.x-k8s.io",
            "scope": "Namespaced",
            "names": {
                "kind": "LeaderWorkerSet",
                "listKind": "LeaderWorkerSetList",
                "plural": "leaderworkersets",
                "singular": "leaderworkerset",
                "shortNames": ["lws"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _columns(),
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.hpaPodSelector",
                        },
                    },
                    "schema": {"openAPIV3Schema": _object(inline)},
                }
            ],
        },
    }


def _columns() -> list[Raw]:
    return [
        _column("Ready", ".status.readyReplicas", "Groups that are ready"),
        _column("Desired", ".spec.replicas", "Groups asked for"),
        _column("Up-to-date", ".status.updatedReplicas", "Groups at the current template"),
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]


def _column(name: str, path: str, description: str) -> Raw:
    return {"name": name, "type": "integer", "jsonPath": path, "description": description}


def _object(inline: "_Inliner") -> Raw:
    return _struct(
        "A LeaderWorkerSet runs groups of pods: a leader and size-1 workers each.",
        {
            "apiVersion": _string("Version of this schema."),
            "kind": _string("LeaderWorkerSet."),
            "metadata": {"type": "object"},
            "spec": _spec(inline),
            "status": _status(),
        },
    )


def _spec(inline: "_Inliner") -> Raw:
    template = _open_struct(
        "The versioned part of the spec: the pods of one group.",
        {
            "leaderTemplate": _pod_template("Pod of the leader; absent: as the workers.", inline),
            "workerTemplate": _pod_template("Pods of the workers.", inline),
            "size": _integer("Pods per group, leader included; at least 1.", default=1),
            "restartPolicy": _string(
                "What a restarted pod means for its group.",
                enum=[
                    "Default",
                    "RecreateGroupOnPodRestart",
                    "RecreateGroupAfterStart",
                    "None",
                ],
                default="RecreateGroupOnPodRestart",
            ),
            "subGroupPolicy": _open_struct(
                "Divides a group into subgroups; may be neither added nor removed later.",
                {
                    "subGroupPolicyType": _string(
                        "Does the leader belong to the first subgroup?",
                        enum=["LeaderWorker", "LeaderExcluded"],
                        default="LeaderWorker",
                    ),
                    "subGroupSize": _integer("Pods per subgroup; cannot be changed."),
                },
            ),
            "volumeClaimTemplates": {
                "description": "Claims that every pod of the group gets.",
                "type": "array",
                "items": _claim(inline),
            },
            "persistentVolumeClaimRetentionPolicy": _open_struct(
                "What becomes of the claims; absent: they are retained.",
                {
                    "whenDeleted": _string("Retain or Delete."),
                    "whenScaled": _string("Retain or Delete."),
                },
            ),
        },
        required=["workerTemplate"],
    )
    rolling = _open_struct(
        "How groups are updated.",
        {
            "partition": {**_integer("Groups below it keep the old template.", default=0)},
            "maxUnavailable": {
                **_INT_OR_STRING,
                "description": "Groups (or percent, rounded down) that may be unavailable.",
                "default": 1,
            },
            "maxSurge": {
                **_INT_OR_STRING,
                "description": "Groups (or percent, rounded up) above replicas in an update.",
                "default": 0,
            },
        },
    )
    return _open_struct(
        "What is asked for.",
        {
            "replicas": {
                **_integer("Number of groups.", default=1),
                "minimum": 0,
                "maximum": 1000000,
            },
            "leaderWorkerTemplate": template,
            "rolloutStrategy": _open_struct(
                "How a changed template reaches the groups.",
                {
                    "type": _string(
                        "The only strategy.", enum=["RollingUpdate"], default="RollingUpdate"
                    ),
                    "rollingUpdateConfiguration": rolling,
                },
            ),
            "groupIdentity": _string("Ordinal: groups are numbered; the only one that there is."),
            "startupPolicy": _string(
                "When workers are created: with their leader, or when it is ready.",
                enum=["LeaderCreated", "LeaderReady"],
                default="LeaderCreated",
            ),
            "networkConfig": _open_struct(
                "How the pods of groups are found by name.",
                {
                    "subdomainPolicy": _string(
                        "One headless Service for all groups, or one for each.",
                        enum=["Shared", "UniquePerReplica"],
                    )
                },
                required=["subdomainPolicy"],
            ),
        },
        required=["leaderWorkerTemplate"],
    )


def _status() -> Raw:
    condition = _struct(
        "One aspect of the state.",
        {
            "type": {**_string("Kind of condition."), "maxLength": 316},
            "status": _string("Does it hold?", enum=["True", "False", "Unknown"]),
            "reason": _string("In one word, for programs."),
            "message": _string("In words, for people."),
            "lastTransitionTime": {**_string("When it changed."), "format": "date-time"},
            "observedGeneration": _integer("Of the spec that it is about.", format="int64"),
        },
        required=["type", "status", "reason", "message", "lastTransitionTime"],
    )
    return _struct(
        "What is there.",
        {
            "replicas": _integer("Groups that exist, surge included."),
            "readyReplicas": _integer("Groups whose pods are all ready."),
            "updatedReplicas": _integer("Groups at the current template."),
            "hpaPodSelector": _string("Selects the leaders, for a HorizontalPodAutoscaler."),
            "observedGeneration": _integer("Of the spec that was acted on.", format="int64"),
            "conditions": {
                "description": "Available, Progressing, UpdateInProgress.",
                "type": "array",
                "items": condition,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        },
    )


def _pod_template(description: str, inline: "_Inliner") -> Raw:
    properties = {"metadata": _template_metadata(), "spec": inline.schema(_POD_SPEC)}
    return _struct(description, properties)


def _claim(inline: "_Inliner") -> Raw:
    properties = {
        "apiVersion": _string("v1."),
        "kind": _string("PersistentVolumeClaim."),
        "metadata": _template_metadata(),
        "spec": inline.schema(_CLAIM_SPEC),
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    return _struct("A claim template.", properties)


def _template_metadata() -> Raw:
    strings: Raw = {"type": "object", "additionalProperties": {"type": "string"}}
    return _struct(
        "Metadata that the pods get.",
        {
            "name": {"type": "string"},
            "namespace": {"type": "string"},
            "labels": strings,
            "annotations": strings,
            "finalizers": {"type": "array", "items": {"type": "string"}},
        },
    )


def _struct(description: str, properties: Raw, *, required: list[str] | None = None) -> Raw:
    schema: Raw = {"description": description, "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _open_struct(description: str, properties: Raw, *, required: list[str] | None = None) -> Raw:
    """Keeps unknown fields, so that admission can refuse them by name: the API server would drop
    them silently.
    """
    schema = _struct(description, properties, required=required)
    return {**schema, "x-kubernetes-preserve-unknown-fields": True}


def _string(description: str, **more: Any) -> Raw:
    return {"description": description, "type": "string", **more}


def _integer(description: str, **more: Any) -> Raw:
    return {"description": description, "type": "integer", "format": "int32", **more}


class _Inliner:
    """Published schemas refer to each other; a CRD must inline everything."""

    def __init__(self, schemas: Mapping[str, Raw]) -> None:
        self._schemas = schemas

    def schema(self, name: str) -> Raw:
        special = _SPECIAL.get(name)
        if special is not None:
            return dict(special)
        return self._plain(self._schemas[name], name.rsplit(".", 1)[-1])

    def _plain(self, raw: Raw, owner: str) -> Raw:
        reference = raw.get("$ref") or next((a.get("$ref") for a in raw.get("allOf", ())), None)
        if reference:
            found = self.schema(reference.rsplit("/", 1)[-1])
            if raw.get("description"):
                found["description"] = _first_sentence(raw["description"])
            return found
        result = {k: v for k, v in raw.items() if k not in _DROPPED}
        if "description" in result:
            result["description"] = _first_sentence(result["description"])
        if "properties" in result:
            result["properties"] = {
                name: self._property(owner, name, value)
                for name, value in sorted(result["properties"].items())
            }
        for inner in ("items", "additionalProperties"):
            if isinstance(result.get(inner), dict):
                result[inner] = self._plain(result[inner], owner)
        return result

    def _property(self, owner: str, name: str, raw: Raw) -> Raw:
        schema = self._plain(raw, owner)
        default = _DEFAULTS.get((owner, name))
        return {**schema, "default": default} if default is not None else schema


def _first_sentence(text: str) -> str:
    sentence, dot, _ = text.partition(". ")
    return " ".join(f"{sentence}{dot}".split())
