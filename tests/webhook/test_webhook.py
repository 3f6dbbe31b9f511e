"""The admission webhook over HTTP: pods as LeaderWorkerSet makes them, and LeaderWorkerSets."""

import copy
import json

import pytest
from support.admission import OURS, Lookup, P, a_pod, a_review, admit, call, patched
from support.scrape import moved, scrape

from lws_placement.engine.admission.pod_gating import Owner, Pin
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


# -- LeaderWorkerSets ------------------------------------------------------------------------------


def an_lws(**spec):
    template = {"size": 4, "workerTemplate": {"spec": {"containers": []}}}
    template |= spec.pop("template", {})
    meta = {
        "name": spec.pop("name", "llm"),
        "namespace": "default",
        "annotations": spec.pop("notes", {}),
    }
    return {"metadata": meta, "spec": {"replicas": 2, "leaderWorkerTemplate": template, **spec}}


def rolling(**values):
    return {
        "type": "RollingUpdate",
        "rollingUpdateConfiguration": {"maxUnavailable": 1, "maxSurge": 0, "partition": 0} | values,
    }


async def test_defaults_of_an_lws():
    lws = an_lws(template={"restartPolicy": "Default"})
    _, answer = await call("/mutate-lws", a_review(lws))
    spec = patched(lws, answer["response"])["spec"]
    assert spec["leaderWorkerTemplate"]["restartPolicy"] == "None"
    assert spec["rolloutStrategy"] == rolling()
    assert spec["networkConfig"] == {"subdomainPolicy": "Shared"}
    again = patched(lws, answer["response"])
    _, second = await call("/mutate-lws", a_review(again))
    assert "patch" not in second["response"]


@pytest.mark.parametrize(
    ("lws", "says"),
    [
        (an_lws(replicas=-1), "replicas must be equal or greater than 0"),
        (an_lws(replicas=1_000_001), "spec.replicas"),
        (an_lws(template={"size": 0}), "size must be equal or greater than 1"),
        (an_lws(replicas=999_999, template={"size": 99_999}), "must not exceed 2147483647"),
        (an_lws(rolloutStrategy=rolling(maxUnavailable=0)), "must not be 0 when `maxSurge` is 0"),
        (an_lws(rolloutStrategy=rolling(maxUnavailable="25%")), "must not be 0 when `maxSurge`"),
        (an_lws(rolloutStrategy=rolling(maxSurge="101%")), "must not be greater than 100%"),
        (an_lws(rolloutStrategy=rolling(partition=-1)), "must be greater than or equal to 0"),
        (an_lws(template={"subGroupPolicy": {"subGroupSize": 5}}), "cannot be larger than size"),
        (an_lws(template={"subGroupPolicy": {"subGroupSize": -1}}), "equal or greater than 1"),
        (an_lws(template={"subGroupPolicy": {}}), "subGroupSize"),
        (
            an_lws(notes={f"{P}/subgroup-exclusive-topology": "rack"}),
            "cannot have subgroup-exclusive-topology without subGroupSize set",
        ),
        (
            an_lws(notes={f"{P}/exclusive-topology": "no key!"}),
            f"annotations[{P}/exclusive-topology]",
        ),
        (an_lws(notes={f"{OURS}/restart-budget": "many"}), "must be a positive number"),
        (an_lws(name="a" * 51), "must be no more than 50 characters with these replicas"),
        (an_lws(name="a" * 50, replicas=101), "must be no more than 48 characters"),
        (an_lws(name="a" * 53, template={"size": 1}), "must be no more than 52 characters"),
    ],
)
async def test_an_invalid_lws_is_denied_with_the_field(lws, says):
    _, answer = await call("/validate-lws", a_review(lws))
    assert not answer["response"]["allowed"]
    assert says in answer["response"]["status"]["message"]


@pytest.mark.parametrize(
    "lws",
    [
        an_lws(),
        an_lws(replicas=0, rolloutStrategy=rolling(maxUnavailable=0)),
        an_lws(rolloutStrategy=rolling(maxUnavailable=0, maxSurge=1)),
        an_lws(rolloutStrategy=rolling(maxUnavailable=9, maxSurge=9, partition=9)),
        an_lws(template={"subGroupPolicy": {"subGroupSize": 2}}),
        an_lws(name="a" * 50),
        an_lws(name="a" * 52, template={"size": 1}),
        an_lws(notes={f"{OURS}/restart-budget": "5", f"{OURS}/restart-backoff-seconds": "10"}),
    ],
)
async def test_a_valid_lws_is_allowed(lws):
    _, answer = await call("/validate-lws", a_review(lws))
    assert answer["response"] == {"uid": "req", "allowed": True}


