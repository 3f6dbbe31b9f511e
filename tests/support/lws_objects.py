"""A LeaderWorkerSet with all that its own rules read, and no more."""


def an_lws(**spec):
    container = {
        "image": "docker.io/nginxinc/nginx-unprivileged:1.27",
        "name": "worker",
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
    }
    template = {
        "restartPolicy": "RecreateGroupOnPodRestart",
        "size": 2,
        "workerTemplate": {"spec": {"containers": [container]}},
    } | spec.pop("template", {})
    notes = spec.pop("annotations", {})
    meta = {"name": "my-lws", "namespace": "default", "uid": "u", "annotations": notes}
    return {
        "metadata": meta | {"generation": 1},
        "spec": {"leaderWorkerTemplate": template, **spec},
    }
