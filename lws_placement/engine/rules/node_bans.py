"""Where one pod may not be because of other pods, volumes or devices, as a rule about nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from lws_placement.engine.model.joint.rules import Spread
from lws_placement.engine.model.pods import NodeRule
from lws_placement.engine.objects.nodes import Node, NodeName
from lws_placement.engine.rules.pods_by_node import DomainsWithPods


@dataclass(frozen=True, slots=True)
class Forbidden:
    """The domains of `key` with one of these pods are forbidden. `why`: a text with `{key}` and
    `{pod}`.
    """

    key: str
    pods: DomainsWithPods
    why: str

    def why_not(self, domain: str) -> str | None:
        pod = self.pods.first_in(domain)
        return None if pod is None else self.why.format(key=self.key, pod=pod)


@dataclass(frozen=True, slots=True)
class Needed:
    """A node needs the label `key`; with one of `values`, unless that is None."""

    key: str
    values: frozenset[str] | None
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class NodeBans:
    """A `NodeRule`: domains and nodes that are forbidden, labels that are needed, constraints that
    the pod alone may break, with whether each counts the pod itself, and what its volumes and
    devices need. Equal if all that is.

    `why_not` costs O(keys).
    """

    forbidden: tuple[Forbidden, ...] = ()
    needed: tuple[Needed, ...] = ()
    spread: tuple[tuple[Spread, bool], ...] = ()
    nodes: frozenset[tuple[NodeName, str]] = frozenset()
    """Each with why it is forbidden."""
    volumes: NodeRule | None = None
    devices: NodeRule | None = None
    _by_name: Mapping[NodeName, str] = field(init=False, repr=False)
    _by_key: Mapping[str, Sequence[Forbidden]] = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_key", _by_key(self.forbidden))
        object.__setattr__(self, "_by_name", dict(sorted(self.nodes)))
        object.__setattr__(self, "_hash", hash(self._facts))

    @property
    def _facts(self) -> tuple[object, ...]:
        return (
            self.forbidden,
            self.needed,
            self.spread,
            self.nodes,
            self.volumes,
            self.devices,
        )

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, NodeBans) or self._hash != other._hash:
            return False
        return self._facts == other._facts

    def __bool__(self) -> bool:
        return any(self._facts)

    def why_not(self, node: Node) -> str | None:
        if node.name in self._by_name:
            return self._by_name[node.name]
        for needed in self.needed:
            value = node.labels.get(needed.key)
            if value is None or (needed.values is not None and value not in needed.values):
                return needed.why
        for key, forbidden in self._by_key.items():
            value = node.labels.get(key)
            whys = [f.why_not(value) for f in forbidden] if value is not None else ()
            found = min(filter(None, whys), default=None)
            if found is not None:
                return found
        alone = (rule.why_not_alone(counts_itself, node) for rule, counts_itself in self.spread)
        rules = (rule.why_not(node) for rule in (self.volumes, self.devices) if rule is not None)
        return next(filter(None, chain(alone, rules)), None)


def _by_key(forbidden: Sequence[Forbidden]) -> Mapping[str, Sequence[Forbidden]]:
    found: dict[str, list[Forbidden]] = {}
    for one in sorted(forbidden, key=lambda f: f.key):
        found.setdefault(one.key, []).append(one)
    return found
