"""Sets whose pods carry a scheduling gate of somebody else, as Kueue and others put it there."""

import json

from lws_placement.engine.base import keys

QUOTA = "example.com/quota"
GATED = {"schedulingGates": [{"name": QUOTA}]}


def gates(pod):
    return [g["name"] for g in pod["spec"].get("schedulingGates") or ()]


def grant(scene, lws):
    """The one whose gate it is takes it off the pods that are there."""
    for pod in scene.members(lws):
        left = [{"name": name} for name in gates(pod) if name != QUOTA]
        if QUOTA in gates(pod):
            body = json.dumps({"spec": {"schedulingGates": left}})
            name = pod["metadata"]["name"]
            scene.kubectl("patch", "pod", name, "--type=merge", f"-p={body}", check=False)


def wait_granted(scene, lws, size=4):
    """Workers come later than their leader, and are gated as well."""

    def whole():
        grant(scene, lws)
        return len(scene.bound(lws)) == size

    scene.wait(whole, f"{lws} is placed whole")


def holders(scene):
    return [h["lws"] for hold in scene.holds() for h in hold["holders"]]


def test_a_set_that_others_keep_back_leaves_the_only_domain_to_another(scene):
    scene.pool(1)
    scene.create(scene.lws("gated", pod=GATED))
    note = f"waits for scheduling gate {QUOTA} of others on pod gated-0 to be removed"
    scene.wait(lambda: note in scene.notes("WaitingForGate"), "it says for whom it waits")
    (leader,) = scene.members("gated")
    assert gates(leader) == [QUOTA, keys.GATE]
    assert scene.holds() == []
    scene.create(scene.lws("llm"))
    scene.wait_bound(4, "llm")
    assert holders(scene) == ["llm"]
    grant(scene, "gated")
    scene.wait(lambda: scene.notes("WaitingForDomain"), "it waits for a domain like all others")
    scene.kubectl("delete", "lws", "llm")
    wait_granted(scene, "gated")
    assert holders(scene) == ["gated"]
    assert scene.broken_promises() == []


def test_a_group_that_restarts_keeps_its_domain_until_its_new_pods_are_let_go(scene):
    scene.pool(2)
    scene.create(scene.lws("gated", pod=GATED))
    wait_granted(scene, "gated")
    (before,) = scene.places().values()
    old = scene.uids("gated")
    scene.kubectl("delete", "pod", "gated-0", "--wait=false")
    scene.wait(lambda: not old & scene.uids("gated") and scene.gated("gated-0"), "it is back")
    assert holders(scene) == ["gated"]
    wait_granted(scene, "gated")
    assert list(scene.places().values()) == [before]


def test_a_group_that_restarts_gives_its_domain_to_one_that_waits(scene):
    scene.pool(1)
    scene.create(scene.lws("gated", pod=GATED))
    wait_granted(scene, "gated")
    scene.kubectl("delete", "pod", "gated-0", "--wait=false")
    scene.create(scene.lws("llm"))
    scene.wait_bound(4, "llm")
    assert holders(scene) == ["llm"]
    assert scene.bound("gated") == []
    assert scene.broken_promises() == []
