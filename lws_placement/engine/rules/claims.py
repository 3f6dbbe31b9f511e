"""The claims of a pod, existing or to come, and what each of them means for its node.

Follows kube-scheduler's plugins VolumeBinding and VolumeZone (1.37). A claim that its StatefulSet
or the ephemeral volume controller has still to make is judged as it will be made. With immediate
binding such a claim gets a volume before its pod gets a node, and nobody knows where. So it is
judged as if it waited: once it has a volume, that decides.

In-tree volumes are taken as they are; those that a CSI driver serves instead are not translated.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lws_placement.engine.model.storage import Storage
from lws_placement.engine.objects.claims import (
    BoundClaim,
    OpenClaim,
    Provision,
)
from lws_placement.engine.objects.pod_volumes import ClaimKind, ClaimSpec, PodIdentity, PodVolume
from lws_placement.engine.objects.volumes import Claim, Handle, StorageClass, Volume

_RWOP = "ReadWriteOncePod"


@dataclass(frozen=True, slots=True)
class Nowhere:
    """The pod can run on no node for now."""

    why: str


State = BoundClaim | OpenClaim | Nowhere


@dataclass(frozen=True, slots=True)
class PodClaim:
    """One claim of a pod."""

    name: str
    kind: ClaimKind
    state: State
    exists: bool = True
    once: bool = False
    """Only one pod may use it (ReadWriteOncePod)."""
    handle: Handle | None = None
    """How its volume counts against attach limits; None: not at all. A volume to come counts by
    its class and claim.
    """


def claims_of(
    namespace: str, pod: PodIdentity, volumes: tuple[PodVolume, ...], storage: Storage
) -> Iterator[PodClaim]:
    for volume in volumes:
        yield _claim_of(namespace, pod, volume, storage)


def _claim_of(namespace: str, pod: PodIdentity, volume: PodVolume, storage: Storage) -> PodClaim:
    name = volume.claim_name(pod.name)
    claim = storage.claim(namespace, name)
    if volume.kind is ClaimKind.EPHEMERAL and not pod.uid:
        claim = None  # one that exists is of an earlier pod, and goes with it
    if claim is None:
        state = _to_come(namespace, name, pod, volume, storage)
        made_by = state.driver if isinstance(state, OpenClaim) else ""
        handle = (made_by, f"{namespace}/{name}") if made_by else None
        return PodClaim(name, volume.kind, state, exists=False, handle=handle)
    return PodClaim(
        name,
        volume.kind,
        _existing(claim, pod, volume, storage),
        once=_RWOP in claim.spec.modes and volume.kind is not ClaimKind.EPHEMERAL,
        handle=_handle_of(claim, storage),
    )


def _handle_of(claim: Claim, storage: Storage) -> Handle | None:
    volume = storage.volume(claim.volume) if claim.volume else None
    if volume is not None:
        return volume.handle
    made_by = storage.storage_class(claim.spec.storage_class or "")
    return (made_by.provisioner, f"{claim.namespace}/{claim.name}") if made_by else None


def _to_come(
    namespace: str, name: str, pod: PodIdentity, volume: PodVolume, storage: Storage
) -> OpenClaim | Nowhere:
    spec = volume.spec if volume.kind is ClaimKind.EPHEMERAL else None
    if volume.kind is ClaimKind.OWN:
        spec = pod.claims.get(volume.name)
    if spec is None:
        return Nowhere(f"persistentvolumeclaim {name} not found")
    class_name = spec.storage_class
    if class_name is None:
        class_name = storage.default_class()
    made_by = storage.storage_class(class_name) if class_name else None
    if class_name and made_by is None:
        return Nowhere(f"storage class {class_name} of its claim {volume.name} does not exist")
    meant = [v for v in storage.meant_for(namespace, name) if _is_meant(v, "", class_name, spec)]
    return _open(volume.name, spec, class_name, made_by, meant, storage)


def _existing(claim: Claim, pod: PodIdentity, volume: PodVolume, storage: Storage) -> State:
    if volume.kind is ClaimKind.EPHEMERAL and claim.owner_uid != pod.uid:
        return Nowhere(f"claim {claim.name} was not made for it")
    if claim.deleting:
        return Nowhere(f"claim {claim.name} is being deleted")
    if claim.lost:
        return Nowhere(f"the volume of claim {claim.name} is lost")
    if claim.bound:
        found = storage.volume(claim.volume)
        if found is None:
            return Nowhere(f"volume {claim.volume} of claim {claim.name} does not exist")
        by_zone = volume.kind is not ClaimKind.EPHEMERAL
        return BoundClaim.of(claim.name, found, by_zone=by_zone)
    class_name = claim.spec.storage_class or ""
    made_by = storage.storage_class(class_name) if class_name else None
    if class_name and made_by is None:
        return Nowhere(f"storage class {class_name} of claim {claim.name} does not exist")
    if claim.volume or made_by is None or not made_by.waits:
        return Nowhere(f"claim {claim.name} is not bound yet")
    meant = [
        v
        for v in storage.meant_for(claim.namespace, claim.name)
        if _is_meant(v, claim.uid, class_name, claim.spec)
    ]
    return _open(
        volume.name,
        claim.spec,
        class_name,
        made_by,
        meant,
        storage,
        selected_node=claim.selected_node,
    )


def _open(
    name: str,
    spec: ClaimSpec,
    class_name: str,
    made_by: StorageClass | None,
    meant: list[Volume],
    storage: Storage,
    *,
    selected_node: str | None = None,
) -> OpenClaim:
    provision = None
    if made_by is not None and made_by.makes_volumes:
        driver = storage.driver(made_by.provisioner)
        tracked = made_by.waits and driver is not None and driver.tracks_capacity
        provision = Provision(
            class_name,
            made_by.topologies,
            storage.capacities(class_name) if tracked else None,
        )
    return OpenClaim(
        name,
        spec,
        storage.pool(class_name),
        meant=tuple(sorted(meant, key=lambda v: v.name)),
        provision=provision,
        selected_node=selected_node,
        driver=made_by.provisioner if made_by is not None else "",
    )


def _is_meant(volume: Volume, uid: str, class_name: str, spec: ClaimSpec) -> bool:
    """FindMatchingVolume: a volume that names the claim is taken before all others."""
    assert volume.claim is not None
    same = volume.claim[2] in ("", uid) and volume.storage_class == class_name
    return same and OpenClaim.could_take(spec, volume)
