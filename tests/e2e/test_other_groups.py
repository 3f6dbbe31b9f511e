"""Groups of other pods that are not what they seem: unlike pods, pods of another owner."""

import json

from e2e.other_groups import OURS, a_group_job, group_pods
from e2e.verbs import ask


def a_deployment(scene, name, pods):
    job = a_group_job(scene, name, pods, group_size=str(pods), topology=scene.key)
    template = job["spec"]["template"]
    template["metadata"]["labels"]["app"] = name
    template["spec"]["restartPolicy"] = "Always"
    spec = {"replicas": pods, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": job["metadata"],
        "spec": spec,
    }


def test_pods_that_came_with_another_number_are_told_that_they_are_not_alike(scene):
    scene.pool(1, 8)
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(a_deployment(scene, "web", 4)))
    scene.wait(lambda: len(group_pods(scene, "web")) == 4, "four are bound")
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(a_deployment(scene, "web", 6)))
    notes = scene.wait(lambda: scene.notes("UnlikePods"), "the new ones are told")
    assert "are not alike" in notes[0]
    (pod, *_) = group_pods(scene, "web")
    assert "are not alike" in ask(
        scene.cluster.kubeconfig, "explain", f"pod/{pod['metadata']['name']}", "-n", scene.namespace
    )


def test_a_pod_of_another_owner_is_told_that_the_group_of_that_name_is_not_its_own(scene):
    scene.pool(1)
    scene.create(a_group_job(scene, "job", 4, group_size="4", topology=scene.key))
    scene.wait(lambda: len(group_pods(scene, "job")) == 4, "the job is bound")
    stranger = scene.filler("", name="stranger")
    del stranger["spec"]["nodeName"]
    notes = {f"{OURS}/group-size": "4", f"{OURS}/topology": scene.key}
    stranger["metadata"] |= {"labels": {f"{OURS}/group": "job"}, "annotations": notes}
    scene.create(stranger)
    words = (
        f"1 of 4 pods of group {scene.namespace}/job exist; it is planned when all are there; "
        "pods of another owner with this group name are a group of their own"
    )
    scene.wait(lambda: words in scene.notes("CannotPlan"), "it is told")
