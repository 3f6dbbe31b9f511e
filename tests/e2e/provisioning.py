"""A stand-in for Cluster Autoscaler with `--enable-provisioning-requests`, which acts on
ProvisioningRequests of its atomic class as the documentation says: it accepts a request, and makes
all nodes in one node group that can take all of its pods, or none.
"""

import json
from contextlib import contextmanager

from e2e.node_groups import Autoscaler
from e2e.resources import path_of

from lws_placement.cluster.api.timestamps import encode_now
from lws_placement.cluster.codec.objects import decode_pod
from lws_placement.engine.base import keys

OURS = "lws-placement-system"
REQUESTS = path_of("provisioningrequests", OURS)
TEMPLATES = path_of("podtemplates", OURS)
CLASS = "best-effort-atomic-scale-up.autoscaling.x-k8s.io"
CRD = "provisioningrequests.autoscaling.x-k8s.io"
PODS = "/api/v1/pods"
MADE = ("Provisioned", "True", "Provisioning request was successfully provisioned.")
NO_GROUP = "Capacity is not found, CA will try to find it later."


@contextmanager
def served(cluster, crd):
    """The API, while the block runs. `crd`: path of its CustomResourceDefinition."""
    cluster.kubectl("apply", "--server-side", "-f", str(crd))
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
    try:
        yield
    finally:
        cluster.kubectl("delete", "crd", CRD)


def left(scene):
    """Names of the requests and templates that exist."""
    items = scene.cluster.api.items
    return [raw["metadata"]["name"] for path in (REQUESTS, TEMPLATES) for raw in items(path)]


class Provisioner(Autoscaler):
    """`refuses`: what it says of every request, in place of making nodes."""

    refuses = ""

    def __init__(self, *args, **more):
        self._made_for = {}
        """Node group by the name of its request."""
        super().__init__(*args, **more)

    def _scale_up(self):
        super()._scale_up()
        templates = {raw["metadata"]["name"]: raw for raw in self._api.items(TEMPLATES)}
        for raw in self._api.items(REQUESTS):
            names = {one["podTemplateRef"]["name"] for one in raw["spec"]["podSets"]}
            if names <= templates.keys():  # else it is on its way out, or newer
                self._provision(raw, templates)

    def _provision(self, raw, templates):
        known = {c["type"]: c["status"] for c in raw.get("status", {}).get("conditions", ())}
        if "True" in (known.get("Provisioned"), known.get("Failed")):
            self._expire(raw, known)
            return
        if raw["spec"]["provisioningClassName"] != CLASS:
            return
        said = [("Accepted", "True", "ProvisioningRequest is accepted by ClusterAutoscaler.")]
        if self.refuses:
            self._say(raw, [*said, ("Failed", "True", self.refuses)])
            return
        pods = _pods_of(raw, templates)
        group = next((g for g in self._groups if not g.made and self._serves(g, pods, set())), None)
        if group is None:
            self._say(raw, [*said, ("Provisioned", "False", NO_GROUP)])
            return
        for _ in pods:
            self._make(group)
        self._made_for[raw["metadata"]["name"]] = group
        self._say(raw, [*said, MADE])

    def _expire(self, raw, known):
        """Once others have all of its nodes: the real one does so after ten minutes."""
        name = raw["metadata"]["name"]
        group = self._made_for.get(name)
        if group is None or "BookingExpired" in known:
            return
        pods = self._api.items(PODS)
        others = [p for p in pods if _consumed_by(p) != name]
        if set(group.made) <= self._used(others):
            accepted = ("Accepted", "True", "accepted")
            self._say(raw, [accepted, MADE, ("BookingExpired", "True", "booking has expired")])

    def _say(self, raw, said):
        conditions = [
            {
                "type": condition,
                "status": status,
                "reason": condition,
                "message": message,
                "lastTransitionTime": encode_now(),
            }
            for condition, status, message in said
        ]
        known = raw.get("status", {}).get("conditions", ())
        if [c["status"] for c in known] == [c["status"] for c in conditions]:
            return
        body = json.dumps({"status": {"conditions": conditions}})
        name = raw["metadata"]["name"]
        patch = ("patch", "provreq", name, "-n", OURS, "--subresource=status", "--type=merge")
        self._cluster.kubectl(*patch, "-p", body, check=False)  # it may be gone meanwhile


def _consumed_by(pod):
    return pod["metadata"].get("annotations", {}).get(keys.CONSUMES_REQUEST)


def _pods_of(raw, templates):
    found = []
    for pod_set in raw["spec"]["podSets"]:
        name = pod_set["podTemplateRef"]["name"]
        template = templates[name]["template"]
        for number in range(pod_set["count"]):
            meta = template["metadata"] | {
                "name": f"{name}-{number}",
                "namespace": OURS,
                "uid": f"{name}-{number}",
                "resourceVersion": "1",
            }
            found.append(decode_pod({"metadata": meta, "spec": template["spec"]}))
    return found
