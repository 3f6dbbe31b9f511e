"""Holds by domain and by group; a domain may have several where their scopes allow."""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from lws_placement.engine.base.nested import DictOfDicts, DictOfSets
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName


class HoldIndex:
    """Puts and drops cost O(1); lookups cost the size of their result, sorted."""

    def __init__(self) -> None:
        self._in = DictOfDicts[DomainName, GroupId, Hold]()
        self._by = DictOfSets[GroupId, DomainName]()
        self._of_set = DictOfSets[GroupId, GroupId]()
        self._domains_of: Counter[str] = Counter()
        """Namespace -> domains that its groups hold."""

    def __bool__(self) -> bool:
        return bool(self._in)

    @property
    def domains(self) -> AbstractSet[DomainName]:
        return self._in.keys()

    @property
    def groups(self) -> AbstractSet[GroupId]:
        return self._by.keys()

    def get(self, domain: DomainName, group: GroupId) -> Hold | None:
        return self._in[domain].get(group)

    def on(self, domain: DomainName) -> list[Hold]:
        return [hold for _, hold in sorted(self._in[domain].items())]

    def of(self, group: GroupId) -> list[Hold]:
        return [self._in[domain][group] for domain in sorted(self._by[group])]

    def of_set(self, group: GroupId) -> AbstractSet[GroupId]:
        """Groups of the same LeaderWorkerSet that have holds, this one included."""
        return self._of_set[group.of_set]

    def domains_beside(self, group: GroupId) -> int:
        """How many domains other groups of its namespace hold, each counted once per group."""
        own = sum(_is_of_domain(hold) for hold in self.of(group))
        return self._domains_of[group.namespace] - own

    def all(self) -> list[Hold]:
        return [hold for domain in sorted(self._in) for hold in self.on(domain)]

    def put(self, hold: Hold) -> Hold | None:
        """Returns the hold that it replaces."""
        self._by.add(hold.group, hold.domain)
        self._of_set.add(hold.group.of_set, hold.group)
        before = self._in.put(hold.domain, hold.group, hold)
        if before is None and _is_of_domain(hold):
            self._domains_of[hold.group.namespace] += 1
        return before

    def drop(self, domain: DomainName, group: GroupId) -> Hold | None:
        """Returns the dropped hold, if there was one."""
        self._by.discard(group, domain)
        if group not in self._by:
            self._of_set.discard(group.of_set, group)
        before = self._in.drop(domain, group)
        if before is not None and _is_of_domain(before):
            self._domains_of[group.namespace] -= 1
            if not self._domains_of[group.namespace]:
                del self._domains_of[group.namespace]
        return before

    def overruled(self, domain: DomainName, holds: Sequence[Hold]) -> list[Hold]:
        """The known holds of the domain that a Lease with `holds` no longer has. Excludes holds not
        written yet and holds from a later version of the Lease.
        """
        said = {hold.group for hold in holds}
        version = max((_version(hold) for hold in holds), default=0)
        return [h for h in self.on(domain) if h.group not in said and 0 < _version(h) < version]

    def is_news(self, hold: Hold) -> bool:
        known = self.get(hold.domain, hold.group)
        return known is None or _version(known) < _version(hold)


def _is_of_domain(hold: Hold) -> bool:
    return not hold.domain.anywhere and hold.group.kind is not GroupKind.POD


def _version(hold: Hold) -> int:
    return int(hold.resource_version or 0)
