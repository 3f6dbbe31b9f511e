"""What the checks of `make soak` object to, and what not."""

import pytest
from e2e.stack import LWS
from soak.facts import FORGED, KEY, OURS, node_name
from soak.figures import Figures
from soak.promises import Promises

from lws_placement.cluster.codec.hold_lease import encode_holds
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName


@pytest.fixture
def promises():
    made = Promises(Figures())
    made.holds.listed([])
    return made


def a_pod(name="llm-0", *, version, node="", group="0", uid="u", labels=None, phase="Running"):
    labels = {f"{LWS}/name": "llm", f"{LWS}/group-index": group} | (labels or {})
    notes = {
        f"{LWS}/exclusive-topology": KEY,
        f"{LWS}/size": "2",
        f"{OURS}/admitted": "gated",
        f"{OURS}/lws-uid": uid,
    }
    meta = {
        "namespace": "ns",
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "labels": labels,
        "annotations": notes,
    }
    container = {"resources": {"requests": {"google.com/tpu": "4"}}}
    spec = {"nodeName": node, "containers": [container]}
    return {"metadata": meta, "spec": spec, "status": {"phase": phase}}


def a_hold(*, version, group="0", domain="soak-00", state="active", uid="u"):
    hold = Hold(
        DomainName(KEY, domain),
        GroupId("ns", "llm", uid, f"key-{group}"),
        group,
        f"llm-{group}",
        "r",
        2,
        "p",
        {},
        {},
        state=HoldState(state),
        resource_version=str(version),
    )
    return encode_holds([hold], namespace="ours")


def see(promises, *pods):
    for pod in pods:
        promises.pods.changed("MODIFIED", pod)


HERE, THERE = node_name(0, 0), node_name(1, 0)


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        pytest.param(
            [
                a_pod("a", version=1, node=HERE),
                a_pod("b", version=2, node=node_name(0, 1), group="1"),
            ],
            f"is on {node_name(0, 1)} of ns/llm-0",
            id="two groups in a domain",
        ),
        pytest.param(
            [
                a_pod("a", version=1, node=HERE),
                a_pod("b", version=2, node=node_name(0, 1), uid="v"),
            ],
            f"is on {node_name(0, 1)} of ns/llm-0",
            id="the set was made again",
        ),
        pytest.param(
            [a_pod("a", version=1, node=HERE), a_pod("b", version=2, node=THERE)],
            f"is on {THERE} and on {HERE}",
            id="a group in two domains",
        ),
        pytest.param(
            [a_pod("a", version=1, node=HERE), a_pod("b", version=2, node=THERE, uid="")],
            f"is on {THERE} and on {HERE}",
            id="a pod without a stamp is of the same group",
        ),
        pytest.param(
            [a_pod("a", version=1, node=HERE), a_pod("b", version=2, node=HERE)],
            f"8 chips of {HERE} are promised to members",
            id="a node with too many",
        ),
    ],
)
def test_pods_that_break_a_promise(promises, pods, words):
    see(promises, *pods)
    assert words in " ".join(promises.broken)


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param(
            [a_pod("a", version=1, node=HERE), a_pod("b", version=2, node=node_name(0, 1))],
            id="two members of a group",
        ),
        pytest.param(
            [
                a_pod("a", version=1, node=HERE),
                a_pod("b", version=2, node=HERE, group="1", labels={FORGED: "true"}),
            ],
            id="a forged member",
        ),
        pytest.param(
            [
                a_pod("a", version=1, node=HERE, phase="Failed"),
                a_pod("b", version=2, node=HERE, group="1"),
            ],
            id="a pod that has failed and is still to be deleted",
        ),
        pytest.param(
            [
                a_pod("a", version=1, node=HERE),
                a_pod("b", version=2, group="0"),
                a_pod("b", version=3, group="1", node=THERE),
                a_pod("b", version=4, group="0", node=THERE),
            ],
            id="a tenant that relabels its pod",
        ),
    ],
)
def test_pods_that_break_none(promises, pods):
    see(promises, *pods)
    assert promises.broken == []


@pytest.mark.parametrize(
    ("hold", "kept"),
    [
        pytest.param(a_hold(version=5), True, id="held"),
        pytest.param(a_hold(version=5, uid=""), True, id="held by a group without a stamp"),
        pytest.param(a_hold(version=12), False, id="held too late"),
        pytest.param(a_hold(version=5, group="1"), False, id="held by another group"),
        pytest.param(a_hold(version=5, domain="soak-01"), False, id="another domain is held"),
    ],
)
def test_a_bind_needs_a_hold_of_that_version(promises, hold, kept):
    see(promises, a_pod(version=9), a_pod(version=10, node=HERE))
    promises.judge_binds()
    assert promises.broken == [], "the watch of holds may be late"
    promises.holds.changed("ADDED", hold)
    promises.holds.reached(12)
    promises.judge_binds()
    assert (promises.broken == []) is kept


def test_a_hold_that_is_written_against_its_life(promises):
    for version, state in enumerate(("active", "leaving", "active", "coming"), start=1):
        assert promises.broken == []
        promises.holds.changed("MODIFIED", a_hold(version=version, state=state))
    assert "active -> coming" in promises.broken[0]


def test_for_how_long_a_group_is_bound_in_part_is_measured(promises):
    see(promises, a_pod("a", version=1, node=HERE), a_pod("b", version=2))
    assert [str(group) for group in promises.pods.partial_groups()] == ["ns/llm-0 (u)"]
    see(promises, a_pod("b", version=3, node=node_name(0, 1)))
    assert promises.pods.partial_groups() == []
