"""A set whose workers do not exist before somebody makes their leader ready."""

from e2e.stack import MODEL


def never_ready(scene, size):
    lws = scene.lws(size=size, leader=MODEL, startupPolicy="LeaderReady")
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "true"}}
    return lws


def make_ready(scene):
    scene.kubectl("annotate", "pod", "llm-0", "simulate.lws-placement.dev/never-ready-")
