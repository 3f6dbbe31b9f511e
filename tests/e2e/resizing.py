"""Pods that are resized in place, as far as the API server is concerned: no kubelet does it."""

import json


def let_resize(scene, pod):
    """Its node reports what its containers have, as one does that can resize them."""

    def ready():
        conditions = scene.one("pod", pod)["status"].get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    scene.wait(ready, f"{pod} is ready, and nobody writes its status any more")
    found = scene.one("pod", pod)
    amounts = {c["name"]: c["resources"]["requests"] for c in found["spec"]["containers"]}
    statuses = [
        {**status, "resources": {"requests": amounts[status["name"]]}}
        for status in found["status"]["containerStatuses"]
    ]
    body = json.dumps({"status": {"containerStatuses": statuses}})
    scene.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", f"-p={body}")


def resize(kubectl, pod, cpu):
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    body = json.dumps({"spec": {"containers": [container]}})
    kubectl("patch", "pod", pod, "--subresource=resize", f"-p={body}")
