"""The mutable state of the process: the last known state of the API server, indexed for placement.

One writer, one event loop, no locks: watches and our own write responses come in through `put_*`
and `drop_*`, which never wait; all other code reads values. An older version of an object never
replaces a newer one, so a write response and the watch event may arrive in either order, and a
response that arrives after the object's deletion does not restore it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from lws_placement.cluster.cache.admission.admissions import Admissions
from lws_placement.cluster.cache.admission.pod_defaults import PodDefaultsIndex
from lws_placement.cluster.cache.devices.device_index import DeviceIndex
from lws_placement.cluster.cache.disruption_budgets import BudgetIndex
from lws_placement.cluster.cache.hold_index import HoldIndex
from lws_placement.cluster.cache.listener import Listener
from lws_placement.cluster.cache.pods.identity import identify
from lws_placement.cluster.cache.pods.labelled_pods import LabelledPods
from lws_placement.cluster.cache.pods.occupants import differs, occupant_of, takes_differently
from lws_placement.cluster.cache.pods.placed_pods import PlacedPodsIndex
from lws_placement.cluster.cache.pods.placeholders import PlaceholderIndex
from lws_placement.cluster.cache.pods.promised_members import PromisedMembers
from lws_placement.cluster.cache.pods.unbound_pods import UnboundPods
from lws_placement.cluster.cache.preemption_facts import ComingHolds, Priorities
from lws_placement.cluster.cache.quotas import QuotaIndex
from lws_placement.cluster.cache.storage import StorageIndex
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.cache.workloads import Revision, Workloads
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.nested import DictOfSets
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.pods import Demand, Pod
from lws_placement.engine.model.reservation import Hold, Reservation, reservations_of
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import DomainName


class ClusterCache:
    def __init__(
        self,
        domains: TopologyIndex,
        admissions: Admissions | None = None,
        *,
        namespace: str = "",
    ) -> None:
        """`namespace`: ours, where placeholder pods are."""
        self.domains = domains
        self.shut = domains.shut
        self.admissions = admissions or Admissions()
        self.pod_defaults = PodDefaultsIndex()
        self.budgets = BudgetIndex()
        self.quotas = QuotaIndex()
        self.listeners: list[Listener] = []
        self.on_new_pod: list[Callable[[str], None]] = []
        """Called with the UID of a pod that was not known."""
        self.on_node_failure: list[Callable[[Pod], None]] = []
        """Called on every replica for a pod that its node has ended: it may be gone in a moment."""
        self._pods: dict[str, Pod] = {}
        self._affinity: dict[str, Raw] = {}
        self._group_of: dict[str, GroupId] = {}
        self._groups = DictOfSets[GroupId, str]()
        self.workloads = Workloads()
        self._said = LabelledPods()
        self._holds = HoldIndex()
        self.hold, self.holds = self._holds.get, self._holds.all
        self.holds_in, self.holds_of = self._holds.on, self._holds.of
        self.domains_held_beside = self._holds.domains_beside
        self._coming = ComingHolds()
        self.going = self._coming.going
        self._priorities = Priorities()
        self.lowest_priority = self._priorities.lowest
        self._gone: LruCache[str, int] = LruCache(4096)
        self.unbound = UnboundPods()
        self.placeholders = PlaceholderIndex(namespace)
        self._promised = PromisedMembers(self, self.workloads)
        self.placed_pods = domains.placed_pods = PlacedPodsIndex(self._promised)
        self.storage = StorageIndex(self._promised.with_volumes)
        domains.storage = domains.volume_users = self.storage
        self.devices = domains.devices = DeviceIndex(domains, self._promised.with_devices)

    # -- pods ------------------------------------------------------------------------------------

    def put_pod(self, raw: Raw) -> None:
        meta = raw["metadata"]
        uid, version = meta["uid"], int(meta["resourceVersion"])
        old = self._pods.get(uid)
        gone = self._gone.get(uid)
        if gone is not None and version <= gone:
            return
        if old is not None and int(old.resource_version) >= version:
            return
        pod = decode_pod(raw)
        self._pods[uid] = pod
        if self.placeholders.put(raw) is None:
            self._priorities.replace(old, pod)
        if pod.gated:
            self._affinity[uid] = (raw["spec"].get("affinity") or {}).get("nodeAffinity") or {}
        else:
            self._affinity.pop(uid, None)
        self._index_pod(old, pod)
        if self.placed_pods.put(pod) and self.placed_pods.asked:
            self._capacity_changed()
        self.storage.put_pod(pod)
        self.devices.put_pod(pod)
        if pod.marked:
            self._expect(pod.demand)
        self._note_unbound(pod)
        for told in self.on_new_pod if old is None else ():
            told(uid)
        if pod.node_failure and (old is None or not old.node_failure):
            for tell in self.on_node_failure:
                tell(pod)

    def put_written_pod(self, raw: Raw) -> None:
        """Takes a write response, only for a pod that is still known."""
        if raw["metadata"]["uid"] in self._pods:
            self.put_pod(raw)

    def drop_pod(self, uid: str, *, version: int = 0) -> None:
        pod = self._pods.pop(uid, None)
        self._affinity.pop(uid, None)
        self.unbound.drop(uid)
        self._gone.put(uid, version)
        if pod is None:
            return
        stood_for = self.placeholders.drop(uid)
        if stood_for is None:
            self._priorities.replace(pod, None)
        self.placed_pods.drop(pod.namespace, uid)
        self.storage.drop_pod(uid)
        self.devices.drop_pod(uid)
        if pod.node is not None:
            self.domains.drop_occupant(pod.node, uid)
            self._capacity_changed()
        self._leave_group(pod)
        self._foreign_changed(pod)
        if stood_for is not None:
            self._group_changed(stood_for.group)

    def pod(self, uid: str) -> Pod | None:
        return self._pods.get(uid)

    def pod_named(self, namespace: str, name: str) -> Pod | None:
        """O(pods)."""
        return next(
            (p for p in self._pods.values() if (p.namespace, p.name) == (namespace, name)), None
        )

    def _note_unbound(self, pod: Pod) -> None:
        self._foreign_changed(pod)
        ours = pod.uid in self._group_of or self.placeholders.get(pod.uid) is not None
        if self.unbound.put(pod, of_group=ours):
            for listener in self.listeners:
                listener.pod_waits(pod.uid)

    def _foreign_changed(self, pod: Pod) -> None:
        """Groups may have been evicted for it."""
        if not self._coming:
            return
        group = GroupId.of_pod(pod.namespace, pod.name, pod.uid)
        if group in self._holds.groups:
            self._group_changed(group)

    def node_affinity(self, uid: str) -> Raw:
        """`spec.affinity.nodeAffinity` of a gated pod, as it is; `{}` if none."""
        return self._affinity.get(uid, {})

    def group_of(self, pod: Pod) -> GroupId | None:
        return self._group_of.get(pod.uid)

    def keeps_room_for(self, pod: Pod) -> GroupId | None:
        """The group that the pod is in, or that it is a placeholder for."""
        stands_for = self.placeholders.get(pod.uid)
        return stands_for.group if stands_for is not None else self._group_of.get(pod.uid)

    def group_pods(self, group: GroupId) -> list[Pod]:
        """All pods of the group that exist, Terminating ones included, by name."""
        found = [self._pods[uid] for uid in self._groups[group]]
        return sorted(found, key=lambda p: (p.name, p.created_s, p.uid))

    def placeholders_of(self, group: GroupId) -> list[Pod]:
        """Pods of ours that stand for members of the group; no members of it."""
        return [self._pods[uid] for uid in self.placeholders.of_group(group)]

    def pods_that_say(self, group: GroupId) -> list[Pod]:
        """All pods whose labels name this group, placed or not, by name."""
        found = [self._pods[uid] for uid in self._said.of_group(group)]
        return sorted(found, key=lambda p: (p.name, p.created_s, p.uid))

    def has_namesake(self, group: GroupId) -> bool:
        """True if pods of another group name the same group."""
        return any(self._group_of.get(uid) != group for uid in self._said.of_group(group))

    def groups(self) -> list[GroupId]:
        """Every group that has a pod or a hold."""
        return sorted(self._groups.keys() | self._holds.groups)

    def _index_pod(self, old: Pod | None, pod: Pod) -> None:
        known = self._group_of.get(pod.uid)
        group = identify(pod, self.workloads.lws, self.workloads.stateful_sets)
        if old is not None and known != group:
            self._leave_group(old)
        if old is None or known != group:
            self.admissions.put(pod, group)
        if group is not None:
            self._group_of[pod.uid] = group
            self._groups.add(group, pod.uid)
        if self._said.put(pod, old) and group is not None:
            self._left_by(group)
        if old is not None and old.node is not None and (old.node != pod.node or pod.finished):
            self.domains.drop_occupant(old.node, pod.uid)
            self._capacity_changed()
        if pod.node is not None and not pod.finished and takes_differently(old, pod):
            stands_for = self.placeholders.get(pod.uid)
            occupant = occupant_of(pod, group, stands_for)
            if stands_for is not None:
                self._group_changed(stands_for.group)
            self.domains.put_occupant(pod.node, occupant, owner_uid=pod.owner_uid)
            for listener in self.listeners:
                listener.room_taken(pod.node)
            if old is not None and old.node == pod.node and old.demand != pod.demand:
                self._capacity_changed()  # it was resized in place
        if group is not None and (known != group or differs(old, pod)):
            self._group_changed(group)

    def _leave_group(self, pod: Pod) -> None:
        group = self._group_of.pop(pod.uid, None)
        if self._said.drop(pod) and group is not None:
            self._left_by(group)
        if group is not None:
            self._groups.discard(group, pod.uid)
            self._group_changed(group)

    def placed_in_set(self, group: GroupId) -> tuple[list[GroupId], list[GroupId]]:
        """Keyed groups of the same set that have holds: those with a leader, those without."""
        led = self._said.led_keys((group.namespace, group.lws))
        found = sorted(self._holds.of_set(group))
        return [g for g in found if g.group_key in led], [
            g for g in found if g.group_key not in led
        ]

    def _left_by(self, group: GroupId) -> None:
        """A keyed group is over, or its place is unclaimed again: another group may take it."""
        for key in self._said.led_keys((group.namespace, group.lws)):
            other = replace(group, group_key=key)
            if not self._holds.of(other):
                self._group_changed(other)

    # -- LeaderWorkerSets and what they own ------------------------------------------------------

    def put_lws(self, lws: LwsInfo) -> None:
        name = (lws.namespace, lws.name)
        if self.workloads.lws.get(name) == lws:
            return  # only its status changed, as with every pod
        self.workloads.lws[name] = lws
        self._expect(lws.templates.leader, lws.templates.worker)
        self._lws_changed(name)

    def drop_lws(self, namespace: str, name: str) -> None:
        self.workloads.lws.pop((namespace, name), None)
        self.admissions.requests.forget(namespace, name)
        self._lws_changed((namespace, name))

    def topology_keys(self) -> list[str]:
        """Topology keys in use: of LeaderWorkerSets, gated pods and holds."""
        gated = (self._pods[uid].member for uid in self._affinity)
        found = {key for lws in self.workloads.lws.values() for key in lws.request.keys}
        found |= {key for member in gated if member is not None for key in member.request.keys}
        found |= {domain.key for domain in self._holds.domains if not domain.anywhere}
        return sorted(found)

    def put_revision(self, name: Revision, templates: Templates) -> None:
        self._expect(templates.leader, templates.worker)
        if self.workloads.put_revision(name, templates):
            self._lws_changed(name[:2])

    def _expect(self, *demands: Demand) -> None:
        """Notes that there may be members with these demands."""
        self._promised.expect(*demands)
        self.devices.expect(*demands)

    def drop_revision(self, name: Revision) -> None:
        self.workloads.drop_revision(name)
        self.admissions.requests.forget(*name)

    def _lws_changed(self, name: tuple[str, str]) -> None:
        for uid in self._said.of_lws(name):
            pod = self._pods[uid]
            self._index_pod(pod, pod)
        for group in [g for g in self._holds.groups if (g.namespace, g.lws) == name]:
            self._group_changed(group)
        for listener in self.listeners:
            listener.lws_changed(*name)

    # -- holds -----------------------------------------------------------------------------------

    def put_holds(self, domain: DomainName, holds: Sequence[Hold]) -> None:
        """Takes a Lease: all holds of the domain."""
        for hold in holds:
            if self._holds.is_news(hold):
                self.put_hold(hold)
        for hold in self._holds.overruled(domain, holds):
            self.drop_hold(domain, hold.group)

    def put_hold(self, hold: Hold) -> None:
        old = self._holds.put(hold)
        self.domains.put_hold(hold)
        self._claims_changed(old, hold, {hold.group})

    def drop_hold(self, domain: DomainName, group: GroupId) -> None:
        old = self._holds.drop(domain, group)
        if old is None:
            return
        self.domains.drop_hold(domain, group)
        beside = {hold.group for hold in self._holds.on(domain)}
        self._claims_changed(old, None, {group, *beside})
        self._capacity_changed()

    def _claims_changed(self, old: Hold | None, new: Hold | None, groups: set[GroupId]) -> None:
        victims = self._coming.replace(old, new)
        for group in groups | victims:
            self._group_changed(group)
        for victim in victims:
            self._left_by(victim)

    def successor_of(self, group: GroupId) -> Hold | None:
        """The hold that the group is evicted for: it is written, and its own group still waits."""
        found = self._coming.for_which_goes(group)
        return next((hold for hold in found if self._waits(hold.group)), None)

    def _waits(self, group: GroupId) -> bool:
        if group.kind is GroupKind.POD:
            foreign = self._pods.get(group.lws_uid)
            return foreign is not None and foreign.node is None and foreign.living
        return any(p.gated and not p.terminating for p in self.group_pods(group))

    def anything_held(self) -> bool:
        return bool(self._holds)

    def has_holds(self, group: GroupId) -> bool:
        return group in self._holds.groups

    def reservation_of(self, group: GroupId) -> Reservation | None:
        """The only valid reservation of the group; None in any doubt."""
        found = reservations_of(self.holds_of(group))
        return found[0] if len(found) == 1 else None

    def open(self, lease: str) -> None:
        """Marks a hold's Lease as readable again, or gone."""
        if self.domains.open(lease):
            self._capacity_changed()

    # -- listeners -------------------------------------------------------------------------------

    def node_changed(self, relabelled: str = "") -> None:
        """A node was put or dropped through `domains`; `relabelled`: its name, if its domains
        changed.
        """
        view = self.domains.node_view(relabelled)
        for claim in sorted(view.groups) if view is not None else ():
            self._group_changed(claim.group)
        self._capacity_changed()

    def budget_changed(self) -> None:
        """A pod may now be evictable that was not before."""
        self._capacity_changed()

    def quotas_changed(self, groups: Iterable[GroupId]) -> None:
        for group in groups:
            self._group_changed(group)

    def namespace_changed(self) -> None:
        """Its labels, which rules about other pods select, or what it gives to pods."""
        self._capacity_changed()

    def storage_changed(self) -> None:
        """A claim, a volume, or what makes or attaches volumes changed."""
        if self.storage.asked:
            self._capacity_changed()

    def devices_changed(self) -> None:
        """A claim, or what gives devices, changed."""
        if self.devices.asked:
            self._capacity_changed()

    def _group_changed(self, group: GroupId) -> None:
        self._promised.changed(group)
        self.storage.promised_changed()
        self.devices.promised_changed()
        for listener in self.listeners:
            listener.group_changed(group)

    def _capacity_changed(self) -> None:
        for listener in self.listeners:
            listener.capacity_changed()
