"""What rules about other pods, and volumes, mean for one group in one state of the cluster.

Follows kube-scheduler's plugins InterPodAffinity and PodTopologySpread (1.37,
pkg/scheduler/framework/plugins). The planner checks them itself, as our pin hides other nodes from
kube-scheduler: a spread constraint that honors node affinity, the default, then sees one node.

`with_rules` gives each member a `NodeRule`, from pods that exist or are on their way, and the group
a `JointRules`, for what depends on where the members go together. Bound members count as pods that
exist. Nodes on which kube-scheduler refused a member lately are closed to the group, too. What
volumes and devices add is in `volumes.py` and `devices.py`.

Costs nothing but a look where neither a member nor another pod of the cluster has such a rule, and
no member has a volume or a device. Otherwise O(pods and nodes that changed since the last plan with
such rules), the first time O(pods of the namespaces that the rules select).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lws_placement.engine.model.devices.needs import DeviceNeeds
from lws_placement.engine.model.devices.source import Devices
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.model.joint.rules import (
    Apart,
    JointRule,
    JointRules,
    Near,
    Spread,
)
from lws_placement.engine.model.placed_pods import (
    Carriers,
    Gone,
    PlacedPods,
    Question,
    Selected,
)
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.snapshot import ClusterSnapshot, NodeView
from lws_placement.engine.model.storage import Storage, VolumeUsers
from lws_placement.engine.objects.label_terms import selects
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.objects.pod_rules import PodRules, PodTerm
from lws_placement.engine.rules.devices import device_rules, may_need_devices
from lws_placement.engine.rules.node_bans import Forbidden, Needed, NodeBans
from lws_placement.engine.rules.pods_by_node import DomainsWithPods, domains_with
from lws_placement.engine.rules.topology_spread import needed_keys, spread_rules
from lws_placement.engine.rules.volumes import VolumeNeeds, volume_rules

_NO_RULES = PodRules()
_TERMS_PER_LOOK = 4
_NO: frozenset[str] = frozenset()
_ByTerms = Mapping[tuple[PodTerm, ...], tuple[Needed, ...]]
"""Affinity terms -> what they need of a node."""


class Cluster(Protocol):
    @property
    def placed_pods(self) -> PlacedPods: ...
    @property
    def gone(self) -> Gone: ...
    @property
    def actual(self) -> ClusterSnapshot: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def volume_users(self) -> VolumeUsers: ...
    @property
    def devices(self) -> Devices: ...
    def node_view(self, name: NodeName, /) -> NodeView | None: ...


def with_rules(group: Group, cluster: Cluster) -> Group:
    """The group to plan in this state of the cluster; the group itself if no rule touches it. For a
    plan alone: its demands are not what a hold reserves. The group itself, too, if its effort does
    not suffice: then nothing is proven to fit.
    """
    aimed = list(cluster.placed_pods.repelling(group.id.namespace))
    demands, devices = [m.demand for m in group.members], cluster.devices
    ruled = any(d.rules is not None or d.volumes for d in demands)
    ruled = ruled or any(may_need_devices(d, devices) for d in demands)
    if not aimed and not group.refused and not ruled:
        return group
    own = sum(_terms_of(m.demand) for m in group.members)
    if not group.effort.spend(len(aimed) + own // _TERMS_PER_LOOK):
        return group
    rules = _Rules(group, cluster, aimed)
    return rules.applied() if group.effort.spend(rules.weight) else group


@dataclass(frozen=True, slots=True)
class _Pod:
    """A member without a node."""

    member: Member
    labels: Mapping[str, str]
    rules: PodRules

    @property
    def rank(self) -> Rank:
        return self.member.rank


@dataclass(frozen=True, slots=True)
class _Alike:
    """Equal for members that all rules treat alike."""

    rules: PodRules
    repelling: tuple[int, ...]
    """Terms of other pods that select it, as positions in `_Rules._aimed`."""
    spread: tuple[tuple[int, bool], ...]
    """Its spread rules, by position, and whether each counts the member itself."""
    volumes: VolumeNeeds | None
    devices: DeviceNeeds | None


class _Rules:
    def __init__(
        self,
        group: Group,
        cluster: Cluster,
        aimed: Sequence[Carriers],
    ) -> None:
        self._group = group
        self._namespace = group.id.namespace
        self._cluster = cluster
        self._placed = cluster.placed_pods
        self._gone = cluster.gone.plus(Gone(groups=frozenset({group.id})))
        self._aimed = aimed
        self._aimed_keys = sorted({r.key for one in aimed for r in one.term.selector or ()})
        self._repelled: dict[tuple[str | None, ...], tuple[int, ...]] = {}
        self._pods = [
            _pod(m, group.identity_of(m.rank).labels) for m in group.members if m.fixed is None
        ]

    @property
    def weight(self) -> int:
        """What `applied` costs, in looks (`base/effort.py`)."""
        own = {t for p in self._pods for t in (*p.rules.affinity, *p.rules.anti_affinity)}
        spread = sum(len(rules.spread) for rules in {p.rules for p in self._pods})
        aimed = len(self._aimed) * len({self._seen_by_aimed(p.labels) for p in self._pods})
        return (aimed + len(self._pods) * (len(own) + spread)) // _TERMS_PER_LOOK

    def applied(self) -> Group:
        spread, (near, needed) = self._spread(), self._near()
        volumes, among_volumes = volume_rules(self._group, self._cluster)
        devices, among_devices = device_rules(self._group, self._cluster)
        alike = {
            p.rank: self._alike(p, spread, volumes.get(p.rank), devices.get(p.rank))
            for p in self._pods
        }
        bans = {which: self._bans(which, spread, needed) for which in dict.fromkeys(alike.values())}
        rules: list[JointRule] = [*self._apart(), *near, *spread, *among_volumes, *among_devices]
        members = [
            _ruled(m, bans[alike[m.rank]]) if m.rank in alike else m for m in self._group.members
        ]
        return replace(
            self._group,
            members=tuple(members),
            joint=JointRules(tuple(rules)) if rules else None,
        )

    def _alike(
        self,
        pod: _Pod,
        spread: Sequence[Spread],
        volumes: VolumeNeeds | None,
        devices: DeviceNeeds | None,
    ) -> "_Alike":
        return _Alike(
            rules=pod.rules,
            repelling=self._repelling(pod.labels),
            spread=tuple(
                (i, pod.rank in rule.selected)
                for i, rule in enumerate(spread)
                if pod.rank in rule.carriers
            ),
            volumes=volumes,
            devices=devices,
        )

    def _repelling(self, labels: Mapping[str, str]) -> tuple[int, ...]:
        """The terms of other pods that select these labels."""
        seen = self._seen_by_aimed(labels)
        if seen not in self._repelled:
            self._repelled[seen] = tuple(
                i for i, one in enumerate(self._aimed) if selects(one.term.selector, labels)
            )
        return self._repelled[seen]

    def _seen_by_aimed(self, labels: Mapping[str, str]) -> tuple[str | None, ...]:
        """The part of the labels that decides which terms of other pods select them."""
        return tuple(map(labels.get, self._aimed_keys))

    # -- pods that exist -------------------------------------------------------------------------

    def _bans(self, alike: "_Alike", spread: Sequence[Spread], needed: _ByTerms) -> NodeBans:
        labels = (
            Needed(key, None, f"no label {key}, which its topology spread needs")
            for key in needed_keys(alike.rules)
        )
        return NodeBans(
            self._forbidden(alike),
            (*needed.get(alike.rules.affinity, ()), *labels),
            tuple((spread[index], counts_itself) for index, counts_itself in alike.spread),
            frozenset(
                (name, f"kube-scheduler refused it lately (on {name}: {words})")
                for name, words in self._group.refused.items()
            ),
            alike.volumes,
            alike.devices,
        )

    def _forbidden(self, alike: "_Alike") -> tuple[Forbidden, ...]:
        found = [
            self._with(
                self._aimed[index],
                self._aimed[index].term.topology_key,
                "another pod's anti-affinity keeps it out of its {key} ({pod})",
            )
            for index in alike.repelling
        ]
        found += [
            self._with(
                Selected(((self._namespaces(term), term.selector),)),
                term.topology_key,
                "its anti-affinity keeps it away from pods by {key} ({pod})",
            )
            for term in alike.rules.anti_affinity
            if term.selector is not None
        ]
        return tuple(forbidden for forbidden in found if forbidden.pods)

    def _with(self, question: Question, key: str, why: str) -> Forbidden:
        return Forbidden(key, self._domains(question, key), why)

    def _domains(self, question: Question, key: str) -> DomainsWithPods:
        """The group's own members on their way do not count."""
        # Labels of the nodes are those of any hypothetical state.
        index = domains_with(question, key, self._placed, self._cluster.actual)
        return index.without(self._gone)

    def _namespaces(self, term: PodTerm) -> frozenset[str] | None:
        if term.namespace_selector == ():
            return None
        if term.namespace_selector is not None:
            return term.namespaces | self._placed.namespaces(term.namespace_selector)
        return term.namespaces or frozenset({self._namespace})

    # -- members among themselves ----------------------------------------------------------------

    def _apart(self) -> list[JointRule]:
        carriers: dict[PodTerm, set[Rank]] = {}
        for pod in self._pods:
            for term in pod.rules.anti_affinity:
                carriers.setdefault(term, set()).add(pod.rank)
        found: list[JointRule] = []
        for term, ranks in carriers.items():
            selected = self._members_of(term)
            if any(rank != other for rank in ranks for other in selected):
                found.append(Apart(term.topology_key, frozenset(ranks), selected))
        return found

    def _members_of(self, term: PodTerm) -> frozenset[Rank]:
        namespaces = self._namespaces(term)
        if namespaces is not None and self._namespace not in namespaces:
            return frozenset()
        return frozenset(p.rank for p in self._pods if selects(term.selector, p.labels))

    def _near(self) -> tuple[list[JointRule], _ByTerms]:
        """The rules among members, and what the terms need of a node. All terms of a pod count
        together: another pod must match all of them.
        """
        carriers: dict[tuple[PodTerm, ...], set[Rank]] = {}
        for pod in self._pods:
            if pod.rules.affinity:
                carriers.setdefault(pod.rules.affinity, set()).add(pod.rank)
        found: list[JointRule] = []
        needed = {}
        for terms, ranks in carriers.items():
            keys = tuple(dict.fromkeys(t.topology_key for t in terms))
            there = self._there(terms)
            matching = frozenset.intersection(*(self._members_of(t) for t in terms))
            if matching and not (there and matching <= ranks):
                found.append(Near(keys, frozenset(ranks), matching, there))
            anywhere = matching and (not there or matching - ranks)
            needed[terms] = tuple(
                Needed(
                    key,
                    None if anywhere else there.get(key, _NO),
                    f"its pod affinity finds no pod in its {key}",
                )
                for key in keys
            )
        return found, needed

    def _there(self, terms: Sequence[PodTerm]) -> dict[str, frozenset[str]]:
        """Topology key -> values of the domains with a pod that all terms match; empty if there is
        no such pod in any domain.
        """
        by = [(self._namespaces(t), t.selector) for t in terms if t.selector is not None]
        if len(by) < len(terms):
            return {}
        question = Selected(tuple(by))
        keys = dict.fromkeys(term.topology_key for term in terms)
        found = {key: self._domains(question, key).domains for key in keys}
        return found if any(found.values()) else {}

    def _spread(self) -> list[Spread]:
        return spread_rules(
            [(p.member, p.labels, p.rules) for p in self._pods],
            self._cluster,
            namespace=self._namespace,
            gone=self._gone,
        )


def _ruled(member: Member, bans: NodeBans) -> Member:
    return replace(member, demand=replace(member.demand, node_rule=bans)) if bans else member


def _terms_of(demand: Demand) -> int:
    rules = demand.rules
    if rules is None:
        return 1
    return 1 + len(rules.affinity) + len(rules.anti_affinity) + len(rules.spread)


def _pod(member: Member, labels: Mapping[str, str]) -> _Pod:
    rules = member.demand.rules
    return _Pod(member, labels, rules.of(labels) if rules is not None else _NO_RULES)
