"""A large cluster in the cache, as our watches would have filled it; no API server."""

from lws_placement.cluster.cache import ClusterCache
from lws_placement.cluster.decode import decode_node
from lws_placement.cluster.decode_demand import decode_demand
from lws_placement.cluster.domains import DomainIndex
from lws_placement.engine.ask import Ask
from lws_placement.engine.holds import Hold
from lws_placement.engine.lws_groups import group_key
from lws_placement.engine.model import Demand, DomainName, GroupId
from lws_placement.engine.workload import LwsInfo, Templates

from .objects import CHIPS, KEY, NAMESPACE, PER_DOMAIN, a_member, a_node, node_name

LWS_UID = "lws-bench"
WHOLE_NODE = decode_demand(a_member(0, 0)["spec"])


def a_large_cluster(nodes):
    cache = ClusterCache(DomainIndex())
    for i in range(nodes):
        cache.domains.put_node(decode_node(a_node(i)))
    templates = Templates(PER_DOMAIN, leader=WHOLE_NODE, worker=WHOLE_NODE)
    cache.put_lws(LwsInfo(NAMESPACE, "bench", LWS_UID, nodes, Ask(topology=KEY), templates))
    return cache


def group_of(number):
    return GroupId(NAMESPACE, "bench", LWS_UID, group_key(NAMESPACE, f"bench-{number}"))


def held(cache, domain, *, number, name="others"):
    """The domain is somebody's, all four nodes of it."""
    nodes = {rank: node_name(domain * PER_DOMAIN + rank) for rank in range(PER_DOMAIN)}
    hold = Hold(
        domain=domain_of(domain),
        group=GroupId(NAMESPACE, name, f"lws-{name}", f"key-{number}"),
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
    cache.put_hold(hold)
    return hold


def domain_of(domain):
    return DomainName(KEY, f"slice-{domain:05}")


def small(cpu):
    return Demand(resources=(("cpu", cpu), (CHIPS, 1), ("pods", 1)))
