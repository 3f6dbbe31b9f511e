"""Tells whether kube-scheduler calls our extender, as far as the API server shows it, and what to
do if that extender is gone: kube-scheduler then never binds a pod with our marker.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from lws_placement.cluster.api.client import Api, get_if_allowed
from lws_placement.cluster.api.discovery import SCHEDULER_LABEL, SCHEDULERS
from lws_placement.engine.base.raw import Raw
from lws_placement.kube_scheduler.config import SERVICE
from lws_placement.kube_scheduler.kubeadm import FOLDER, PATCH_NAME, names_us
from lws_placement.settings import ENV_PREFIX

RESTORE = f"""\
Give kube-scheduler its own configuration back. On each machine of kubeadm's control plane, with
/etc/kubernetes/manifests/kube-scheduler.yaml as FILE (kubelet starts it anew then):
    lws-placement scheduler-config --kubeadm-manifest FILE --out FILE --undo
and take {PATCH_NAME}, if it is there, out of the folder of kubeadm's --patches.
Elsewhere take both extenders out of its configuration, and start it anew (kind: copy
manifests/kind/scheduler over {FOLDER})."""

_FALSE = {"0", "f", "false", "n", "no", "off"}


class Use(Enum):
    """Whether kube-scheduler calls our extender."""

    NO = auto()
    YES = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class SchedulerUse:
    use: Use
    words: str
    installed: bool
    """Our Deployment is there."""


async def scheduler_use(api: Api, namespace: str) -> SchedulerUse:
    """What we may not read counts as unknown. Raises ApiError if the API server does not answer."""
    found = await get_if_allowed(api, SCHEDULERS, labelSelector=SCHEDULER_LABEL)
    deployment = await get_if_allowed(api, deployment_path(namespace))
    return judge(found.get("items") or [], deployment)


def judge(schedulers: list[Raw], deployment: Raw) -> SchedulerUse:
    """Decides from kube-scheduler's pods and our Deployment, which both may be empty."""
    ours = sorted(pod["metadata"]["name"] for pod in schedulers if names_us(pod))
    setting = _not_configured(deployment)
    if ours:
        use, pods = Use.YES, ", ".join(f"pod kube-system/{name}" for name in ours)
        words = f"kube-scheduler has our configuration: {pods}"
    elif schedulers:
        use, words = Use.NO, "kube-scheduler runs without our configuration"
    elif setting:
        use, words = Use.NO, f"kube-scheduler does not call us: {setting}"
    else:
        use = Use.UNKNOWN
        words = "kube-scheduler is no pod here: which configuration it has cannot be seen"
    return SchedulerUse(use, words, installed=bool(deployment))


async def nobody_answers(api: Api, namespace: str) -> bool:
    """True if the extender's Service has no ready endpoint. False if we may not read them."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    found = await get_if_allowed(api, path, labelSelector=f"kubernetes.io/service-name={SERVICE}")
    if not found:
        return False
    endpoints = [e for one in found["items"] for e in one.get("endpoints") or ()]
    # Ready unless it says otherwise, as the API has it.
    return not any((e.get("conditions") or {}).get("ready", True) for e in endpoints)


def deployment_path(namespace: str, name: str = "lws-placement") -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def member_scheduler(deployment: Raw) -> str:
    """The second kube-scheduler that our webhook assigns members to; empty if there is none."""
    return next(filter(None, _given(deployment, "member_scheduler")), "")


def _not_configured(deployment: Raw) -> str:
    """Our setting by which kube-scheduler does not call us, in words; empty if there is none."""
    if any(given.lower() in _FALSE for given in _given(deployment, "extender_configured")):
        return "extender-configured is false"
    second = member_scheduler(deployment)
    return f"members are left to {second}" if second else ""


def _given(deployment: Raw, field: str) -> Iterator[str]:
    """The values of this setting in the flags and environment of our Deployment."""
    flag, variable = f"--{field.replace('_', '-')}=", f"{ENV_PREFIX}{field.upper()}"
    pod = deployment.get("spec", {}).get("template", {}).get("spec", {})
    for container in pod.get("containers") or ():
        for arg in container.get("args") or ():
            if arg.startswith(flag):
                yield arg.removeprefix(flag)
        for one in container.get("env") or ():
            if one["name"] == variable:
                yield one.get("value") or ""
