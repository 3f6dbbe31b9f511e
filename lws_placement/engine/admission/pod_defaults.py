"""Applies the API server's own admission plugins to a pod's spec, so that members that do not exist
yet are judged as their pods will be admitted.

On every cluster, in this order (kubernetes 1.37, plugin/pkg/admission):

- LimitRanger: a container that sets no limit or request for a resource gets the namespace's
  default (`limit_ranges.py`).
- RuntimeClass: the overhead, node selector and tolerations of the class that the pod names.
- DefaultTolerationSeconds: two tolerations, for nodes that are not ready or unreachable.

`fit/extended_resources.py` has a plugin that only some clusters switch on. Other changes are
learned from admitted pods (`reconcile/admitted_demand.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lws_placement.engine.admission.limit_ranges import LimitRange, with_defaults
from lws_placement.engine.base.raw import Raw

_NOTHING: Raw = {}
_NEVER_OVERCOMMITTED = "hugepages-"


@dataclass(frozen=True, slots=True)
class RuntimeClass:
    overhead: Raw
    node_selector: Mapping[str, str]
    tolerations: tuple[Raw, ...]


@dataclass(frozen=True, slots=True)
class PodDefaults:
    """Defaults for the pods of one namespace."""

    limit_ranges: tuple[LimitRange, ...] = ()
    """In name order."""
    runtime_classes: Mapping[str, RuntimeClass] = field(default_factory=dict)


NO_DEFAULTS = PodDefaults()
"""For a namespace without LimitRanges, in a cluster without RuntimeClasses."""


def admitted_spec(spec: Raw, defaults: PodDefaults = NO_DEFAULTS) -> Raw:
    """Return the spec with the defaults added; what the pod sets itself stays. A pod that a plugin
    would refuse stays as it is.
    """
    if defaults.limit_ranges:
        spec = {
            **spec,
            **{
                kind: [with_defaults(c, defaults.limit_ranges) for c in spec[kind]]
                for kind in ("containers", "initContainers")
                if spec.get(kind)
            },
        }
    runtime_class = defaults.runtime_classes.get(spec.get("runtimeClassName") or "")
    if runtime_class is not None:
        spec = _of_class(spec, runtime_class)
    return _with_toleration_seconds(spec)


def with_pod_level_requests(spec: Raw) -> Raw:
    """The spec with requests of the whole pod for limits of it (defaultPodRequests in
    pkg/apis/core/v1/defaults.go): of a resource of which no container asks, and of huge pages. Of
    what containers ask for, with a LimitRange's defaults, the pod requests what they do, with or
    without such limits.
    """
    resources = spec.get("resources") or _NOTHING
    limits = resources.get("limits")
    if not limits:
        return spec
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    asked = {
        name
        for container in containers
        for amounts in (container.get("resources") or _NOTHING).values()
        if isinstance(amounts, Mapping)
        for name in amounts
    }
    added = {
        name: amount
        for name, amount in limits.items()
        if name not in asked or name.startswith(_NEVER_OVERCOMMITTED)
    }
    requests = {**added, **(resources.get("requests") or _NOTHING)}
    return {**spec, "resources": {**resources, "requests": requests}}


def _of_class(spec: Raw, runtime_class: RuntimeClass) -> Raw:
    given = spec.get("tolerations") or []
    added = [t for t in runtime_class.tolerations if t not in given]
    return {
        **spec,
        **({"overhead": runtime_class.overhead} if runtime_class.overhead else {}),
        "nodeSelector": {**runtime_class.node_selector, **(spec.get("nodeSelector") or {})},
        "tolerations": [*given, *added],
    }


def _with_toleration_seconds(spec: Raw) -> Raw:
    """Add the two NoExecute tolerations that the pod lacks."""
    given = spec.get("tolerations") or []
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(_covers(toleration, key) for toleration in given)
    ]
    return {**spec, "tolerations": [*given, *added]} if added else spec


def _covers(toleration: Raw, key: str) -> bool:
    """Compare key and effect only, as the plugin does; either may be empty."""
    effects, keys = ("NoExecute", "", None), (key, "", None)
    return toleration.get("effect") in effects and toleration.get("key") in keys
