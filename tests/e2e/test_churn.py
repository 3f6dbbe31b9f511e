"""Random churn against the real control plane for a minute; `make soak` has far more of it.

At every observed instant (one consistent list of pods) no two groups are on one domain and no group
is split over domains; at rest every group is whole, and when all is deleted no hold is left.
"""

import json
import random
import time

from e2e.servers import start
from e2e.stack import LWS

SECONDS, SEED = 60, 1
LOOKS, PAUSE_S = 6, 0.08
"""After each step; pods get far enough meanwhile for the next step to meet them anywhere."""
DOMAINS, NODES_EACH = 8, 4


class Churn:
    def __init__(self, scene, rng):
        self.scene = scene
        self.rng = rng
        self.lws = {}
        self.cordoned = set()
        self.log = []

    def step(self):
        steps = {
            self.create: 3,
            self.scale: 4,
            self.delete: 2,
            self.kill_pod: 5,
            self.force_pod: 2,
            self.cordon: 2,
            self.uncordon: 2,
            self.kill_server: 1,
        }
        chosen = self.rng.choices(list(steps), weights=list(steps.values()))[0]
        chosen()

    def create(self):
        name = f"m{self.rng.randrange(5)}"
        if name in self.lws:
            return
        replicas, size = self.rng.randrange(1, 4), self.rng.randrange(2, 5)
        made = self.scene.lws(name, replicas=replicas, size=size)
        self.note(f"create {name} {replicas}x{size}")
        out = self.scene.kubectl("create", "-f", "-", stdin=json.dumps(made), check=False)
        if "created" in out:
            self.lws[name] = (replicas, size)

    def scale(self):
        if self.lws:
            name = self.rng.choice(sorted(self.lws))
            replicas = self.rng.randrange(0, 4)
            self.note(f"scale {name} {replicas}")
            self.scene.kubectl("scale", "lws", name, f"--replicas={replicas}", check=False)
            self.lws[name] = (replicas, self.lws[name][1])

    def delete(self):
        if self.lws:
            name = self.rng.choice(sorted(self.lws))
            self.note(f"delete {name}")
            self.scene.kubectl("delete", "lws", name, "--wait=false", check=False)
            del self.lws[name]

    def kill_pod(self, *force):
        pods = self.scene.members()
        if pods:
            name = self.rng.choice(pods)["metadata"]["name"]
            self.note(f"kill {name} {force}")
            self.scene.kubectl("delete", "pod", name, "--wait=false", *force, check=False)

    def force_pod(self):
        self.kill_pod("--force", "--grace-period=0")

    def cordon(self):
        node = self.rng.choice(self.scene.nodes)
        self.note(f"cordon {node}")
        self.scene.kubectl("cordon", node)
        self.cordoned.add(node)

    def uncordon(self):
        for node in sorted(self.cordoned)[:2]:
            self.scene.kubectl("uncordon", node)
            self.cordoned.discard(node)

    def kill_server(self):
        name = self.rng.choice(sorted(self.scene.installation.servers))
        self.note(f"kill -9 {name}")
        self.scene.installation.kill_server(name)
        start(self.scene.installation, name)

    def note(self, text):
        self.log.append(f"{time.strftime('%H:%M:%S')} {text}")


def broken(scene):
    """Violations in one list of pods; a set that was deleted and made again is another one."""
    places = {}
    for pod in scene.bound():
        notes, labels = pod["metadata"]["annotations"], pod["metadata"]["labels"]
        uid = notes.get("lws-placement.dev/lws-uid", "")
        group = (labels[f"{LWS}/name"], uid, labels[f"{LWS}/group-index"])
        places.setdefault(group, set()).add(scene.domain_of(pod["spec"]["nodeName"]))
    found = [f"{g} is split over {sorted(d)}" for g, d in places.items() if len(d) > 1]
    for domain in {d for ds in places.values() for d in ds}:
        there = sorted(g for g, ds in places.items() if domain in ds)
        if len(there) > 1:
            found.append(f"{domain} has {there}")
    return found


def test_no_promise_is_broken_under_churn(scene):
    scene.pool(DOMAINS, NODES_EACH)
    churn = Churn(scene, random.Random(SEED))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        churn.step()
        for _ in range(LOOKS):
            problems = broken(scene)
            assert problems == [], f"after {churn.log[-8:]}"
            time.sleep(PAUSE_S)
    _rest(scene, churn)


def _rest(scene, churn):
    """All nodes back, no more groups than domains: everything has to become whole."""
    for node in sorted(churn.cordoned):
        scene.kubectl("uncordon", node)
    room = DOMAINS
    for name, (replicas, size) in list(churn.lws.items()):
        kept = min(replicas, room)
        room -= kept
        scene.kubectl("scale", "lws", name, f"--replicas={kept}")
        churn.lws[name] = (kept, size)
    expected = sum(r * s for r, s in churn.lws.values())
    try:
        scene.wait_bound(expected, timeout_s=120)
    except AssertionError as e:
        raise AssertionError(f"{churn.log[-20:]}\n{e}") from e
    assert broken(scene) == []
    holds = sum(r for r, _ in churn.lws.values())
    scene.wait(lambda: len(scene.holds()) == holds, f"{holds} holds, one per group", 60)
    scene.kubectl("delete", "lws", "--all", "--wait=false")
    scene.wait(lambda: not scene.holds() and not scene.members(), "no hold is left over", 60)
