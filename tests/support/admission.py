"""Pods as LeaderWorkerSet makes them, and the admission webhook asked about them over HTTP."""

import base64
import copy
import io
import json

from aiohttp.test_utils import TestClient, TestServer

from lws_placement.engine.admission.pod_gating import Owner
from webhook.app import build_app

P = "leaderworkerset.sigs.k8s.io"
OURS = "lws-placement.dev"


class Lookup:
    def __init__(self, *, uid="lws-uid", pin=None, known=True):
        self.uid, self.pin, self.known = uid, pin, known

    def topology_key_known(self, key):
        return self.known

    async def owner_of(self, pod, namespace):
        return Owner(self.uid) if self.uid else None

    async def pin_soon(self, pod, *, namespace):
        return self.pin


def a_pod(rank=0, *, size=4, tpu=False, topology="rack", notes=None, labels=None, **spec):
    name = f"my-lws-0-{rank}" if rank else "my-lws-0"
    own = {f"{P}/name": "my-lws", f"{P}/template-revision-hash": "r"}
    if rank:
        own |= {f"{P}/group-index": "0", f"{P}/group-key": "gk"}
    else:
        own |= {f"{P}/worker-index": "0"}
    annotations = {f"{P}/size": str(size)} | (
        {f"{P}/exclusive-topology": topology} if topology else {}
    )
    container = {"name": "c", "image": "x"}
    if tpu:
        container["resources"] = {"limits": {"google.com/tpu": "4"}}
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": own | (labels or {}),
            "annotations": annotations | (notes or {}),
        },
        "spec": {"subdomain": "my-lws", "containers": [container], **spec},
    }


async def call(path, body, lookup=None, *, keep_affinity=True, **settings):
    app = build_app(lookup or Lookup(), keep_affinity=keep_affinity, **settings)
    async with TestClient(TestServer(app)) as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await client.post(path, data=io.BytesIO(data))
        text = await answer.text()
        return answer.status, json.loads(text) if answer.status == 200 else text


def a_review(obj, *, old=None, operation="CREATE", dry_run=False):
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "req",
            "kind": {"version": "v1", "kind": "Pod"},
            "namespace": "default",
            "operation": operation,
            "object": obj,
            "oldObject": old,
            "dryRun": dry_run,
        },
    }


def patched(old, response):
    """The object after the patch, applied as RFC 6902 says (the operations that we send)."""
    new = copy.deepcopy(old)
    for op in json.loads(base64.b64decode(response.get("patch", "W10="))):
        *path, last = [p.replace("~1", "/").replace("~0", "~") for p in op["path"].split("/")[1:]]
        target = new
        for part in path:
            target = target[part]
        if op["op"] == "remove":
            del target[last]
        else:
            assert op["op"] == "add" or last in target
            target[last] = op["value"]
    return new


async def admit(pod, lookup=None, **how):
    dry_run = how.pop("dry_run", False)
    status, answer = await call("/mutate-pods", a_review(pod, dry_run=dry_run), lookup, **how)
    assert status == 200
    response = answer["response"]
    assert response["allowed"], response
    return patched(pod, response)
