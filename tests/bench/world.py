"""A large cluster in the cache, as our watches would have filled it; no API server."""

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_node
from lws_placement.cluster.codec.pods.requirements import decode_demand
from lws_placement.engine.base.group_names import group_key
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.workload import LwsInfo, Templates
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import PlacementRequest

from .objects import CHIPS, KEY, NAMESPACE, PER_DOMAIN, a_filler, a_member, a_node, node_name

LWS_UID = "lws-bench"
WHOLE_NODE = decode_demand(a_member(0, 0)["spec"])


def a_large_cluster(nodes, *, rules=None):
    cache = ClusterCache(TopologyIndex())
    for i in range(nodes):
        cache.domains.put_node(decode_node(a_node(i)))
    demand = decode_demand(a_member(0, 0, rules=rules)["spec"])
    labels = (("app", "bench"),)
    templates = Templates(
        PER_DOMAIN, leader=demand, worker=demand, leader_labels=labels, worker_labels=labels
    )
    cache.put_lws(
        LwsInfo(NAMESPACE, "bench", LWS_UID, nodes, PlacementRequest(topology=KEY), templates)
    )
    return cache


def group_of(number):
    return GroupId(NAMESPACE, "bench", LWS_UID, group_key(NAMESPACE, f"bench-{number}"))


def held(cache, domain, *, number, name="others", group=None):
    """The domain is somebody's, all four nodes of it."""
    hold = a_hold(domain, number=number, name=name, group=group)
    cache.put_hold(hold)
    return hold


def a_hold(domain, *, number, name="others", group=None):
    nodes = {rank: node_name(domain * PER_DOMAIN + rank) for rank in range(PER_DOMAIN)}
    return Hold(
        domain=domain_of(domain),
        group=group or GroupId(NAMESPACE, name, f"lws-{name}", f"key-{number}"),
        group_index=str(number),
        leader_name=f"{name}-{number}",
        revision="r1",
        size=PER_DOMAIN,
        plan="p",
        nodes=nodes,
        demands=dict.fromkeys(nodes, WHOLE_NODE),
        resource_version="1",
        uid=f"hold-{number}",
    )


def group_of_member(number):
    """The group of the pods that `a_member` makes."""
    return GroupId(NAMESPACE, "bench", LWS_UID, f"key-{number}")


def taken_by_all(cache, domains):
    """Each second domain by a group that runs there, the others by four small pods a node, of
    several priorities.
    """
    for domain in range(domains):
        for rank in range(PER_DOMAIN):
            node = node_name(domain * PER_DOMAIN + rank)
            if domain % 2:
                _put(cache, a_member(domain, rank, gated=False), node)
            for k in range(0 if domain % 2 else 4):
                _put_small(cache, 4 * (domain * PER_DOMAIN + rank) + k, node, priority=k)
        if domain % 2:
            held(
                cache,
                domain,
                number=domain,
                group=group_of_member(domain),
            )


def a_small_pod(cache, number, *, coming):
    """It comes to a domain of small pods, or the one that came last is gone."""
    name = f"late-{number - number % 2}"
    if not coming:
        cache.drop_pod(name)
        return
    node = node_name(number % 50 * 2 * PER_DOMAIN)
    _put_small(cache, number, node, priority=0, uid=name)


def _put_small(cache, number, node, *, priority, uid=""):
    raw = a_filler(number, node)
    raw["spec"]["containers"][0]["resources"]["requests"][CHIPS] = "1"
    raw["spec"]["priority"] = priority
    _put(cache, raw, node, uid=uid or f"small-{number}")


def _put(cache, raw, node, *, uid=""):
    cache.put_pod(bound(raw, node, uid=uid or raw["metadata"]["uid"]))


def bound(raw, node, *, uid):
    """The pod as it runs there."""
    stored = {"uid": uid, "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    raw["metadata"] |= stored
    raw["spec"]["nodeName"] = node
    raw["status"] = {"phase": "Running"}
    return raw


def domain_of(domain):
    return DomainName(KEY, f"slice-{domain:05}")


def small(cpu):
    return Demand(resources=(("cpu", cpu), (CHIPS, 1), ("pods", 1)))
