"""What was found on the cluster, in words and as JSON: `status`, `serve --print-config` and the
log of `serve` say the same.
"""

import asyncio
from typing import Any

from lws_placement.cli.connecting import connected
from lws_placement.cluster.api.discovery import Found, LwsController, look_around
from lws_placement.errors import ApiError, SettingsError
from lws_placement.settings import Settings

_ANSWER_S = 5.0

_CARRIED_OUT = {
    LwsController.BUILT_IN: ", carried out by the built-in controller",
    LwsController.UPSTREAM: ", carried out by upstream's controller",
    LwsController.UNKNOWN: "",
}


def found_if_reached(settings: Settings) -> list[str]:
    """`found_lines`, or why there are none: this never fails, as nothing needs a cluster here."""
    return [" ".join(line.split()) for line in asyncio.run(_look(settings))]


async def _look(settings: Settings) -> list[str]:
    try:
        async with asyncio.timeout(_ANSWER_S), connected(settings) as api:
            return found_lines(await look_around(api))
    except SettingsError as e:
        return [f"nothing, without a cluster to ask: {e}"]
    except ApiError as e:
        return [f"nothing, no API server reached: {e}"]
    except TimeoutError:
        return [f"nothing, no API server reached within {_ANSWER_S:.0f} s"]


def found_lines(found: Found) -> list[str]:
    """One line of versions, one for each thing that is missing."""
    scheduler = ", ".join(found.schedulers) or "of unknown version"
    lws = ", ".join(found.lws_versions)
    lws = f"LeaderWorkerSet {lws}{_CARRIED_OUT[found.lws_controller]}" if lws else ""
    versions = [
        f"Kubernetes {found.api_server or 'of unknown version'}",
        f"kube-scheduler {scheduler}",
        lws,
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
        "unsupported": found.unsupported,
        "missing": [{"what": one.what, "follows": one.follows} for one in found.missing],
    }
