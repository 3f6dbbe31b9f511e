"""What was found on the cluster, as text and as JSON, for `status`, `serve --print-config` and the
log of `serve`.
"""

from typing import Any

from lws_placement.cluster.api.discovery import Found, LwsController

_CARRIED_OUT = {
    LwsController.BUILT_IN: ", carried out by the built-in controller",
    LwsController.UPSTREAM: ", carried out by upstream's controller",
    LwsController.UNKNOWN: "",
}


def found_lines(found: Found) -> list[str]:
    """One line with the versions, then a line per missing thing."""
    scheduler = ", ".join(found.schedulers) or "of unknown version"
    lws = ", ".join(found.lws_versions)
    lws = f"LeaderWorkerSet {lws}{_CARRIED_OUT[found.lws_controller]}" if lws else ""
    versions = [
        f"Kubernetes {found.api_server or 'of unknown version'}",
        f"kube-scheduler {scheduler}",
        lws,
        found.autoscaler,
    ]
    return [
        "; ".join(filter(None, versions)),
        *([f"unsupported: {found.unsupported}"] if found.unsupported else []),
        *(f"missing: {one.what}: {one.follows}" for one in found.missing),
    ]


def found_json(found: Found) -> dict[str, Any]:
    return {
        "apiServer": found.api_server,
        "kubeScheduler": list(found.schedulers),
        "leaderWorkerSet": {
            "versions": list(found.lws_versions),
            "controller": found.lws_controller.value,
        },
        "autoscaler": found.autoscaler,
        "unsupported": found.unsupported,
        "missing": [{"what": one.what, "follows": one.follows} for one in found.missing],
    }
