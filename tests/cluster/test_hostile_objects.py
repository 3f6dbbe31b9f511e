"""Whatever is in an object: no watch and no follower ends, others are told, and what sits on a node
still counts there.
"""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.valid_objects import (
    LEASES,
    NODES,
    OURS,
    VALID,
    a_hold,
    a_node,
    a_pod,
    a_revision,
    an_lws,
)

from lws_placement.cluster.api.watch import Watcher
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import Informers, read_once
from lws_placement.cluster.cache.intake import PODS_PATH, REVISIONS_PATH
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.cluster.codec.workloads import decode_lws
from lws_placement.controller.informer_cache import Observed, pod_state
from lws_placement.engine.base import keys
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.errors import InvalidObjectError


class Told:
    """An API server that tells of `events`, (path, kind, object), one after another."""

    def __init__(self, events):
        self._events = events
        self._left = len({path for path, _, _ in events})
        self.done = asyncio.Event()

    async def pages(self, path, **params):
        yield [], "1"

    async def watch(self, path, **params):
        mine = [(kind, raw) for at, kind, raw in self._events if at == path]
        for kind, raw in mine:
            yield {"type": kind, "object": raw}
        self._left -= bool(mine)
        if not self._left:
            self.done.set()
        await asyncio.Event().wait()


async def take(*events):
    """The cache after all that follows the API server has been told."""
    api, cache = Told(events), ClusterCache(TopologyIndex())
    informers = Informers(api, cache, namespace=OURS)
    observed = Observed(api, informers, on_lws=ignore, on_child=ignore, on_pod=ignore)
    tasks = [asyncio.create_task(one.run()) for one in (informers, observed)]
    done = asyncio.create_task(api.done.wait())
    await asyncio.wait([*tasks, done], return_when=asyncio.FIRST_COMPLETED, timeout=60)
    ended = [task.exception() for task in tasks if task.done()]
    for task in (*tasks, done):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not ended
    assert api.done.is_set()
    return cache


