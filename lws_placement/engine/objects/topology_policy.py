"""Which domains groups may take: the cluster's settings about topology keys.

The user of a group names its topology key, and any label of nodes will do. A key by which (nearly)
all nodes are one domain, such as `kubernetes.io/os`, would let one small pod hold the cluster, or
keep it empty while it waits. Two settings prevent that:

- `topology-keys` lists the keys that groups may name for domains of their own.
- `largest-domain-share` limits domains, whatever their key: one that has more than this share of
  the cluster's nodes is for groups that fill it, with at least one pod for every `NODES_PER_POD`
  nodes. A group that has such a domain already keeps it: clusters shrink.

The share counts for each domain, not for the key: a large default pool beside small slices keeps
nobody from the slices. It does not count in clusters of at most `SMALL_CLUSTER` nodes, where one
slice may well be all there is.

Two more settings limit each namespace: `domains-per-namespace`, how many domains its groups hold,
and `waiting-places-per-namespace`, for how many of its waiting groups a place is kept. Both map
names or patterns of namespaces to numbers. An exact name counts first, then the longest pattern.

Keys of regions (`within-topology`, `prefer-topology`) are not limited: a region is not held.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from lws_placement.engine.base.field_error import FieldError
from lws_placement.engine.base.keys import (
    GROUP_TOPOLOGY,
    LWS_EXCLUSIVE_TOPOLOGY,
    LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY,
)
from lws_placement.engine.base.label_keys import why_not_label_key
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.objects.placement_request import PlacementRequest

_TAKEN = (LWS_EXCLUSIVE_TOPOLOGY, LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY, GROUP_TOPOLOGY)
"""Annotations whose value is the key of domains that a group takes."""
SMALL_CLUSTER = 10
NODES_PER_POD = 4


@dataclass(frozen=True, slots=True)
class TopologyPolicy:
    """`keys`: patterns with `*`; empty: any key. `largest_share`: of the cluster's nodes.
    `domains`, `waiting_places`: namespace or pattern -> number.
    """

    keys: tuple[str, ...] = ()
    largest_share: float = 1.0
    domains: Mapping[str, int] = field(default_factory=dict)
    waiting_places: Mapping[str, int] = field(default_factory=dict)

    def why_not(self, key: str) -> str:
        """Why no group may take domains of this key; empty if groups may."""
        if not self.keys or (
            why_not_label_key(key) is None
            and any(fnmatchcase(key, pattern) for pattern in self.keys)
        ):
            return ""
        return (
            f"{key[:80]!r} is no topology key that groups may take domains of in this cluster "
            f"(setting topology-keys): name one of {', '.join(self.keys)}, or ask who runs "
            "lws-placement to add yours"
        )

    def problems(self, annotations: Mapping[str, str]) -> list[tuple[str, str]]:
        """(annotation, problem) for each key that groups may not take domains of."""
        found = ((note, self.why_not(annotations.get(note, ""))) for note in _TAKEN)
        return [(note, why) for note, why in found if why and note in annotations]

    def problems_of_lws(self, lws: Raw, old: Raw | None) -> list[FieldError]:
        """The same for a LeaderWorkerSet, with its typed fields; on an update for new keys."""
        asked, before = _keys_by_path(lws), _keys_by_path(old or {})
        whys = {p: self.why_not(key) for p, key in asked.items() if before.get(p) != key}
        return [FieldError(path, asked[path], why) for path, why in whys.items() if why]

    def why_not_asked(self, request: PlacementRequest) -> str:
        """The same for the keys of a request."""
        return next(filter(None, map(self.why_not, request.keys)), "")

    def most_nodes(self, nodes: int) -> int:
        """Nodes that a domain may have if its group does not fill it, in a cluster of `nodes`; 0:
        any number.
        """
        if nodes <= SMALL_CLUSTER or self.largest_share >= 1:
            return 0
        return max(int(self.largest_share * nodes), 1)

    def why_not_more(self, namespace: str, *, held: int, asked: int) -> str:
        """Why groups of the namespace, which hold `held` domains, may not take `asked` more."""
        most = _most(self.domains, namespace)
        if most is None or held + asked <= most:
            return ""
        others = "1 domain" if held == 1 else f"{held} domains"
        return (
            f"the groups of namespace {namespace} may hold {most} domains (setting "
            f"domains-per-namespace): others hold {others} and this one needs {asked}; end one of "
            "them, or ask who runs lws-placement for more"
        )

    def most_waiting_places(self, namespace: str) -> int | None:
        """None: no limit."""
        return _most(self.waiting_places, namespace)


ANY_TOPOLOGY = TopologyPolicy()


def _most(by_namespace: Mapping[str, int], namespace: str) -> int | None:
    if namespace in by_namespace:
        return by_namespace[namespace]
    alike = [pattern for pattern in by_namespace if fnmatchcase(namespace, pattern)]
    return by_namespace[max(alike, key=lambda p: (len(p), p))] if alike else None


def _keys_by_path(lws: Raw) -> dict[str, str]:
    template = _object(_object(lws.get("spec")).get("leaderWorkerTemplate"))
    annotations = _object(_object(lws.get("metadata")).get("annotations"))
    typed = {
        "spec.leaderWorkerTemplate": template,
        "spec.leaderWorkerTemplate.subGroupPolicy": _object(template.get("subGroupPolicy")),
    }
    found = {
        f"metadata.annotations[{key}]": annotations.get(key)
        for key in (LWS_EXCLUSIVE_TOPOLOGY, LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
    } | {
        f"{path}.placementPolicy.topology": _object(holder.get("placementPolicy")).get("topology")
        for path, holder in typed.items()
    }
    return {path: key for path, key in found.items() if isinstance(key, str) and key}


def _object(value: object) -> Raw:
    return value if isinstance(value, dict) else {}
