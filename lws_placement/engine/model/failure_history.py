"""Recent failures of one group, per domain, and their consequences.

Two kinds, with different consequences:

- kube-scheduler *refused* a member that fits by our model (a volume, a claim, a rule we do not
  model). The group passes over the node for a while, twice as long each time, and after a few times
  in a row over the whole domain, so that it neither sits half-bound nor runs into the same obstacle
  for ever. Then it tries them again: the cause may be fixed.
- a node *failed* under the group (its pods were evicted, refused by the kubelet, or lost). After
  some such failures within a window the domain is the group's last choice until they are older than
  the window. Never a ban, and a container that exits by itself does not count: a bad image must not
  drive a group from domain to domain.

Time is an argument; `pruned` drops what is too old to matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lws_placement.engine.objects.nodes import ANYWHERE, DomainName, NodeName

_MOST_FAILURES = 10
_MOST_NODE_TRIES = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """Durations and limits, in seconds unless named otherwise."""

    refused_after_s: float = 10.0
    """A member counts as refused once kube-scheduler has refused it for this long."""
    unserved_after_s: float = 60.0
    """A member of another scheduler counts as unserved once nobody has looked at it for so long."""
    missing_after_s: float = 60.0
    """Members count as missing once they have not existed beside a bound leader for so long."""
    pass_over_s: float = 30.0
    pass_over_most_s: float = 900.0
    failures: int = 3
    window_s: float = 1800.0
    force_after_s: float | None = None
    """Opt-in: force-delete pods Terminating on a dead node for this long beyond their grace."""


@dataclass(frozen=True, slots=True)
class Refused:
    """kube-scheduler refused the group in a domain, `times` in a row, last at `last_s` with this
    plan.
    """

    times: int
    last_s: float
    words: str
    plan: str = ""
    nodes: frozenset[NodeName] = frozenset()
    """The nodes that it was refused on; empty: unknown, or it is not about nodes."""

    @property
    def is_of_domain(self) -> bool:
        """Whether the domain as a whole is passed over, not these nodes alone."""
        return not self.nodes or self.times > _MOST_NODE_TRIES

    def until_s(self, policy: Policy) -> float:
        doubled = policy.pass_over_s * 2.0 ** min(self.times - 1, 30)
        return self.last_s + min(doubled, policy.pass_over_most_s)

    def forgotten_s(self, policy: Policy) -> float:
        """A while after the domain may be tried again, so that another refusal there still counts
        as one more in a row.
        """
        return self.until_s(policy) + policy.pass_over_most_s


@dataclass(frozen=True, slots=True)
class History:
    """Failures of one group."""

    refused: Mapping[DomainName, Refused] = field(default_factory=dict)
    failed: Mapping[DomainName, Mapping[str, float]] = field(default_factory=dict)
    """Domain -> incarnation of the group that the domain's nodes ended there -> time."""

    def with_refusal(
        self, domain: DomainName, words: str, *, plan: str, now: float, node: NodeName = ""
    ) -> "History":
        """A repeat with the same plan is the same refusal. `node`: where, if it is about a node."""
        known = self.refused.get(domain) or Refused(0, now, words)
        times = known.times if known.times and known.plan == plan else known.times + 1
        nodes = known.nodes | {node} if node else known.nodes
        refused = Refused(times, now, words, plan, nodes)
        return replace(self, refused={**self.refused, domain: refused})

    def with_failure(self, domain: DomainName, incarnation: str, *, now: float) -> "History":
        """A repeat for the same incarnation changes nothing: many pods, one failure."""
        there = self.failed.get(domain, {})
        if incarnation in there:
            return self
        return replace(self, failed={**self.failed, domain: {**there, incarnation: now}})

    def settled(self, domain: DomainName) -> "History":
        """Drop the domain's refusals: the whole group was bound there."""
        if domain not in self.refused:
            return self
        return replace(self, refused={d: r for d, r in self.refused.items() if d != domain})

    def with_all_of(self, other: "History") -> "History":
        """The union; of two refusals the later."""
        refused = {**self.refused}
        for domain, found in other.refused.items():
            if domain not in refused or found.last_s > refused[domain].last_s:
                refused[domain] = found
        domains = sorted({*self.failed, *other.failed})
        failed = {d: {**other.failed.get(d, {}), **self.failed.get(d, {})} for d in domains}
        return History(refused, failed)

    def known_by(self, *, now: float) -> "History":
        """Clamp all times to `now`, as that clock may be behind the one that recorded them."""
        refused = {d: replace(r, last_s=min(r.last_s, now)) for d, r in self.refused.items()}
        failed = {d: {i: min(t, now) for i, t in f.items()} for d, f in self.failed.items()}
        return History(refused, failed)

    def pruned(self, policy: Policy, *, now: float) -> "History":
        """Drop what cannot matter any more: old entries and, per domain, all but the latest
        failures.
        """
        if not self.refused and not self.failed:
            return self
        refused = {d: r for d, r in self.refused.items() if now < r.forgotten_s(policy)}
        failed = {}
        most = max(policy.failures, _MOST_FAILURES)
        for domain, times in self.failed.items():
            recent = {i: t for i, t in times.items() if now < t + policy.window_s}
            if recent:
                failed[domain] = dict(sorted(recent.items(), key=lambda i: i[1])[-most:])
        return History(refused, failed)

    def forgotten_s(self, policy: Policy) -> float | None:
        """When the next entry becomes too old to matter; None: there is no entry."""
        ends = [r.forgotten_s(policy) for r in self.refused.values()]
        ends += [t + policy.window_s for times in self.failed.values() for t in times.values()]
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """A group's history as `decide` reads it: at one time, under one policy."""

    now_s: float = 0.0
    """Seconds since the epoch, as in pods' timestamps."""
    history: History = field(default_factory=History)
    refused_since: Mapping[str, float] = field(default_factory=dict)
    """UID of an unbound member -> time since when kube-scheduler refuses it, or, if it names
    another scheduler, since when it has been left alone.
    """
    missing_since_s: float | None = None
    """Since when members are to come beside a leader that is bound; None: all exist."""
    policy: Policy = field(default_factory=Policy)

    @property
    def _in_force(self) -> Mapping[DomainName, Refused]:
        found = sorted(self.history.refused.items())
        return {d: r for d, r in found if self.now_s < r.until_s(self.policy)}

    @property
    def passed_over(self) -> Mapping[DomainName, str]:
        """Domain not to use now -> kube-scheduler's message."""
        return {d: r.words for d, r in self._in_force.items() if r.is_of_domain}

    @property
    def refused_nodes(self) -> Mapping[NodeName, str]:
        """Nodes not to use now in domains that may be used -> kube-scheduler's message."""
        found = self._in_force.values()
        return {name: r.words for r in found if not r.is_of_domain for name in sorted(r.nodes)}

    @property
    def refused_everywhere(self) -> str:
        """Why no scheduler binds the group wherever it is; empty if that is not known."""
        return self.passed_over.get(ANYWHERE, "")

    @property
    def has_given_up(self) -> bool:
        """Whether it had room lately and could not use it anywhere. It preempts nobody, as it might
        again be in vain.
        """
        return ANYWHERE in self.history.refused

    @property
    def last_choice(self) -> frozenset[DomainName]:
        """Domains for use only if nothing else fits."""
        most = max(self.policy.failures, 1)
        return frozenset(d for d in self.history.failed if self.failures_in(d) >= most)

    def failures_in(self, domain: DomainName) -> int:
        times = self.history.failed.get(domain, {}).values()
        return sum(self.now_s < t + self.policy.window_s for t in times)

    def until_retry_s(self) -> float | None:
        """Time until what is passed over may be tried again; None: nothing is."""
        ends = [refused.until_s(self.policy) for refused in self._in_force.values()]
        return min(ends) - self.now_s if ends else None
