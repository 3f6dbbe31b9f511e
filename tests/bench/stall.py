"""How long the worst shapes of groups keep the event loop: the real planner over a real cache of
a large cluster, without an API server. A figure is the most CPU of one turn of the loop in the ten
seconds after the pods appear: watches and answers wait for that long. Nothing is written, so what
is placed or given up is planned again meanwhile, as on a cluster where things change.

The domains of `PART` have 1 000 nodes, those of the slices four. In each shape the members do not
all fit, or only just.
"""

import asyncio
import time

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_node

from .engine import OUTRANKS, _idle, _planning
from .figures import Figure
from .objects import CHIPS, KEY, NAMESPACE, PER_DOMAIN, a_node
from .world import bound, held, taken_by_all

PART = "topology.example.com/part"
PER_PART = 1000
WAITING = 1000
GOAL_S = 0.5
_WATCHED_S = 10.0
_TICK_S = 0.005
"""Short beside the goal, and cheap beside the planner."""


def measure(args, console):
    figures = []
    for nodes in (int(n) for n in (args.nodes or "15000").split(",")):
        for name, (prepare, shape) in SHAPES.items():
            if args.only and args.only not in name:
                continue
            console.print(f"stall: {nodes} nodes, {name} …")
            worst, all_of_it = asyncio.run(_stall(nodes, prepare, shape))
            where = f"{nodes} nodes"
            figures.append(Figure("stall", where, name, worst, "s", goal=GOAL_S))
            figures.append(Figure("stall", where, f"{name}, all turns", all_of_it, "s"))
    return figures


async def _stall(nodes, prepare, shape):
    cache = ClusterCache(TopologyIndex())
    for i in range(nodes):
        raw = a_node(i)
        raw["metadata"]["labels"][PART] = f"part-{i // PER_PART}"
        # All nodes differ a little, so no search may take one for another.
        raw["status"]["allocatable"]["cpu"] = f"{41_000 + i % 997}m"
        cache.domains.put_node(decode_node(raw))
    prepare(cache, nodes)
    async with _planning(cache) as actor:
        actor.apply = _do_nothing
        await _idle()
        turns = _Turns()
        ticker = asyncio.create_task(turns.count())
        for raw in shape(nodes):
            cache.put_pod(raw)
        await asyncio.sleep(_WATCHED_S)
        ticker.cancel()
        return turns.longest, turns.total


async def _do_nothing(group, action):
    pass


class _Turns:
    """CPU of the longest turn of the event loop, and of all. Of the whole process: a search for
    victims has a thread of its own, for which the loop waits.
    """

    def __init__(self):
        self.longest = self.total = 0.0

    async def count(self):
        before = time.process_time()
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.process_time()
            self.longest = max(self.longest, now - before)
            self.total += now - before
            before = now


def _nothing(cache, nodes):
    pass


