"""On a Kubernetes older than our CRD a template may ask for what pods do not have there."""

import json

import pytest

SMALL = {"cpu": "1"}
RESPONDERS = [{"name": "example.com/responder", "priority": 1}]
"""A field of pods since 1.37."""


@pytest.fixture
def old(scene):
    published = json.loads(scene.kubectl("get", "--raw", "/openapi/v3/api/v1"))
    spec = published["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]
    if "evictionResponders" in spec["properties"]:
        pytest.skip("this API server knows every field of ours")
    return scene


def test_a_template_that_this_kubernetes_cannot_carry_out_is_told_of(old):
    old.create(old.lws(exclusive=False, resources=SMALL, pod={"evictionResponders": RESPONDERS}))
    blocked = old.wait(
        lambda: [c for c in conditions(old) if c["type"] == "Blocked"], "it is blocked"
    )
    assert (blocked[0]["status"], blocked[0]["reason"]) == ("True", "StatefulSetRefused")
    assert "evictionResponders: field not declared in schema" in blocked[0]["message"]
    old.wait_told("FailedCreate", "evictionResponders")


def test_workers_do_not_lose_a_field_without_a_word(old):
    lws = old.lws(exclusive=False, resources=SMALL, leader=SMALL)
    workers = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    workers["spec"]["evictionResponders"] = RESPONDERS
    old.create(lws)
    notes = old.wait(lambda: old.notes("FailedCreate"), "an Event")
    assert 'unknown field "spec.template.spec.evictionResponders"' in notes[0]
    assert [s["metadata"]["name"] for s in old.get("statefulsets")] == ["llm"]


def conditions(scene):
    return scene.one("lws", "llm").get("status", {}).get("conditions", [])
