"""The admission webhook over HTTP: pods as LeaderWorkerSet makes them, and LeaderWorkerSets."""

import json

import pytest
from support.admission import OURS, Lookup, P, a_pod, a_review, admit, call, patched
from support.scrape import moved, scrape

from lws_placement.engine.admission.pod_gating import Pin
from lws_placement.engine.base import keys
from webhook.patch import json_patch


async def test_a_leader_gets_identity_terms_environment_marker_and_gate():
    pod = await admit(a_pod())
    labels, notes, spec = pod["metadata"]["labels"], pod["metadata"]["annotations"], pod["spec"]
    assert labels[f"{P}/group-index"] == "0"
    assert labels[f"{P}/group-key"] == "85c75a5bcf357a993c958ca839ff3faf70ec6b0b"
    assert spec["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]
    assert (notes[f"{OURS}/admitted"], notes[f"{OURS}/lws-uid"]) == ("gated", "lws-uid")
    assert spec["containers"][0]["resources"]["requests"] == {f"{OURS}/member": "0"}
    env = [(e["name"], e["value"]) for e in spec["containers"][0]["env"]]
    assert env == [
        ("LWS_LEADER_ADDRESS", "my-lws-0.my-lws.default"),
        ("LWS_GROUP_SIZE", "4"),
        ("LWS_WORKER_INDEX", "0"),
    ]
    for kind in ("podAffinity", "podAntiAffinity"):
        (term,) = spec["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "rack"


async def test_a_worker_gets_its_index_and_no_group_terms():
    pod = await admit(a_pod(3))
    assert pod["metadata"]["labels"][f"{P}/worker-index"] == "3"
    assert "affinity" not in pod["spec"]
    assert pod["spec"]["containers"][0]["env"][0]["value"] == "my-lws-0.my-lws.default"


async def test_admission_is_idempotent():
    once = await admit(a_pod(tpu=True))
    assert await admit(once) == once


async def test_a_pod_of_nobody_is_untouched():
    pod = a_pod()
    pod["metadata"]["labels"] = {"app": "web"}
    assert await admit(pod) == pod


async def test_without_the_annotation_a_pod_is_a_guest_and_not_gated():
    pod = await admit(a_pod(topology=None))
    assert "schedulingGates" not in pod["spec"]
    assert f"{OURS}/guest" in pod["spec"]["containers"][0]["resources"]["requests"]


async def test_a_hold_pins_at_admission_but_not_in_a_dry_run():
    lookup = Lookup(pin=Pin("node-7", "plan"))
    pod = await admit(a_pod(1), lookup)
    terms = pod["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert terms[0]["matchFields"][0]["values"] == ["node-7"]
    assert "schedulingGates" not in pod["spec"]
    assert "schedulingGates" in (await admit(a_pod(1), lookup, dry_run=True))["spec"]


EVICTABLE = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}


@pytest.mark.parametrize("rank", [0, 2])
async def test_autoscalers_leave_members_where_they_are_unless_their_template_says_otherwise(rank):
    notes = (await admit(a_pod(rank)))["metadata"]["annotations"]
    assert notes.items() >= keys.UNDISTURBED.items()
    pod = a_pod(rank)
    pod["metadata"]["annotations"] |= EVICTABLE
    notes = (await admit(pod))["metadata"]["annotations"]
    assert notes.items() >= {**keys.UNDISTURBED, **EVICTABLE}.items()


async def test_autoscalers_may_move_guests():
    notes = (await admit(a_pod(topology=None)))["metadata"]["annotations"]
    assert not notes.keys() & keys.UNDISTURBED.keys()


async def test_the_pin_goes_into_every_term_and_keeps_what_is_there():
    zone = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
    pool = {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}
    required = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [zone, pool]}
    }
    pod = await admit(
        a_pod(1, affinity={"nodeAffinity": required}), Lookup(pin=Pin("node-7", "plan"))
    )
    terms = pod["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert [t["matchExpressions"] for t in terms] == [
        zone["matchExpressions"],
        pool["matchExpressions"],
    ]
    assert all(t["matchFields"][0]["values"] == ["node-7"] for t in terms)


