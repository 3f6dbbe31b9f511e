"""Troubles as Leases and back; of a broken one all that can be read is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lws_placement.cluster.codec.failure_lease import Remembered, decode_failures, encode_failures
from lws_placement.engine.base import keys
from lws_placement.engine.model.failure_history import History, Refused
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.objects.nodes import DomainName

GROUP = GroupId("ns", "llm", "uid", "key")
A, B = DomainName("rack", "a"), DomainName("rack", "b")
HISTORY = History({A: Refused(2, 1000.0, "no volume", "plan")}, {B: {"one": 1000.0, "two": 1001.0}})

names = st.text(max_size=12)
domains = st.builds(DomainName, names, names)
times = st.floats(0, 2e9)
histories = st.builds(
    History,
    st.dictionaries(domains, st.builds(Refused, st.integers(1, 99), times, names, names)),
    st.dictionaries(domains, st.dictionaries(names, times, min_size=1)),
)


def written(history: History) -> dict:
    lease = encode_failures(Remembered(GROUP, history, "7", "u"), namespace="ours")
    return json.loads(json.dumps(lease))


def broken(**parts: object) -> dict:
    lease = written(HISTORY)
    body = json.loads(lease["metadata"]["annotations"][keys.TROUBLES])
    lease["metadata"]["annotations"][keys.TROUBLES] = json.dumps(body | parts)
    return lease


@given(st.builds(GroupId, names, names, names, names), histories)
def test_what_is_written_is_what_is_read(group, history):
    one = Remembered(group, history, "7", "u")
    assert decode_failures(encode_failures(one, namespace="ours")) == one


@pytest.mark.parametrize(
    ("parts", "refused", "failed"),
    [
        pytest.param({"refused": None}, False, True, id="no refusals"),
        pytest.param({"refused": [{"domain": "a"}]}, False, True, id="a refusal without more"),
        pytest.param({"failed": {"a": 1}}, True, False, id="failures of another shape"),
        pytest.param(
            {"failed": [{"topologyKey": "rack", "domain": "b", "at": {"one": "today"}}]},
            True,
            False,
            id="a time that is none",
        ),
        pytest.param({"version": "v2"}, False, False, id="a version that is not known"),
    ],
)
def test_what_can_be_read_is_kept(parts, refused, failed):
    found = decode_failures(broken(**parts))
    assert found is not None
    assert found.group == GROUP
    assert found.history.refused == (HISTORY.refused if refused else {})
    assert found.history.failed == (HISTORY.failed if failed else {})


@pytest.mark.parametrize("parts", [{"lwsUid": None}, {"namespace": 7}])
def test_troubles_of_nobody_are_passed_over(parts):
    assert decode_failures(broken(**parts)) is None


def test_of_very_many_domains_the_last_are_written():
    many = {DomainName("rack", f"{i:03}"): Refused(1, float(i), "x" * 9999, "p") for i in range(99)}
    found = decode_failures(written(History(many)))
    assert found is not None
    assert DomainName("rack", "098") in found.history.refused
    assert DomainName("rack", "000") not in found.history.refused
    size = len(written(History(many))["metadata"]["annotations"][keys.TROUBLES])
    assert size < 200_000, "the API server takes 256 KiB of annotations"
