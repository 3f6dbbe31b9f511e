"""Explains why each domain refuses a waiting group, nearest miss first, and what would have to end
for the group to fit: in each domain if it needs one, in all of them together if it needs several.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.messages import nearness
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.verdicts import NoFit, Reason, Why
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.preemption.blockers import Blockers, Infeasible, blockers_in, blockers_of
from lws_placement.engine.preemption.victims import Tenants
from lws_placement.engine.reconcile.placement import asked_now

_LASTING = (Why.TOO_LARGE, Why.FULL)
"""Whatever ends, the domain refuses the group."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A domain that refuses the group, and what would have to end there. `way` is None if that
    cannot be said of this domain alone, or if not all members are known.
    """

    domain: str
    reason: Reason
    blockers: Blockers | Infeasible | None


@dataclass(frozen=True, slots=True)
class Told:
    """`blockers`: what would have to end in all domains, for a group that needs several."""

    misses: tuple[Miss, ...]
    blockers: Blockers | Infeasible | None = None


class Misses:
    """For one cache, until it changes. `most`: domains to explain."""

    def __init__(self, cache: ClusterCache, tenants: Tenants, *, most: int) -> None:
        self._views = cache.domains
        self._tenants = tenants
        self._most = most
        self._last: tuple[NoFit, Told] | None = None
        self._multi_domain: dict[Hashable, Told] = {}

    def of(self, group: Group, verdict: NoFit) -> Told:
        if not group.request.in_one_domain:
            return self._of_multi_domain(group, verdict)
        if self._last is None or self._last[0] is not verdict:  # groups of one shape share it
            key = verdict.topology_key
            nearest = self._nearest(verdict)
            found = ((DomainName(key, value), reason) for value, reason in nearest)
            misses = tuple(Miss(d.shown_value, r, self._into(group, d, r)) for d, r in found)
            self._last = (verdict, Told(misses))
        return self._last[1]

    def _of_multi_domain(self, group: Group, verdict: NoFit) -> Told:
        asked = asked_now(group, self._views)
        if asked not in self._multi_domain:
            self._multi_domain[asked] = self._tell(group, verdict)
        return self._multi_domain[asked]

    def _tell(self, group: Group, verdict: NoFit) -> Told:
        nearest = self._nearest(verdict)
        if not nearest:
            return Told(())
        if group.request.outer:
            inside = ((v, r, DomainName(group.request.outer, v)) for v, r in nearest)
            return Told(tuple(Miss(v, r, self._around(group, d, r)) for v, r, d in inside))
        blockers = blockers_of(group, self._views, self._tenants)
        if not group.request.inner:
            return Told(tuple(Miss(v, r, blockers) for v, r in nearest))
        return Told(tuple(Miss(v, r, None) for v, r in nearest), blockers)

    def _nearest(self, verdict: NoFit) -> list[tuple[str, Reason]]:
        reasons = dict(verdict.reasons)
        nearest = sorted(reasons, key=lambda v: (nearness(reasons[v]), v))[: self._most]
        return [(value, reasons[value]) for value in nearest]

    def _into(
        self, group: Group, domain: DomainName, reason: Reason
    ) -> Blockers | Infeasible | None:
        view = self._views.domain(domain)
        if view is None or reason.why in _LASTING:
            return None
        return blockers_in(group, view, views=self._views, occupants=self._views.occupants_on)

    def _around(
        self, group: Group, domain: DomainName, reason: Reason
    ) -> Blockers | Infeasible | None:
        """For a domain that has to hold all members."""
        if reason.why in _LASTING:
            return None
        return blockers_of(group, self._views, self._tenants, only=self._views.nodes_of(domain))
