"""One controller of LeaderWorkerSets is swapped for the other: no pod is restarted."""

import json

import pytest
from e2e import upstream_shape as upstream
from e2e.servers import start
from e2e.stack import LWS

LIGHT = {"cpu": "10m"}
BRAINS = ("brain-a", "brain-b")
THEIR_KEY = "5d8f7c9b6"
"""A revision key that no hash of ours gives: what it stands for is compared, not the key."""

APPLY_AS_UPSTREAM = ("apply", "--server-side", "--field-manager=lws", "--force-conflicts")


@pytest.fixture
def no_brains(scene):
    """Our controller is away; a test may call `back()`, which starts it again."""
    away = []

    def back():
        while away:
            start(scene.installation, away.pop())

    for name in BRAINS:
        scene.installation.stop_server(name)
        away.append(name)
    yield back
    back()


def apply(scene, *objects):
    for obj in objects:
        scene.kubectl(*APPLY_AS_UPSTREAM, "-f", "-", stdin=json.dumps(obj))


def uids(scene):
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in scene.members()}


def generations(scene):
    return {
        s["metadata"]["name"]: (s["metadata"]["uid"], s["metadata"]["generation"])
        for s in scene.get("statefulsets")
    }


def available(scene, groups):
    obj = scene.one("lws", "llm")
    status = obj.get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return (
        status.get("observedGeneration") == obj["metadata"]["generation"]
        and status["readyReplicas"] == status["updatedReplicas"] == groups
        and conditions.get("Available") == "True"
    )


def leave_as_upstream(scene, replicas):
    """A running set of `replicas` groups, made by hand."""
    scene.pool(1)
    scene.create(scene.lws(replicas=replicas, size=3, exclusive=False, resources=LIGHT))
    lws = scene.one("lws", "llm")
    apply(scene, upstream.revision(lws, THEIR_KEY), upstream.leader_set(lws, THEIR_KEY))
    apply(scene, upstream.service(lws))
    leaders = scene.wait(
        lambda: len(scene.members()) == replicas and scene.members(), "the leaders exist"
    )
    for leader in leaders:
        name, namespace = leader["metadata"]["name"], scene.namespace
        key = leader["metadata"]["labels"][f"{LWS}/group-key"]
        assert key == upstream.group_key(namespace, name)
        scene.create(upstream.worker_set(lws, THEIR_KEY, leader))
    scene.wait_bound(3 * replicas)


def revisions(scene):
    found = scene.get("controllerrevisions", labels=f"{LWS}/name=llm")
    return [r for r in found if r["metadata"]["ownerReferences"][0]["kind"] == "LeaderWorkerSet"]


def test_what_upstream_left_is_taken_over_and_goes_on(scene, no_brains):
    leave_as_upstream(scene, 2)
    pods, made, there = uids(scene), generations(scene), revisions(scene)
    no_brains()
    scene.wait(lambda: available(scene, 2), "the status is ours")
    assert uids(scene) == pods
    assert generations(scene) == made
    assert revisions(scene) == there, "no revision was made or changed"
    scene.kubectl("scale", "lws", "llm", "--replicas=3")
    scene.wait_bound(9)
    scene.wait(lambda: available(scene, 3), "a group more")
    assert pods.items() <= uids(scene).items()
    image = "/spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/image"
    patch = f'[{{"op": "replace", "path": "{image}", "value": "model:2"}}]'
    scene.kubectl("patch", "lws", "llm", "--type=json", f"-p={patch}")
    scene.wait(lambda: _images(scene) == {"model:2"} and available(scene, 3), "updated", 90)
    assert not set(pods.values()) & set(uids(scene).values())
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.members() and not scene.get("statefulsets"), "all is gone")
    scene.wait(lambda: not scene.get("services"), "the Service too")


def _images(scene):
    return {p["spec"]["containers"][0]["image"] for p in scene.members()}


def test_what_we_leave_is_what_upstream_would_have_made(scene):
    """Its applies of the same set change no spec, so no generation, so no pod."""
    scene.pool(1)
    scene.create(scene.lws(replicas=2, size=3, exclusive=False, resources=LIGHT))
    scene.wait_bound(6)
    scene.wait(lambda: available(scene, 2), "it is available")
    pods, made = uids(scene), generations(scene)
    lws = scene.one("lws", "llm")
    (revision,) = revisions(scene)
    key = revision["metadata"]["labels"][f"{LWS}/template-revision-hash"]
    theirs = upstream.revision(lws, key)
    assert revision["data"] == theirs["data"]
    assert revision["metadata"]["name"] == theirs["metadata"]["name"]
    leaders = [p for p in scene.members() if p["metadata"]["labels"][f"{LWS}/worker-index"] == "0"]
    wanted = [upstream.leader_set(lws, key), upstream.service(lws)]
    wanted += [upstream.worker_set(lws, key, leader) for leader in leaders]
    for obj in wanted:
        kind, name = obj["kind"], obj["metadata"]["name"]
        there = scene.one(kind, name)["metadata"]
        for part in ("labels", "ownerReferences"):
            assert there[part] == obj["metadata"][part]
    apply(scene, *wanted)
    assert generations(scene) == made
    assert uids(scene) == pods
