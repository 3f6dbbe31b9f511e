"""PersistentVolumeClaims, PersistentVolumes, and what makes and attaches volumes -> the values that
volume rules need. For an object that violates the API schema a decoder raises one of UNREADABLE.
"""

from collections.abc import Iterable

from lws_placement.cluster.api.timestamps import decode_time
from lws_placement.cluster.codec.objects import checked_text, checked_texts, controlling_owner
from lws_placement.cluster.codec.pods.volumes import decode_claim_spec
from lws_placement.cluster.codec.selectors import decode_node_terms, decode_selector
from lws_placement.engine.base.quantities import amount_available
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import whole_number
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement
from lws_placement.engine.objects.volumes import (
    Capacity,
    Claim,
    Driver,
    DriversOnNode,
    Handle,
    StorageClass,
    Volume,
)

_BOUND = "pv.kubernetes.io/bind-completed"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_OLD_DEFAULT_CLASS = "storageclass.beta.kubernetes.io/is-default-class"
_MAKES_NONE = ("", "kubernetes.io/no-provisioner")
_STORAGE = "storage"


def decode_claim(raw: Raw) -> Claim:
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    annotations = checked_texts(meta.get("annotations"))
    # A class in the annotation of old counts before the field.
    named = {"storageClassName": annotations[_OLD_CLASS]} if _OLD_CLASS in annotations else {}
    volume = checked_text(spec.get("volumeName") or "")
    return Claim(
        namespace=checked_text(meta["namespace"]),
        name=checked_text(meta["name"]),
        uid=checked_text(meta["uid"]),
        spec=decode_claim_spec({**spec, **named}),
        volume=volume,
        bound=bool(volume) and _BOUND in annotations,
        lost=status.get("phase") == "Lost",
        deleting=bool(meta.get("deletionTimestamp")),
        selected_node=annotations.get(_SELECTED_NODE),
        owner_uid=checked_text(controlling_owner(raw).get("uid", "")),
    )


def decode_volume(raw: Raw) -> Volume:
    meta, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    annotations = checked_texts(meta.get("annotations"))
    name = annotations.get(_OLD_CLASS, spec.get("storageClassName") or "")
    required = (spec.get("nodeAffinity") or {}).get("required")
    return Volume(
        name=checked_text(meta["name"]),
        storage_class=checked_text(name),
        size=amount_available(_STORAGE, (spec.get("capacity") or {}).get(_STORAGE)),
        modes=frozenset(checked_text(mode) for mode in spec.get("accessModes") or ()),
        block=spec.get("volumeMode") == "Block",
        attributes_class=checked_text(spec.get("volumeAttributesClassName") or ""),
        labels=checked_texts(meta.get("labels")),
        required=decode_node_terms(required["nodeSelectorTerms"]) if required is not None else None,
        claim=_claim_named(spec.get("claimRef")),
        available=status.get("phase") == "Available",
        deleting=bool(meta.get("deletionTimestamp")),
        handle=_handle(spec.get("csi")),
    )


def _claim_named(raw: Raw | None) -> tuple[str, str, str] | None:
    if raw is None:
        return None
    namespace, name, uid = (checked_text(raw.get(f) or "") for f in ("namespace", "name", "uid"))
    return namespace, name, uid


def _handle(raw: Raw | None) -> Handle | None:
    if raw is None:
        return None
    driver, handle = checked_text(raw["driver"]), checked_text(raw["volumeHandle"])
    return (driver, handle) if driver and handle else None


def decode_storage_class(raw: Raw) -> StorageClass:
    meta = raw["metadata"]
    annotations = checked_texts(meta.get("annotations"))
    provisioner = checked_text(raw.get("provisioner") or "")
    defaults = (annotations.get(key) for key in (_DEFAULT_CLASS, _OLD_DEFAULT_CLASS))
    return StorageClass(
        name=checked_text(meta["name"]),
        provisioner=provisioner,
        makes_volumes=provisioner not in _MAKES_NONE,
        waits=raw.get("volumeBindingMode") == "WaitForFirstConsumer",
        topologies=tuple(_topologies(raw.get("allowedTopologies") or ())),
        is_default="true" in defaults,
        created_s=decode_time(meta.get("creationTimestamp")),
    )


def _topologies(raws: Iterable[Raw]) -> Iterable[NodeTerm]:
    for raw in raws:
        yield NodeTerm(
            tuple(
                Requirement(
                    checked_text(e["key"]), Operator.IN, tuple(map(checked_text, e["values"]))
                )
                for e in raw.get("matchLabelExpressions") or ()
            )
        )


def decode_driver(raw: Raw) -> Driver:
    spec = raw.get("spec") or {}
    return Driver(
        name=checked_text(raw["metadata"]["name"]),
        tracks_capacity=spec.get("storageCapacity") is True,
        needs_node=spec.get("preventPodSchedulingIfMissing") is True,
    )


def decode_drivers_on_node(raw: Raw) -> tuple[str, DriversOnNode]:
    """The node's name, and its CSINode."""
    drivers: list[Raw] = (raw.get("spec") or {}).get("drivers") or []
    counts = {
        checked_text(d["name"]): whole_number((d.get("allocatable") or {}).get("count"))
        for d in drivers
    }
    limits = {name: count for name, count in counts.items() if count is not None}
    return checked_text(raw["metadata"]["name"]), DriversOnNode(frozenset(counts), limits)


def decode_capacity(raw: Raw) -> Capacity:
    limit = raw.get("maximumVolumeSize")
    if limit is None:
        limit = raw.get("capacity")
    return Capacity(
        storage_class=checked_text(raw["storageClassName"]),
        topology=decode_selector(raw.get("nodeTopology")),
        limit=None if limit is None else amount_available(_STORAGE, limit),
    )


def decode_attachment(raw: Raw) -> tuple[str, str, str]:
    """Node, CSI driver and volume of a VolumeAttachment; the volume is empty for an inline one."""
    spec = raw["spec"]
    volume = (spec.get("source") or {}).get("persistentVolumeName") or ""
    return checked_text(spec["nodeName"]), checked_text(spec["attacher"]), checked_text(volume)
