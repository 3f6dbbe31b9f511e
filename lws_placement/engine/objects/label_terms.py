"""Whether labels match a requirement, a label selector or a node selector term."""

from collections.abc import Iterable, Mapping

from lws_placement.engine.base.keys import NODE_NAME_FIELD
from lws_placement.engine.base.whole_numbers import signed_number
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement


def term_matches(term: NodeTerm, labels: Mapping[str, str], *, name: str) -> bool:
    """`labels` and `name`: of the node. A pod may have hundreds of terms: this builds nothing."""
    for requirement in term.expressions:
        if not meets(labels, requirement):
            return False
    if not term.fields:
        return bool(term.expressions)
    fields = {NODE_NAME_FIELD: name}
    return all(meets(fields, requirement) for requirement in term.fields)


def selects(selector: Iterable[Requirement] | None, labels: Mapping[str, str]) -> bool:
    """Match a label selector; None selects nothing, an empty one everything."""
    return selector is not None and all(meets(labels, requirement) for requirement in selector)


def meets(labels: Mapping[str, str], requirement: Requirement) -> bool:
    """Match a label requirement, as Kubernetes does in label selectors and node affinity."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None
        case Operator.GT | Operator.LT:
            return _compares(requirement, value)


def _compares(requirement: Requirement, value: str | None) -> bool:
    """Gt and Lt compare integers; anything else does not match."""
    left = signed_number(value or "")
    right = signed_number(requirement.values[0]) if requirement.values else None
    if left is None or right is None:
        return False
    return left > right if requirement.operator is Operator.GT else left < right
