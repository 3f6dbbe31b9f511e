"""A newer LeaderWorkerSet beside us, whose groups have keys in place of ordinals (KEP-898).

What its controller and its pod webhook do, on the real API server, with the real Deployment and
StatefulSet controllers.
"""

import base64
import json
import secrets
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from e2e.stack import LWS

from certs.authority import Names, make
from lws_placement.engine.lws.children import leader_set, owner_reference, worker_set
from lws_placement.engine.lws.revision import revision_data, revision_key

READY = f"{LWS}/group-ready"


class PodWebhook:
    """Gives each leader without a name its key; registered under upstream's name, so that it is
    called before ours.
    """

    def __init__(self, cluster, folder):
        material = make(Names(("x.svc",), ("127.0.0.1",)), now=datetime.now(UTC))
        for name, data in (("crt", material.tls_cert), ("key", material.tls_key)):
            (folder / name).write_bytes(data)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "crt", folder / "key")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Stamp)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{self._server.server_address[1]}/mutate--v1-pod"
        bundle = base64.b64encode(material.ca).decode()
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(_configuration(url, bundle)))

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Stamp(BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        patch = json.dumps(_stamp(request["object"])).encode()
        answer = {
            "uid": request["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(patch).decode(),
        }
        body = json.dumps({**review, "request": None, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


def _stamp(pod):
    labels = pod["metadata"]["labels"]
    if labels.get(f"{LWS}/worker-index") != "0" or f"{LWS}/group-index" in labels:
        return []
    key = secrets.token_hex(20)
    stamped = {**labels, f"{LWS}/group-index": key, f"{LWS}/group-key": key}
    return [
        {"op": "replace", "path": "/metadata/labels", "value": stamped},
        {"op": "add", "path": "/spec/hostname", "value": key[:8]},
        {"op": "add", "path": "/spec/subdomain", "value": labels[f"{LWS}/name"]},
    ]


def _configuration(url, bundle):
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    named = {"matchExpressions": [{"key": f"{LWS}/name", "operator": "Exists"}]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "lws-mutating-webhook-configuration"},
        "webhooks": [
            {
                "name": "mpod.kb.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {"url": url, "caBundle": bundle},
                "rules": [rule],
                "objectSelector": named,
            }
        ],
    }


class KeyedSet:
    """What the controller does for one set; `step()` again and again."""

    def __init__(self, scene, lws):
        self.scene, self.name = scene, lws["metadata"]["name"]
        lws["spec"]["groupIdentity"] = "Hash"
        scene.create(lws)
        self.lws = scene.one("lws", self.name)
        self.revision = revision_key(revision_data(self.lws))
        scene.create(self.deployment())
        scene.meanwhile = self.step

    def scale(self, replicas):
        spec = json.dumps({"spec": {"replicas": replicas}})
        for kind in ("lws", "deployment"):
            self.scene.kubectl("patch", kind, self.name, "--type=merge", f"-p={spec}")

    def leaders(self):
        """Those that are alive, by name."""
        pods = self.scene.members(self.name)
        return {
            p["metadata"]["name"]: p
            for p in pods
            if p["metadata"]["labels"][f"{LWS}/worker-index"] == "0"
            and "deletionTimestamp" not in p["metadata"]
        }

    def step(self):
        """Workers for every leader that is bound; a leader is told when they are ready."""
        sets = {s["metadata"]["name"]: s for s in self.scene.get("statefulsets")}
        for name, leader in self.leaders().items():
            if not leader["spec"].get("nodeName"):
                continue
            if name not in sets:
                self.scene.create(self._workers(leader))
            elif (
                sets[name].get("status", {}).get("readyReplicas") == sets[name]["spec"]["replicas"]
            ):
                self._tell_ready(leader)

    def wait_whole(self, groups):
        size = self.lws["spec"]["leaderWorkerTemplate"]["size"]
        self.scene.wait_bound(groups * size, self.name)

    def domains(self):
        """Leader -> its group's domain."""
        found = {}
        for (_, key), domains in self.scene.places(self.name).items():
            (leader,) = (n for n, p in self.leaders().items() if key_of(p) == key)
            (found[leader],) = domains
        return found

    def deployment(self):
        made = leader_set(self.lws, revision=self.revision, replicas=1, partition=0)
        template = made["spec"]["template"]
        template["spec"]["readinessGates"] = [{"conditionType": READY}]
        rolling = {"maxUnavailable": 1, "maxSurge": 0}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {k: v for k, v in made["metadata"].items() if k != "namespace"},
            "spec": {
                "replicas": self.lws["spec"]["replicas"],
                "selector": made["spec"]["selector"],
                "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
                "template": template,
            },
        }

    def _workers(self, leader):
        node = self.scene.one("node", leader["spec"]["nodeName"])
        selector = {self.scene.key: node["metadata"]["labels"][self.scene.key]}
        made = worker_set(self.lws, leader=leader, revision=self.revision, node_selector=selector)
        made["spec"]["template"]["metadata"]["annotations"][f"{LWS}/leader-address"] = address_of(
            leader
        )
        assert made["metadata"]["ownerReferences"] == [
            owner_reference("v1", "Pod", leader["metadata"])
        ]
        return made

    def _tell_ready(self, leader):
        condition = {"type": READY, "status": "True"}
        known = leader["status"].get("conditions", [])
        if any(c["type"] == READY for c in known):
            return
        body = json.dumps({"status": {"conditions": [condition]}})
        name = leader["metadata"]["name"]
        self.scene.kubectl("patch", "pod", name, "--subresource=status", f"-p={body}", check=False)


def key_of(pod):
    return pod["metadata"]["labels"][f"{LWS}/group-key"]


def address_of(leader):
    spec = leader["spec"]
    return f"{spec['hostname']}.{spec['subdomain']}.{leader['metadata']['namespace']}"
