"""What a LeaderWorkerSet says of groups whose pods may not exist yet."""

from dataclasses import dataclass

from lws_placement.engine.model import Demand, Rank


@dataclass(frozen=True, slots=True)
class Templates:
    """The versioned part of a LeaderWorkerSet that placement needs: one revision of it."""

    size: int
    leader: Demand
    worker: Demand

    def demand(self, rank: Rank) -> Demand:
        return self.leader if rank == 0 else self.worker


@dataclass(frozen=True, slots=True)
class LwsInfo:
    """A LeaderWorkerSet as placement sees it. `templates` are those of the live spec."""

    namespace: str
    name: str
    uid: str
    replicas: int
    topology_key: str
    """Value of the exclusive-topology annotation; empty: no exclusive placement asked for."""
    templates: Templates
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class DaemonSetInfo:
    """A DaemonSet: every node that takes its pods will get one, so its room is not free."""

    uid: str
    demand: Demand
