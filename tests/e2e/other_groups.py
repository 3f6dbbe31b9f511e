"""Groups by our label, and what tests look at of groups of any kind."""

import json

from e2e.resources import path_of

OURS = "lws-placement.dev"


def node_domains(scene, pods):
    return {scene.domain_of(p["spec"]["nodeName"]) for p in pods}


def leases_of(scene):
    found = scene.cluster.api.items(path_of("leases", "lws-placement-system"))
    notes = [x["metadata"].get("annotations", {}).get(f"{OURS}/hold") for x in found]
    bodies = [json.loads(note) for note in notes if note]
    return [b for b in bodies if any(h["namespace"] == scene.namespace for h in b["holders"])]


def a_group_job(scene, name, pods, **notes):
    template = scene.lws()["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    template["metadata"] = {
        "labels": {f"{OURS}/group": name},
        "annotations": {f"{OURS}/{key.replace('_', '-')}": value for key, value in notes.items()},
    }
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {"completions": pods, "parallelism": pods, "template": template},
    }


def group_pods(scene, name):
    pods = scene.get("pods", labels=f"{OURS}/group={name}")
    return [
        p for p in pods if p["spec"].get("nodeName") and "deletionTimestamp" not in p["metadata"]
    ]
