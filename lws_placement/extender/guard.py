"""The entry for all pods that request a guarded resource: keeps foreign pods off held room.

The guard is strict for guarded resources (accelerators) only. Other pods may take cpu, memory and
pod slots; the planner then repairs the group. A *guest* (a LeaderWorkerSet's pod without a domain
of its own) stays out of held domains altogether. Members pass unfiltered: `bind` checks them. Among
the remaining nodes `prioritize` prefers domains that are broken up already
(`engine/fit/fragmentation.py`).

Down, slow or not synced: kube-scheduler goes on without us (`ignorable: true`), so foreign pods
never wait for us (P7); a group whose room is taken meanwhile is planned again. Texts are stable,
as a changed text wakes the waiting pod once more.
"""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Protocol

from lws_placement import metrics
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.fit.fragmentation import FILLS, OUTSIDE, Scores, SteeringTable, fills
from lws_placement.engine.fit.guard_index import ROOM_IS_HELD, GuardIndex, Shape
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import Changes, DomainSet, NodeView
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.extender.wire import (
    FilterArgs,
    FilterResult,
    PreemptArgs,
    PreemptResult,
    Priorities,
)

_MOST_SHAPES = 64
_OUTSIDE = -1
"""Placeholder for the score of a node outside all domains that groups ask for."""


class World(Protocol):
    """The guard's view of the cluster; cached facts suffice."""

    def ready(self) -> bool: ...
    def anything_held(self) -> bool: ...
    def pod(self, uid: str) -> Pod | None: ...
    def group_of(self, pod: Pod) -> GroupId | None: ...
    @property
    def node_changes(self) -> Changes: ...
    def node_view(self, node: str) -> NodeView | None: ...
    def topology_keys(self) -> Sequence[str]: ...
    def domains(self, key: str) -> DomainSet: ...


class Guard:
    """`guarded`: names of the resources that holds reserve strictly."""

    def __init__(self, world: World, *, guarded: Sequence[str]) -> None:
        self._world = world
        self._guarded = frozenset(guarded)
        self._kept = GuardIndex(world.node_changes, world.node_view)
        self._tables: dict[str, SteeringTable] = {}
        self._scores: LruCache[tuple[tuple[str, int], ...], Scores] = LruCache(_MOST_SHAPES)

    def filter(self, args: FilterArgs) -> FilterResult:
        """Cost: a set look-up per node in `args`, and O(nodes that changed since the last call)."""
        if not self._world.ready():
            return FilterResult(node_names=[], error="the extender's caches have not synced yet")
        if not self._world.anything_held():
            return FilterResult(node_names=args.node_names)
        pod = decode_pod(args.pod)
        if self._is_member(pod):
            return FilterResult(node_names=args.node_names)
        own = self._own_group(pod)
        closed = self._kept.closed_to(self._shape(pod), own)
        refused = next((name for name in args.node_names if name in closed), "")
        if not refused:
            return FilterResult(node_names=args.node_names)
        metrics.GUARD_REFUSALS.labels("filter").inc()
        return FilterResult(
            node_names=[name for name in args.node_names if name not in closed],
            failed_and_unresolvable_nodes={refused: ROOM_IS_HELD},
        )

    def prioritize(self, args: FilterArgs) -> Priorities:
        """Omits nodes of whole domains, which means score 0. Unsynced: no opinion."""
        if not self._world.ready():
            return Priorities(scores={})
        pod = decode_pod(args.pod)
        tables = [] if self._is_member(pod) else self._steering()
        if not tables:
            return Priorities(scores={})
        shape = self._shape(pod)
        of = self._scores_for(shape, tables)
        found = zip(args.node_names, map(of.get, args.node_names, repeat(_OUTSIDE)), strict=True)
        scores = {name: score for name, score in found if score}
        if _OUTSIDE in scores.values():
            outside = [name for name, score in scores.items() if score == _OUTSIDE]
            scores |= {name: self._outside(shape, name) for name in outside}
        return Priorities(scores=scores)

    def _shape(self, pod: Pod) -> Shape:
        asked = tuple((r, n) for r, n in pod.demand.resources if r in self._guarded)
        return Shape(asked, guest=pod.guest or pod.marked)

    def _is_member(self, pod: Pod) -> bool:
        """True for a member, which `bind` checks, and for a marked pod that the cache lacks. False
        for a marked pod that was released or is known to be in no group: it counts as a guest.
        """
        known = self._world.pod(pod.uid) is not None
        return pod.marked and not (pod.released or (known and self._world.group_of(pod) is None))

    def _own_group(self, pod: Pod) -> GroupId:
        """The group whose holds are open to the pod."""
        group = self._world.group_of(pod)
        return group or GroupId.of_pod(pod.namespace, pod.name, pod.uid)

    def _scores_for(self, shape: Shape, tables: Sequence[SteeringTable]) -> Mapping[str, int]:
        known = self._scores.get(shape.asked)
        if known is None or known.tables != tables:
            known = Scores(dict(shape.asked), tables)
            self._scores.put(shape.asked, known)
        known.follow()
        return known.of

    def _outside(self, shape: Shape, node: str) -> int:
        """The score of a node outside all domains that groups ask for."""
        view = self._world.node_view(node)
        return OUTSIDE + FILLS if view is not None and fills(dict(shape.asked), view) else OUTSIDE

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
        if self._is_member(pod):
            return PreemptResult(victims={})
        kept = {
            node: victims
            for node, victims in args.victims.items()
            if all(self._is_foreign(v.uid) for v in victims.pods)
            and not self._promised_on(node)
            and not ((pod.guest or pod.marked) and self._is_claimed(node))
        }
        if len(kept) < len(args.victims):
            metrics.GUARD_REFUSALS.labels("preempt").inc()
        return PreemptResult(victims=kept)

    def _is_claimed(self, node: str) -> bool:
        """True if a group holds a domain there that others may not share."""
        view = self._world.node_view(node)
        return view is not None and any(c.scope is not Scope.NOBODY for c in view.holders)

    def _promised_on(self, node: str) -> bool:
        """True if holds reserve guarded resources of the node for unbound members."""
        view = self._world.node_view(node)
        promised = view.promised.values() if view is not None else ()
        return any(room.get(r, 0) for room in promised for r in self._guarded)

    def _is_foreign(self, uid: str) -> bool:
        """False for an unknown pod: in doubt nothing is evicted."""
        pod = self._world.pod(uid)
        return pod is not None and not pod.marked and self._world.group_of(pod) is None
