"""A HorizontalPodAutoscaler of kube-controller-manager on a LeaderWorkerSet."""

import pytest
from e2e.metrics_api import MetricsApi
from e2e.stack import LWS


@pytest.fixture
def memory(scene):
    """What each leader uses; a test changes it."""
    used = {"each": "200Mi"}

    def memory_of():
        pods = scene.get("pods", "-l", f"{LWS}/worker-index=0")
        return {p["metadata"]["name"]: used["each"] for p in pods}

    api = MetricsApi(scene, memory_of=memory_of)
    yield used
    api.close()


def an_autoscaler(scene):
    at_once = {"stabilizationWindowSeconds": 0}
    target = {"type": "AverageValue", "averageValue": "100Mi"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "llm", "namespace": scene.namespace},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "leaderworkerset.x-k8s.io/v1",
                "kind": "LeaderWorkerSet",
                "name": "llm",
            },
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": target}}],
            "behavior": {"scaleUp": at_once, "scaleDown": at_once},
        },
    }


def test_groups_follow_what_their_leaders_use(scene, memory):
    """It reads replicas and selector from the scale subresource; leaders alone are counted."""
    scene.pool(1)
    lws = scene.lws(size=2, exclusive=False, resources={"cpu": "10m", "memory": "1Gi"})
    scene.create(lws, an_autoscaler(scene))
    scene.wait_bound(6, timeout_s=120)
    memory["each"] = "10Mi"
    scene.wait_bound(2, timeout_s=120)
    status = scene.one("hpa", "llm")["status"]
    active = {c["type"]: c["status"] for c in status["conditions"]}
    assert active["AbleToScale"] == "True"
    assert active["ScalingActive"] == "True"
    assert scene.one("lws", "llm")["spec"]["replicas"] == 1
