"""Defaults of a LeaderWorkerSet from upstream's mutating webhook (the schema sets the rest)."""

from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.base.raw import Raw

_ROLLING = {"maxUnavailable": 1, "maxSurge": 0, "partition": 0}


def with_defaults(lws: Raw) -> Raw:
    """A new object; fields that are set stay as they are. Validation reports wrong types."""
    lws = json_copy(lws)
    spec = lws.get("spec")
    if not isinstance(spec, dict):
        return lws
    template = spec.get("leaderWorkerTemplate")
    if isinstance(template, dict):
        if not template.get("restartPolicy"):
            template["restartPolicy"] = "RecreateGroupOnPodRestart"
        elif template["restartPolicy"] == "Default":
            template["restartPolicy"] = "None"
    rollout = spec.get("rolloutStrategy") or {}
    if isinstance(rollout, dict):
        spec["rolloutStrategy"] = rollout
        rollout["type"] = rollout.get("type") or "RollingUpdate"
        if rollout.get("rollingUpdateConfiguration") is None:
            rollout["rollingUpdateConfiguration"] = dict(_ROLLING)
    network = spec.get("networkConfig") or {}
    if isinstance(network, dict):
        spec["networkConfig"] = network
        network["subdomainPolicy"] = network.get("subdomainPolicy") or "Shared"
    return lws
