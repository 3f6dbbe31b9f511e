"""What a LeaderWorkerSet says of groups whose pods may not exist yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lws_placement.engine.model.placement_request import PlacementRequest
from lws_placement.engine.model.pods import Demand, Rank


@dataclass(frozen=True, slots=True)
class Templates:
    """The versioned part of a LeaderWorkerSet that placement needs: one revision of it."""

    size: int
    leader: Demand
    worker: Demand
    leader_extended: tuple[str, ...] = ()
    """Names of the extended resources in the requests, those of quantity 0 included."""
    worker_extended: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    """Scheduling gates of others that some of its members carry."""

    larger: str = ""
    """What its members are expected to ask for beyond what is written there, in words."""

    def demand(self, rank: Rank) -> Demand:
        return self.leader if rank == 0 else self.worker


@dataclass(frozen=True, slots=True)
class LwsInfo:
    """A LeaderWorkerSet as placement sees it. `templates` are those of the live spec."""

    namespace: str
    name: str
    uid: str
    replicas: int
    request: PlacementRequest
    """What its annotations ask of placement."""
    templates: Templates
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Its annotations of ours, as they are, and those that stand for typed fields of it."""
    deleting: bool = False
    keyed: bool = False
    """Its groups have keys of their own in place of ordinals (`MemberInfo.keyed`)."""


@dataclass(frozen=True, slots=True)
class DaemonSetInfo:
    """A DaemonSet: every node that takes its pods will get one, so its room is not free."""

    uid: str
    demand: Demand
