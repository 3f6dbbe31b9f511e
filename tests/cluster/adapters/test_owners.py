"""Whose a pod is: the labels and the controllers above, from the cache or live."""

from types import SimpleNamespace

import pytest

from lws_placement.cluster.adapters.owners import Owners
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.pods.identity import identify
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.admission.membership import why_no_member
from lws_placement.engine.base import keys
from lws_placement.errors import ApiError, NotFoundError

APPS = "/apis/apps/v1/namespaces/ns"
LWS_PATH = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/ns/leaderworkersets"


class Api:
    """Objects by path; None: it does not answer. `asked` counts."""

    def __init__(self, objects):
        self._objects = objects
        self.asked = 0

    async def get(self, path):
        self.asked += 1
        if self._objects is None:
            raise ApiError("no route")
        if path not in self._objects:
            raise NotFoundError(path, status=404)
        return self._objects[path]


def an_object(kind, name, *, above=None, **meta):
    made = {
        "name": name,
        "namespace": "ns",
        "uid": f"{kind}-{name}",
        "resourceVersion": "5",
        **meta,
    }
    if above is not None:
        owner = {"kind": above[0], "name": above[1], "uid": f"{above[0]}-{above[1]}"}
        made["ownerReferences"] = [{**owner, "controller": True}]
    return {"metadata": made}


def a_pod(rank=0, *, above, name="", notes=None):
    labels = {
        keys.LWS_NAME: "llm",
        keys.LWS_GROUP_KEY: "key",
        keys.LWS_GROUP_INDEX: "0",
        keys.LWS_WORKER_INDEX: str(rank),
    }
    notes = {keys.LWS_SIZE: "4", keys.LWS_EXCLUSIVE_TOPOLOGY: "rack", **(notes or {})}
    name = name or (f"llm-0-{rank}" if rank else "llm-0")
    pod = an_object("Pod", name, above=above, labels=labels, annotations=notes)
    return {**pod, "spec": {"containers": [{"name": "c"}]}}


LEADERS = an_object("StatefulSet", "llm", above=("LeaderWorkerSet", "llm"))
WORKERS = an_object("StatefulSet", "llm-0", above=("Pod", "llm-0"))
LEADER = a_pod(above=("StatefulSet", "llm"))
LWS = an_object("LeaderWorkerSet", "llm", annotations={keys.SCOPE: "Namespace"})
CLUSTER = {
    f"{APPS}/statefulsets/llm": LEADERS,
    f"{APPS}/statefulsets/llm-0": WORKERS,
    "/api/v1/namespaces/ns/pods/llm-0": LEADER,
    f"{LWS_PATH}/llm": LWS,
}


REPLICA_SET = an_object("ReplicaSet", "llm-5c9f", above=("Deployment", "llm"))
DEPLOYMENT = an_object("Deployment", "llm", above=("LeaderWorkerSet", "llm"))
KEYED = {
    **CLUSTER,
    f"{APPS}/replicasets/llm-5c9f": REPLICA_SET,
    f"{APPS}/deployments/llm": DEPLOYMENT,
}


def keyed(pod):
    """Its group has a key in place of an ordinal."""
    labels = {**pod["metadata"]["labels"], keys.LWS_GROUP_INDEX: "key"}
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}}


def without(path):
    return {p: raw for p, raw in CLUSTER.items() if p != path}


def orphaned(path, raw):
    return {**CLUSTER, path: {"metadata": {**raw["metadata"], "ownerReferences": []}}}


async def owner(pod, objects=None, *, cached=()):
    cache = ClusterCache(TopologyIndex())
    for raw in cached:
        put = cache.put_pod if "spec" in raw else cache.workloads.put_stateful_set
        put(raw)
    return await Owners(Api(CLUSTER if objects is None else objects), cache).of_member(pod, "ns")


@pytest.mark.parametrize("cached", [(), (LEADERS,), (LEADERS, WORKERS), (LEADERS, WORKERS, LEADER)])
@pytest.mark.parametrize(
    "pod", [LEADER, a_pod(3, above=("StatefulSet", "llm-0"))], ids=["leader", "worker"]
)
async def test_a_member_is_the_lws_at_the_top_of_its_controllers(pod, cached):
    found = await owner(pod, cached=cached)
    assert found.uid == "LeaderWorkerSet-llm"
    assert found.annotations == {keys.SCOPE: "Namespace"}


