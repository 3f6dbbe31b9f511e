"""The cluster without some victims, for the plan of one group of several domains, a region or none.

A trial is a plan (`multi_domain.py`) on such a cluster, and there are many trials, so each uses
only the nodes that can matter: those that can serve a member as they are, and those that a victim
touches, with all of their domains. A node that can serve no member stays so while nothing leaves it
or its domain, so a plan exists here exactly if it exists in the whole cluster.

Pods and groups that go anyway (`victims.py`) are gone from the start.

Costs O(nodes + pods) once, and one fit of each shape of subgroup per domain; then, per trial,
O(nodes that can serve a member + nodes of the victims).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from lws_placement.engine.fit.assignment import NoMatch
from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.fit.node_filters import fits_node, why_not_static
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.model.what_if import WhatIf, domains_around, pods_by_node
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.planning.candidates import subgroup_shapes
from lws_placement.engine.planning.multi_domain import place_multi_domain
from lws_placement.engine.planning.single_domain import shut_for, taken
from lws_placement.engine.planning.subset import SubsetSnapshot, no_pause
from lws_placement.engine.preemption.victims import Barred, Tenants, Victim, VictimKey
from lws_placement.engine.rules.pod_rules import with_rules

Uids = frozenset[str]
_NO_UIDS: Uids = frozenset()


@dataclass(frozen=True, slots=True)
class _Trace:
    """What goes with a victim: its pods by node, and the group. `pods` has all nodes that the
    victim touches, if only by its domain.
    """

    pods: Mapping[NodeName, Uids]
    group: GroupId | None = None


class Who(Protocol):
    """Classifies groups and pods: a victim, `Barred` (it stays), or None (it goes anyway)."""

    @property
    def heeds_turns(self) -> bool:
        """Whether nodes that earlier groups wait for are kept for them."""
        ...

    def group(self, other: GroupId) -> Victim | Barred | None: ...
    def pod(self, pod: Pod) -> Victim | Barred | None:
        """For a pod that is no member of such a group."""
        ...


class ClusterTrial:
    """A `reprieve.Trial` in the whole cluster. `only`: restricts it to these nodes. `pause`: called
    before each trial, and while nodes are gone through. `may`: the possible victims, groups and
    foreign pods.
    """

    def __init__(
        self,
        group: Group,
        views: ClusterSnapshot,
        tenants: Tenants,
        *,
        who: Who,
        only: frozenset[NodeName] | None = None,
        pause: Callable[[], None] = no_pause,
    ) -> None:
        self._pause = pause
        self._group = group
        self._who = who
        self._request = group.request
        self._views = views
        self._tenants = tenants
        names = (n.node.name for n in views.node_views())
        self._names = {name: None for name in names if only is None or name in only}
        self._going: dict[NodeName, Uids] = {}
        self._leaving: frozenset[GroupId] = frozenset()
        self._traces: dict[VictimKey, _Trace] = {}
        self.may = (*self._groups(), *self._foreign())
        self._soon = WhatIf(
            views, self._going, self._leaving, owner=group.id, heeds_turns=who.heeds_turns
        )

    def place(self, victims: Sequence[Victim]) -> Placed | NoMatch:
        """Where the group goes without these victims."""
        self._pause()
        traces = [self._traces[v.key] for v in victims]
        gone = frozenset(t.group for t in traces if t.group is not None)
        uids: dict[NodeName, Uids] = {}
        for trace in traces:
            for name, some in trace.pods.items():
                uids[name] = uids.get(name, _NO_UIDS) | some
        names = self._useful | self._around(uids)
        then = WhatIf(self._soon, uids, gone)
        return place_multi_domain(with_rules(self._group, then), self._part(then, names))

    def nodes_of(self, victim: Victim) -> frozenset[NodeName]:
        """All nodes that the victim touches."""
        return frozenset(self._traces[victim.key].pods)

    # -- who -------------------------------------------------------------------------------------

    def _groups(self) -> list[Victim]:
        owned: dict[GroupId, list[NodeName]] = {}
        for name in self._names:
            self._pause()
            view = self._views.node_view(name)
            owners = view.groups | view.holders if view is not None else ()
            for owner in {claim.group for claim in owners}:
                owned.setdefault(owner, []).append(name)
        found, leaving = [], []
        for other in sorted(owned.keys() - {self._group.id}):
            self._pause()
            match self._who.group(other):
                case Victim() as victim:
                    self._traces[victim.key] = self._trace(other, owned[other])
                    found.append(victim)
                case None:
                    leaving.append(other)
                case Barred():
                    continue
        self._leaving = frozenset(leaving)
        for other in leaving:
            for name, uids in self._trace(other, ()).pods.items():
                self._going[name] = self._going.get(name, _NO_UIDS) | uids
        return found

    def _trace(self, group: GroupId, owned: Iterable[NodeName]) -> _Trace:
        pods = pods_by_node(self._tenants.all_pods_of(group))
        for name in owned:
            pods.setdefault(name, _NO_UIDS)
        return _Trace(pods, group)

    def _foreign(self) -> list[Victim]:
        """Victims on nodes that could ever take a member; also collects pods that go anyway."""
        found = []
        kinds = {m.demand for m in self._group.members}
        for name in self._names:
            self._pause()
            view = self._views.node_view(name)
            if view is None or all(why_not_static(d, view.node) is not None for d in kinds):
                continue
            for pod in self._tenants.pods_on(name):
                match self._who.pod(pod):
                    case Victim() as victim:
                        self._traces[victim.key] = _Trace({name: victim.uids})
                        found.append(victim)
                    case None:
                        self._going[name] = self._going.get(name, _NO_UIDS) | {pod.uid}
                    case Barred():
                        continue
        return found

    # -- where -----------------------------------------------------------------------------------

    @cached_property
    def _useful(self) -> frozenset[NodeName]:
        """Nodes that may serve a member without any victim."""
        base = self._part(self._soon, self._names.keys())
        request, found = self._request, set[NodeName]()
        inside = request.in_subgroups
        loose = {m.demand for m in self._group.members if m.rank not in inside}
        parts = [replace(self._group, members=m) for m in subgroup_shapes(self._group)]
        is_shut = shut_for(self._group)
        for view in base.node_views() if loose else ():
            self._pause()
            shut = not request.outer and is_shut(view)
            if not shut and any(fits_node(demand, view) for demand in loose):
                found.add(view.node.name)
        for domain in base.domains(request.inner) if request.subgroups else ():
            self._pause()
            if taken(self._group, domain) is None and any(
                isinstance(fit_in(part, domain), Fit) for part in parts
            ):
                found |= domain.node_names
        for domain in base.domains(request.outer) if request.outer else ():
            if taken(self._group, domain) is not None:
                found -= domain.node_names
        return frozenset(found)

    def _part(self, views: WhatIf, names: Set[NodeName]) -> SubsetSnapshot:
        return SubsetSnapshot(views, names, pause=self._pause)

    def _around(self, touched: Iterable[NodeName]) -> set[NodeName]:
        """These nodes, and all nodes of their domains."""
        found = {name for name in touched if name in self._names}
        for key in filter(None, (self._request.inner, self._request.outer)):
            around = (d.node_names for d in domains_around(found, key, self._views))
            found |= frozenset[NodeName]().union(*around) & self._names.keys()
        return found
