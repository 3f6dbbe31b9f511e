"""The demo's map, and its eye for broken promises."""

from lws_placement.cli.demo.domain_map import look

P = "leaderworkerset.sigs.k8s.io"
NODES = [{"metadata": {"name": f"{d}-{n}", "labels": {"rack": d}}} for d in "ab" for n in (0, 1)]


def a_pod(group, node, *, lws="llm"):
    return {
        "metadata": {
            "labels": {f"{P}/name": lws, f"{P}/group-index": group},
            "annotations": {f"{P}/size": "2", f"{P}/exclusive-topology": "rack"},
        },
        "spec": {"nodeName": node},
    }


def seen(*pods):
    return look("rack", "racks", nodes=NODES, pods=pods)


def test_whole_groups_on_domains_of_their_own_break_nothing():
    now = seen(a_pod("0", "a-0"), a_pod("0", "a-1"), a_pod("1", "b-0"), a_pod("1", "b-1"))
    assert now.broken() == []
    assert all(g.whole for g in now.groups)
    assert now.cells == {"a": ["A", "A"], "b": ["B", "B"]}


def test_a_split_group_and_a_shared_domain_are_seen():
    split = seen(a_pod("0", "a-0"), a_pod("0", "b-0"))
    assert split.broken() == ["group 0 of llm is split over a, b"]
    shared = seen(a_pod("0", "a-0"), a_pod("1", "a-1"))
    assert shared.broken() == ["a has llm-0 and llm-1"]


def test_a_group_that_lacks_a_pod_is_not_whole():
    assert not seen(a_pod("0", "a-0"), a_pod("0", "")).groups[0].whole
