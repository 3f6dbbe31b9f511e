"""Rolling updates of placed groups through an API server that answers badly (`faults.py`): refused
and unanswered writes, failed reads, watches that are cut or have expired.

They end as they do undisturbed, and on the way no fewer groups are ready. That is against the real
API server what `tests/controller/test_rollout_kills.py` does at every single write against one in
memory.
"""

import json

import pytest
from e2e.faults import Fault, Faults
from e2e.leaders import leader_of
from e2e.rollouts import History, images, revisions, rollout, set_image, uids, wait_done
from e2e.servers import start

from lws_placement.localcluster.install import BRAIN, GATE, NAMESPACE

REFUSED = {Fault.CONFLICT, Fault.TOO_MANY, Fault.REFUSED, Fault.DONE_BUT_FAILED}
WRITES = (
    ("POST", "controllerrevisions"),
    ("DELETE", "controllerrevisions"),
    ("PATCH", "statefulsets"),
    ("POST", "statefulsets"),
    ("PUT", "leaderworkersets/status"),
    ("POST", "leases"),
    ("PUT", "leases"),
    ("DELETE", "leases"),
    ("POST", "pods/binding"),
)
"""What an update with a surge group needs."""
WATCHES = (("WATCH", "pods"), ("WATCH", "statefulsets"))
NAMES = ("brain-a", "brain-b", "gate-a")
"""The other gate takes no connection while the first one does."""


@pytest.fixture
def disturb(scene):
    """From its call on all that is ours speaks to the API server through `Faults`."""
    installed = scene.installation
    made = []

    def begin():
        made.append(Faults(scene.cluster))
        for name in NAMES:
            installed.stop_server(name)
        for name, account in (("gate-a", GATE), ("brain-a", BRAIN)):
            start(installed, name, f"--kubeconfig={kubeconfig(scene, made[0].url, account)}")
        scene.wait(lambda: leader_of(scene) == "brain-a", "it leads")
        return made[0]

    try:
        yield begin
    finally:
        for name in NAMES:
            if name in installed.servers:
                installed.kill_server(name)
        for faults in made:
            faults.close()
        for name in NAMES:
            start(installed, name)


def kubeconfig(scene, url, account):
    """The ServiceAccount's, to another server."""
    ours = scene.cluster.service_account_kubeconfig(NAMESPACE, account)
    config = json.loads(ours.read_text())
    config["clusters"][0]["cluster"] = {"server": url}
    path = scene.cluster.folder / f"{account}-through-faults.kubeconfig"
    path.write_text(json.dumps(config))
    return path


def outcome(scene, image):
    """What must not depend on what happened on the way."""
    status = scene.one("lws", "llm")["status"]
    return {
        "images": set(map(tuple, images(scene).values())) == {(image,)},
        "places": scene.places(),
        "pods": sorted(uids(scene)),
        "sets": [s["metadata"]["name"] for s in scene.get("sts")],
        "services": [s["metadata"]["name"] for s in scene.get("services")],
        "partition": scene.one("sts", "llm")["spec"]["updateStrategy"]["rollingUpdate"],
        "groups": [status[k] for k in ("replicas", "readyReplicas", "updatedReplicas")],
        "conditions": {c["type"]: c["status"] for c in status["conditions"]},
        "revisions": len(revisions(scene)),
        "holds": sorted((h["domain"], h["holders"][0]["state"]) for h in scene.holds()),
        "gated": [p for p in uids(scene) if scene.gated(p)],
    }


def roll(scene, image):
    """What the update ended as, and how many leaders were ready at the least on the way."""
    history = History(scene)
    try:
        set_image(scene, image)
        wait_done(scene, 2)
        scene.wait(lambda: len(scene.holds()) == 2, "the surge group's hold has ended")
    finally:
        history.close()
    assert scene.broken_promises() == []
    return outcome(scene, image), min(history.ready)


def test_an_update_through_an_api_server_that_answers_badly_ends_as_it_would_have(scene, disturb):
    scene.pool(3, 2)
    scene.create(scene.lws(replicas=2, size=2, **rollout(unavailable=0, surge=1)))
    wait_done(scene, 2)
    undisturbed = roll(scene, "model:2")
    assert undisturbed[1] == 2
    faults = disturb()
    disturbed = roll(scene, "model:3")
    assert disturbed == undisturbed
    assert [kind for kind in WRITES if not faults.met(kind) >= REFUSED] == []
    assert [kind for kind in WATCHES if not faults.met(kind) >= {Fault.CUT, Fault.EXPIRED}] == []
