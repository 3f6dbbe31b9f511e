"""A tenant with all rights in one namespace, and what it creates there."""

import json

import pytest

from lws_placement.errors import LocalClusterError

OURS = "lws-placement.dev"
TENANT = "system:serviceaccount:{}:tenant"


class Tenant:
    """An account with the cluster's role `admin` in the scene's namespace, and nothing else."""

    def __init__(self, scene):
        self._scene = scene
        self.who = TENANT.format(scene.namespace)
        self._kubectl_as_admin(
            "create", "rolebinding", "tenant", "--clusterrole=admin", f"--user={self.who}"
        )
        scene.wait(self._may_create, "the API server's authorizer knows the tenant")

    def _may_create(self):
        answer = self._scene.kubectl(
            "auth", "can-i", "create", "pods", f"--as={self.who}", check=False
        )
        return answer.startswith("yes")

    def _kubectl_as_admin(self, *args, stdin=None, check=True):
        namespace = self._scene.namespace
        return self._scene.cluster.kubectl("-n", namespace, *args, stdin=stdin, check=check)

    def kubectl(self, *args, stdin=None, check=True):
        return self._kubectl_as_admin("--as", self.who, *args, stdin=stdin, check=check)

    def create(self, obj):
        self.kubectl("create", "-f", "-", stdin=json.dumps(obj))

    def may_not(self, do, *args, words):
        with pytest.raises(LocalClusterError) as refused:
            do(*args)
        assert words in str(refused.value)


def a_pod(name, *, labels=None, notes=None, marked=False, gated=False):
    asked = {"cpu": "1", "google.com/tpu": "4"} | ({f"{OURS}/member": "0"} if marked else {})
    limits = {k: v for k, v in asked.items() if "/" in k}
    container = {"name": "c", "image": "x", "resources": {"requests": asked, "limits": limits}}
    spec = {"containers": [container]}
    if gated:
        spec["schedulingGates"] = [{"name": f"{OURS}/unplanned"}]
    meta = {"name": name, "labels": labels or {}, "annotations": notes or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
