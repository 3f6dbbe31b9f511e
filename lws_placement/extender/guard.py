"""The entry for everybody who asks for a guarded resource: keeps foreign pods off held room.

Firm for guarded resources only (accelerators); cpu, memory and pod slots may be taken by others,
which the planner then repairs. A *guest* (a LeaderWorkerSet's pod without a domain of its own)
stays out of held domains altogether. Members pass untouched: their check is `bind`. Of the
nodes that are left, `prioritize` steers to domains that are broken up already
(`engine/wholeness.py`).

Down, slow or not synced: kube-scheduler goes on without us (`ignorable: true`), so foreign pods
never wait for us (P7); a group whose room is taken meanwhile is planned again. Texts are stable,
as a changed text wakes the waiting pod once more.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from lws_placement import metrics
from lws_placement.cluster.decode import decode_pod
from lws_placement.engine.ask import Scope
from lws_placement.engine.explain import ROOM_IS_HELD
from lws_placement.engine.model import GroupId, Pod
from lws_placement.engine.snapshot import DomainSet, NodeView
from lws_placement.engine.wholeness import FILLS, OUTSIDE, SteeringTable, fills
from lws_placement.extender.wire import (
    FilterArgs,
    FilterResult,
    PreemptArgs,
    PreemptResult,
    Priorities,
)


class World(Protocol):
    """What the guard asks of the cluster; cached facts are enough for it."""

    def ready(self) -> bool: ...
    def anything_held(self) -> bool: ...
    def pod(self, uid: str) -> Pod | None: ...
    def group_of(self, pod: Pod) -> GroupId | None: ...
    def node_view(self, node: str) -> NodeView | None: ...
    def topology_keys(self) -> Sequence[str]: ...
    def domains(self, key: str) -> DomainSet: ...


class Guard:
    """`guarded`: names of the resources that holds keep firmly."""

    def __init__(self, world: World, *, guarded: Sequence[str]) -> None:
        self._world = world
        self._guarded = frozenset(guarded)
        self._tables: dict[str, SteeringTable] = {}

    def filter(self, args: FilterArgs) -> FilterResult:
        """O(nodes asked about); a node without holds costs a few dictionary lookups."""
        if not self._world.ready():
            return FilterResult(node_names=[], error="the extender's caches have not synced yet")
        if not self._world.anything_held():
            return FilterResult(node_names=args.node_names)
        pod = decode_pod(args.pod)
        if pod.marked:
            return FilterResult(node_names=args.node_names)
        asked = {r: n for r, n in pod.demand.resources if r in self._guarded}
        kept: list[str] = []
        refused = ""
        for node in args.node_names:
            if self._free_for(pod, asked, node):
                kept.append(node)
            elif not refused:
                refused = node
        if refused:
            metrics.GUARD_REFUSALS.labels("filter").inc()
        return FilterResult(
            node_names=kept,
            failed_and_unresolvable_nodes={refused: ROOM_IS_HELD} if refused else {},
        )

    def prioritize(self, args: FilterArgs) -> Priorities:
        """Nodes of whole domains are left out, which is score 0. Not sure: no opinion."""
        if not self._world.ready():
            return Priorities(scores={})
        pod = decode_pod(args.pod)
        tables = [] if pod.marked else self._steering()
        if not tables:
            return Priorities(scores={})
        asked = {r: n for r, n in pod.demand.resources if r in self._guarded}
        scores: dict[str, int] = {}
        for name in args.node_names:
            least, view = OUTSIDE, None
            for table in tables:
                found = table.nodes.get(name)
                if found is not None:
                    score, view = found
                    least = min(least, score)
            if least:
                view = view or self._world.node_view(name)
                filled = view is not None and fills(asked, view)
                scores[name] = least + FILLS if filled else least
        return Priorities(scores=scores)

    def _steering(self) -> list[SteeringTable]:
        """A table per topology key in use, in step with the domains."""
        known, self._tables = self._tables, {}
        for key in self._world.topology_keys():
            domains = self._world.domains(key)
            table = known.get(key)
            if table is None or table.domains is not domains:
                table = SteeringTable(domains, self._guarded)
            table.follow()
            self._tables[key] = table
        return list(self._tables.values())

    def preempt(self, args: PreemptArgs) -> PreemptResult:
        """Drops nodes whose victims are members (a group goes whole or not at all), and nodes that
        the filter would refuse afterwards.
        """
        if not self._world.ready():
            return PreemptResult(victims={})
        pod = decode_pod(args.pod)
        if pod.marked:
            return PreemptResult(victims={})
        kept = {
            node: victims
            for node, victims in args.victims.items()
            if all(self._is_foreign(v.uid) for v in victims.pods)
            and not self._promised_on(node)
            and not (pod.guest and self._is_claimed(node))
        }
        if len(kept) < len(args.victims):
            metrics.GUARD_REFUSALS.labels("preempt").inc()
        return PreemptResult(victims=kept)

    def _free_for(self, pod: Pod, asked: Mapping[str, int], node: str) -> bool:
        view = self._world.node_view(node)
        if view is None or not view.holders:
            return True
        if pod.guest and self._is_claimed(node):
            return False
        own = view.seen_by(GroupId.of_pod(pod.namespace, pod.name, pod.uid))
        return all(own.free.get(r, 0) >= n for r, n in asked.items())

    def _is_claimed(self, node: str) -> bool:
        """Does anybody hold a domain there that is not to be shared?"""
        view = self._world.node_view(node)
        return view is not None and any(c.scope is not Scope.NOBODY for c in view.holders)

    def _promised_on(self, node: str) -> bool:
        """Do members that are on their way need guarded resources of the node?"""
        view = self._world.node_view(node)
        promised = view.promised.values() if view is not None else ()
        return any(room.get(r, 0) for room in promised for r in self._guarded)

    def _is_foreign(self, uid: str) -> bool:
        """Not known is not foreign: when in doubt nobody is evicted."""
        pod = self._world.pod(uid)
        return pod is not None and not pod.marked and self._world.group_of(pod) is None
