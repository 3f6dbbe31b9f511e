"""What kube-apiserver's admission plugin ExtendedResourceToleration does to pods, and how a pod
shows it.

The plugin is off by default, and clouds switch it on: nodes with accelerators carry the taint
`google.com/tpu=present:NoSchedule`, say, and every pod that requests an extended resource gets a
toleration for the taint of that name. Templates do not carry it, so members that do not exist yet
must be judged with it. Our marker is an extended resource as well, so each pod that our webhook
marked shows whether the plugin was on when the pod was admitted.
"""

from collections.abc import Iterable
from dataclasses import replace

from lws_placement.engine.base.keys import GUEST_MARKER, MEMBER_MARKER
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.fit.node_filters import is_tolerated
from lws_placement.engine.model.pods import Demand, Pod, Toleration
from lws_placement.engine.model.workload import Templates
from lws_placement.engine.objects.nodes import Taint

_EFFECT = "NoSchedule"


def extended_resources(spec: Raw) -> tuple[str, ...]:
    """Sorted names of the extended resources that a pod of this spec requests, including those of
    quantity 0 (`IsExtendedResourceName` of kubernetes/pkg/apis/core/helper). Absent requests
    default to the limits.
    """
    found: set[str] = set()
    for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        found.update(resources.get("limits") or (), resources.get("requests") or ())
    return tuple(sorted(filter(_is_extended, found)))


def with_tolerations(spec: Raw) -> Raw:
    """The pod's spec after the plugin."""
    given = spec.get("tolerations") or []
    added = [
        {"key": name, "operator": "Exists", "effect": _EFFECT} for name in extended_resources(spec)
    ]
    return {**spec, "tolerations": [*given, *(t for t in added if t not in given)]}


def tolerating(templates: Templates) -> Templates:
    """The templates with the tolerations that the plugin adds to their members."""
    return replace(
        templates,
        leader=_tolerating(templates.leader, templates.leader_extended),
        worker=_tolerating(templates.worker, templates.worker_extended),
    )


def depends_on_plugin(templates: Templates, taints: Iterable[Taint]) -> bool:
    """True if only the plugin lets members of these templates tolerate one of the taints."""
    members = (
        (templates.leader, templates.leader_extended),
        (templates.worker, templates.worker_extended),
    )
    return any(
        taint.key in names
        and taint.effect == _EFFECT
        and not is_tolerated(taint, demand.tolerations)
        for taint in taints
        for demand, names in members
    )


def shows_plugin(pods: Iterable[Pod]) -> bool | None:
    """True if the plugin was on when the newest marked pod was admitted; None: no pod is marked."""
    marked = [p for p in pods if p.marked or p.guest]
    if not marked:
        return None
    newest = max(marked, key=lambda p: (p.created_s, p.name))
    marker = MEMBER_MARKER if newest.marked else GUEST_MARKER
    return _toleration(marker) in newest.demand.tolerations


def _tolerating(demand: Demand, names: Iterable[str]) -> Demand:
    added = {_toleration(name) for name in (*names, MEMBER_MARKER)}
    return replace(demand, tolerations=tuple(sorted({*demand.tolerations, *added})))


def _toleration(name: str) -> Toleration:
    return Toleration(key=name, operator="Exists", effect=_EFFECT)


def _is_extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")
