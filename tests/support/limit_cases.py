"""Pods against the bounds of a LimitRange: what is refused, and why, in LimitRanger's words. The
end-to-end test asks the real API server about the same ones.
"""


def a_pod(*containers, init=(), **spec):
    named = [{"name": f"c{n}", "image": "x", **c} for n, c in enumerate(containers)]
    initial = [{"name": f"i{n}", "image": "x", **c} for n, c in enumerate(init)]
    return {"containers": named, **({"initContainers": initial} if initial else {}), **spec}


def asking(requests=None, limits=None, **more):
    given = {"requests": requests, "limits": limits}
    return {"resources": {k: v for k, v in given.items() if v}, **more}


def bounds(kind="Container", **given):
    return {"type": kind, **given}


CASES = {
    "below-the-minimum": (
        bounds(min={"cpu": "100m"}),
        a_pod(asking({"cpu": "50m"})),
        "minimum cpu usage per Container is 100m, but request is 50m",
    ),
    "at-the-minimum": (bounds(min={"cpu": "100m"}), a_pod(asking({"cpu": "100m"})), ""),
    "the-minimum-is-the-default": (bounds(min={"memory": "1Gi"}), a_pod(asking()), ""),
    "above-the-maximum": (
        bounds(max={"memory": "1Gi"}),
        a_pod(asking(limits={"memory": "2Gi"})),
        "maximum memory usage per Container is 1Gi, but limit is 2Gi",
    ),
    "the-maximum-is-the-default": (bounds(max={"cpu": "1"}), a_pod(asking()), ""),
    "the-second-container": (
        bounds(max={"cpu": "1"}),
        a_pod(asking(), asking(limits={"cpu": "1500m"})),
        "maximum cpu usage per Container is 1, but limit is 1500m",
    ),
    "an-init-container": (
        bounds(max={"cpu": "1"}),
        a_pod(asking(), init=[asking(limits={"cpu": "2"})]),
        "maximum cpu usage per Container is 1, but limit is 2",
    ),
    "a-ratio-that-is-too-large": (
        bounds(maxLimitRequestRatio={"cpu": "2"}),
        a_pod(asking({"cpu": "100m"}, {"cpu": "250m"})),
        "cpu max limit to request ratio per Container is 2, but",
    ),
    "a-ratio-that-is-just-right": (
        bounds(maxLimitRequestRatio={"cpu": "2"}),
        a_pod(asking({"cpu": "100m"}, {"cpu": "200m"})),
        "",
    ),
    "a-ratio-without-a-limit": (
        bounds(maxLimitRequestRatio={"cpu": "2"}),
        a_pod(asking({"cpu": "100m"})),
        "cpu max limit to request ratio per Container is 2, but",
    ),
    "the-sum-of-a-pod": (
        bounds("Pod", max={"cpu": "2"}),
        a_pod(asking(limits={"cpu": "1"}), asking(limits={"cpu": "1500m"})),
        "maximum cpu usage per Pod is 2, but limit is 2500m",
    ),
    "a-sidecar-adds-to-the-sum": (
        bounds("Pod", max={"cpu": "2"}),
        a_pod(
            asking(limits={"cpu": "1"}), init=[asking(limits={"cpu": "2"}, restartPolicy="Always")]
        ),
        "maximum cpu usage per Pod is 2, but limit is 3",
    ),
    "an-init-container-comes-before": (
        bounds("Pod", max={"cpu": "2"}),
        a_pod(asking(limits={"cpu": "1"}), init=[asking(limits={"cpu": "2"})]),
        "",
    ),
    "a-pod-without-a-limit": (
        bounds("Pod", max={"cpu": "2"}),
        a_pod(asking({"cpu": "1"})),
        "maximum cpu usage per Pod is 2. No limit is specified",
    ),
    "a-pod-level-limit": (
        bounds("Pod", max={"cpu": "2"}),
        a_pod(asking(limits={"cpu": "1"}), resources={"limits": {"cpu": "3"}}),
        "maximum cpu usage per Pod is 2, but limit is 3",
    ),
    "bounds-of-claims-are-not-of-pods": (
        bounds("PersistentVolumeClaim", min={"storage": "1Gi"}),
        a_pod(asking()),
        "",
    ),
}


CLAIMS = {
    "too-small": (
        bounds("PersistentVolumeClaim", min={"storage": "1Gi"}),
        "512Mi",
        "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi",
    ),
    "too-large": (
        bounds("PersistentVolumeClaim", max={"storage": "1Gi"}),
        "2Gi",
        "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
    ),
    "just-right": (
        bounds("PersistentVolumeClaim", min={"storage": "1Gi"}, max={"storage": "1Gi"}),
        "1Gi",
        "",
    ),
}


def a_claim(storage):
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage}},
    }
    return {"metadata": {"name": "data"}, "spec": spec}
