"""How groups stand in a cluster that was read once (`inspect/inquiry.py`, `overview.py`)."""

import json
from datetime import UTC, datetime
from functools import wraps

import pytest
from support.fake_cluster import FakeCluster
from support.fake_server import FakeServer
from support.fakes import FakeApi
from support.virtual_time import run

from lws_placement.cli.reading import read_leader
from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.informers import read_once
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.base.keys import GANG
from lws_placement.inspect.inquiry import Inquiry, Standing
from lws_placement.inspect.overview import overview
from lws_placement.inspect.report import answer_json
from lws_placement.inspect.status_text import overview_json, overview_text
from lws_placement.inspect.text import answer_text

OURS = "lws-placement-system"
TPU = "google.com/tpu"


def story(tell):
    """A test on a cluster with virtual time."""

    @wraps(tell)
    def test():
        async def told():
            cluster = FakeCluster()
            await cluster.start()
            await tell(cluster)
            await cluster.stop()

        run(told())

    del test.__wrapped__  # pytest would ask for a fixture `cluster`
    return test


async def read(cluster):
    cache = ClusterCache(TopologyIndex())
    api = FakeApi(cluster.server)
    await read_once(api, cache, namespace=OURS)
    assert api.writes == [], "an answer writes nothing"
    return cache


def about(cache, name):
    inquiry = Inquiry(cache)
    inquiry.rehearse()
    return {a.name: a for a in map(inquiry.about, inquiry.groups_of("ns", name))}, inquiry


def foreign(cluster, node):
    resources = {"requests": {TPU: "1"}}
    spec = {"nodeName": node, "containers": [{"name": "c", "resources": resources}]}
    pod = {"metadata": {"name": "job"}, "spec": spec, "status": {"phase": "Running"}}
    cluster.server.create("pods", pod, namespace="ns")


@story
async def test_groups_that_have_a_domain_and_one_that_waits_say_so(cluster):
    cluster.add_slice("a")
    cluster.add_slice("b")
    foreign(cluster, "b-1")
    cluster.add_lws(replicas=2)
    await cluster.rest()
    answers, inquiry = about(await read(cluster), "llm")
    standings = {answer.standing: answer for answer in answers.values()}
    assert set(standings) == {Standing.PLACED, Standing.WAITS}
    placed, waits = standings[Standing.PLACED], standings[Standing.WAITS]
    assert answer_text(placed, inquiry) == [
        f"{placed.name}: has example.com/slice=a, 2 of 2 pods are bound there"
    ]
    assert cluster.said("WaitingForDomain")[-1] == waits.note, "the words of its event"
    assert answer_text(waits, inquiry)[1:] == [
        "  place 1 of 1 in the queue",
        "  b: worker 1 needs 4 google.com/tpu, largest free node left has 3 (1 of 2 nodes fits); "
        "fits once pod ns/job on b-1 ends",
        f"  a: held by {placed.name}; fits once it ends",
    ]
    json.dumps(answer_json(waits, inquiry))


@story
async def test_of_a_group_of_several_domains_it_is_told_what_would_have_to_end_in_all(cluster):
    for name in ("a", "b"):
        cluster.add_slice(name)
    foreign(cluster, "b-1")
    cluster.add_lws("held")
    await cluster.rest()
    cluster.add_lws("wide", size=4, subgroup_size=2)
    cluster.add_lws("gang", size=2, notes={GANG: "true"})
    await cluster.rest()
    cache = await read(cluster)
    answers, inquiry = about(cache, "wide")
    (wide,) = answers.values()
    assert "  fits once ns/held-0 and pod ns/job on b-1 end" in answer_text(wide, inquiry)
    ending = {"groups": ["ns/held-0"], "pods": ["pod ns/job on b-1"]}
    assert answer_json(wide, inquiry)["fitsOnceEnded"] == ending
    answers, inquiry = about(cache, "gang")
    (gang,) = answers.values()
    (miss,) = answer_json(gang, inquiry)["misses"]
    assert miss["fitsOnceEnded"] == {"groups": [], "pods": ["pod ns/job on b-1"]}


@story
async def test_the_group_of_a_pod_is_found_by_the_pods_name(cluster):
    cluster.add_slice("a")
    cluster.add_lws()
    await cluster.rest()
    cache = await read(cluster)
    inquiry = Inquiry(cache)
    assert inquiry.groups_of("ns", "llm-0-1", kind="pod") == inquiry.groups_of("ns", "llm")
    assert inquiry.groups_of("ns", "llm", kind="pod") == []
    assert inquiry.groups_of("other", "llm") == []


@story
async def test_a_group_whose_pods_are_still_to_come_names_them(cluster):
    cluster.binds = lambda name: name == "llm-0"
    cluster.add_slice("a")
    cluster.add_lws()
    await cluster.rest()
    answers, inquiry = about(await read(cluster), "llm")
    (answer,) = answers.values()
    assert answer.standing is Standing.COMING
    assert answer_text(answer, inquiry)[1:] == ["  llm-0-1: pinned to a-1, not bound yet"]


@story
async def test_the_overview_has_domains_holders_room_and_the_queue(cluster):
    cluster.add_slice("a")
    cluster.add_slice("b")
    foreign(cluster, "b-1")
    cluster.add_slice("c", nodes=1)
    cluster.add_lws(replicas=2)
    await cluster.rest()
    found = overview(await read(cluster), guarded=[TPU], most=10, failures={})
    holder = found.keys[0].domains[0].holders[0].name
    text = overview_text(found, most=2)
    assert text[:6] == [
        "example.com/slice: 3 domains: 1 whole, 1 broken, 1 held",
        "  DOMAIN  STATE   NODES  FREE                HELD BY",
        f"  a       held    2      0/8 google.com/tpu  {holder} (2 of 2 pods bound)",
        "  b       broken  2      7/8 google.com/tpu",
        "  and 1 more (--most)",
        "",
    ]
    assert text[6] == "waiting: 1"
    assert "waits for a whole domain of example.com/slice for 2 pods" in text[7]
    json.dumps(overview_json(found))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (None, "there is no Lease"),
        ({"holderIdentity": ""}, "nobody holds the Lease"),
        ({"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00Z"},
         "a holds the Lease lws-placement-system/lws-placement-leader, which ran out"),
        ({"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "now"}, ""),
    ],
)  # fmt: skip
async def test_it_is_said_if_no_planner_is_at_work(spec, says):
    server = FakeServer()
    if spec is not None:
        renewed = datetime.now(UTC).isoformat() if spec.get("renewTime") == "now" else None
        spec = {**spec, "renewTime": renewed} if renewed else spec
        server.create("leases", {"metadata": {"name": LEADER_LEASE}, "spec": spec}, namespace=OURS)
    problem = (await read_leader(FakeApi(server), OURS)).problem
    assert says in problem
    assert bool(says) == bool(problem)