def _all_taken(cache, nodes):
    """By groups and pods of lower priorities, each a possible victim."""
    taken_by_all(cache, nodes // PER_DOMAIN)


def _outranking(count, *, key=""):
    """Members that fit nowhere until many pods are gone."""
    spec = {"priority": OUTRANKS}

    def pods(nodes):
        for raw in _unlike(count, key=key, low=30_000, step=1, **spec)(nodes):
            raw["spec"]["containers"][0]["resources"]["requests"][CHIPS] = "4"
            yield raw

    return pods


def _all_held(cache, nodes):
    for domain in range(nodes // PER_DOMAIN):
        held(cache, domain, number=domain)


def a_labelled(name, rank, size, *, asks, cpu, created=0, **spec):
    """A gated pod of a group by label, as it is after admission."""
    requests = {"cpu": cpu, "lws-placement.dev/member": "0"}
    container = {"name": "c", "image": "x", "resources": {"requests": requests}}
    return {
        "metadata": {
            "name": f"{name}-{rank}",
            "namespace": NAMESPACE,
            "uid": f"uid-{name}-{rank}",
            "resourceVersion": "1",
            "creationTimestamp": f"2026-01-01T00:00:{created % 60:02}Z",
            "labels": {"lws-placement.dev/group": name, "rank": str(rank)},
            "annotations": {
                "lws-placement.dev/group-size": str(size),
                "lws-placement.dev/admitted": "gated",
                "lws-placement.dev/owner-uid": f"owner-{name}",
                **asks,
            },
            "ownerReferences": [
                {"kind": "Job", "name": name, "uid": f"owner-{name}", "controller": True}
            ],
        },
        "spec": {
            "containers": [container],
            "schedulingGates": [{"name": "lws-placement.dev/unplanned"}],
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def _unlike(count, *, key=PART, low=20_000, step=7, **spec):
    """Members of which no two ask for the same."""
    asks = {"lws-placement.dev/topology": key} if key else {"lws-placement.dev/gang": "true"}

    def pods(nodes):
        for rank in range(count):
            yield a_labelled("g", rank, count, asks=asks, cpu=f"{low + step * rank}m", **spec)

    return pods


def _fewer_nodes_open(cache, nodes):
    """Only 25 nodes of each part have room for more than one small pod."""
    for i in range(nodes):
        if i % PER_PART >= 25:
            raw = {
                "metadata": {"name": f"f-{i}", "namespace": NAMESPACE, "ownerReferences": []},
                "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "30"}}}]},
            }
            cache.put_pod(bound(raw, cache.domains.node(_name(cache, i)).name, uid=f"f-{i}"))


def _name(cache, i):
    return a_node(i)["metadata"]["name"]


def _term(number, **more):
    wanted = {"key": f"k{number}", "operator": "DoesNotExist"}
    selector = {"matchExpressions": [wanted]}
    return {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector, **more}


def _repelled(cache, nodes):
    """A pod that keeps everybody off its node, twenty thousand times."""
    terms = [_term(n, namespaceSelector={}) for n in range(20_000)]
    raw = {
        "metadata": {"name": "shy", "namespace": "other", "ownerReferences": []},
        "spec": {
            "containers": [{"name": "c"}],
            "affinity": {
                "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}
            },
        },
    }
    cache.put_pod(bound(raw, _name(cache, 0), uid="shy"))


def _ruled(count, kind, *, terms, key=PART):
    """Members with rules about each other, all of which select all members."""
    wanted = [
        {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {
                "matchExpressions": [{"key": "rank", "operator": "NotIn", "values": [f"x{n}"]}]
            },
        }
        for n in range(terms)
    ]
    affinity = {kind: {"requiredDuringSchedulingIgnoredDuringExecution": wanted}}
    return _unlike(count, key=key, affinity=affinity)


def _spread(count, *, key=PART):
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchExpressions": [{"key": "rank", "operator": "Exists"}]},
    }
    return _unlike(count, key=key, topologySpreadConstraints=[constraint])


def _many_shapes(nodes):
    for number in range(WAITING):
        asks = {"lws-placement.dev/topology": KEY}
        for rank in range(2):
            cpu = f"{39_000 + number}m"
            yield a_labelled(f"g{number}", rank, 2, asks=asks, cpu=cpu, created=number)


def _particular(count, *, key=KEY):
    """Members with thousands of node affinity terms, none of which a node meets."""
    terms = [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": [f"x{n}"]}]}
        for n in range(300)
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return _unlike(count, key=key, affinity={"nodeAffinity": required})


SHAPES = {
    "4 pods with 300 node affinity terms": (_nothing, _particular(4)),
    "51 unlike pods, two on a node of 25 each": (_fewer_nodes_open, _unlike(51)),
    "40 unlike pods in a part": (_nothing, _unlike(40)),
    "9 unlike pods in a slice": (_nothing, _unlike(9, key=KEY)),
    "2 000 unlike pods in a part": (_nothing, _unlike(2000, step=1, low=20_000)),
    "1 000 unlike pods anywhere": (_nothing, _unlike(1000, key="", step=1)),
    "40 unlike pods that keep apart": (_fewer_nodes_open, _ruled(40, "podAntiAffinity", terms=1)),
    "300 unlike pods with 60 terms each": (_nothing, _ruled(300, "podAntiAffinity", terms=60)),
    "200 unlike pods that want to be near": (_nothing, _ruled(200, "podAffinity", terms=30)),
    "9 pods with rules in a slice": (_nothing, _ruled(9, "podAffinity", terms=1, key=KEY)),
    "300 unlike pods, spread": (_fewer_nodes_open, _spread(300)),
    "9 pods, spread, in a slice": (_nothing, _spread(9, key=KEY)),
    "a plan beside 20 000 terms of a pod": (_repelled, _unlike(4, key=KEY)),
    "1 000 groups of other shapes": (_all_held, _many_shapes),
    "victims for 200 pods anywhere": (_all_taken, _outranking(200)),
}