@pytest.mark.parametrize("topology", ["rack", ""])
@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_pod_that_only_carries_the_labels_is_neither_gated_nor_marked(topology, dry_run):
    pod = await admit(a_pod(topology=topology), Lookup(uid=""), dry_run=dry_run)
    assert "schedulingGates" not in pod["spec"]
    container = pod["spec"]["containers"][0]
    assert container["resources"]["requests"] == {f"{OURS}/guest": "0"}
    assert pod["metadata"]["annotations"][f"{OURS}/admitted"] == "foreign"
    assert f"{OURS}/lws-uid" not in pod["metadata"]["annotations"]
    assert pod["metadata"]["labels"][f"{P}/group-key"], "upstream's edits are made"
    assert await admit(pod, Lookup(uid="")) == pod


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("pin", [None, Pin("node-7", "plan-1")])
async def test_a_copy_of_a_member_that_is_none_loses_what_is_ours(rank, pin):
    plain = await admit(a_pod(rank), Lookup(uid=""))
    copied = await admit(a_pod(rank), Lookup(pin=pin))
    copied["metadata"]["annotations"][f"{OURS}/released"] = "true"
    assert await admit(copied, Lookup(uid="")) == plain


async def test_a_template_that_was_copied_from_a_pod_is_gated_all_the_same():
    notes = {f"{OURS}/admitted": "gated", f"{OURS}/lws-uid": "of another"}
    pod = await admit(a_pod(notes=notes))
    assert pod["spec"]["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]
    assert pod["metadata"]["annotations"][f"{OURS}/lws-uid"] == "lws-uid"


@pytest.mark.parametrize("rank", [0, 3])
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("tpu", [False, True])
@pytest.mark.parametrize("uid", ["", "lws-uid"])
async def test_no_answer_depends_on_a_name(rank, size, tpu, uid):
    """All labels are there, as in a template that was copied from a leader."""
    own = {f"{P}/worker-index": str(rank), f"{P}/group-index": "0", f"{P}/group-key": "gk"}
    pod = a_pod(0, size=size, tpu=tpu, labels=own)
    del pod["metadata"]["name"]
    pod["metadata"]["generateName"] = "web-"
    status, answer = await call("/mutate-pods", a_review(pod), Lookup(uid=uid))
    assert status == 200
    if rank == 0:
        assert answer["response"]["allowed"]
        env = {
            e["name"]: e["value"]
            for e in patched(pod, answer["response"])["spec"]["containers"][0]["env"]
        }
        assert env["LWS_LEADER_ADDRESS"] == "my-lws-0.my-lws.default"
    else:
        words = answer["response"]["status"]["message"]
        assert "pod web-*: metadata.name, still to be made from generateName" in words


async def test_a_leader_without_name_and_group_index_is_denied_as_upstream_does():
    pod = a_pod()
    del pod["metadata"]["name"]
    pod["metadata"]["generateName"] = "web-"
    _, answer = await call("/mutate-pods", a_review(pod))
    words = answer["response"]["status"]["message"]
    assert "generateName, does not end in an ordinal" in words
    assert f"take its label {P}/name off" in words


async def test_a_bound_pod_is_never_gated():
    assert "schedulingGates" not in (await admit(a_pod(nodeName="n")))["spec"]


async def test_affinity_never_leaves_our_members_without_upstreams_terms():
    assert "affinity" not in (await admit(a_pod(), keep_affinity=False))["spec"]


async def test_switched_off_it_does_what_upstream_does_and_no_more():
    pod = await admit(a_pod(), placing=False)
    assert "schedulingGates" not in pod["spec"]
    assert "resources" not in pod["spec"]["containers"][0]
    assert "podAffinity" in pod["spec"]["affinity"]


@pytest.mark.parametrize(
    ("rank", "size", "subgroup", "index"),
    [(0, 4, 2, "0"), (3, 4, 2, "1"), (3, 5, 2, "1"), (4, 5, 2, "1")],
)
async def test_subgroup_labels(rank, size, subgroup, index):
    pod = await admit(a_pod(rank, size=size, notes={f"{P}/subgroup-size": str(subgroup)}))
    assert pod["metadata"]["labels"][f"{P}/subgroup-index"] == index


async def test_tpu_environment_of_a_leader_and_a_worker():
    leader = await admit(a_pod(tpu=True, size=2))
    env = {e["name"]: e["value"] for e in leader["spec"]["containers"][0]["env"]}
    assert env["TPU_WORKER_HOSTNAMES"] == "my-lws-0.my-lws,my-lws-0-1.my-lws"
    assert (env["TPU_WORKER_ID"], env["TPU_NAME"]) == ("0", "my-lws-0")
    worker = await admit(a_pod(1, tpu=True, size=2))
    env = {e["name"]: e["value"] for e in worker["spec"]["containers"][0]["env"]}
    assert (env["TPU_WORKER_HOSTNAMES"], env["TPU_WORKER_ID"]) == ("my-lws-0-1.my-lws", "0")


async def test_unique_per_replica_names_the_leaders_subdomain():
    pod = await admit(a_pod(notes={f"{P}/subdomainPolicy": "UniquePerReplica"}))
    assert pod["spec"]["subdomain"] == "my-lws-0"


@pytest.mark.parametrize("size", [None, "", "four", "0", "-1"])
async def test_a_pod_without_a_proper_size_is_denied_by_name_and_field(size):
    pod = a_pod()
    del pod["metadata"]["annotations"][f"{P}/size"]
    if size is not None:
        pod["metadata"]["annotations"][f"{P}/size"] = size
    _, answer = await call("/mutate-pods", a_review(pod))
    assert not answer["response"]["allowed"]
    assert "pod my-lws-0" in answer["response"]["status"]["message"]
    assert f"annotations[{P}/size]" in answer["response"]["status"]["message"]


# -- bad bodies ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/mutate-pods", "/mutate-lws", "/validate-lws", "/validate-placement"]
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b'{"kind": "AdmissionReview"}',
        json.dumps(a_review(None)).encode(),
        json.dumps(a_review({"metadata": {}, "spec": []})).encode(),
        json.dumps(a_review({}) | {"apiVersion": "admission.k8s.io/v1beta1"}).encode(),
    ],
)
async def test_a_bad_body_is_400_with_words(path, body):
    status, text = await call(path, body)
    assert status == 400
    assert "request" in text or "AdmissionReview" in text


