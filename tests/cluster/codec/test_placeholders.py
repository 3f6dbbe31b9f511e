"""Placeholder pods as they are created and read."""

import json

import pytest

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.cluster.codec.placeholders import decode_placeholder, encode_placeholder
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand, Toleration
from lws_placement.engine.model.scale_up import Placeholder
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement
from lws_placement.engine.objects.placement_request import Scope, TopologyRequest

OURS = "lws-placement-system"
GROUP = GroupId("ns", "llm", "uid", "key")
IT = Placeholder("0a1b", GROUP, 3, Scope.NAMESPACE)
ZONE = Requirement("zone", Operator.IN, ("x", "y"))
NODE = Requirement("metadata.name", Operator.IN, ("n",))
OFF = [
    Requirement("slice", Operator.EXISTS),
    Requirement("slice", Operator.NOT_IN, ("s1", "s2")),
]
WRITTEN = {
    "version": "v1",
    "namespace": "ns",
    "lws": "llm",
    "lwsUid": "uid",
    "groupKey": "key",
    "rank": 3,
    "scope": "Namespace",
}
DEMAND = Demand(
    resources=(("cpu", 1500), ("google.com/tpu", 4), ("memory", 2**30), ("pods", 1)),
    selector=(("pool", "tpu"),),
    required=(NodeTerm((ZONE,)), NodeTerm((), (NODE,))),
    tolerations=(Toleration("google.com/tpu", "Exists", effect="NoSchedule"),),
)


def a_placeholder(topology=None, **more):
    raw = encode_placeholder(
        IT,
        more.get("demand", DEMAND),
        namespace=more.get("namespace", OURS),
        topology=topology or TopologyRequest(outer="slice"),
        off=more.get("off", OFF),
    )
    raw["metadata"] |= {"uid": "u", "resourceVersion": "5"}
    return raw


def terms(raw, kind):
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    return raw["spec"]["affinity"].get(kind, {}).get(required)


def test_what_is_written_is_what_is_read():
    raw = a_placeholder()
    assert decode_placeholder(raw) == IT
    assert json.loads(raw["metadata"]["annotations"][keys.STANDS_FOR]) == WRITTEN
    read = decode_pod(raw).demand
    assert (read.resources, read.selector, read.tolerations) == (
        DEMAND.resources,
        DEMAND.selector,
        DEMAND.tolerations,
    )


def test_it_is_kept_off_what_exists_in_every_term_of_the_member():
    assert [term.expressions for term in decode_pod(a_placeholder()).demand.required] == [
        (ZONE, *OFF),
        tuple(OFF),
    ]
    plain = a_placeholder(demand=Demand((("cpu", 1),)))
    assert [term.expressions for term in decode_pod(plain).demand.required] == [tuple(OFF)]
    assert "nodeAffinity" not in a_placeholder(demand=Demand(()), off=[])["spec"]["affinity"]


def test_those_of_one_request_want_one_domain_and_no_other_request_in_it():
    raw = a_placeholder()
    (together,) = terms(raw, "podAffinity")
    (apart,) = terms(raw, "podAntiAffinity")
    assert together["topologyKey"] == apart["topologyKey"] == "slice"
    mine = {"key": keys.SCALE_UP, "operator": "In", "values": [IT.request]}
    assert together["labelSelector"]["matchExpressions"] == [mine]
    assert apart["labelSelector"]["matchExpressions"][1] == mine | {"operator": "NotIn"}


def test_subgroups_want_a_domain_each():
    topology = TopologyRequest(inner="slice", subgroups=((0, 1), (2, 3)))
    raw = a_placeholder(topology)
    assert raw["metadata"]["labels"][keys.SCALE_UP_SUBGROUP] == "1"
    (together,) = terms(raw, "podAffinity")
    assert len(together["labelSelector"]["matchExpressions"]) == 2
    assert {term["topologyKey"] for term in terms(raw, "podAntiAffinity")} == {"slice"}


def test_a_gang_wants_no_domain():
    raw = a_placeholder(TopologyRequest(), off=[])
    assert terms(raw, "podAffinity") is None
    assert terms(raw, "podAntiAffinity") is None


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": "v1"}',
        json.dumps(WRITTEN | {"version": "v9"}),
        json.dumps(WRITTEN | {"namespace": 1}),
        json.dumps(WRITTEN | {"rank": "1e9"}),
        json.dumps(WRITTEN | {"scope": "Everybody"}),
    ],
)
def test_anything_else_is_none(written):
    raw = a_placeholder()
    raw["metadata"]["annotations"][keys.STANDS_FOR] = written
    assert decode_placeholder(raw) is None


@pytest.mark.parametrize(("namespace", "counts"), [(OURS, True), ("tenant", False)])
def test_only_pods_of_our_own_namespace_keep_room_for_a_group(namespace, counts):
    cache = ClusterCache(TopologyIndex(), namespace=OURS)
    raw = a_placeholder(namespace=namespace)
    raw["spec"]["nodeName"] = "n"
    raw["spec"]["priority"] = -10
    cache.put_pod(raw)
    (occupant,) = cache.domains.occupants_on("n")
    assert (occupant.group == GROUP) == counts
    assert [p.name for p in cache.placeholders_of(GROUP)] == ["scale-up-0a1b-3"] * counts
    assert cache.keeps_room_for(cache.pod("u")) == (GROUP if counts else None)
    assert cache.lowest_priority() == (None if counts else -10)
    assert cache.group_pods(GROUP) == [], "it is no member"
    cache.drop_pod("u", version=6)
    assert cache.placeholders_of(GROUP) == []
    assert cache.placeholders.groups() == []
