"""LeaderWorkerSets at admission: defaults, and what is refused with which words."""

import copy

import pytest
from support.admission import OURS, Lookup, P, a_review, call, patched


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


@pytest.mark.parametrize("path", ["/validate-lws", "/validate-placement"])
@pytest.mark.parametrize("where", ["set", "leaderTemplate", "workerTemplate"])
async def test_a_topology_that_is_written_as_a_label_is_a_warning(path, where):
    lws = an_lws()
    holder, field = lws, "metadata.labels"
    if where != "set":
        holder = lws["spec"]["leaderWorkerTemplate"].setdefault(where, {"spec": {"containers": []}})
        field = f"spec.leaderWorkerTemplate.{where}.metadata.labels"
    key = f"{P}/exclusive-topology"
    holder.setdefault("metadata", {}).setdefault("labels", {})[key] = "example.com/rack"
    _, answer = await call(path, a_review(lws))
    assert answer["response"]["allowed"]
    (warning,) = answer["response"]["warnings"]
    assert warning.startswith(f"{field}[{key}] means nothing: write it as an annotation")


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
