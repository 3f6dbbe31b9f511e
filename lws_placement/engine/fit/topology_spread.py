"""Topology spread constraints with DoNotSchedule of a group's members, in one state of the cluster.

The domains that count are those of the nodes that carry the keys of all such constraints of the pod
and that its inclusion policies admit: by default its node selector and required node affinity
exclude nodes, taints do not (kube-scheduler 1.37, plugins/podtopologyspread). Terminating pods do
not count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from lws_placement.engine.fit.node_filters import is_chosen, meets, untolerated
from lws_placement.engine.model.groups import GroupId, Member
from lws_placement.engine.model.joint_rules import Spread
from lws_placement.engine.model.nodes import Node, NodeName
from lws_placement.engine.model.placed_pods import PlacedPods
from lws_placement.engine.model.pod_rules import PodRules, SpreadConstraint
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.snapshot import NodeView

Carrier = tuple[Member, Mapping[str, str], PodRules]
"""A member without a node, its labels, and its rules for these labels."""


class Cluster(Protocol):
    @property
    def placed_pods(self) -> PlacedPods: ...
    def node_view(self, name: NodeName, /) -> NodeView | None: ...
    def node_views(self) -> Sequence[NodeView]: ...


def needed_keys(rules: PodRules) -> Iterator[str]:
    """Labels that a node must have to take the pod at all."""
    yield from dict.fromkeys(c.topology_key for c in rules.spread)


def spread_rules(
    members: Sequence[Carrier], cluster: Cluster, *, namespace: str, group: GroupId
) -> list[Spread]:
    """One rule for each constraint and each kind of member that carries it. Pods on their way of
    `group` itself do not count.
    """
    kinds: dict[tuple[Demand, PodRules], set[Rank]] = {}
    for member, _, rules in members:
        if rules.spread:
            kinds.setdefault((member.demand, rules), set()).add(member.rank)
    counted = _CountedNodes(cluster)
    found: list[Spread] = []
    for (demand, rules), ranks in kinds.items():
        keys = tuple(needed_keys(rules))
        for constraint in rules.spread:
            if not constraint.selector:
                continue  # it matches no other pod (countPodsMatchSelector)
            nodes = counted.of(demand, keys, constraint)
            on_nodes = _on_nodes(constraint, nodes, cluster, namespace=namespace, group=group)
            found.append(
                Spread(
                    key=constraint.topology_key,
                    max_skew=constraint.max_skew,
                    carriers=frozenset(ranks),
                    selected=frozenset(
                        m.rank for m, labels, _ in members if _selects(constraint, labels)
                    ),
                    counts=_by_domain(constraint.topology_key, nodes.values(), on_nodes),
                    min_domains=constraint.min_domains,
                    one_node=constraint.min_domains > 1 and constraint.honors_affinity,
                    on_nodes=on_nodes,
                )
            )
    return found


class _CountedNodes:
    """The nodes whose domains count, computed once for all constraints that count the same."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[object, Mapping[NodeName, Node]] = {}

    def of(
        self, demand: Demand, keys: tuple[str, ...], constraint: SpreadConstraint
    ) -> Mapping[NodeName, Node]:
        """`keys`: of all constraints of the pod; a node without one of them does not count."""
        asked = demand, keys, constraint.honors_affinity, constraint.honors_taints
        if asked not in self._known:
            nodes = (view.node for view in self._cluster.node_views())
            self._known[asked] = {
                n.name: n
                for n in nodes
                if all(key in n.labels for key in keys) and _counts(constraint, demand, n)
            }
        return self._known[asked]


def _counts(constraint: SpreadConstraint, demand: Demand, node: Node) -> bool:
    if constraint.honors_affinity and not is_chosen(demand, node):
        return False
    return not (constraint.honors_taints and untolerated(demand, node) is not None)


def _on_nodes(
    constraint: SpreadConstraint,
    nodes: Mapping[NodeName, Node],
    cluster: Cluster,
    *,
    namespace: str,
    group: GroupId,
) -> Counter[NodeName]:
    """Matching pods by node."""
    selector = constraint.selector or ()
    pods = cluster.placed_pods.select(frozenset({namespace}), selector)
    return Counter(
        p.node for p in pods if p.node in nodes and not p.terminating and p.promised_to != group
    )


def _by_domain(key: str, nodes: Iterable[Node], on_nodes: Mapping[NodeName, int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in nodes:
        value = node.labels[key]
        counts[value] = counts.get(value, 0) + on_nodes.get(node.name, 0)
    return counts


def _selects(constraint: SpreadConstraint, labels: Mapping[str, str]) -> bool:
    selector = constraint.selector
    return selector is not None and all(meets(labels, requirement) for requirement in selector)
