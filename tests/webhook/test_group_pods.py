"""Pods of groups that are not LeaderWorkerSets, and LeaderWorkerSets that ask for more than one
domain or for none, at admission.
"""

import pytest
from support.admission import OURS, Lookup, a_pod, a_review, admit, call

from lws_placement.engine.admission.pod_gating import Owner
from lws_placement.engine.base.keys import OWNER_UID
from lws_placement.errors import ApiError


class Owned(Lookup):
    """Every pod has this owner; None: it cannot be read."""

    def __init__(self, owner):
        super().__init__()
        self.owner = owner

    async def owner_of(self, pod, namespace):
        if self.owner is None:
            raise ApiError("no route")
        return self.owner

    owner_of_group_pod = owner_of


JOB = Owned(Owner("job-uid", uid_note=OWNER_UID))


def a_group_pod(labels=None, **notes):
    given = {"group-size": "4", "topology": "rack"} | notes
    return {
        "metadata": {
            "generateName": "train-",
            "namespace": "default",
            "labels": {f"{OURS}/group": "train"} | (labels or {}),
            "annotations": {f"{OURS}/{key}": value for key, value in given.items() if value},
        },
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }


def gates(pod):
    return [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]


async def test_a_pod_of_another_group_is_gated_marked_and_knows_whose_it_is():
    pod = await admit(a_group_pod(), JOB)
    assert gates(pod) == [f"{OURS}/unplanned"]
    assert pod["metadata"]["annotations"][f"{OURS}/owner-uid"] == "job-uid"
    requests = pod["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {f"{OURS}/member": "0"}
    assert "affinity" not in pod["spec"], "upstream's terms are for its own pods"


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (a_group_pod(**{"group-size": ""}), "group-size] is missing"),
        (a_group_pod(**{"group-size": "-1"}), "group-size] is '-1'"),
        (a_group_pod(topology=""), "topology (a node label key) is missing"),
        (a_group_pod(topology="a b"), "must be the key of a node label"),
        (a_group_pod(gang="true"), "not together with an exclusive topology"),
    ],
)
async def test_a_pod_that_cannot_be_meant_so_is_refused_with_the_field(pod, why):
    _, answer = await call("/mutate-pods", a_review(pod), JOB)
    assert not answer["response"]["allowed"]
    assert why in answer["response"]["status"]["message"]


async def test_a_pod_is_of_one_kind_of_group_only():
    pod = a_pod(labels={f"{OURS}/group": "train"}, notes={f"{OURS}/group-size": "4"})
    _, answer = await call("/mutate-pods", a_review(pod))
    assert "is a LeaderWorkerSet's already" in answer["response"]["status"]["message"]


async def test_what_a_set_asks_beyond_its_pods_is_stamped_on_them():
    notes = {f"{OURS}/gang": "true", f"{OURS}/within-topology": "zone", "other.example/x": "y"}
    pod = await admit(a_pod(topology=""), Owned(Owner("u", notes)))
    got = pod["metadata"]["annotations"]
    assert got[f"{OURS}/within-topology"] == "zone"
    assert "other.example/x" not in got
    assert gates(pod) == [f"{OURS}/unplanned"], "a gang waits for its plan without a topology"


async def test_a_set_that_is_not_managed_is_left_alone():
    pod = await admit(a_pod(), Owned(Owner("u", {f"{OURS}/managed": "false"})))
    assert gates(pod) == []
    assert "resources" not in pod["spec"]["containers"][0]


async def test_within_one_set_alone_upstreams_terms_would_refuse_the_neighbours():
    """They keep any two groups of a namespace apart, which is more than was asked for."""
    pod = await admit(a_pod(), Owned(Owner("u", {f"{OURS}/scope": "LeaderWorkerSet"})))
    assert "affinity" not in pod["spec"]
    assert gates(pod) == [f"{OURS}/unplanned"]


async def test_an_owner_that_cannot_be_read_gates_a_pod_that_is_placed_anyhow():
    assert gates(await admit(a_pod(), Owned(None))) == [f"{OURS}/unplanned"]


@pytest.mark.parametrize("pod", [a_pod(topology=""), a_group_pod()], ids=["maybe a gang", "group"])
async def test_else_the_pod_is_refused_and_its_controller_tries_again(pod):
    _, answer = await call("/mutate-pods", a_review(pod), Owned(None))
    assert not answer["response"]["allowed"]
    assert "try again" in answer["response"]["status"]["message"]


FORGED = {
    "admitted": "pinned",
    "condition": "{}",
    "no-room": "x",
    "owner-uid": "another-jobs",
    "lws-uid": "another-sets",
    "pinned-node": "n7",
    "plan": "p",
    "released": "true",
    "slot": "3",
    "woken": "1",
}


def forged(pod):
    """The pod as a tenant wrote it who wants to pass for one that we decided."""
    pin = {"key": "metadata.name", "operator": "In", "values": ["n7"]}
    terms = {"nodeSelectorTerms": [{"matchFields": [pin]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    notes = {f"{OURS}/{key}": value for key, value in FORGED.items()}
    amounts = {f"{OURS}/member": "0", f"{OURS}/guest": "0"}
    container = {"name": "c", "image": "x", "resources": {"requests": amounts, "limits": amounts}}
    meta = pod["metadata"]
    return {
        "metadata": {**meta, "annotations": {**meta["annotations"], **notes}},
        "spec": {"containers": [container], "affinity": {"nodeAffinity": required}},
    }


@pytest.mark.parametrize("lookup", [JOB, Owned(Owner("", uid_note=OWNER_UID))], ids=["owned", "no"])
@pytest.mark.parametrize(
    "pod",
    [
        a_group_pod(),
        a_group_pod(topology="", gang="true"),
        a_group_pod(managed="false"),
        a_pod(),
        a_pod(topology=None),
    ],
    ids=["group", "gang", "unmanaged", "lws", "guest"],
)
async def test_what_a_tenant_wrote_in_our_name_decides_nothing(pod, lookup):
    plain = {**pod, "spec": {"containers": [{"name": "c", "image": "x", "resources": {}}]}}
    assert await admit(forged(pod), lookup) == await admit(plain, lookup)


async def test_a_forged_pod_of_a_set_that_is_none_is_foreign():
    pod = await admit(forged(a_pod()), Lookup(uid=""))
    notes = pod["metadata"]["annotations"]
    assert {k for k in FORGED if f"{OURS}/{k}" in notes} == {"admitted"}
    assert notes[f"{OURS}/admitted"] == "foreign"
    assert "affinity" not in pod["spec"] or "nodeAffinity" not in pod["spec"]["affinity"]
