"""What our rules say of a pod on each node of a cluster, by itself and without holds."""

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.intake import LWS_PATH, Intake
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.base.effort import Effort
from lws_placement.engine.fit.node_filters import why_not_node
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.objects.pod_volumes import PodIdentity
from lws_placement.engine.rules.pod_rules import with_rules


def read_cache(items):
    """A cache of everything that is there; `items(path, **params)` lists, as `AdminApi.items`. An
    object that cannot be understood raises.
    """
    cache = ClusterCache(TopologyIndex())
    fill(Intake(cache, namespace="lws-placement-system"), items)
    return cache


def fill(intake, items):
    """With all that a cluster serves which has nothing installed."""
    for kind in intake.kinds:
        if kind.path != LWS_PATH and kind not in intake.quotas:
            for raw in items(kind.path, **kind.params):
                kind.put(raw)


def decoded(pod_raw):
    pod = decode_pod(pod_raw)
    assert not pod.unread, f"{pod.key} cannot be understood: {pod.unread}"
    return pod


def verdicts(cache, pod_raw):
    """Node -> None if the pod may go there, else why not. The pod is not in the cache."""
    pod = decoded(pod_raw)
    cache.devices.expect(pod.demand)
    group = Group(
        GroupId.of_pod(pod.namespace, pod.name, pod.uid),
        TopologyRequest(),
        (Member(0, pod.demand),),
        identity_of=lambda rank: PodIdentity(pod.name, pod.uid, labels=dict(pod.labels)),
    )
    ruled = with_rules(group, cache.domains)
    (member,) = ruled.members
    return {
        view.node.name: why_not_node(member.demand, view) or _why_not_jointly(ruled, view)
        for view in cache.domains.node_views()
    }


def _why_not_jointly(group, view):
    broken = group.joint.broken({0: view.node}, Effort()) if group.joint is not None else None
    return broken and broken[1]
