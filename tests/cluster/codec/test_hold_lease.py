"""Holds as Leases and back; a Lease that cannot be read is never taken for a free domain."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.cluster.codec.hold_lease import decode_holds, encode_holds
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Demand, HostPort
from lws_placement.engine.model.reservation import Hold, lease_name
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.errors import InvalidObjectError

names = st.text(min_size=1, max_size=12)
demands = st.builds(
    lambda cpu, port: Demand(
        resources=(("cpu", cpu), ("pods", 1)),
        host_ports=(HostPort("", "TCP", port),) if port else (),
    ),
    st.integers(1, 9),
    st.integers(0, 2),
)


@st.composite
def holds(draw):
    size = draw(st.integers(1, 5))
    return Hold(
        domain=DomainName(draw(names), draw(names)),
        group=GroupId(draw(names), draw(names), draw(names), draw(names)),
        group_index=draw(names),
        leader_name=draw(names),
        revision=draw(names),
        size=size,
        plan=draw(names),
        nodes={rank: draw(names) for rank in range(size)},
        demands={rank: draw(demands) for rank in range(size)},
        state=draw(st.sampled_from(HoldState)),
        evicts=tuple(draw(st.lists(st.builds(GroupId, names, names, names, names), max_size=2))),
        resource_version="7",
        uid="u",
    )


@given(holds())
def test_what_is_written_is_what_is_read(hold):
    assert decode_holds(encode_holds([hold], namespace="ns")) == [hold]


@pytest.mark.parametrize(
    ("key", "scope", "topology", "kind"),
    [
        ("key", Scope.CLUSTER, "slice", GroupKind.LWS),
        ("key", Scope.NOBODY, "", GroupKind.LWS),
        ("", Scope.LWS, "slice", GroupKind.LABELLED),
        ("", Scope.NOBODY, "", GroupKind.LABELLED),
        ("", Scope.NOBODY, "slice", GroupKind.POD),
    ],
)
def test_the_lease_tells_what_kind_of_group_a_hold_is_for(key, scope, topology, kind):
    group = GroupId("ns", "name", "uid", key)
    hold = Hold(DomainName(topology, "a"), group, "", "l", "r", 1, "p", {}, {}, scope=scope)
    (read,) = decode_holds(encode_holds([hold], namespace="ns"))
    assert (read.group, read.group.kind) == (group, kind)


OLDEST = """{"version": "v1", "topologyKey": "slice", "domain": "a", "holders": [{
  "namespace": "ns", "lws": "llm", "lwsUid": "u", "groupKey": "k", "groupIndex": "0",
  "leader": "llm-0", "revision": "r", "size": 1, "plan": "p", "state": "active",
  "nodes": {"0": "n"}, "reserved": [{"resources": {"cpu": 1}}], "reservedFor": {"0": 0}}]}"""
"""As the first version wrote it: what came later has defaults."""


def test_holds_of_versions_before_and_after_ours_are_read():
    (old,) = decode_holds(a_lease(OLDEST))
    assert (old.scope, old.parts, old.evicts, old.nodes) == (Scope.CLUSTER, 1, (), {0: "n"})
    newer = json.loads(OLDEST) | {"new": 1}
    newer["holders"][0] |= {"new": {"a": 1}}
    newer["holders"][0]["reserved"][0] |= {"new": []}
    assert decode_holds(a_lease(json.dumps(newer))) == [old]


def a_lease(text):
    return {"metadata": {"name": "hold-x", "namespace": "ns", "annotations": {keys.HOLD: text}}}


@given(names, names, names, names)
def test_each_domain_has_a_lease_name_of_its_own(key, value, key2, value2):
    one, two = DomainName(key, value), DomainName(key2, value2)
    assert (lease_name(one) == lease_name(two)) == (one == two)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": "v2"}', '{"version": "v1"}', "null"])
def test_an_unreadable_hold_says_which_lease_and_that_its_domain_stays_shut(text):
    with pytest.raises(InvalidObjectError, match="lease ns/hold-x"):
        decode_holds(a_lease(text))
