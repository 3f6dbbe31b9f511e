"""What the rules about devices and volumes make of a group in a cluster of a few nodes."""

from lws_placement.engine.fit.domain_index import Fit, fit_in
from lws_placement.engine.fit.node_filters import why_not_node
from lws_placement.engine.model.snapshot import DomainView
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.rules.pod_rules import with_rules


def verdicts(cluster, group):
    """Of the first member, by node."""
    demand = with_rules(group, cluster).members[0].demand
    return {name: why_not_node(demand, view) for name, view in cluster.nodes.items()}


def plan(cluster, group):
    """The members' nodes, in order of rank; None if there is no room."""
    domain = DomainView(DomainName("all", "all"), tuple(cluster.nodes.values()))
    fit = fit_in(with_rules(group, cluster), domain)
    return [fit.nodes[m.rank] for m in group.members] if isinstance(fit, Fit) else None
