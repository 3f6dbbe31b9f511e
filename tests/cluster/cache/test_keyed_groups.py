"""What the cache knows of groups that have keys in place of ordinals."""

from dataclasses import replace

from lws_placement.cluster.adapters.group_state import observe
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName

DOMAIN = DomainName("rack", "r0")


def group(key):
    return GroupId("ns", "llm", "u", key)


def a_hold(key, **more):
    return Hold(
        domain=DOMAIN,
        group=group(key),
        group_index=key,
        leader_name=f"llm-{key}",
        revision="r",
        size=1,
        plan=key,
        nodes={0: "n0"},
        demands={0: Demand((("cpu", 1),))},
        resource_version="1",
        **more,
    )


def a_leader(key, *, version=1, **meta):
    labels = {
        keys.LWS_NAME: "llm",
        keys.LWS_GROUP_KEY: key,
        keys.LWS_GROUP_INDEX: key,
        keys.LWS_WORKER_INDEX: "0",
    }
    notes = {keys.LWS_SIZE: "1", keys.LWS_EXCLUSIVE_TOPOLOGY: "rack", keys.LWS_UID: "u"}
    owner = {"kind": "ReplicaSet", "name": "llm-5c9f", "uid": "rs", "controller": True}
    made = {"name": f"llm-{key}", "namespace": "ns", "uid": key, "resourceVersion": str(version)}
    meta = {**made, "labels": labels, "annotations": notes, "ownerReferences": [owner], **meta}
    gates = [{"name": keys.GATE}]
    return {"metadata": meta, "spec": {"containers": [{"name": "c"}], "schedulingGates": gates}}


class Told:
    def __init__(self):
        self.groups = []

    def group_changed(self, group):
        self.groups.append(group)

    def capacity_changed(self):
        pass


def a_cache():
    """Group `old` has the domain; `new` waits."""
    cache = ClusterCache(TopologyIndex())
    for key in ("old", "new"):
        cache.put_pod(a_leader(key))
    cache.put_hold(a_hold("old"))
    cache.listeners.append(Told())
    return cache


def told(cache):
    return set(cache.listeners[0].groups)


def left(cache, key):
    return [place.group for place in observe(cache, group(key), plan_id="").left]


def test_who_waits_hears_of_a_group_of_its_set_that_is_over():
    cache = a_cache()
    assert left(cache, "new") == []
    cache.put_pod(a_leader("old", version=2, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert group("new") in told(cache)
    assert left(cache, "new") == [group("old")]
    assert observe(cache, group("old"), plan_id="").is_over


def test_who_waits_hears_of_a_leader_that_vanished():
    cache = a_cache()
    cache.drop_pod("old", version=2)
    assert group("new") in told(cache)
    assert left(cache, "new") == [group("old")]


def test_a_place_is_one_successors_alone_until_that_gives_it_up():
    cache = a_cache()
    cache.put_pod(a_leader("third"))
    cache.drop_pod("old", version=2)
    coming = a_hold("third", state=HoldState.COMING, evicts=(group("old"),))
    cache.put_hold(coming)
    assert left(cache, "new") == []
    assert left(cache, "third") == [group("old")]
    for end in (
        lambda: cache.put_hold(replace(coming, state=HoldState.LEAVING)),
        lambda: cache.drop_hold(DOMAIN, group("third")),
    ):
        cache.put_hold(coming)
        cache.listeners[0].groups.clear()
        end()
        assert group("new") in told(cache)
        assert left(cache, "new") == [group("old")]


def test_a_group_with_a_place_is_offered_no_other():
    cache = a_cache()
    cache.put_hold(replace(a_hold("new"), domain=DomainName("rack", "r1")))
    cache.listeners[0].groups.clear()
    cache.drop_pod("old", version=2)
    assert left(cache, "new") == []
    assert group("new") not in told(cache)