async def test_updates_that_are_not_allowed():
    with_groups = an_lws(template={"subGroupPolicy": {"subGroupSize": 2}})
    other = an_lws(template={"subGroupPolicy": {"subGroupSize": 4}})
    for old, new, says in (
        (with_groups, other, "field is immutable"),
        (an_lws(), with_groups, "cannot enable subGroupSize"),
        (with_groups, an_lws(), "cannot remove subGroupSize"),
    ):
        _, answer = await call("/validate-lws", a_review(new, old=old, operation="UPDATE"))
        assert says in answer["response"]["status"]["message"]


def with_claims(size, **spec):
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
    return an_lws(template={"volumeClaimTemplates": [claim]}, **spec)


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (with_claims("1Gi"), with_claims("2Gi"), False),
        (with_claims("1Gi"), an_lws(), False),
        (an_lws(), with_claims("1Gi"), False),
        (with_claims("1Gi"), with_claims("1024Mi", replicas=3), True),
    ],
)
async def test_claim_templates_cannot_be_changed(old, new, allowed):
    _, answer = await call("/validate-lws", a_review(new, old=old, operation="UPDATE"))
    assert answer["response"]["allowed"] == allowed


async def test_a_name_that_is_too_long_already_does_not_stop_other_updates():
    long = an_lws(name="a" * 60)
    _, answer = await call("/validate-lws", a_review(long, old=long, operation="UPDATE"))
    assert answer["response"]["allowed"]
    fits = an_lws(name="a" * 50)
    grown = an_lws(name="a" * 50, replicas=11)
    _, answer = await call("/validate-lws", a_review(grown, old=fits, operation="UPDATE"))
    assert not answer["response"]["allowed"]


async def test_a_bad_topology_key_is_refused_when_it_changes_and_never_on_other_updates():
    bad = an_lws(notes={f"{P}/exclusive-topology": "no key!"})
    scaled = copy.deepcopy(bad)
    scaled["spec"]["replicas"] = 5
    _, answer = await call("/validate-lws", a_review(scaled, old=bad, operation="UPDATE"))
    assert answer["response"]["allowed"]
    _, answer = await call("/validate-lws", a_review(bad, old=an_lws(), operation="UPDATE"))
    assert not answer["response"]["allowed"]


@pytest.mark.parametrize("path", ["/validate-lws", "/validate-placement"])
async def test_a_key_that_no_node_carries_is_a_warning(path):
    lws = an_lws(notes={f"{P}/exclusive-topology": "example.com/rack"})
    _, answer = await call(path, a_review(lws), Lookup(known=False))
    assert answer["response"]["allowed"]
    assert "no node carries the label example.com/rack" in answer["response"]["warnings"][0]


@pytest.mark.parametrize(
    ("lws", "says"),
    [
        (an_lws(notes={f"{P}/exclusive-topology": "no key!"}), "must be the key of a node label"),
        (an_lws(notes={f"{OURS}/scope": "Galaxy"}), "is none of Cluster, Namespace"),
        (an_lws(template={"size": 2_000_000}), "spec.leaderWorkerTemplate.size"),
    ],
)
async def test_beside_another_controller_what_cannot_be_placed_is_denied(lws, says):
    _, answer = await call("/validate-placement", a_review(lws))
    assert says in answer["response"]["status"]["message"]


async def test_the_rules_of_another_controller_are_its_own():
    """Its version may allow what ours does not carry out."""
    lws = an_lws(name="a" * 63, template={"subGroupPolicy": {"subGroupSize": 3}})
    _, answer = await call("/validate-placement", a_review(lws))
    assert answer["response"] == {"uid": "req", "allowed": True}


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


@pytest.mark.parametrize("size", ["5000000", "4097", "1000000000", "9" * 5000])
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("rank", [0, 3])
async def test_a_group_larger_than_the_setting_is_denied_by_field_and_limit(rank, dry_run, size):
    review = a_review(a_pod(rank, size=size, tpu=True), dry_run=dry_run)
    _, answer = await call("/mutate-pods", review)
    assert not answer["response"]["allowed"]
    words = answer["response"]["status"]["message"]
    assert f"metadata.annotations[{P}/size]" in words
    assert len(words) < 300
    if len(size) < 10:
        assert "4096" in words


async def test_the_setting_goes_for_all_that_are_admitted():
    sized = {"metadata": {"name": "llm"}, "spec": {"leaderWorkerTemplate": {"size": 9}}}
    for path, obj in (
        ("/mutate-pods", a_pod(size=9)),
        ("/mutate-pods", a_group_pod("9")),
        ("/validate-lws", sized),
    ):
        _, answer = await call(path, a_review(obj), max_group_size=8)
        assert "8" in answer["response"]["status"]["message"]


def a_group_pod(size):
    notes = {f"{OURS}/group-size": size, f"{OURS}/topology": "rack"}
    meta = {"name": "x", "labels": {f"{OURS}/group": "train"}, "annotations": notes}
    return {"metadata": meta, "spec": {"containers": [{"name": "c"}]}}


