"""LimitRanges and RuntimeClasses: what the API server adds to pods, by namespace."""

from lws_placement.cluster.codec.objects import checked_text, checked_texts
from lws_placement.engine.admission.limit_ranges import CLAIM, CONTAINER, POD, Bounds, LimitRange
from lws_placement.engine.admission.pod_defaults import PodDefaults, RuntimeClass
from lws_placement.engine.base.quantities import amount_requested
from lws_placement.engine.base.raw import Raw

_NOTHING: Raw = {}


class PodDefaultsIndex:
    def __init__(self) -> None:
        self._classes: dict[str, RuntimeClass] = {}
        self._ranges: dict[str, dict[str, LimitRange]] = {}

    def of(self, namespace: str) -> PodDefaults:
        """The current defaults."""
        ranges = self._ranges.get(namespace, {})
        return PodDefaults(tuple(ranges[name] for name in sorted(ranges)), self._classes)

    def put_runtime_class(self, raw: Raw) -> bool:
        """True if it is new or changed. Raises one of UNREADABLE."""
        name, new = checked_text(raw["metadata"]["name"]), _decode_runtime_class(raw)
        known, self._classes[name] = self._classes.get(name), new
        return known != new

    def drop_runtime_class(self, raw: Raw) -> bool:
        return self._classes.pop(raw["metadata"]["name"], None) is not None

    def put_limit_range(self, raw: Raw) -> bool:
        """True if it is new or changed. Raises one of UNREADABLE."""
        meta, new = raw["metadata"], _decode_limit_range(raw)
        ranges = self._ranges.setdefault(checked_text(meta["namespace"]), {})
        name = checked_text(meta["name"])
        known, ranges[name] = ranges.get(name), new
        return known != new

    def drop_limit_range(self, raw: Raw) -> bool:
        meta = raw["metadata"]
        ranges = self._ranges.get(meta["namespace"], {})
        known = ranges.pop(meta["name"], None)
        if not ranges:
            self._ranges.pop(meta["namespace"], None)
        return known is not None


def _decode_runtime_class(raw: Raw) -> RuntimeClass:
    scheduling = raw.get("scheduling") or _NOTHING
    return RuntimeClass(
        overhead=_quantities((raw.get("overhead") or _NOTHING).get("podFixed")),
        node_selector=checked_texts(scheduling.get("nodeSelector")),
        tolerations=tuple(
            {
                key: checked_text(t[key])
                for key in ("key", "operator", "value", "effect")
                if t.get(key)
            }
            for t in scheduling.get("tolerations") or ()
        ),
    )


def _decode_limit_range(raw: Raw) -> LimitRange:
    """Includes the API server's own defaulting (`SetDefaults_LimitRangeItem`), which a file may
    lack.
    """
    limits: Raw = {}
    requests: Raw = {}
    bounds = []
    for item in (raw.get("spec") or _NOTHING).get("limits") or ():
        kind = item.get("type")
        if kind not in (CONTAINER, POD, CLAIM):
            continue
        least, most = _quantities(item.get("min")), _quantities(item.get("max"))
        bounds.append(Bounds(kind, least, most, _quantities(item.get("maxLimitRequestRatio"))))
        if kind == CONTAINER:
            default = {**most, **_quantities(item.get("default"))}
            limits |= default
            requests |= {**least, **default, **_quantities(item.get("defaultRequest"))}
    return LimitRange(checked_text(raw["metadata"]["name"]), limits, requests, tuple(bounds))


def _quantities(raw: Raw | None) -> Raw:
    """Raises InvalidObjectError if a value is not a quantity."""
    found = raw or {}
    for name, quantity in found.items():
        amount_requested(name, quantity)
    return dict(found)
