"""Claims, templates, classes and devices, and the pods that will get devices: what device rules are
checked against.

A change that concerns nodes marks their views as changed, so that what was found out for them is
found out again; other changes count up `mark`. A query costs O(its result).
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from lws_placement.cluster.cache.devices.slices import SliceIndex
from lws_placement.cluster.cache.devices.usage import UsageIndex, UsageWithout
from lws_placement.cluster.cache.storage import StorageKind
from lws_placement.cluster.codec.cel import Selectors
from lws_placement.cluster.codec.devices import (
    decode_claim,
    decode_claim_template,
    decode_class,
    decode_slice,
    decode_taint_rule,
)
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.nested import DictOfDicts, DictOfSets
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.devices.allowance import Allowance
from lws_placement.engine.model.devices.looks import Attributes, DeviceLooks
from lws_placement.engine.model.devices.needs import TOO_FEW
from lws_placement.engine.model.devices.pools import Pool
from lws_placement.engine.model.devices.source import Devices, DevicesWithout, DeviceUser, Find
from lws_placement.engine.model.devices.usage import Usage
from lws_placement.engine.model.placed_pods import Gone
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.objects.devices.claims import DeviceClaim, DeviceClaimSpec
from lws_placement.engine.objects.devices.devices import Device, DeviceClass, DeviceId, PoolId
from lws_placement.engine.objects.nodes import Node, NodeName
from lws_placement.engine.objects.pod_volumes import PodIdentity

_API = "/apis/resource.k8s.io/v1"
_IMPLICIT = "deviceclass.resource.kubernetes.io/"

_Named = tuple[str, str]


class Nodes(Protocol):
    def node(self, name: NodeName, /) -> Node | None: ...
    def last_change_of(self, name: NodeName, /) -> int:
        """A number that grows with each change of the node's view."""

    def touch(self, name: NodeName, /) -> None:
        """Its view has changed."""

    def serve_by_devices(self, resources: frozenset[str], /) -> None:
        """Nodes that do not offer these resources themselves have room for any amount of them."""


@dataclass(slots=True)
class _Verdicts:
    """`on`: node -> its last change, and why it is closed to the pod. `alike`: the same for nodes
    of a look.
    """

    on: dict[NodeName, tuple[int, str | None]] = field(default_factory=dict)
    alike: LruCache[Hashable, tuple[str | None]] = field(default_factory=lambda: LruCache(1024))
    allowance: Allowance = field(default_factory=lambda: Allowance(100_000, 16))

    def of(self, look: Hashable | None, find: Find) -> str | None:
        """Only answers that name no device are for others of the look, too."""
        known = self.alike.get(look) if look is not None else None
        if known is not None:
            return known[0]
        why = self.allowance.spend(find)
        if look is not None and (why is None or why.startswith(TOO_FEW)):
            self.alike.put(look, (why,))
        return why


