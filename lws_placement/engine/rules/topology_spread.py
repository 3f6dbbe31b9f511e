"""Topology spread constraints with DoNotSchedule of a group's members, in one state of the cluster
(kube-scheduler 1.37, plugins/podtopologyspread). Terminating pods do not count.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from lws_placement.engine.model.groups import Member
from lws_placement.engine.model.joint.rules import Spread
from lws_placement.engine.model.placed_pods import Gone, PlacedPods, Selected
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.model.snapshot import ClusterSnapshot
from lws_placement.engine.objects.label_terms import selects
from lws_placement.engine.objects.pod_rules import PodRules
from lws_placement.engine.rules.counted_nodes import Inclusion, counted_nodes
from lws_placement.engine.rules.counted_pods import counted_pods

Carrier = tuple[Member, Mapping[str, str], PodRules]
"""A member without a node, its labels, and its rules for these labels."""


class Cluster(Protocol):
    @property
    def placed_pods(self) -> PlacedPods: ...
    @property
    def actual(self) -> ClusterSnapshot: ...


def needed_keys(rules: PodRules) -> Iterator[str]:
    """Labels that a node must have to take the pod at all."""
    yield from dict.fromkeys(c.topology_key for c in rules.spread)


def spread_rules(
    members: Sequence[Carrier], cluster: Cluster, *, namespace: str, gone: Gone
) -> list[Spread]:
    """One rule for each constraint and each kind of member that carries it. Pods that are `gone` do
    not count.
    """
    kinds: dict[tuple[Demand, PodRules], set[Rank]] = {}
    for member, _, rules in members:
        if rules.spread:
            kinds.setdefault((member.demand, rules), set()).add(member.rank)
    found: list[Spread] = []
    for (demand, rules), ranks in kinds.items():
        keys = tuple(needed_keys(rules))
        for constraint in rules.spread:
            if not constraint.selector:
                continue  # it matches no other pod (countPodsMatchSelector)
            nodes = counted_nodes(Inclusion.of(demand, keys, constraint), cluster.actual)
            pods = counted_pods(
                Selected(((frozenset({namespace}), constraint.selector),), living=True),
                constraint.topology_key,
                nodes,
                pods=cluster.placed_pods,
                nodes=cluster.actual,
            )
            without = pods.of(gone)
            counts = pods.without(without)
            found.append(
                Spread(
                    key=constraint.topology_key,
                    max_skew=constraint.max_skew,
                    carriers=frozenset(ranks),
                    selected=frozenset(
                        m.rank for m, labels, _ in members if selects(constraint.selector, labels)
                    ),
                    nodes=nodes.names,
                    domains=nodes.domains(constraint.topology_key),
                    version=(nodes, nodes.version, pods, pods.version, without),
                    counts=counts.by_domain,
                    levels=dict(counts.levels),
                    min_domains=constraint.min_domains,
                    one_node=constraint.min_domains > 1 and constraint.honors_affinity,
                    on_nodes=counts.by_node,
                )
            )
    return found
