"""The verbs that answer questions, with a person's own credentials, on the real control plane."""

import json
import signal
import subprocess
import sys

import pytest
from e2e.verbs import ask

from lws_placement.engine.base import keys
from lws_placement.errors import ApiError, NotFoundError


@pytest.fixture
def viewer(scene):
    """Somebody with the cluster's role `view` and nothing else."""
    return a_user(scene, "viewer", role="view")


def a_user(scene, name, *, role=None):
    scene.kubectl("create", "serviceaccount", name)
    if role is not None:
        account = f"--serviceaccount={scene.namespace}:{name}"
        binding = f"{name}-{scene.namespace}"
        scene.kubectl("create", "clusterrolebinding", binding, f"--clusterrole={role}", account)
    return scene.cluster.service_account_kubeconfig(scene.namespace, name)


def a_group_that_waits(scene):
    """Two domains: one for the first group, in the other a foreign pod."""
    nodes = scene.pool(2)
    scene.create(scene.filler(nodes[5]))
    scene.create(scene.lws(replicas=2))
    scene.wait(lambda: len(scene.bound()) == 4, "the first group is bound")
    return scene.wait(lambda: [e["message"] for e in scene.events("WaitingForDomain")], "an event")


def conditions(scene):
    notes = [p["metadata"]["annotations"] for p in scene.members()]
    return [json.loads(n[keys.CONDITION]) for n in notes if keys.CONDITION in n]


def test_explain_says_what_the_event_says_and_what_would_have_to_end(scene, viewer):
    said = a_group_that_waits(scene)
    text = ask(viewer, "explain", "lws/llm", "-n", scene.namespace)
    assert any(note in text for note in said)
    assert "place 1 of 1 in the queue" in text
    filler = f"filler-{scene.namespace}-n01-1"
    ends = f"fits once pod {scene.namespace}/{filler} on {scene.namespace}-n01-1 ends"
    (nearest,) = [line for line in text.splitlines() if line.startswith("  n01:")]
    assert "worker 3 needs 4 google.com/tpu, largest free node left has 0" in nearest
    assert ends in nearest
    assert "has topology.example.com/" in text
    condition = scene.wait(lambda: conditions(scene), "the leader carries the reason")
    assert {c["message"] for c in condition} <= set(said)
    scene.kubectl("delete", "pod", filler, "--wait=false")
    scene.wait_bound(8)
    assert conditions(scene) == []
    placed = json.loads(ask(viewer, "explain", "llm-1-2", "-n", scene.namespace, "-o", "json"))
    assert [(a["group"], a["standing"]) for a in placed] == [(f"{scene.namespace}/llm-1", "placed")]


def test_status_shows_domains_holders_and_the_queue(scene, viewer):
    a_group_that_waits(scene)
    found = json.loads(ask(viewer, "status", "-o", "json"))
    (mine,) = [key for key in found["topologyKeys"] if key["key"] == scene.key]
    assert {d["name"]: d["state"] for d in mine["domains"]} == {"n00": "held", "n01": "broken"}
    (held,) = [d for d in mine["domains"] if d["state"] == "held"]
    assert [(h["bound"], h["size"]) for h in held["holders"]] == [(4, 4)]
    assert held["room"] == {"google.com/tpu": {"free": 0, "of": 16}}
    assert any(w["group"].startswith(f"{scene.namespace}/llm-") for w in found["waiting"])
    assert found["problem"] == ""
    assert scene.key in ask(viewer, "status", "--most", "500")


def test_simulate_beside_a_cluster_leaves_no_trace(scene, viewer, tmp_path):
    scene.pool(2)
    scene.create(scene.lws())
    scene.wait_bound(4)
    scene.wait(lambda: is_available(scene), "nothing is going on any more")
    file = tmp_path / "more.yaml"
    file.write_text(json.dumps(scene.lws("more", replicas=2)))
    before = everything(scene)
    text = ask(viewer, "simulate", "-f", str(file), "--from-cluster")
    assert f"more-0: n01 ({scene.namespace}-n01-0" in text
    assert f"n00: held by {scene.namespace}/llm-0; fits once it ends" in text
    assert "1 of 2 groups placed, 1 waits" in text
    assert everything(scene) == before


def is_available(scene):
    conditions = scene.one("lws", "llm")["status"].get("conditions", [])
    return {c["type"]: c["status"] for c in conditions}.get("Available") == "True"


def everything(scene):
    """Versions of what a trace could be left in, and the holds."""
    kinds = ("pods", "lws", "statefulsets", "controllerrevisions")
    found = [o for kind in kinds for o in scene.get(kind)]
    versions = {(o["kind"], o["metadata"]["name"]): o["metadata"]["resourceVersion"] for o in found}
    return versions, [(h["domain"], h["holders"]) for h in scene.holds()]


def test_who_may_not_read_is_told_what_is_missing(scene):
    nobody = a_user(scene, "nobody")
    with pytest.raises(ApiError, match="ClusterRole lws-placement-view"):
        ask(nobody, "explain", "llm")


def test_a_name_that_nobody_has_is_an_error(scene, viewer):
    with pytest.raises(NotFoundError, match="no LeaderWorkerSet, group or pod nothing"):
        ask(viewer, "explain", "nothing", "-n", scene.namespace)


def test_what_is_not_ours_to_place_is_said_to_be(scene, viewer):
    scene.pool(1)
    scene.create(scene.lws(exclusive=False))
    scene.wait_bound(4)
    text = ask(viewer, "explain", "llm", "-n", scene.namespace)
    assert "without exclusive topology: kube-scheduler alone places them" in text


def test_status_follows_what_happens_until_it_is_interrupted(scene, viewer, tmp_path):
    scene.pool(1)
    program = (sys.executable, "-m", "lws_placement.cli.main")
    shown = tmp_path / "shown"
    with shown.open("w") as out:
        watching = subprocess.Popen(
            [*program, "status", "--watch", "--most=500", f"--kubeconfig={viewer}"], stdout=out
        )
    try:
        scene.create(scene.lws(replicas=2))
        waits = f": waits for a whole domain of {scene.key}"
        scene.wait(lambda: waits in shown.read_text(), "it shows who waits")
        scene.wait(lambda: "(4 of 4 pods bound)" in shown.read_text(), "it shows who is bound")
    finally:
        watching.send_signal(signal.SIGINT)
    assert watching.wait(timeout=30) in (0, 130)