class DeviceIndex:
    """Implements `Devices`. `promised`: members with a node that are not bound yet."""

    def __init__(self, nodes: Nodes, promised: Callable[[], Iterable[DeviceUser]] = tuple) -> None:
        self._nodes = nodes
        self._promised = promised
        self._selectors = Selectors()
        self._slices = SliceIndex()
        self._looks = DeviceLooks()
        self._usage = UsageIndex()
        self._claims: dict[_Named, DeviceClaim] = {}
        self._claims_of = DictOfSets[str, _Named]()
        """UID of a pod -> claims that serve it, or that it owns."""
        self._templates: dict[_Named, DeviceClaimSpec] = {}
        self._classes: dict[str, DeviceClass] = {}
        self._by_resource: dict[str, DeviceClass] = {}
        self._expected: set[str] = set()
        """Extended resources that members request."""
        self._bound = DictOfDicts[NodeName, str, DeviceUser]()
        self._users: dict[str, DeviceUser] = {}
        self._on_their_way: dict[NodeName, list[DeviceUser]] = {}
        self._is_promise_new = True
        self._may_promise = False
        self._verdicts: LruCache[Hashable, _Verdicts] = LruCache(32)
        """By what a pod needs."""
        self._mark = 0
        self.asked = False
        """Whether a member has ever needed a device: then a change here may matter to a group."""

    @property
    def kinds(self) -> tuple[StorageKind, ...]:
        return (
            StorageKind(
                "DeviceClass",
                f"{_API}/deviceclasses",
                lambda raw: self._class_put(raw["metadata"]["name"], decode_class(raw)),
                lambda raw: self._class_put(raw["metadata"]["name"], None),
            ),
            StorageKind(
                "DeviceTaintRule",
                f"{_API}/devicetaintrules",
                lambda raw: self._rule_put(raw, gone=False),
                lambda raw: self._rule_put(raw, gone=True),
            ),
            StorageKind(
                "ResourceSlice", f"{_API}/resourceslices", self._put_slice, self._drop_slice
            ),
            StorageKind(
                "ResourceClaimTemplate",
                f"{_API}/resourceclaimtemplates",
                lambda raw: self._template_put(raw, decode_claim_template(raw)),
                lambda raw: self._template_put(raw, None),
            ),
            StorageKind(
                "ResourceClaim",
                f"{_API}/resourceclaims",
                lambda raw: self._claim_put(_name(raw), decode_claim(raw)),
                lambda raw: self._claim_put(_name(raw), None),
            ),
        )

    # -- pods ------------------------------------------------------------------------------------

    def expect(self, *demands: Demand) -> None:
        """Notes that there may be members with these demands."""
        names = {name for demand in demands for name, _ in demand.resources if "/" in name}
        self._may_promise |= any(d.device_claims for d in demands)
        if not names <= self._expected:
            self._expected |= names
            self._serve()

    def put_pod(self, pod: Pod) -> None:
        """Takes a pod in any state."""
        if pod.node is None or pod.finished:
            self.drop_pod(pod.uid)
        elif self._needs_devices(pod.demand):
            user = DeviceUser(
                pod.namespace,
                PodIdentity(pod.name, pod.uid, device_claims=dict(pod.claim_names)),
                pod.demand.device_claims,
                pod.demand.resources,
                pod.node,
            )
            if self._users.get(pod.uid) == user:
                return
            self._users[pod.uid] = user
            self._bound.put(pod.node, pod.uid, user)
            self._user_changed(user)

    def drop_pod(self, uid: str) -> None:
        user = self._users.pop(uid, None)
        if user is not None:
            self._bound.drop(user.node, uid)
            self._user_changed(user)

    def _user_changed(self, user: DeviceUser) -> None:
        """It may have devices that other nodes reach, too."""
        self._nodes.touch(user.node)
        self._mark += self._slices.any_shared

    def promised_changed(self) -> None:
        """A member may be on its way, or not any more; its node's view has changed with that."""
        self._is_promise_new = True

    def _needs_devices(self, demand: Demand) -> bool:
        return bool(demand.device_claims) or any(
            n in self._by_resource for n, _ in demand.resources
        )

    # -- objects ---------------------------------------------------------------------------------

    def _changed_on(self, nodes: set[NodeName] | None) -> None:
        """None: all nodes that reach some pool."""
        self._mark += nodes is None
        for name in nodes or ():
            self._nodes.touch(name)

    def _put_slice(self, raw: Raw) -> bool:
        found = decode_slice(raw)
        if self._slices.get(found.name) == found:
            return False
        before = self._reach(found.name)
        self._slices.put(found)
        self._slice_changed(before, self._reach(found.name))
        return True

    def _drop_slice(self, raw: Raw) -> bool:
        name = raw["metadata"]["name"]
        before = self._reach(name)
        known = self._slices.get(name) is not None
        self._slices.drop(name)
        self._slice_changed(before)
        return known

    def _reach(self, slice_name: str) -> set[NodeName] | None:
        known = self._slices.get(slice_name)
        return self._slices.nodes_of((known.pool,)) if known is not None else set()

    def _slice_changed(self, *reaches: set[NodeName] | None) -> None:
        for nodes in reaches:
            self._slices.forget(nodes)
            self._looks.forget(nodes)
            self._changed_on(nodes)

    def _rule_put(self, raw: Raw, *, gone: bool) -> bool:
        rule = None if gone else decode_taint_rule(raw)
        if not self._slices.put_rule(raw["metadata"]["uid"], rule):
            return False
        self._slice_changed(None)
        return True

    def _class_put(self, name: str, found: DeviceClass | None) -> bool:
        if self._classes.get(name) == found:
            return False
        self._mark += 1
        if found is None:
            del self._classes[name]
        else:
            self._classes[name] = found
        # Of several for one resource the newest counts, then the first by name.
        newest_last = sorted(self._classes.values(), key=lambda c: c.name, reverse=True)
        newest_last.sort(key=lambda c: c.created_s)
        self._by_resource = {c.resource: c for c in newest_last if c.resource}
        self._by_resource |= {_IMPLICIT + c.name: c for c in newest_last}
        self._serve()
        return True

    def _serve(self) -> None:
        served = self._expected & self._by_resource.keys()
        self._may_promise |= bool(served)
        self._nodes.serve_by_devices(frozenset(served))

    def _template_put(self, raw: Raw, found: DeviceClaimSpec | None) -> bool:
        key = _name(raw)
        known = self._templates.get(key)
        if found is None:
            self._templates.pop(key, None)
        else:
            self._templates[key] = found
        self._mark += known is not None and known != found
        return known != found

    def _claim_put(self, key: _Named, found: DeviceClaim | None) -> bool:
        known = self._claims.get(key)
        if known == found:
            return False
        self._own(key, known, found)
        if known is not None:
            self._usage.remove(known)
            del self._claims[key]
        if found is not None:
            self._usage.add(found)
            self._claims[key] = found
        pools: set[PoolId] = set()
        for claim in (known, found):
            if claim is not None and claim.allocation is not None:
                pools |= {given.id[:2] for given in claim.allocation.devices}
        if pools:
            self._changed_on(self._slices.nodes_of(pools))
        return True

    def _own(self, key: _Named, known: DeviceClaim | None, found: DeviceClaim | None) -> None:
        for uid in _users_of(known):
            self._claims_of.discard(uid, key)
        for uid in _users_of(found):
            self._claims_of.add(uid, key)

    # -- questions -------------------------------------------------------------------------------

    @property
    def mark(self) -> Hashable:
        self._by_node()
        return self._mark

    def has(self, device: DeviceId) -> bool:
        return self._usage.has(device)

    def shares(self, device: DeviceId) -> Mapping[str, Fraction] | None:
        return self._usage.shares(device)

    def matches(self, expression: str, device: Device) -> bool:
        return self._selectors.matches(expression, device)

    def claim(self, namespace: str, name: str) -> DeviceClaim | None:
        self.asked = True
        return self._claims.get((namespace, name))

    def template(self, namespace: str, name: str) -> DeviceClaimSpec | None:
        self.asked = True
        return self._templates.get((namespace, name))

    def device_class(self, name: str) -> DeviceClass | None:
        return self._classes.get(name)

    def class_of(self, resource: str) -> DeviceClass | None:
        return self._by_resource.get(resource)

    def pools_at(self, node: Node) -> Sequence[Pool]:
        self.asked = True
        return self._slices.pools_at(node)

    def verdict(
        self, needs: Hashable, node: Node, find: Find, *, look: Callable[[], Hashable | None]
    ) -> str | None:
        verdicts = self._verdicts.get_or_make(needs, _Verdicts)
        at = self._nodes.last_change_of(node.name)
        found = verdicts.on.get(node.name)
        if found is None or found[0] != at:
            found = verdicts.on[node.name] = (at, verdicts.of(look(), find))
        return found[1]

    def look_at(self, node: Node, reads: Attributes, usage: Usage) -> Hashable | None:
        return self._looks.at(node.name, self.pools_at(node), usage, reads)

    def reads(self, expression: str) -> Attributes | None:
        return self._selectors.reads(expression)

    def node(self, name: NodeName) -> Node | None:
        return self._nodes.node(name)

    def in_flight_on(self, node: NodeName) -> Iterable[DeviceUser]:
        bound = self._bound[node].values()
        return [*filter(self._waits, bound), *self._by_node().get(node, ())]

    def in_flight(self) -> Iterable[DeviceUser]:
        bound = filter(self._waits, self._users.values())
        return [*bound, *(user for users in self._by_node().values() for user in users)]

    def without(self, gone: Gone) -> Devices:
        freed = frozenset(claim.uid for claim in self._freed(gone.uids))
        groups = {user.promised_to for users in self._by_node().values() for user in users}
        waiting = any(uid in self._users for uid in gone.uids)
        if not freed and not waiting and groups.isdisjoint(gone.groups):
            return self
        return DevicesWithout(self, gone, freed, UsageWithout(self._usage, freed))

    def _freed(self, uids: frozenset[str]) -> Iterable[DeviceClaim]:
        keys = {key for uid in uids for key in self._claims_of[uid]}
        for key in keys:
            claim = self._claims[key]
            if claim.allocation is not None and claim.reserved and claim.reserved <= uids:
                yield claim

    def _waits(self, user: DeviceUser) -> bool:
        """Whether the claims of a bound pod are not seen as allocated yet."""
        mine = [self._claims[key] for key in self._claims_of[user.pod.uid]]
        serving = {c.name for c in mine if c.allocation and user.pod.uid in c.reserved}
        for ref in user.claims:
            name = ref.claim or user.pod.device_claims.get(ref.name)
            if name != "" and name not in serving:
                return True
        node = self._nodes.node(user.node)
        extended = any(
            name in self._by_resource and node is not None and not node.allocatable.get(name)
            for name, _ in user.resources
        )
        return extended and not any(c.extended and c.allocation for c in mine)

    def _by_node(self) -> Mapping[NodeName, Sequence[DeviceUser]]:
        if self._is_promise_new:
            self._is_promise_new = False
            found: dict[NodeName, list[DeviceUser]] = {}
            for user in self._promised() if self._may_promise else ():
                found.setdefault(user.node, []).append(user)
            self._mark += self._slices.any_shared and found != self._on_their_way
            self._on_their_way = found
        return self._on_their_way


def _name(raw: Raw) -> _Named:
    meta = raw["metadata"]
    return meta["namespace"], meta["name"]


def _users_of(claim: DeviceClaim | None) -> frozenset[str]:
    if claim is None:
        return frozenset()
    return claim.reserved | ({claim.owner_uid} if claim.owner_uid else set())
