"""A group's placement request: LeaderWorkerSet's annotations and ours, read and checked.

`placement_request_of` reads admitted objects (a bad value that slipped past admission counts as
absent). `problems_of_request` is for admission: which annotation is wrong, and what to write
instead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lws_placement.engine.base.group_names import subgroup_index
from lws_placement.engine.base.keys import (
    GANG,
    GROUP_TOPOLOGY,
    LWS_EXCLUSIVE_TOPOLOGY,
    LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY,
    LWS_SUBGROUP_POLICY_TYPE,
    LWS_SUBGROUP_SIZE,
    MANAGED,
    PREFER_TOPOLOGY,
    SCOPE,
    WITHIN_TOPOLOGY,
)
from lws_placement.engine.base.label_keys import why_not_label_key
from lws_placement.engine.base.whole_numbers import MOST_SIZE, whole_number


class Scope(StrEnum):
    """Groups against which a group is exclusive (annotation `lws-placement.dev/scope`)."""

    CLUSTER = "Cluster"
    NAMESPACE = "Namespace"
    LWS = "LeaderWorkerSet"
    NOBODY = "Nobody"
    """Not a value of the annotation: for groups that claim nothing."""


@dataclass(frozen=True, slots=True)
class TopologyRequest:
    """Where the members of a group go. An empty key requests no such domain or region.

    `outer`: key of the domain around all of them. `inner`: key of the domains of which each of
    `subgroups` gets its own. Ranks in no subgroup may be on any node within `outer`.
    `required_topology`: key of a region that must hold all members, `preferred_topology`: of one
    that should.
    """

    outer: str = ""
    inner: str = ""
    subgroups: tuple[tuple[int, ...], ...] = ()
    required_topology: str = ""
    preferred_topology: str = ""

    @property
    def in_one_domain(self) -> bool:
        """True if the group requests one domain of `outer` and nothing else."""
        more = self.inner or self.required_topology or self.preferred_topology
        return bool(self.outer) and not more

    @property
    def in_subgroups(self) -> frozenset[int]:
        """Ranks in a subgroup; the other members are *loose*."""
        return frozenset(rank for ranks in self.subgroups for rank in ranks)


_SCOPES = (Scope.CLUSTER, Scope.NAMESPACE, Scope.LWS)
TOPOLOGY_ANNOTATIONS = (LWS_EXCLUSIVE_TOPOLOGY, LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY, WITHIN_TOPOLOGY)
"""Annotations of a LeaderWorkerSet whose value must be a label that nodes carry."""
PLACEMENT_ANNOTATIONS = (*TOPOLOGY_ANNOTATIONS, PREFER_TOPOLOGY, SCOPE, GANG, MANAGED)
"""Annotations by which a LeaderWorkerSet asks for placement."""
_BOOLEANS = ("true", "false")


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """`topology`: key of the group's exclusive domain; `subgroup_topology`: key of each subgroup's
    exclusive domain. `required_topology`, `preferred_topology`: keys of a region that must, or
    should, hold all members. `gang`: all or none, anywhere.
    """

    topology: str = ""
    subgroup_topology: str = ""
    subgroup_size: int = 0
    leader_excluded: bool = False
    scope: Scope = Scope.CLUSTER
    required_topology: str = ""
    preferred_topology: str = ""
    gang: bool = False
    managed: bool = True

    @property
    def exclusive(self) -> bool:
        return bool(self.topology or self.subgroup_topology)

    @property
    def places(self) -> bool:
        """True if we place this group."""
        return self.managed and (self.exclusive or self.gang)

    @property
    def claims(self) -> Scope:
        """Scope in which such a group is exclusive."""
        return self.scope if self.exclusive else Scope.NOBODY

    @property
    def keys(self) -> tuple[str, ...]:
        """Topology keys of the domains that it takes."""
        return tuple(k for k in (self.topology, self.subgroup_topology) if k)

    def of_size(self, size: int) -> TopologyRequest:
        """The topology request of a group of `size` members."""
        return TopologyRequest(
            outer=self.topology,
            inner=self.subgroup_topology,
            subgroups=self._subgroups(size) if self.subgroup_topology else (),
            required_topology=self.required_topology,
            preferred_topology=self.preferred_topology,
        )

    def ties(self, rank: int) -> bool:
        """True if the group takes a domain around this member's node."""
        return bool(self.topology) or self.in_subgroup(rank)

    def in_subgroup(self, rank: int) -> bool:
        return bool(self.subgroup_topology) and not (self.leader_excluded and rank == 0)

    def _subgroups(self, size: int) -> tuple[tuple[int, ...], ...]:
        """Numbered as in LeaderWorkerSet's pod webhook; the leader is in the first unless it is
        excluded.
        """
        found: dict[int, list[int]] = {} if self.leader_excluded else {0: [0]}
        for rank in range(1, size):
            index = subgroup_index(rank, size=size, subgroup_size=self.subgroup_size)
            found.setdefault(index, []).append(rank)
        return tuple(tuple(found[index]) for index in sorted(found))


