"""Devices that only some nodes reach, and workers that fail."""

import json


def patch(scene, kind, name, body, *more):
    scene.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(body), *more)


CLAIMING = {"resourceClaims": [{"name": "device", "resourceClaimName": "device"}]}
"""Pods that share a device. kube-scheduler looks where it is; we do not."""


def a_claim(scene):
    request = {"name": "device", "exactly": {"deviceClassName": scene.namespace}}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "device", "namespace": scene.namespace},
        "spec": {"devices": {"requests": [request]}},
    }


def a_device_in(scene, value):
    """A class of one device, which the nodes of one domain alone reach."""
    driver = f"{scene.namespace}.example.com"
    where = {"key": scene.key, "operator": "In", "values": [value]}
    return (
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"name": scene.namespace},
            "spec": {
                "driver": driver,
                "pool": {"name": scene.namespace, "generation": 1, "resourceSliceCount": 1},
                "nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": [where]}]},
                "devices": [{"name": "one"}],
            },
        },
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceClass",
            "metadata": {"name": scene.namespace},
            "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{driver}"'}}]},
        },
    )


def fail_a_worker(scene):
    status = {"phase": "Failed", "reason": "UnexpectedAdmissionError"}
    patch(scene, "pod", "llm-0-1", {"status": status}, "--subresource=status")
