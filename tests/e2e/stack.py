"""A local control plane with lws-placement on it, and what end-to-end tests ask of it."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from e2e.resources import path_of, path_to_make
from support.simulated_nodes import a_simulated_node

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

LWS = "leaderworkerset.sigs.k8s.io"
MODEL = {"cpu": "4", "google.com/tpu": "4"}
CHIPS = {"google.com/tpu": "4"}


@dataclass
class Scene:
    """One test's namespace and topology key on a shared control plane."""

    cluster: LocalCluster
    installation: Installation
    namespace: str
    nodes: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None
    """What is to be done again and again while a test waits."""

    @property
    def key(self):
        return f"topology.example.com/{self.namespace}"

    # -- make ------------------------------------------------------------------------------------

    def create(self, *objects):
        for obj in objects:
            self.cluster.api.create(path_to_make(obj, self.namespace), obj)

    def pool(self, domains, nodes_each=4, *, capacity=CHIPS, prefix="n", taints=(), key=""):
        """Nodes `<namespace>-<prefix><domain>-<node>`; domain values of the scene's key, or of
        `key`, are n00, n01, ...
        """
        made = [
            a_simulated_node(
                f"{self.namespace}-{prefix}{d:02}-{n}",
                labels={key or self.key: f"{prefix}{d:02}", "pool": self.namespace},
                capacity=capacity,
                taints=taints,
            )
            for d in range(domains)
            for n in range(nodes_each)
        ]
        self.nodes += [n["metadata"]["name"] for n in made]
        self.create(*made)
        self.wait(lambda: self._all_ready(), "nodes are ready")
        return [n["metadata"]["name"] for n in made]

    def _all_ready(self):
        return len(self.get("nodes", labels=f"pool={self.namespace}", ready=True)) == len(
            self.nodes
        )

    def lws(self, name="llm", *, replicas=1, size=4, exclusive=True, resources=MODEL, **more):
        """An LWS manifest; `more`: members of the spec, `leader` resources, `annotations`,
        `pod`: members of the workers' pod spec (and the leader's, if it has no template).
        """
        notes = dict(more.pop("annotations", {}))
        if exclusive:
            notes[f"{LWS}/exclusive-topology"] = self.key
        template = {"size": size, "workerTemplate": self._template(resources)}
        leader = more.pop("leader", None)
        if leader is not None:
            template["leaderTemplate"] = self._template(leader)
        spec = more.pop("pod", None)
        if spec is not None:
            template["workerTemplate"]["spec"] |= spec
        restart = more.pop("restart", None)
        if restart is not None:
            template["restartPolicy"] = restart
        return {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": name, "namespace": self.namespace, "annotations": notes},
            "spec": {"replicas": replicas, "leaderWorkerTemplate": template, **more},
        }

    def _template(self, resources):
        limits = {k: v for k, v in resources.items() if "/" in k}
        container = {
            "name": "model",
            "image": "registry.example.com/model",
            "resources": {"requests": resources, "limits": limits},
        }
        spec = {"nodeSelector": {"pool": self.namespace}, "containers": [container]}
        return {"spec": spec | {"terminationGracePeriodSeconds": 1}}

    def filler(self, node, resources=CHIPS, name=None):
        """A foreign pod bound to `node`."""
        container = {"name": "c", "image": "x", "resources": {"limits": resources}}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name or f"filler-{node}", "namespace": self.namespace},
            "spec": {"nodeName": node, "containers": [container]},
        }

    def insist(self, ask):
        """As a user does when a replica of the webhook was killed, which takes the requests along
        that are on their way to it.
        """

        def accepted():
            try:
                ask()
            except LocalClusterError as e:
                if "failed calling webhook" not in str(e):
                    raise
                return False
            return True

        self.wait(accepted, "the request is answered by another replica")

    # -- look ------------------------------------------------------------------------------------

    def kubectl(self, *args, stdin=None, check=True):
        return self.cluster.kubectl("-n", self.namespace, *args, stdin=stdin, check=check)

    def replace(self, kind, name, edit, *, subresource=""):
        """Writes the object as `edit` leaves it; again if others wrote it since it was read."""
        path = path_of(kind, self.namespace, name)

        def written():
            obj = self.cluster.api.get(path)
            edit(obj)
            asked = ("replace", "--raw", path + subresource, "-f", "-")
            try:
                self.cluster.kubectl(*asked, stdin=json.dumps(obj))
            except LocalClusterError as e:
                if "object has been modified" not in str(e):
                    raise
                return False
            return True

        self.wait(written, f"{kind} {name} is replaced")

    def get(self, kind, *, labels="", ready=False):
        """By way of the connection that is kept: tests look several times a second."""
        path = path_of(kind, self.namespace)
        items = self.cluster.api.items(path, labelSelector=labels)
        if ready:
            items = [o for o in items if _is_ready(o)]
        return items

    def one(self, kind, name):
        return self.cluster.api.get(path_of(kind, self.namespace, name))

    def watch(self, kind, name):
        """Every version of an object, until `close()` is called on what this returns."""
        get = ("get", "-n", self.namespace, kind, name, "--watch", "-ojson")
        command = [*self.cluster.kubectl_command, *get]
        return Watch(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))

    def members(self, lws=None):
        selector = f"{LWS}/name={lws}" if lws else f"{LWS}/name"
        return self.get("pods", labels=selector)

    def bound(self, lws=None):
        return [p for p in self.members(lws) if p["spec"].get("nodeName")]

    def holds(self):
        """Leases that are holds of this scene's topology key."""
        path = path_of("leases", "lws-placement-system")
        leases = self.cluster.api.items(path, labelSelector="lws-placement.dev/kind=hold")
        holds = [json.loads(x["metadata"]["annotations"]["lws-placement.dev/hold"]) for x in leases]
        return [h for h in holds if h["topologyKey"] == self.key]

    def domain_of(self, node):
        return node.removeprefix(f"{self.namespace}-").rsplit("-", 1)[0]

    def places(self, lws=None):
        """group index -> domains of its bound pods."""
        found = {}
        for pod in self.bound(lws):
            group = (
                pod["metadata"]["labels"][f"{LWS}/name"],
                pod["metadata"]["labels"][f"{LWS}/group-index"],
            )
            found.setdefault(group, set()).add(self.domain_of(pod["spec"]["nodeName"]))
        return found

    def broken_promises(self, pods=None):
        """In words; empty if no group is split and no domain has two."""
        places = self.places()
        problems = [f"{g} is split over {sorted(d)}" for g, d in places.items() if len(d) > 1]
        for domain in {d for ds in places.values() for d in ds}:
            groups = sorted(g for g, ds in places.items() if domain in ds)
            if len(groups) > 1:
                problems.append(f"{domain} has {groups}")
        return problems

    def events(self, reason):
        return [e for e in self.get("events") if e["reason"] == reason]

    def notes(self, reason):
        """What was said for this reason."""
        return [e["message"] for e in self.events(reason)]

    def wait_told(self, reason, words=""):
        """Until an Event says so: it may follow what it tells of."""
        return self.wait(
            lambda: [note for note in self.notes(reason) if words in note],
            f"Event {reason} says {words!r}",
        )

    def pin(self, pod):
        """The node that an ungated pod is pinned to; empty if it is not, or is not there."""
        for found in self.members():
            if found["metadata"]["name"] == pod and not found["spec"].get("schedulingGates"):
                return found["metadata"]["annotations"].get("lws-placement.dev/pinned-node", "")
        return ""

    def gated(self, pod):
        found = [p for p in self.members() if p["metadata"]["name"] == pod]
        return bool(found and found[0]["spec"].get("schedulingGates"))

    def node_of(self, pod):
        return self.one("pod", pod)["spec"].get("nodeName", "")

    def nodes_in_use(self):
        return {p["spec"]["nodeName"] for p in self.bound()}

    def node_label(self, node):
        """The domain that a node belongs to by its label now."""
        return self.one("node", node)["metadata"]["labels"][self.key]

    def uids(self, lws=None):
        return {p["metadata"]["uid"] for p in self.members(lws)}

    def wait(self, condition, what, timeout_s=60.0):
        """Until `condition()` is true; an AssertionError that shows the pods if it never is."""
        until = time.monotonic() + timeout_s
        while not (found := condition()):
            self.meanwhile()
            self.cluster.check()
            if time.monotonic() > until:
                state = self.kubectl("get", "pods,statefulsets,lws", "-owide", check=False)
                raise AssertionError(f"waited {timeout_s:.0f} s in vain: {what}\n{state}")
            time.sleep(0.1)
        return found

    def wait_bound(self, number, lws=None, timeout_s=60.0):
        """Until `number` members are bound and none is on its way out, which workers of an earlier
        leader are before they are deleted.
        """

        def settled():
            pods = self.members(lws)
            there = [p for p in pods if p["spec"].get("nodeName") and _stays(p)]
            return len(there) == len(pods) == number and self._led_by_living(pods)

        self.wait(settled, f"{number} members of {lws or 'all'} are bound", timeout_s)

    def _led_by_living(self, pods):
        """Whether each StatefulSet of workers is owned by one of `pods`."""
        leaders = {p["metadata"]["uid"] for p in pods}
        sets = {s["metadata"]["uid"]: _owner(s) for s in self.get("statefulsets")}
        owners = [_owner(p) for p in pods]
        if any(kind == "StatefulSet" and uid not in sets for kind, uid in owners):
            return False
        of_sets = [sets[uid] for kind, uid in owners if kind == "StatefulSet"]
        return all(uid in leaders for kind, uid in of_sets if kind == "Pod")


class Watch:
    """`kubectl get --watch` of one object, as an iterator over its versions."""

    def __init__(self, process):
        self._process = process

    def __iter__(self):
        text = ""
        for line in self._process.stdout:
            text += line
            if line == "}\n":
                yield json.loads(text)
                text = ""

    def close(self):
        self._process.terminate()
        self._process.wait()

    def free(self):
        self._process.stdout.close()


def _stays(pod):
    return "deletionTimestamp" not in pod["metadata"]


def _owner(obj):
    """Kind and UID of its controller."""
    found = [o for o in obj["metadata"].get("ownerReferences", []) if o.get("controller")]
    return (found[0]["kind"], found[0]["uid"]) if found else ("", "")


def _is_ready(obj):
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