def placement_request_of(annotations: Mapping[str, str]) -> PlacementRequest:
    """Read the annotations of a LeaderWorkerSet's pod, or of the pod of another group."""
    subgroup_size = whole_number(annotations.get(LWS_SUBGROUP_SIZE), most=MOST_SIZE) or 0
    scope = annotations.get(SCOPE)
    return PlacementRequest(
        topology=annotations.get(LWS_EXCLUSIVE_TOPOLOGY) or annotations.get(GROUP_TOPOLOGY, ""),
        subgroup_topology=annotations.get(LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY, "")
        if subgroup_size
        else "",
        subgroup_size=subgroup_size,
        leader_excluded=annotations.get(LWS_SUBGROUP_POLICY_TYPE) == "LeaderExcluded",
        scope=Scope(scope) if scope in _SCOPES else Scope.CLUSTER,
        required_topology=annotations.get(WITHIN_TOPOLOGY, ""),
        preferred_topology=annotations.get(PREFER_TOPOLOGY, ""),
        gang=annotations.get(GANG) == "true",
        managed=annotations.get(MANAGED) != "false",
    )


def problems_of_request(annotations: Mapping[str, str]) -> list[tuple[str, str]]:
    """(annotation, problem) for each of our annotations with an invalid value or combination."""
    exclusive = annotations.get(LWS_EXCLUSIVE_TOPOLOGY) or annotations.get(
        LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY
    )
    exclusive = exclusive or annotations.get(GROUP_TOPOLOGY)
    gang = annotations.get(GANG) == "true"
    found = [
        *_unknown(annotations, SCOPE, _SCOPES),
        *_unknown(annotations, GANG, _BOOLEANS),
        *_unknown(annotations, MANAGED, _BOOLEANS),
    ]
    for key in (GROUP_TOPOLOGY, WITHIN_TOPOLOGY, PREFER_TOPOLOGY):
        why = why_not_label_key(annotations[key]) if key in annotations else None
        if why is not None:
            found.append((key, f"must be the key of a node label: {why}"))
    if GROUP_TOPOLOGY in annotations and LWS_EXCLUSIVE_TOPOLOGY in annotations:
        found.append((GROUP_TOPOLOGY, f"not together with {LWS_EXCLUSIVE_TOPOLOGY}; keep one"))
    if gang and exclusive:
        found.append((GANG, "not together with an exclusive topology, which places whole already"))
    if SCOPE in annotations and not exclusive:
        found.append((SCOPE, "needs an exclusive topology: there is nothing to be alone in"))
    for key in (WITHIN_TOPOLOGY, PREFER_TOPOLOGY):
        if key in annotations and not exclusive and not gang:
            found.append((key, f'needs an exclusive topology or {GANG}: "true"'))
        if key in annotations and annotations[key] == annotations.get(LWS_EXCLUSIVE_TOPOLOGY):
            found.append((key, "is the exclusive topology itself; name a larger level"))
    return found


def _unknown(
    annotations: Mapping[str, str], key: str, allowed: tuple[str, ...]
) -> list[tuple[str, str]]:
    if key not in annotations or annotations[key] in allowed:
        return []
    return [(key, f"{annotations[key]!r} is none of {', '.join(allowed)}")]