NO_MEMBERS = {
    "nobody controls it": a_pod(above=None),
    "of a Deployment": a_pod(above=("ReplicaSet", "llm-5c9f")),
    "of another StatefulSet": a_pod(above=("StatefulSet", "web")),
    "a leader by label, controlled as a worker": a_pod(above=("StatefulSet", "llm-0")),
    "a worker by label, controlled as a leader": a_pod(2, above=("StatefulSet", "llm")),
    "a worker of another leader": a_pod(2, above=("StatefulSet", "llm-1")),
    "of a Job": a_pod(2, above=("Job", "llm-0")),
}


@pytest.mark.parametrize("pod", NO_MEMBERS.values(), ids=NO_MEMBERS)
async def test_labels_alone_make_nobody_a_member_and_nothing_is_asked_for_it(pod):
    api = Api(None)
    assert await Owners(api, ClusterCache(TopologyIndex())).of_member(pod, "ns") is None
    assert api.asked == 0


@pytest.mark.parametrize("pod", NO_MEMBERS.values(), ids=NO_MEMBERS)
async def test_the_planner_thinks_as_admission_does_and_says_why(pod):
    decoded = decode_pod(pod)
    assert identify(decoded, {}, {}) is None
    assert why_no_member(decoded).startswith("it is controlled by ")


@pytest.mark.parametrize(
    "objects",
    [
        without(f"{APPS}/statefulsets/llm"),
        orphaned(f"{APPS}/statefulsets/llm", LEADERS),
        {
            **CLUSTER,
            f"{APPS}/statefulsets/llm": an_object("StatefulSet", "llm", above=("Lws", "llm")),
        },
    ],
    ids=["the StatefulSet is gone", "it is an orphan", "it is somebody else's"],
)
async def test_a_statefulset_that_leads_to_no_lws_makes_no_members(objects):
    for pod in (LEADER, a_pod(1, above=("StatefulSet", "llm-0"))):
        assert await owner(pod, objects) is None


async def test_a_set_of_another_name_than_the_label_says_is_not_believed():
    other = an_object("StatefulSet", "llm", above=("LeaderWorkerSet", "other"))
    assert await owner(LEADER, {**CLUSTER, f"{APPS}/statefulsets/llm": other}) is None


async def test_a_leader_without_an_ordinal_is_of_the_set_of_its_deployment():
    leader = keyed(a_pod(above=("ReplicaSet", "llm-5c9f")))
    del leader["metadata"]["name"]
    assert (await owner(leader, KEYED)).uid == "LeaderWorkerSet-llm"
    for objects in (
        CLUSTER,
        {**KEYED, f"{APPS}/replicasets/llm-5c9f": an_object("ReplicaSet", "llm-5c9f")},
        {**KEYED, f"{APPS}/deployments/llm": an_object("Deployment", "llm")},
    ):
        assert await owner(leader, objects) is None


async def test_a_replica_set_is_asked_for_once():
    api = Api(KEYED)
    owners = Owners(api, ClusterCache(TopologyIndex()))
    leader = keyed(a_pod(above=("ReplicaSet", "llm-5c9f")))
    for _ in range(3):
        assert (await owners.of_member(leader, "ns")).uid == "LeaderWorkerSet-llm"
    assert api.asked == 2 + 3, "the annotations of the set are read each time"


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(above=("ReplicaSet", "llm-5c9f")),
        keyed(a_pod(above=("StatefulSet", "llm"))),
        keyed(a_pod(above=("ReplicaSet", "web-5c9f"))),
        keyed(a_pod(above=("ReplicaSet", "llm-web-5c9f"))),
        keyed(a_pod(above=("Deployment", "llm"))),
    ],
)
async def test_who_has_an_ordinal_is_of_a_statefulset_and_who_has_none_of_a_deployment(pod):
    assert await owner(pod, KEYED) is None
    decoded = decode_pod(pod)
    assert identify(decoded, {}, {}) is None
    wanted = "a ReplicaSet of Deployment llm" if decoded.member.keyed else "StatefulSet llm"
    assert why_no_member(decoded).endswith(f", not by {wanted}")


