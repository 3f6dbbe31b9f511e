"""Members that do not exist yet are planned as the API server will store them: what we make of a
template, with the namespace's LimitRange and a RuntimeClass, against pods that it stored.
"""

import json
import random
from dataclasses import replace

import pytest
from support.random_clusters import FEATURES, random_cluster

from lws_placement.cluster.cache.admission.pod_defaults import PodDefaultsIndex
from lws_placement.cluster.codec.pods.requirements import decode_demand
from lws_placement.engine.admission.pod_defaults import admitted_spec
from lws_placement.errors import LocalClusterError

SEED = 7
PODS = 40
"""Of each LimitRange."""
RANGES = {
    "none": [],
    "limits": [{"type": "Container", "default": {"cpu": "2"}}],
    "requests": [
        {
            "type": "Container",
            "defaultRequest": {"cpu": "700m", "memory": "100Mi"},
            "default": {"memory": "1Gi"},
        }
    ],
    "bounds": [{"type": "Container", "min": {"cpu": "1m"}, "max": {"cpu": "64"}}],
}
WHOLE = [{"cpu": "70"}, {"memory": "100Gi"}, {"cpu": "70", "memory": "100Gi"}]
HUGE = {"limits": {"cpu": "70", "hugepages-2Mi": "8Mi"}}


def a_runtime_class(name):
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": "sandbox",
        "overhead": {"podFixed": {"cpu": "250m", "memory": "64Mi"}},
        "scheduling": {"nodeSelector": {"sand": "box"}, "tolerations": [{"operator": "Exists"}]},
    }


def templates(rng, runtime_class):
    """Endless; some are none that the API server takes."""
    while True:
        for asking in random_cluster(rng.randrange(10**6), FEATURES).asking:
            spec = json.loads(json.dumps(asking.raw["spec"]))
            spec |= {"schedulerName": "nobody", "volumes": []}
            spec.pop("priorityClassName", None)
            for container in (*spec["containers"], *spec.get("initContainers", ())):
                container.pop("volumeMounts", None)
            if rng.random() < 0.3:
                spec["runtimeClassName"] = runtime_class
            if rng.random() < 0.3:
                kind = rng.choice(("limits", "requests"))
                spec["resources"] = rng.choice([{kind: some} for some in WHOLE] + [HUGE])
            yield asking.raw["metadata"].get("labels", {}), spec


class Stored:
    """A namespace with the LimitRange, and what the API server makes of pods there."""

    def __init__(self, scene, name):
        self.api, self.namespace = scene.cluster.api, f"{scene.namespace}-{name}"
        self.path, self.known = f"/api/v1/namespaces/{self.namespace}", PodDefaultsIndex()
        runtime_class = a_runtime_class(self.namespace)
        self.api.create("/apis/node.k8s.io/v1/runtimeclasses", runtime_class)
        self.known.put_runtime_class(runtime_class)
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        if RANGES[name]:
            meta = {"name": "range", "namespace": self.namespace}
            limit_range = {"metadata": meta, "spec": {"limits": RANGES[name]}}
            self.api.create(f"{self.path}/limitranges", limit_range)
            self.known.put_limit_range(limit_range)
        scene.wait(self.is_in_force, "the API server heeds the LimitRange and the RuntimeClass")

    def is_in_force(self):
        containers = [{"name": "c", "image": "x"}]
        spec = {"containers": containers, "runtimeClassName": self.namespace}
        spec["schedulerName"] = "nobody"
        there = self.of(spec, {})
        return there is not None and there == self.expected(spec, {})

    def of(self, spec, labels):
        """None: it is refused."""
        pod = {"metadata": {"generateName": "p", "labels": labels}, "spec": spec}
        try:
            made = self.api.create(f"{self.path}/pods", pod)
        except LocalClusterError:
            return None
        return as_a_pod(made["spec"], labels)

    def expected(self, spec, labels):
        return as_a_pod(admitted_spec(spec, self.known.of(self.namespace)), labels)


@pytest.mark.parametrize("name", RANGES)
def test_a_template_is_read_as_the_pod_is_stored(module_scene, name):
    stored, seen = Stored(module_scene, name), 0
    for labels, spec in templates(random.Random(f"{SEED} {name}"), stored.namespace):
        there = stored.of(spec, labels)
        if there is not None:
            assert stored.expected(spec, labels) == there, f"pod {seen}: {json.dumps(spec)}"
            seen += 1
        if seen == PODS:
            break
    stored.api.delete(stored.path)


def as_a_pod(spec, labels):
    """Without tolerations that others include, which RuntimeClass's plugin drops."""
    demand = decode_demand(spec)
    every = [t for t in demand.tolerations if not t.key and t.operator == "Exists" and not t.effect]
    rules = demand.rules.of(labels) if demand.rules is not None else None
    return replace(demand, rules=rules, tolerations=tuple(every) or demand.tolerations)
