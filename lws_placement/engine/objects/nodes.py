"""Nodes and domains as placement sees them: frozen values, free of JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

NodeName = str
Labels = tuple[tuple[str, str], ...]
"""Labels of an object, sorted."""


@dataclass(frozen=True, slots=True, order=True)
class DomainName:
    """All nodes whose label `key` has the value `value`. With an empty key it is no domain, but
    stands for the room of members that may be anywhere (`reservation.place_of`).
    """

    key: str
    value: str

    @property
    def anywhere(self) -> bool:
        return not self.key

    def __str__(self) -> str:
        return f"{self.key}={self.shown_value}"

    @property
    def shown_value(self) -> str:
        """Its value for people: an empty one is a value, too."""
        return self.value or '""'


ANYWHERE = DomainName("", "")
"""In a plan, instead of a domain: room anywhere in the cluster."""


class Operator(StrEnum):
    """Operators of node selector terms (core/v1 NodeSelectorOperator)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GT = "Gt"
    LT = "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeTerm:
    """One nodeSelectorTerm: all expressions and all fields must hold; an empty term matches
    nothing.
    """

    expressions: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()
    """`matchFields`; only `metadata.name` exists."""


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str
    """NoSchedule, PreferNoSchedule or NoExecute."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as the scheduler's filters see it."""

    name: NodeName
    labels: Mapping[str, str]
    allocatable: Mapping[str, int]
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    ready: bool = True
    scale_down: Mapping[str, str] = field(default_factory=dict)
    """Its annotations that keep cluster autoscalers from taking it away, and ours about them."""

    def __hash__(self) -> int:
        return hash(self.name)
