"""`explain` and `status` on a large cluster, without an API server: its lists come page by page as
JSON, as our client gets them.

Half of the domains have a group, the others a small pod on each node, and a LeaderWorkerSet of 100
groups waits; four pods on every node. The baseline does no more than decode the JSON.
"""

import asyncio
import json
import time

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import read_once
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.hold_lease import encode_holds
from lws_placement.inspect.inquiry import Inquiry
from lws_placement.inspect.overview import overview
from lws_placement.inspect.status_text import overview_text
from lws_placement.inspect.text import answer_text

from .figures import Figure
from .objects import CHIPS, NAMESPACE, PER_DOMAIN, a_filler, a_member, a_node, node_name
from .world import a_hold, bound, group_of_member

OURS = "lws-placement-system"
PER_NODE = 4
WAITING = 100
PAGE = 500
MOST = 40
GUARDED = (CHIPS,)


class Pages:
    """The lists of the API server."""

    def __init__(self, lists):
        self._lists = {
            kind: [json.dumps({"items": items[i : i + PAGE]}) for i in range(0, len(items), PAGE)]
            for kind, items in lists.items()
        }

    async def pages(self, path, **_):
        for page in self._lists.get(path.rpartition("/")[2], ()):
            yield json.loads(page)["items"], "1"

    def decode(self):
        for pages in self._lists.values():
            for page in pages:
                json.loads(page)


def measure(args, console):
    figures = []
    for nodes in (int(n) for n in (args.nodes or "15000").split(",")):
        console.print(f"answers: {nodes} nodes, {nodes * PER_NODE} pods …")
        figures += _measure(nodes)
    return figures


def _measure(nodes):
    api, cache = Pages(_lists(nodes)), ClusterCache(TopologyIndex())
    decoding_s = _cpu_s(api.decode)
    reading_s = _cpu_s(lambda: asyncio.run(read_once(api, cache, namespace=OURS)))
    status_s = _cpu_s(lambda: _status(cache))
    explain_s = _cpu_s(lambda: _explain(cache))
    where = f"{nodes} nodes, {nodes * PER_NODE} pods, {WAITING} groups waiting"
    against = "decoding the JSON of the lists"
    return [
        Figure("answers", where, what, seconds, "s", against, decoding_s)
        for what, seconds in (
            ("reading the cluster, CPU", reading_s),
            ("status, when it is read, CPU", status_s),
            ("explain of all that wait, when it is read, CPU", explain_s),
        )
    ]


def _status(cache):
    overview_text(overview(cache, guarded=GUARDED, most=MOST, failures={}), most=MOST)


def _explain(cache):
    inquiry = Inquiry(cache)
    groups = inquiry.groups_of(NAMESPACE, "waits")
    inquiry.rehearse()
    for group in groups:
        answer_text(inquiry.about(group), inquiry)


def _cpu_s(work):
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _lists(nodes):
    domains = range(nodes // PER_DOMAIN)
    return {
        "nodes": [_stored(a_node(i), f"node-{i}") for i in range(nodes)],
        "pods": [*(p for d in domains for p in _pods_in(d)), *map(_waiting, range(WAITING))],
        "leases": [_lease(d) for d in domains if d % 2],
    }


def _pods_in(domain):
    for rank in range(PER_DOMAIN):
        i = domain * PER_DOMAIN + rank
        for k in range(PER_NODE):
            raw = a_filler(i * PER_NODE + k, node_name(i))
            if k == 0 and domain % 2:
                raw = a_member(domain, rank, gated=False)
            elif k == 0:
                raw["spec"]["containers"][0]["resources"]["requests"][CHIPS] = "1"
            yield bound(raw, node_name(i), uid=f"pod-{i}-{k}")


def _lease(domain):
    hold = a_hold(domain, number=domain, group=group_of_member(domain))
    return _stored(encode_holds([hold], namespace=OURS), f"lease-{domain}")


def _waiting(number):
    """The gated leader of a group of another set."""
    raw = a_member(number, 0)
    meta = raw["metadata"]
    meta |= {"name": f"waits-{number}", "uid": f"waits-{number}"}
    meta["labels"] |= {
        "leaderworkerset.sigs.k8s.io/name": "waits",
        "leaderworkerset.sigs.k8s.io/group-key": f"waits-{number}",
    }
    meta["annotations"] |= {"lws-placement.dev/lws-uid": "lws-waits"}
    meta["annotations"]["leaderworkerset.sigs.k8s.io/size"] = "1"
    meta["ownerReferences"][0]["name"] = "waits"
    return raw


def _stored(raw, uid):
    raw["metadata"] |= {"uid": uid, "resourceVersion": "1"}
    return raw
