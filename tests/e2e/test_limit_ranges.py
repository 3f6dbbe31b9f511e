"""LimitRanges that refuse members: what the API server says, and what becomes of their groups."""

import json

import pytest
from e2e.dry_runs import ask
from e2e.stack import CHIPS
from support.limit_cases import CASES, CLAIMS, a_claim


def limit(scene, *items, name="small"):
    meta = {"name": name, "namespace": scene.namespace}
    spec = {"limits": list(items)}
    obj = {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": spec}
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


@pytest.mark.parametrize("name", CASES)
def test_the_api_server_refuses_the_same_pods_in_the_same_words(module_scene, name):
    item, spec, why = CASES[name]
    limit(module_scene, item)
    meta = {"name": "probe", "namespace": module_scene.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
    wait_said(module_scene, pod, why)


@pytest.mark.parametrize("name", CLAIMS)
def test_the_api_server_refuses_the_same_claims(module_scene, name):
    item, storage, why = CLAIMS[name]
    limit(module_scene, item)
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **a_claim(storage)}
    claim["metadata"]["namespace"] = module_scene.namespace
    wait_said(module_scene, claim, why)


def wait_said(scene, obj, why):
    """The API server's admission sees the range a moment later."""

    def is_as_said():
        answer = ask(scene, "create", obj)
        if not why:
            return isinstance(answer, dict)
        return isinstance(answer, str) and why in " ".join(answer.split())

    scene.wait(is_as_said, why or "it is admitted")


def test_a_group_whose_workers_are_refused_holds_nothing_until_they_are_not(scene):
    scene.pool(1)
    limit(scene, {"type": "Container", "max": {"cpu": "1"}})
    large = {"cpu": "2", **CHIPS}
    scene.create(scene.lws("large", leader={"cpu": "1", **CHIPS}, resources=large))
    words = (
        "the API server would refuse its worker 1: LimitRange small refuses container model: "
        "maximum cpu usage per Container is 1, but request is 2"
    )
    scene.wait(lambda: scene.notes("MembersForbidden"), "it says why it waits")
    assert set(scene.notes("MembersForbidden")) == {words}
    assert scene.holds() == []
    scene.create(scene.lws("llm", resources={"cpu": "1", **CHIPS}))
    scene.wait_bound(4, "llm")
    scene.kubectl("delete", "lws", "llm")
    scene.kubectl("delete", "limitrange", "small")
    scene.wait_bound(4, "large")
    assert scene.broken_promises() == []
