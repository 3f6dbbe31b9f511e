"""A real HorizontalPodAutoscaler on a LeaderWorkerSet: it reads scale and selector, and scales."""

import pytest
from e2e.stack import CHIPS

from lws_placement.localcluster.metrics_api import MetricsApi


def an_autoscaler(scene, lws):
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": lws, "namespace": scene.namespace},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "leaderworkerset.x-k8s.io/v1",
                "kind": "LeaderWorkerSet",
                "name": lws,
            },
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }


@pytest.mark.upstream_too
def test_an_autoscaler_adds_groups_and_takes_them_back(scene):
    """The leaders are asked for 4 cpu each; half of it is the aim."""
    scene.pool(3, nodes_each=2, capacity={**CHIPS, "cpu": "16"})
    metrics = MetricsApi(scene.cluster, millicores=3900)
    try:
        scene.create(scene.lws(size=2))
        scene.wait_bound(2)
        scene.create(an_autoscaler(scene, "llm"))
        scene.wait(lambda: scene.one("lws", "llm")["spec"]["replicas"] >= 2, "it scales up")
        scene.wait(lambda: scene.one("lws", "llm")["spec"]["replicas"] == 3, "up to its maximum")
        scene.wait_bound(6)
        assert scene.broken_promises() == []
        metrics.millicores = 100
        scene.wait(lambda: scene.one("lws", "llm")["spec"]["replicas"] == 1, "it scales down")
        scene.wait_bound(2)
        assert set(scene.places()) == {("llm", "0")}, "the highest groups went"
    finally:
        metrics.close()