def ignore(_):
    pass


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "0", "-1", "1e9999999", "9" * 5000, "١", "In", "2020-13-45T00:00:00Z"])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["name", "key", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value, here=()):
    """Paths to everything inside of `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        yield (*here, key)
        if isinstance(item, dict | list):
            yield from places(item, (*here, key))


@st.composite
def mutated(draw):
    """(path, a valid object of which one to three things are something else or gone)."""
    path = draw(st.sampled_from(sorted(VALID)))
    raw = json_copy(VALID[path])
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(sorted(places(raw), key=str) or [("metadata",)]))
        at = raw
        for key in where[:-1]:
            at = at[key]
        if draw(st.booleans()) and isinstance(at, dict):
            at.pop(where[-1], None)
        else:
            at[where[-1]] = draw(JSON)
    return path, raw


@settings(max_examples=300)
@given(mutated())
def test_no_mutation_of_a_valid_object_ends_a_watch_or_is_more_than_skipped(caplog_of, mutation):
    path, raw = mutation
    last = json_copy(VALID[path])
    last["metadata"]["resourceVersion"] = "9"
    with caplog_of() as records:
        asyncio.run(take((path, "ADDED", raw), (path, "MODIFIED", last), (path, "DELETED", raw)))
    unexpected = [r for r in records if r.exc_info]
    assert not unexpected, unexpected[0].exc_info


@pytest.fixture(scope="module")
def caplog_of():
    class Records(logging.Handler):
        def __init__(self):
            super().__init__(logging.ERROR)
            self.found = []

        def emit(self, record):
            self.found.append(record)

        def __enter__(self):
            logging.getLogger("lws_placement").addHandler(self)
            return self.found

        def __exit__(self, *_):
            logging.getLogger("lws_placement").removeHandler(self)

    return Records


@pytest.mark.parametrize(
    "raw", [{}, {"metadata": None}, {"metadata": {"uid": "u"}}, {"metadata": {"name": ["x"]}}]
)
@pytest.mark.parametrize("path", sorted(VALID))
async def test_an_object_without_a_name_or_uid_is_passed_over_and_the_next_is_told(path, raw):
    cache = await take(
        (path, "ADDED", raw), (PODS_PATH, "ADDED", a_pod()), (NODES, "ADDED", a_node())
    )
    assert cache.pod("uid-llm-0") is not None
    assert cache.domains.node("n0") is not None


@pytest.mark.parametrize(
    "cpu",
    ["1e9999999", "1e200000", "-1e9999999", "1e-9999999", pytest.param("9" * 10**6, id="long")],
)
async def test_a_quantity_of_any_size_ends_nothing_and_the_next_pod_is_told(cpu):
    huge = a_pod("huge")
    huge["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu
    cache = await take((PODS_PATH, "ADDED", huge), (PODS_PATH, "ADDED", a_pod("next")))
    assert cache.pod("uid-huge").node == "n0"
    assert cache.pod("uid-next").node == "n0"


async def test_what_a_follower_raises_keeps_nobody_else_from_being_told():
    api = Told([(PODS_PATH, "ADDED", a_pod("a")), (PODS_PATH, "ADDED", a_pod("b"))])
    informers = Informers(api, ClusterCache(TopologyIndex()), namespace=OURS)
    seen = []

    def broken(kind, raw):
        raise RuntimeError("a follower's fault")

    informers.follow(PODS_PATH, broken)
    informers.follow(PODS_PATH, lambda kind, raw: seen.append(raw["metadata"]["name"]))
    task = asyncio.create_task(informers.run())
    await asyncio.wait_for(api.done.wait(), 60)
    assert not task.done()
    task.cancel()
    assert seen == ["a", "b"]


class Listed:
    """An API server whose pods, and nothing else, are these."""

    def __init__(self, *pods):
        self._pods = list(pods)

    async def pages(self, path, **params):
        yield (self._pods if path == PODS_PATH else []), "1"


async def test_lists_are_read_on_behind_what_cannot_be_read():
    broken = [None, {}, {"metadata": {"name": "x"}}, {**a_pod("y"), "spec": None}]
    cache = ClusterCache(TopologyIndex())
    await read_once(Listed(*broken, a_pod()), cache, namespace=OURS)
    assert cache.pod("uid-llm-0") is not None
    names = []
    watcher = Watcher(None, "/x", on_event=lambda kind, raw: names.append(raw["metadata"]["name"]))
    watcher.take_list([*broken, a_pod()])
    assert names == ["y", "llm-0"]


def test_an_unreadable_pod_counts_on_its_node_with_what_can_be_read():
    raw = a_pod()
    raw["spec"]["tolerations"] = [{"key": ["no", "text"]}]
    raw["spec"]["containers"][0]["resources"]["requests"]["memory"] = "lots"
    pod = decode_pod(raw)
    assert pod.node == "n0"
    assert pod.member is None
    assert dict(pod.demand.resources) == {"cpu": 1000, "google.com/tpu": 4, "pods": 1}
    assert "lots" in pod.unread or "text" in pod.unread
    raw["spec"]["containers"] = "none"
    assert dict(decode_pod(raw).demand.resources) == {"pods": 1}


def test_a_pod_without_a_name_is_an_error():
    raw = a_pod()
    del raw["metadata"]["name"]
    with pytest.raises(InvalidObjectError):
        decode_pod(raw)


def test_a_pod_that_changed_its_labels_and_is_gone_hides_no_set_of_that_name():
    pod, other = a_pod("x"), a_pod("x")
    for one, name in ((pod, "llm"), (other, "other")):
        one["metadata"]["labels"][keys.LWS_NAME] = name
        del one["metadata"]["annotations"][keys.LWS_EXCLUSIVE_TOPOLOGY]
    other["metadata"]["resourceVersion"] = "8"
    cache, told = ClusterCache(TopologyIndex()), []
    cache.put_pod(pod)
    cache.put_pod(other)
    cache.drop_pod("uid-x", version=9)
    cache.listeners.append(Listener(told))
    cache.put_lws(decode_lws(an_lws(), cache.pod_defaults.of("ns")))
    assert told == [("ns", "llm")]


class Listener:
    def __init__(self, told):
        self._told = told

    def lws_changed(self, namespace, name):
        self._told.append((namespace, name))

    def __getattr__(self, name):
        return lambda *_: None


async def test_a_pod_that_changed_its_group_is_in_that_one_alone():
    api = Told([])
    observed = Observed(
        api,
        Informers(api, ClusterCache(TopologyIndex()), namespace=OURS),
        on_lws=ignore,
        on_child=ignore,
        on_pod=ignore,
    )
    before, after = a_pod(), a_pod()
    after["metadata"]["labels"] |= {keys.LWS_GROUP_INDEX: "1", keys.LWS_WORKER_INDEX: "1"}
    one = pod_state(before)
    observed._put_pod(before)
    observed._put_pod(after)
    assert observed.group_of(one) == []
    assert observed.leaders_of(("ns", "llm")) == []
    assert len(observed.group_of(pod_state(after))) == 1
    observed._drop_pod(after)
    assert observed.group_of(pod_state(after)) == []


@pytest.mark.parametrize("data", ["x", [], {"spec": "x"}, {"spec": {"leaderWorkerTemplate": 1}}])
async def test_a_revision_that_is_none_is_not_one_of_its_set(data):
    api = Told([])
    informers = Informers(api, ClusterCache(TopologyIndex()), namespace=OURS)
    observed = Observed(api, informers, on_lws=ignore, on_child=ignore, on_pod=ignore)
    owner = {"kind": "LeaderWorkerSet", "name": "llm", "uid": "uid-llm", "controller": True}
    for raw in (a_revision(), {**a_revision(), "data": data}):
        raw["metadata"]["ownerReferences"] = [owner]
        raw["metadata"]["name"] = f"rev-{data}" if raw["data"] == data else "rev"
        informers._watchers[REVISIONS_PATH]._on_event("ADDED", raw)
    assert [r["metadata"]["name"] for r in observed.revisions_of(an_lws())] == ["rev"]


async def test_what_is_wrong_with_an_object_is_said_once(caplog):
    broken = a_pod()
    broken["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "lots"
    later = json_copy(broken)
    later["metadata"]["resourceVersion"] = "8"
    await take((PODS_PATH, "ADDED", broken), (PODS_PATH, "MODIFIED", later))
    said = [r for r in caplog.records if r.message == "skipped"]
    assert len(said) == 1
    assert "lots" in said[0].error


async def test_an_unreadable_hold_keeps_its_domain_shut_whatever_is_wrong_with_it():
    broken = a_hold()
    notes = broken["metadata"]["annotations"]
    notes[keys.HOLD] = notes[keys.HOLD].replace('"reservedFor":{"0":0}', '"reservedFor":{"0":9}')
    cache = await take((NODES, "ADDED", a_node()), (LEASES, "ADDED", broken))
    assert not cache.holds()
    (view,) = cache.domains.domains("rack")
    assert view.holders
