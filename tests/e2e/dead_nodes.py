"""Nodes that are not ready, and nodes that are dead: nobody there finishes a deletion."""

import json
from contextlib import contextmanager

_STUCK = "simulate.lws-placement.dev/dead-node"


def not_ready(scene, node):
    _set_ready(scene, node, "False")


def ready(scene, node):
    _set_ready(scene, node, "True")


@contextmanager
def dead(scene, node):
    """Not ready, and its pods stay Terminating until somebody forces them."""
    pods = [p["metadata"]["name"] for p in scene.bound() if p["spec"]["nodeName"] == node]
    scene.kubectl("annotate", "pod", *pods, f"{_STUCK}=true")
    not_ready(scene, node)
    try:
        yield
    finally:
        scene.kubectl("annotate", "pod", *pods, f"{_STUCK}-", check=False)


def _set_ready(scene, node, status):
    condition = {
        "type": "Ready",
        "status": status,
        "reason": "Test",
        "message": "as the test wants it",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    body = json.dumps({"status": {"conditions": [condition]}})
    scene.kubectl("patch", "node", node, "--subresource=status", "--type=strategic", "-p", body)
