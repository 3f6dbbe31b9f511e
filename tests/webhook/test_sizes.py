"""Groups too large to be admitted."""

import pytest
from support.admission import OURS, P, a_pod, a_review, admit, call


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
