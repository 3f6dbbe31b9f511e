"""What a LeaderWorkerSet specifies for groups whose pods may not exist yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.objects.nodes import Labels
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.engine.objects.pod_volumes import ClaimSpec


@dataclass(frozen=True, slots=True)
class Templates:
    """One revision of the versioned part of a LeaderWorkerSet, as far as placement needs it."""

    size: int
    leader: Demand
    worker: Demand
    leader_extended: tuple[str, ...] = ()
    """Names of the extended resources in the requests, including those of quantity 0."""
    worker_extended: tuple[str, ...] = ()
    leader_forbidden: str = ""
    """In words: why the API server would refuse such a pod."""
    worker_forbidden: str = ""
    gates: tuple[str, ...] = ()
    """Foreign scheduling gates that some members carry."""
    leader_labels: Labels = ()
    worker_labels: Labels = ()
    claims: tuple[tuple[str, ClaimSpec], ...] = ()
    """Claim templates, by name."""
    one_priority: bool = True
    """Leaders and workers have the same priority class and preemptionPolicy."""
    larger: str = ""
    """In words: what members are expected to request beyond the template."""
    surplus: Mapping[str, int] = field(default_factory=dict)
    """Resources that leaders got beyond their template, while no worker is known: workers may get
    them as well (`with_surplus`).
    """

    def demand(self, rank: Rank) -> Demand:
        return self.leader if rank == 0 else self.worker

    def with_surplus(self) -> "Templates":
        """With workers that get what leaders got beyond their template."""
        resources = dict(self.worker.resources)
        for name, amount in self.surplus.items():
            resources[name] = resources.get(name, 0) + amount
        return replace(
            self, worker=replace(self.worker, resources=tuple(sorted(resources.items())))
        )

    @property
    def runnable(self) -> bool:
        """Whether its pods can run as soon as they have room."""
        return not (self.gates or self.leader_forbidden or self.worker_forbidden)

    def forbidden(self, rank: Rank) -> str:
        return self.leader_forbidden if rank == 0 else self.worker_forbidden

    def labels(self, rank: Rank) -> Mapping[str, str]:
        """The template's own labels."""
        return dict(self.leader_labels if rank == 0 else self.worker_labels)


@dataclass(frozen=True, slots=True)
class LwsInfo:
    """A LeaderWorkerSet as placement sees it. `templates` are those of the live spec."""

    namespace: str
    name: str
    uid: str
    replicas: int
    request: PlacementRequest
    """From its annotations."""
    templates: Templates
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Its annotations of ours, unchanged, and those that stand for its typed fields."""
    deleting: bool = False
    restarts_whole: bool = True
    """Its restart policy recreates a group when one of its pods ends."""
    leader_first: bool = False
    """Its workers come once the leader is ready."""
    keyed: bool = False
    """Its groups have keys instead of ordinals (`MemberInfo.keyed`)."""


@dataclass(frozen=True, slots=True)
class DaemonSetInfo:
    """A DaemonSet: every node that takes its pods gets one, so their room is not free."""

    uid: str
    demand: Demand
