"""Tenants that use the cluster at random, each a thread with rights in a namespace of its own."""

import random
import threading
from contextlib import suppress

from e2e.resources import path_of
from e2e.stack import LWS, MODEL
from soak.client import Client, UnreachableError
from soak.facts import FORGED, KEY
from soak.hostile import direct_pod, forged_pod, group_pod, odd_pod, odd_set, plain_pod

URGENT = "soak-urgent"
_PATCH = "application/merge-patch+json"
_MOST_DIRECT = 5
_MOST_PODS = 12
_NAMES = 3
_USER = "system:serviceaccount:{}:tenant"
_SETS_RULE = {
    "apiGroups": ["leaderworkerset.x-k8s.io"],
    "resources": ["leaderworkersets"],
    "verbs": ["*"],
}


def admit_tenant(cluster, namespace):
    """A namespace with a tenant who may do all in it that the cluster's role `admin` may, and have
    LeaderWorkerSets.
    """
    api, user = cluster.api, _USER.format(namespace)
    api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    cluster.wait_for(lambda: api.items(path_of("serviceaccounts", namespace)))
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    api.create(f"{rights}/roles", {"metadata": {"name": "sets"}, "rules": [_SETS_RULE]})
    subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
    for kind, name in (("Role", "sets"), ("ClusterRole", "admin")):
        role = {"kind": kind, "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        body = {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
        api.create(f"{rights}/rolebindings", body)


class Tenant:
    """Does one thing after another while `let()` is in effect. What it does not get an answer to,
    it forgets.
    """

    def __init__(self, stage, namespace, *, hostile, seed, figures, pause_s):
        self.namespace = namespace
        self.hostile = hostile
        self._nodes = stage.nodes
        self._rng = random.Random(f"{seed} {namespace}")
        self._figures = figures
        self._pause_s = pause_s
        self._client = Client(stage.cluster, _USER.format(namespace))
        self._number = 0
        self._may = threading.Event()
        self._idle = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def let(self):
        self._may.set()

    def hush(self):
        """Returns when it does nothing any more."""
        self._may.clear()
        with self._idle:
            pass

    def close(self):
        self._ended.set()
        self._may.set()
        self._thread.join(15)

    def _live(self):
        deeds = dict(_HONEST | (_HOSTILE if self.hostile else {}))
        while not self._ended.is_set():
            self._may.wait()
            with self._idle:
                if self._may.is_set() and not self._ended.is_set():
                    (deed,) = self._rng.choices(list(deeds), weights=list(deeds.values()))
                    with suppress(UnreachableError):
                        deed(self)
            self._ended.wait(self._rng.uniform(0, 2 * self._pause_s))

    # -- asking ----------------------------------------------------------------------------------

    def _ask(self, what, method, path, body=None, **more):
        """Counts how it was answered."""
        try:
            status, found = self._client.ask(method, path, body, **more)
        except UnreachableError:
            self._figures.count(f"asked: {what}, not answered")
            raise
        said = str(found.get("message", ""))
        outcome = "done" if status < 300 else str(status)
        if status >= 500 and "failed calling webhook" in said:
            outcome = "no webhook"
        self._figures.count(f"asked: {what}, {outcome}")

    def _items(self, kind, **params):
        return self._client.items(path_of(kind, self.namespace), **params)

    def _any(self, kind, **params):
        """A name; None if there is none."""
        names = sorted(o["metadata"]["name"] for o in self._items(kind, **params))
        return self._rng.choice(names) if names else None

    def _create_pod(self, what, pod):
        self._ask(what, "POST", path_of("pods", self.namespace), pod)

    def _new_name(self):
        self._number += 1
        return f"p{self._number}"

    # -- deeds -----------------------------------------------------------------------------------

    def create_set(self):
        lws = self._set()
        self._ask("create a set", "POST", path_of("lws", self.namespace), lws)

    def _set(self):
        limits = {k: v for k, v in MODEL.items() if "/" in k}
        resources = {"requests": MODEL, "limits": limits}
        container = {
            "name": "model",
            "image": "registry.example.com/model:1",
            "resources": resources,
        }
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        if self._rng.random() < 0.15:
            spec["priorityClassName"] = URGENT
        template = {"size": self._rng.randrange(1, 5), "workerTemplate": {"spec": spec}}
        meta = {
            "name": f"m{self._rng.randrange(_NAMES)}",
            "annotations": {f"{LWS}/exclusive-topology": KEY},
        }
        return {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": meta,
            "spec": {"replicas": self._rng.randrange(1, 4), "leaderWorkerTemplate": template},
        }

    def scale_set(self):
        self._change_set("scale a set", {"replicas": self._rng.randrange(4)})

    def update_set(self):
        name = self._any("lws")
        if name is None:
            return
        path = path_of("lws", self.namespace, name)
        image = f"registry.example.com/model:{self._rng.randrange(2, 100)}"
        at = "/spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/image"
        patch = [{"op": "replace", "path": at, "value": image}]
        self._ask("update a set", "PATCH", path, patch, kind="application/json-patch+json")

    def _change_set(self, what, spec):
        name = self._any("lws")
        if name is not None:
            path = path_of("lws", self.namespace, name)
            self._ask(what, "PATCH", path, {"spec": spec}, kind=_PATCH)

    def delete_set(self):
        self._delete("a set", "lws")

    def delete_member(self):
        self._delete("a member", "pods", labelSelector=f"{LWS}/name")

    def force_member(self):
        self._delete("a member by force", "pods", 0, labelSelector=f"{LWS}/name")

    def create_foreign(self):
        if len(self._items("pods", labelSelector=f"!{LWS}/name")) < _MOST_PODS:
            chips = self._rng.choice((0, 0, 1, 4))
            self._create_pod("create a foreign pod", plain_pod(self._new_name(), chips))

    def delete_foreign(self):
        self._delete("a foreign pod", "pods", labelSelector=f"!{LWS}/name")

    def _delete(self, what, kind, grace_s=None, **params):
        name = self._any(kind, **params)
        if name is not None:
            more = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
            more["propagationPolicy"] = "Background"
            self._ask(f"delete {what}", "DELETE", path_of(kind, self.namespace, name), **more)

    # -- hostile deeds ---------------------------------------------------------------------------

    def create_odd_set(self):
        lws = odd_set(self._rng, self._set())
        lws["metadata"]["name"] = f"odd{self._rng.randrange(_NAMES)}"
        self._ask("create an odd set", "POST", path_of("lws", self.namespace), lws)

    def forge_pod(self):
        """In the place of a member that is to come, or beside the others."""
        members = self._items("pods", labelSelector=f"{LWS}/name")
        victim = self._rng.choice(members) if members else None
        name = self._new_name()
        if victim is not None and self._rng.random() < 0.5:
            name = f"{victim['metadata']['name']}-1"
        self._create_pod("forge a pod", forged_pod(self._rng, name, victim, self._nodes))

    def create_group_pod(self):
        self._create_pod("create a pod of a group", group_pod(self._rng, self._new_name()))

    def create_direct(self):
        forged = self._items("pods", labelSelector=FORGED)
        if len(forged) > _MOST_DIRECT:
            self._delete("a forged pod", "pods", labelSelector=FORGED)
        else:
            pod = direct_pod(self._rng, self._new_name(), self._nodes)
            self._create_pod("create a direct pod", pod)

    def create_odd_pod(self):
        self._create_pod("create an odd pod", odd_pod(self._rng, self._new_name()))

    def annotate_member(self):
        """What we write on it; the policy refuses that."""
        name = self._any("pods", labelSelector=f"{LWS}/name")
        if name is not None:
            key = self._rng.choice(("released", "admitted", "pinned-node", "lws-uid"))
            value = self._rng.choice(("true", "foreign", None))
            body = {"metadata": {"annotations": {f"lws-placement.dev/{key}": value}}}
            path = path_of("pods", self.namespace, name)
            self._ask("annotate a member", "PATCH", path, body, kind=_PATCH)

    def relabel_member(self):
        name = self._any("pods", labelSelector=f"{LWS}/name")
        if name is not None:
            key = self._rng.choice(("group-index", "worker-index", "group-key", "name"))
            value = self._rng.choice(("0", "1", "7", "x", None))
            body = {"metadata": {"labels": {f"{LWS}/{key}": value}}}
            path = path_of("pods", self.namespace, name)
            self._ask("relabel a member", "PATCH", path, body, kind=_PATCH)

    def scale_statefulset(self):
        name = self._any("statefulsets")
        if name is not None:
            path = path_of("statefulsets", self.namespace, name)
            body = {"spec": {"replicas": self._rng.randrange(6)}}
            self._ask("scale a StatefulSet", "PATCH", path, body, kind=_PATCH)

    def delete_statefulset(self):
        self._delete("a StatefulSet", "statefulsets")

    def delete_revision(self):
        self._delete("a ControllerRevision", "controllerrevisions")


_HONEST = {
    Tenant.create_set: 6,
    Tenant.scale_set: 3,
    Tenant.update_set: 2,
    Tenant.delete_set: 1,
    Tenant.delete_member: 3,
    Tenant.force_member: 1,
    Tenant.create_foreign: 3,
    Tenant.delete_foreign: 3,
}
_HOSTILE = {
    Tenant.create_odd_set: 4,
    Tenant.forge_pod: 4,
    Tenant.create_group_pod: 2,
    Tenant.create_direct: 3,
    Tenant.create_odd_pod: 2,
    Tenant.annotate_member: 2,
    Tenant.relabel_member: 2,
    Tenant.scale_statefulset: 2,
    Tenant.delete_statefulset: 2,
    Tenant.delete_revision: 1,
}