async def test_a_worker_of_a_leader_without_an_ordinal():
    worker = keyed(a_pod(3, above=("StatefulSet", "llm-5c9f-x"), name="llm-5c9f-x-3"))
    stateful_set = an_object("StatefulSet", "llm-5c9f-x", above=("Pod", "llm-5c9f-x"))
    leader = keyed(a_pod(above=("ReplicaSet", "llm-5c9f"), name="llm-5c9f-x"))
    objects = {
        **KEYED,
        f"{APPS}/statefulsets/llm-5c9f-x": stateful_set,
        "/api/v1/namespaces/ns/pods/llm-5c9f-x": leader,
    }
    for cached in ((), (stateful_set,), (stateful_set, leader)):
        assert (await owner(worker, objects, cached=cached)).uid == "LeaderWorkerSet-llm"


async def test_what_cannot_be_read_is_an_error_not_a_no():
    with pytest.raises(ApiError):
        await Owners(Api(None), ClusterCache(TopologyIndex())).of_member(LEADER, "ns")


async def test_a_worker_has_the_stamp_of_its_leader_and_none_of_a_foreign_one():
    worker = a_pod(3, above=("StatefulSet", "llm-0"))
    stamped = a_pod(above=("StatefulSet", "llm"), notes={keys.LWS_UID: "stamped"})
    assert (await owner(worker, cached=[stamped])).uid == "stamped"
    forged = {keys.LWS_UID: "forged", keys.ADMITTED: keys.FOREIGN}
    foreign = a_pod(above=("ReplicaSet", "web-1"), notes=forged)
    assert await owner(worker, cached=[foreign]) is None


def test_what_admission_found_outlives_what_it_found_it_by():
    foreign = decode_pod(a_pod(above=("StatefulSet", "llm"), notes={keys.ADMITTED: keys.FOREIGN}))
    assert identify(foreign, {}, {}) is None
    assert why_no_member(foreign) == "StatefulSet llm does not belong to LeaderWorkerSet llm"
    member = decode_pod(a_pod(above=("StatefulSet", "llm"), notes={keys.LWS_UID: "u"}))
    assert identify(member, {}, {}).lws_uid == "u"
    assert why_no_member(member) == ""


def test_a_pod_that_only_carries_the_labels_keeps_others_out_of_its_domain():
    pod = a_pod(above=("ReplicaSet", "web-1"))
    pod["spec"]["nodeName"] = "n0"
    cache = ClusterCache(TopologyIndex())
    cache.domains.put_node(SimpleNamespace(name="n0", labels={"rack": "r0"}, allocatable={}))
    cache.put_pod(pod)
    assert cache.domains.node_view("n0").groups


RING = (
    an_object("StatefulSet", "llm", above=("Pod", "llm-0")),
    LEADER,
)


@pytest.mark.parametrize("cached", [(), RING], ids=["live", "cached"])
@pytest.mark.parametrize("pod", [LEADER, a_pod(3, above=("StatefulSet", "llm-0"))])
async def test_controllers_in_a_ring_have_no_lws_above_them(pod, cached):
    """From the cache alone, an endless walk would never give the event loop a turn."""
    objects = {**CLUSTER, f"{APPS}/statefulsets/llm": RING[0]}
    assert await owner(pod, objects, cached=cached) is None


async def test_a_replica_set_that_controls_itself_is_looked_at_a_few_times():
    itself = an_object("ReplicaSet", "web", above=("ReplicaSet", "web"))
    api = Api({f"{APPS}/replicasets/web": itself})
    owners = Owners(api, ClusterCache(TopologyIndex()))
    found = await owners.of_group_pod(a_pod(above=("ReplicaSet", "web")), "ns")
    assert found.uid == "ReplicaSet-web"
    assert api.asked <= 8


@pytest.mark.parametrize("name", ["x?watch=1", "x/status", "../pods/y", "n" * 900_000])
async def test_nothing_is_asked_for_an_owner_with_a_name_that_nothing_has(name):
    api = Api(CLUSTER)
    owners = Owners(api, ClusterCache(TopologyIndex()))
    assert (await owners.of_group_pod(a_pod(above=("Job", name)), "ns")).uid == f"Job-{name}"
    assert api.asked == 0
