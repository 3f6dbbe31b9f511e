"""Label selectors and node selector terms. For a key or value that is not text the decoders raise
InvalidObjectError.
"""

from collections.abc import Iterable

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement
from lws_placement.engine.objects.pod_rules import Selector
from lws_placement.errors import InvalidObjectError


def decode_selector(raw: Raw | None) -> Selector | None:
    """None for an absent selector. In one order, as the order does not matter."""
    if raw is None:
        return None
    exact = (
        _checked(Requirement(key, Operator.IN, (value,)))
        for key, value in (raw.get("matchLabels") or {}).items()
    )
    others = (_requirement(e) for e in raw.get("matchExpressions") or ())
    sorted_values = (Requirement(r.key, r.operator, tuple(sorted(r.values))) for r in others)
    return tuple(sorted({*exact, *sorted_values}, key=lambda r: (r.key, r.operator, r.values)))


def decode_node_term(raw: Raw) -> NodeTerm:
    """A nodeSelectorTerm."""
    return NodeTerm(
        tuple(_requirement(e) for e in raw.get("matchExpressions") or ()),
        tuple(_requirement(f) for f in raw.get("matchFields") or ()),
    )


def decode_node_terms(raws: Iterable[Raw]) -> tuple[NodeTerm, ...]:
    """ORed nodeSelectorTerms."""
    return tuple(map(decode_node_term, raws))


def _requirement(raw: Raw) -> Requirement:
    return _checked(
        Requirement(raw["key"], Operator(raw["operator"]), tuple(raw.get("values") or ()))
    )


def _checked(requirement: Requirement) -> Requirement:
    if not all(isinstance(text, str) for text in (requirement.key, *requirement.values)):
        raise InvalidObjectError("a requirement's key or value is not text")
    return requirement