async def test_a_body_of_ten_megabytes_is_413():
    status, _ = await call("/mutate-pods", b"x" * 10 * 2**20)
    assert status == 413


def test_patches_make_missing_parents_and_escape_keys():
    old = {"metadata": {"annotations": {"a/b": "1", "c~d": "2"}}}
    new = {"metadata": {"annotations": {"a/b": "9"}}, "spec": {"affinity": {}}}
    assert json_patch(old, new) == [
        {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "9"},
        {"op": "remove", "path": "/metadata/annotations/c~0d"},
        {"op": "add", "path": "/spec", "value": {"affinity": {}}},
    ]


async def test_admissions_are_counted_by_outcome_once_per_pod():
    start = await scrape()
    gated = await admit(a_pod())
    await admit(gated)  # a reinvocation
    await call("/mutate-pods", a_review(a_pod(), dry_run=True))
    await call("/mutate-pods", a_review(a_pod()), placing=False)
    await admit(a_pod(), Lookup(pin=Pin("n0", "plan")))
    await admit(a_pod(topology=None))
    await call("/mutate-pods", a_review(a_pod(notes={f"{P}/size": "many"})))
    name = "lws_placement_admissions_total"
    assert moved(start, await scrape()) == {
        (name, "gated"): 1,
        (name, "pinned"): 1,
        (name, "guest"): 1,
        (name, "denied"): 1,
    }


QUOTA = {"name": "example.com/quota"}


async def test_a_pod_with_a_gate_of_others_is_gated_and_never_pinned():
    lookup = Lookup(pin=Pin("node-7", "plan-1"))
    pod = await admit(a_pod(1, schedulingGates=[QUOTA]), lookup)
    assert pod["spec"]["schedulingGates"] == [QUOTA, {"name": f"{OURS}/unplanned"}]
    assert pod["metadata"]["annotations"][f"{OURS}/admitted"] == "gated"
    assert f"{OURS}/pinned-node" not in pod["metadata"]["annotations"]


@pytest.mark.parametrize("expressions", [[], [{"key": "pool", "operator": "Exists"}]])
async def test_a_pin_is_taken_back_when_others_gate_the_pod_after_us(expressions):
    """Their webhook is called later, and ours once more."""
    terms = [{"matchExpressions": expressions}] if expressions else []
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    asked = {"affinity": {"nodeAffinity": required}} if terms else {}
    gated = await admit(a_pod(1, **asked))
    pinned = await admit(a_pod(1, **asked), Lookup(pin=Pin("node-7", "plan-1")))
    pinned["spec"]["schedulingGates"] = [QUOTA]
    again = await admit(pinned, Lookup(pin=Pin("node-7", "plan-1")))
    assert again["spec"].pop("schedulingGates") == [QUOTA, *gated["spec"].pop("schedulingGates")]
    assert again == gated
