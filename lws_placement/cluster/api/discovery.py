"""Discovers the kind of cluster from the API server, never from our own version.

A few small reads that every ServiceAccount of ours and the cluster's role `view` may make. A
forbidden read counts as unknown. Versions are untrusted text, for display only, except major and
minor of the API server.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lws_placement.cluster.api.client import Api, get_if_allowed
from lws_placement.errors import ApiError, NotFoundError

OLDEST = (1, 34)
"""Older API servers and schedulers are untested."""

_LWS = "leaderworkerset.x-k8s.io"
_LWS_WEBHOOK = (
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/lws-placement-lws"
)
SCHEDULERS = "/api/v1/namespaces/kube-system/pods"
SCHEDULER_LABEL = "component=kube-scheduler"
"""The label that kubeadm sets, and so kind."""

_AUTOSCALERS: Mapping[str, str] = {
    "karpenter.sh": "Karpenter",
    "autoscaling.x-k8s.io": "Cluster Autoscaler",
}
"""API group -> the program that serves it. Cluster Autoscaler without its ProvisioningRequests
leaves no trace that our account may read.
"""

_PROVISIONING = "autoscaling.x-k8s.io/v1"

_LONGEST = 60
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.[0-9A-Za-z.+-]{1,40})?")
_IMAGE_TAG = re.compile(r":(v[0-9][0-9A-Za-z._-]{0,40})(?:@|$)")

_NEEDED: Mapping[str, str] = {
    f"{_LWS}/v1": "no replica of lws-placement gets ready; install LeaderWorkerSet, or "
    "manifests/crd with manifests/standalone",
    "admissionregistration.k8s.io/v1": "no webhook is called, so nothing is gated or placed",
    "apps/v1": "no replica of lws-placement gets ready",
    "coordination.k8s.io/v1": "nobody leads and nothing is held",
    "events.k8s.io/v1": "no Events are written; `explain` and `status` still tell",
    "policy/v1": "no replica of lws-placement gets ready",
    "scheduling.k8s.io/v1": "`explain` and `status` cannot read the cluster",
}
"""Group and version -> the consequence where an API server does not serve it."""


class LwsController(StrEnum):
    """The controller that reconciles LeaderWorkerSets."""

    BUILT_IN = "built-in"
    UPSTREAM = "upstream"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Missing:
    what: str
    follows: str


@dataclass(frozen=True, slots=True)
class Found:
    """Versions as the programs report them: `v1.37.2`."""

    api_server: str
    schedulers: tuple[str, ...]
    """Versions of the kube-schedulers that run as pods; empty where unknown."""
    lws_versions: tuple[str, ...]
    """Served versions of the LeaderWorkerSet API; empty if it is not served."""
    lws_controller: LwsController
    missing: tuple[Missing, ...]
    autoscaler: str = ""
    """The cluster autoscaler whose API is served."""
    provisioning_requests: bool = False
    """Whether ProvisioningRequests are served, in the version that we write."""

    @property
    def unsupported(self) -> str:
        """Why this cluster is untested, in words; empty if it is supported."""
        return _too_old("the API server", self.api_server) or next(
            filter(None, (_too_old("kube-scheduler", version) for version in self.schedulers)), ""
        )


async def look_around(api: Api) -> Found:
    """Raises ApiError if the API server does not answer."""
    version = str((await get_if_allowed(api, "/version")).get("gitVersion", ""))
    groups = (await get_if_allowed(api, "/apis")).get("groups") or ()
    names = {group.get("name") for group in groups}
    served = [v["groupVersion"] for group in groups for v in group.get("versions") or ()]
    lws_versions = tuple(one.partition("/")[2] for one in served if one.startswith(f"{_LWS}/"))
    missing = (Missing(what, follows) for what, follows in _NEEDED.items() if what not in served)
    return Found(
        api_server=version[:_LONGEST],
        schedulers=await _schedulers(api),
        lws_versions=lws_versions,
        lws_controller=await _lws_controller(api) if lws_versions else LwsController.UNKNOWN,
        missing=tuple(missing) if served else (),
        autoscaler=next((it for group, it in _AUTOSCALERS.items() if group in names), ""),
        provisioning_requests=_PROVISIONING in served and await _has_requests(api),
    )


async def _schedulers(api: Api) -> tuple[str, ...]:
    try:
        found = await api.list(SCHEDULERS, labelSelector=SCHEDULER_LABEL, limit="10")
    except ApiError:
        return ()
    images = [
        container.get("image", "")
        for pod in found.get("items") or ()
        for container in pod["spec"].get("containers") or ()
    ]
    tags = (_IMAGE_TAG.search(image) for image in images)
    return tuple(sorted({tag.group(1) for tag in tags if tag}))


async def _has_requests(api: Api) -> bool:
    """The version may be served for other kinds alone."""
    resources = (await get_if_allowed(api, f"/apis/{_PROVISIONING}")).get("resources") or ()
    return any(resource.get("name") == "provisioningrequests" for resource in resources)


async def _lws_controller(api: Api) -> LwsController:
    """Our LWS webhooks come with `manifests/standalone`, as does the built-in controller."""
    try:
        await api.get(_LWS_WEBHOOK)
    except NotFoundError:
        return LwsController.UPSTREAM
    except ApiError:
        return LwsController.UNKNOWN
    return LwsController.BUILT_IN


def _too_old(what: str, version: str) -> str:
    match = _VERSION.fullmatch(version)
    if match is None or (int(match[1]), int(match[2])) >= OLDEST:
        return ""
    least = ".".join(str(part) for part in OLDEST)
    return f"{what} is {version}; lws-placement is not tested with Kubernetes before {least}"