@pytest.mark.parametrize("size", ["1000000000", "9" * 5000, "\u0661"])
async def test_a_group_of_other_pods_that_is_too_large_is_denied(size):
    _, answer = await call("/mutate-pods", a_review(a_group_pod(size)))
    words = answer["response"]["status"]["message"]
    assert f"metadata.annotations[{OURS}/group-size]" in words
    assert "1 to 4096" in words
    assert len(words) < 300


async def test_host_lists_larger_than_an_object_are_denied_before_they_are_made():
    pod = a_pod(size=4096, tpu=True)
    pod["spec"]["containers"] = pod["spec"]["containers"] * 1000
    _, answer = await call("/mutate-pods", a_review(pod))
    assert "larger than an object may be" in answer["response"]["status"]["message"]


async def test_the_largest_group_that_is_admitted_gets_its_host_list():
    pod = await admit(a_pod(4095, size=4096, tpu=True, notes={f"{P}/leader-requests-tpus": "true"}))
    env = {e["name"]: e["value"] for e in pod["spec"]["containers"][0]["env"]}
    assert env["TPU_WORKER_HOSTNAMES"].count(",") == 4095


KEY = "3f9a7c1e5b" * 4


def keyed(rank, **more):
    """As it comes to us from a LeaderWorkerSet whose groups have keys in place of ordinals."""
    own = {f"{P}/group-index": KEY, f"{P}/group-key": KEY}
    pod = a_pod(0, labels=own, subdomain="my-lws", **more)
    if rank == 0:
        del pod["metadata"]["name"]
        pod["metadata"]["generateName"] = "my-lws-5c9f-"
        pod["spec"]["hostname"] = KEY[:8]
        return pod
    pod["metadata"]["name"] = f"my-lws-5c9f-x-{rank}"
    del pod["metadata"]["labels"][f"{P}/worker-index"]
    notes = {"leader-address": f"{KEY[:8]}.my-lws.default", "leader-name": "my-lws-5c9f-x"}
    pod["metadata"]["annotations"] |= {f"{P}/{name}": value for name, value in notes.items()}
    return pod


def env_of(pod):
    return {e["name"]: e["value"] for e in pod["spec"]["containers"][0].get("env", ())}


@pytest.mark.parametrize("rank", [0, 2])
async def test_a_member_of_a_group_without_an_ordinal_keeps_its_key_and_finds_its_leader(rank):
    pod = await admit(keyed(rank))
    labels = pod["metadata"]["labels"]
    assert (labels[f"{P}/group-index"], labels[f"{P}/group-key"]) == (KEY, KEY)
    assert labels[f"{P}/worker-index"] == str(rank)
    assert env_of(pod)["LWS_LEADER_ADDRESS"] == f"{KEY[:8]}.my-lws.default"
    assert env_of(pod)["LWS_WORKER_INDEX"] == str(rank)
    assert pod["spec"]["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]
    assert await admit(pod) == pod


async def test_tpu_hosts_of_such_a_group_are_given_to_those_who_know_their_leaders_name():
    leader = await admit(keyed(0, tpu=True))
    assert "TPU_WORKER_HOSTNAMES" not in env_of(leader), "it is still to be named"
    notes = {f"{P}/leader-requests-tpus": "true"}
    worker = env_of(await admit(keyed(2, tpu=True, size=3, notes=notes)))
    hosts = [KEY[:8], "my-lws-5c9f-x-1", "my-lws-5c9f-x-2"]
    assert worker["TPU_WORKER_HOSTNAMES"] == ",".join(f"{host}.my-lws" for host in hosts)
    assert worker["TPU_NAME"] == "my-lws-5c9f-x"


async def test_subgroups_of_such_a_group_are_its_own():
    notes = {f"{P}/subgroup-size": "2"}
    leader = await admit(keyed(0, notes=notes))
    worker = await admit(keyed(1, notes=notes))
    label = f"{P}/subgroup-key"
    assert leader["metadata"]["labels"][label] == worker["metadata"]["labels"][label]
    ordinal = await admit(a_pod(0, notes=notes))
    assert ordinal["metadata"]["labels"][label] != leader["metadata"]["labels"][label]


async def test_what_a_set_asks_by_a_typed_field_its_pods_are_told_at_admission():
    class Typed(Lookup):
        async def owner_of(self, pod, namespace):
            return Owner("lws-uid", {f"{P}/exclusive-topology": "typed"})

    note = f"{P}/exclusive-topology"
    pod = await admit(a_pod(topology=""), Typed())
    assert pod["metadata"]["annotations"][note] == "typed"
    assert pod["spec"]["schedulingGates"] == [{"name": f"{OURS}/unplanned"}]
    annotated = await admit(a_pod(topology="rack"), Typed())
    assert annotated["metadata"]["annotations"][note] == "rack"
