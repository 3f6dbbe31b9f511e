"""The result of a simulation, as `run.py` finds it and `text.py` and `report.py` lay it out."""

from collections.abc import Mapping
from dataclasses import dataclass

from lws_placement.engine.model.verdicts import Reason
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.inspect.inquiry import Answer, Inquiry
from lws_placement.inspect.node_groups import Growth

_NOTHING = PlacementRequest()


@dataclass(frozen=True, slots=True)
class Update:
    """The prospects of a rolling update. `surge`: the answers for its extra groups; `unavailable`:
    groups that it may take down at a time; `moved`: (group, domain, reason) of groups that no
    longer fit where they are; `changed`: some group runs other templates.
    """

    surge: tuple[Answer, ...]
    unavailable: int
    moved: tuple[tuple[str, str, Reason], ...] = ()
    changed: bool = False


@dataclass(frozen=True, slots=True)
class SetOutcome:
    """One LeaderWorkerSet: either refused, or with an answer for each replica."""

    name: str
    refused: str = ""
    request: PlacementRequest = _NOTHING
    replicas: int = 0
    size: int = 0
    groups: tuple[Answer, ...] = ()
    update: Update | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    sets: tuple[SetOutcome, ...]
    inquiry: Inquiry
    keys: tuple[tuple[str, int, int], ...]
    """Topology keys that the sets ask for: how many domains and nodes there are of each."""
    left_out: Mapping[str, int]
    """Kinds of objects that say nothing about placement, and how many there were."""
    adds_tolerations: bool | None = None
    """What was assumed of the API server's plugin ExtendedResourceToleration, if it matters."""
    unknown: tuple[str, ...] = ()
    """Classes that pods name and nobody gave, and what was assumed of them, in words."""
    growth: tuple[Growth, ...] = ()
    """What would be made of each node group."""
