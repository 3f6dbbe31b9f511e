"""Puts a random cluster on the control plane, one after another, and knows when kube-scheduler has
seen all of it.

Each kind of object reaches kube-scheduler in the order of its changes. So the canary's node, pod,
namespace and storage come last, and a pod that can only go where all of these meet finds its node
when everything before them is known.
"""

import json

from e2e.resources import path_of, path_to_make
from e2e.scheduler_answers import ask
from support.random_clusters import CANARY, PRIORITY_CLASS
from support.random_devices import canary_devices
from support.random_volumes import DRIVERS, STAYS, canary_storage

_HOST = "kubernetes.io/hostname"


class DifferCluster:
    def __init__(self, cluster, extender):
        self._cluster = cluster
        self._extender = extender
        self._namespaces = set()
        preempts_nothing = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": PRIORITY_CLASS},
            "value": 0,
            "preemptionPolicy": "Never",
        }
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(preempts_nothing))
        for driver in DRIVERS:
            self._create(driver)

    def put(self, wanted):
        """Instead of what is there. Returns when kube-scheduler knows it."""
        self.clear()
        self._put_namespaces(wanted.namespaces)
        for node in wanted.nodes:
            self._create(node)
        self._put_storage(wanted.storage)
        for raw in wanted.devices.objects:
            self._create(raw)
        made = [(pod, self._create(pod.raw)) for pod in wanted.bound]
        with_status = [
            raw | {"status": raw["status"] | pod.status} for pod, raw in made if pod.status
        ]
        self._replace(with_status, "--subresource=status")
        for pod, raw in made:
            if pod.deleted:
                self._cluster.api.delete(_path(raw))
        self._allocate(wanted.devices, {raw["metadata"]["name"]: raw for _, raw in made})
        self._wait_known(wanted.seed)

    def clear(self):
        stay = [p for p in self._pods() if p["metadata"].get("finalizers")]
        for pod in stay:
            del pod["metadata"]["finalizers"]
        self._replace(stay)
        for namespace in self._namespaces:
            self._cluster.api.delete(path_of("pods", namespace), gracePeriodSeconds="0")
        self._cluster.wait_for(lambda: not self._pods())
        self._clear_storage()
        self._clear_devices()
        self._cluster.api.delete(path_of("nodes", ""))

    def _allocate(self, wanted, bound):
        """`bound`: pods by name."""
        made = []
        for claim, name in wanted.allocated:
            pod = bound[name]["metadata"]
            user = {"resource": "pods", "name": name, "uid": pod["uid"]}
            status = claim["status"] | {"reservedFor": [user]}
            made.append(self._create(claim) | {"status": status})
        self._replace(made, "--subresource=status")

    def _clear_devices(self):
        for kind in ("resourceclaims", "resourceclaimtemplates"):
            for namespace in self._namespaces:
                self._cluster.api.delete(path_of(kind, namespace))
        for kind in ("resourceslices", "deviceclasses"):
            self._cluster.api.delete(path_of(kind, ""))
        self._cluster.wait_for(lambda: not self._items("resourceclaims"))

    def _put_storage(self, wanted):
        made = [self._create(raw) for raw in wanted.objects]
        self._cluster.wait_for(self._is_settled)
        for claim in made:
            if STAYS in claim["metadata"].get("finalizers", ()):
                self._cluster.api.delete(_path(claim))

    def _is_settled(self):
        """Whether the controller of volumes has bound what is to be bound."""
        volumes, claims = self._items("persistentvolumes"), self._items("persistentvolumeclaims")
        phases = [v["status"].get("phase") for v in volumes]
        bound = [c["status"].get("phase") for c in claims if c["spec"].get("volumeName")]
        return {*phases} <= {"Available", "Bound"} and {*bound} <= {"Bound", "Lost"}

    def _clear_storage(self):
        stay = [
            c for c in self._items("persistentvolumeclaims") if STAYS in c["metadata"]["finalizers"]
        ]
        for claim in stay:
            claim["metadata"]["finalizers"].remove(STAYS)
        self._replace(stay)
        for namespace in self._namespaces:
            for kind in ("persistentvolumeclaims", "csistoragecapacities"):
                self._cluster.api.delete(path_of(kind, namespace))
        for kind in ("volumeattachments", "persistentvolumes", "storageclasses", "csinodes"):
            self._cluster.api.delete(path_of(kind, ""))
        kinds = ("persistentvolumeclaims", "volumeattachments", "persistentvolumes")
        self._cluster.wait_for(lambda: not any(self._items(kind) for kind in kinds))

    def _put_namespaces(self, wanted):
        new = [n for n in wanted if n["metadata"]["name"] not in self._namespaces]
        for namespace in new:
            self._create(namespace)
            self._namespaces.add(namespace["metadata"]["name"])
        for namespace in new:
            path = path_of("serviceaccounts", namespace["metadata"]["name"])
            self._cluster.wait_for(lambda path=path: self._cluster.api.items(path))
        self._replace([n for n in wanted if n not in new])

    def _wait_known(self, seed):
        labels = {CANARY: f"c{seed}"}
        selector = {"matchLabels": labels}
        meta = {"name": "canary", "namespace": "canary", "labels": labels}
        self._put_namespaces([_namespace({"name": "canary", "labels": labels})])
        self._create(_canary_node(f"canary-{seed}"))
        spec = {"nodeName": f"canary-{seed}", "tolerations": [{"operator": "Exists"}]}
        self._create(_pod(meta, spec))
        volumes = self._put_canary_volumes(seed)
        for raw in canary_devices(seed):
            self._create(raw)
        term = {"topologyKey": _HOST, "labelSelector": selector, "namespaceSelector": selector}
        affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        probing = _pod(
            {"generateName": "asks-", "namespace": "canary"},
            {
                "affinity": affinity,
                "volumes": volumes,
                "resourceClaims": [{"name": "d", "resourceClaimName": f"canary-{seed}"}],
                "tolerations": [{"operator": "Exists"}],
                "priorityClassName": PRIORITY_CLASS,
            },
        )

        def known():
            ((_, answer),) = ask(self._cluster, self._extender, [probing])
            return answer.nodes == {f"canary-{seed}"}

        self._cluster.wait_for(known, self._cluster.scheduler)

    def _put_canary_volumes(self, seed):
        """The volumes of the pod that asks: each needs something that was made last."""
        objects = canary_storage(seed)
        for raw in objects:
            self._create(raw)
        self._cluster.wait_for(self._is_settled)
        claims = [o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim"]
        return [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]

    def _pods(self):
        return self._items("pods")

    def _items(self, resource):
        return self._cluster.api.items(path_of(resource, ""))

    def _create(self, raw):
        return self._cluster.api.create(path_to_make(raw, ""), raw)

    def _replace(self, objects, *flags):
        if objects:
            listed = {"apiVersion": "v1", "kind": "List", "items": objects}
            self._cluster.kubectl("replace", *flags, "-f", "-", stdin=json.dumps(listed))


def _path(raw):
    return path_of(raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"])


def _namespace(meta):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def _pod(meta, spec):
    spec |= {"containers": [{"name": "c0", "image": "x"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _canary_node(name):
    """Only for pods that tolerate everything."""
    room = {"cpu": "1", "memory": "1Gi", "pods": "10"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {_HOST: name}},
        "spec": {"taints": [{"key": CANARY, "effect": "NoSchedule"}]},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }
