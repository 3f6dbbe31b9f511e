"""A pod spec -> its rules about other pods."""

from collections.abc import Collection, Iterable, Sequence

from lws_placement.cluster.codec.selectors import decode_selector
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.engine.lws.pod_identity import is_exclusive_term
from lws_placement.engine.objects.nodes import Operator, Requirement
from lws_placement.engine.objects.pod_rules import PodRules, PodTerm, Selector, SpreadConstraint

_MOST_KEYS = 16
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def decode_rules(spec: Raw, *, exclusive: Collection[str] = ()) -> PodRules | None:
    """None if the spec says nothing about other pods, as with most pods. `exclusive`: topology keys
    of the domains that we hold for the pod: LeaderWorkerSet's own terms for these say no more than
    the holds (`model/exclusivity.py`).
    """
    affinity, spread = spec.get("affinity"), spec.get("topologySpreadConstraints")
    if not affinity and not spread:
        return None
    rules = PodRules(
        affinity=_terms(affinity or {}, "podAffinity", exclusive=exclusive),
        anti_affinity=_terms(affinity or {}, "podAntiAffinity", exclusive=exclusive),
        spread=tuple(
            _constraint(c) for c in spread or () if c.get("whenUnsatisfiable") == "DoNotSchedule"
        ),
    )
    return rules if rules != PodRules() else None


def shunned_by_all(spec: Raw) -> PodRules | None:
    """The rules of a pod that has too many to be compared: every term of anti-affinity counts as
    one that selects every pod. None if it has none.
    """
    terms = ((spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(_REQUIRED) or []
    keys = list(dict.fromkeys(term["topologyKey"] for term in terms))[:_MOST_KEYS]
    if not keys:
        return None
    return PodRules(anti_affinity=tuple(PodTerm(key, (), namespace_selector=()) for key in keys))


def _terms(affinity: Raw, kind: str, *, exclusive: Collection[str]) -> tuple[PodTerm, ...]:
    terms: RawList = (affinity.get(kind) or {}).get(_REQUIRED) or []
    if exclusive:
        terms = [t for t in terms if not is_exclusive_term(t, exclusive)]
    return tuple(
        PodTerm(
            topology_key=term["topologyKey"],
            selector=_template_selector(term, ("matchLabelKeys", "mismatchLabelKeys")),
            namespaces=frozenset(term.get("namespaces") or ()),
            namespace_selector=decode_selector(term.get("namespaceSelector")),
            match_keys=tuple(term.get("matchLabelKeys") or ()),
            mismatch_keys=tuple(term.get("mismatchLabelKeys") or ()),
        )
        for term in terms
    )


def _constraint(raw: Raw) -> SpreadConstraint:
    return SpreadConstraint(
        topology_key=raw["topologyKey"],
        max_skew=int(raw["maxSkew"]),
        selector=_template_selector(raw, ("matchLabelKeys",)),
        min_domains=int(raw.get("minDomains") or 1),
        honors_affinity=raw.get("nodeAffinityPolicy") != "Ignore",
        honors_taints=raw.get("nodeTaintsPolicy") == "Honor",
        match_keys=tuple(raw.get("matchLabelKeys") or ()),
    )


def _template_selector(raw: Raw, key_fields: Sequence[str]) -> Selector | None:
    """The selector without what the API server merged into it for the keys in these fields, so that
    an admitted pod's rules equal those of its template.
    """
    selector = decode_selector(raw.get("labelSelector"))
    keys = {key for field in key_fields for key in raw.get(field) or ()}
    if selector is None or not keys:
        return selector
    return tuple(r for r in selector if not _merged(r, keys))


def _merged(requirement: Requirement, keys: Iterable[str]) -> bool:
    single = requirement.operator in (Operator.IN, Operator.NOT_IN) and len(requirement.values) == 1
    return single and requirement.key in keys
