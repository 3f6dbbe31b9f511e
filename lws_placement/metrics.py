"""All metrics, in one place. Labels have few values: never a pod, node, group or domain name.

Counters and histograms are incremented where the event happens. Only the leader counts holds and
domains, from the cache at each scrape, so no gauge has to follow changes and the sum over replicas
is correct.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lws_placement.engine.fit.fragmentation import DomainState
from lws_placement.engine.fit.refusals import classes_of
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.verdicts import NoFit, Why

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series per counter, unused


class Waiting(StrEnum):
    """Why a group waits, by the domain with the smallest shortfall."""

    ROOM = "room"
    """A domain is free, but not all members fit."""
    HELD = "held"
    """Other groups have the domains."""
    NO_DOMAIN = "no_domain"
    """No node carries the topology key."""
    BLOCKED = "blocked"
    """A user or another component has to act first."""
    EVICTING = "evicting"
    """Its victims are being evicted."""


class Admission(StrEnum):
    GATED = "gated"
    PINNED = "pinned"
    GUEST = "guest"
    FOREIGN = "foreign"
    """It carries a LeaderWorkerSet's labels but is in no group."""
    DENIED = "denied"


class Bind(StrEnum):
    BOUND = "bound"
    REFUSED = "refused"
    FAILED = "failed"
    """The API server failed to answer in time."""


class Repair(StrEnum):
    REPLACE = "replace_pod"
    RESTART = "restart_group"
    MOVE = "move_group"
    FORCE = "force_delete_pod"


class Preempted(StrEnum):
    GROUP = "group"
    POD = "pod"


class ScaleUp(StrEnum):
    """What became of a request for new nodes."""

    REQUESTED = "requested"
    MADE = "made"
    """The group has its place on them."""
    FAILED = "failed"


class Retry(StrEnum):
    """Which part puts off its next attempt after a failure."""

    PLANNER = "planner"
    HOLD = "hold"
    """The planner, until it knows whether a hold was written."""
    ANNOTATION = "annotation"
    CONTROLLER = "controller"
    EVENT = "event"
    """Events are dropped meanwhile."""
    NODES = "nodes"
    """Annotations against scale-down."""
    ADMISSION_CHECKS = "admission-checks"
    """Answers to Kueue."""
    WATCH = "watch"
    LEADING = "leading"
    START = "start"
    """Also of certificates."""


class Reconnect(StrEnum):
    ENDED = "ended"
    """The API server closed the watch, as it does every few minutes."""
    EXPIRED = "expired"
    FAILED = "failed"


_STATUSES = ("none", "400", "401", "403", "404", "409", "410", "422", "429", "4xx", "5xx")
"""`none`: no answer."""
_WAIT_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 43200)
_BIND_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
_PLAN_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)

WAITING_GROUPS = Gauge(
    "lws_placement_waiting_groups", "Groups that wait for a domain, by what they lack.", ["reason"]
)
WAIT_SECONDS = Histogram(
    "lws_placement_wait_seconds",
    "From when the planner first saw a group until its domain was held.",
    buckets=_WAIT_BUCKETS_S,
)
PLAN_SECONDS = Histogram(
    "lws_placement_plan_seconds", "Deciding about one group, once.", buckets=_PLAN_BUCKETS_S
)
REPAIRS = Counter("lws_placement_repairs_total", "Repairs of groups, by kind.", ["kind"])
PREEMPTIONS = Counter(
    "lws_placement_preemptions_total",
    "Whole groups and foreign pods evicted for groups that outrank them.",
    ["victim"],
)
SCALE_UPS = Counter(
    "lws_placement_scale_ups_total", "Requests for new nodes, by what became of them.", ["outcome"]
)
SCALE_UP_SECONDS = Histogram(
    "lws_placement_scale_up_seconds",
    "From a request for new nodes until the group's hold on them.",
    buckets=_WAIT_BUCKETS_S,
)
ADMISSIONS = Counter(
    "lws_placement_admissions_total", "LeaderWorkerSet pods admitted, by outcome.", ["outcome"]
)
BINDS = Counter("lws_placement_binds_total", "Bind calls of members, by outcome.", ["outcome"])
BIND_SECONDS = Histogram(
    "lws_placement_bind_seconds",
    "Answering one bind call of a member, requests to the API server included.",
    buckets=_BIND_BUCKETS_S,
)
GUARD_REFUSALS = Counter(
    "lws_placement_guard_refusals_total",
    "Calls for a foreign pod in which the guard kept it off held room, by verb.",
    ["verb"],
)
LEADER = Gauge("lws_placement_leader", "1 while this process leads, else 0.")
REQUESTS = Counter(
    "lws_placement_api_requests_total",
    "Requests to the API server, by method and resource.",
    ["method", "resource"],
)
API_ERRORS = Counter(
    "lws_placement_api_errors_total",
    "Requests that the API server refused or did not answer, by status.",
    ["status"],
)
RETRIES = Counter(
    "lws_placement_retries_total", "Attempts put off after a failure, by part.", ["part"]
)
CERTIFICATE_ENDS = Gauge(
    "lws_placement_certificate_expiration_timestamp_seconds",
    "Until when a certificate is valid: ca, serving, client (kube-scheduler's, in its Secret), "
    "presented (what kube-scheduler called with last).",
    ["certificate"],
)
RECONNECTS = Counter(
    "lws_placement_watch_reconnects_total", "Watches started again, by why.", ["reason"]
)

for _family, _values in (
    (WAITING_GROUPS, Waiting),
    (REPAIRS, Repair),
    (PREEMPTIONS, Preempted),
    (SCALE_UPS, ScaleUp),
    (ADMISSIONS, Admission),
    (BINDS, Bind),
    (RECONNECTS, Reconnect),
    (API_ERRORS, _STATUSES),
    (RETRIES, Retry),
    (GUARD_REFUSALS, ("filter", "preempt")),
):
    for _value in _values:
        _family.labels(_value)  # an existing series shows its first increase


def count_api_error(status: int) -> None:
    """`status`: of HTTP; 0: no answer."""
    text = str(status) if status else "none"
    API_ERRORS.labels(text if text in _STATUSES else f"{text[:1]}xx").inc()


def waiting_for(verdict: NoFit) -> Waiting:
    """NO_DOMAIN without domains; HELD if others have some and no other one fits a member; else
    ROOM.
    """
    if not verdict.reasons:
        return Waiting.NO_DOMAIN
    theirs = (Why.HELD, Why.OVERLAPS, Why.OCCUPIED, Why.AWAITED)
    alike = classes_of(verdict.reasons)
    mine = any(r.why not in theirs and r.fit > 0 for r in alike)
    taken = any(r.why in theirs for r in alike)
    return Waiting.HELD if taken and not mine else Waiting.ROOM


@dataclass(frozen=True, slots=True)
class HoldCounts:
    """Counts at one scrape."""

    holds: Mapping[HoldState, int]
    domains: Mapping[tuple[str, DomainState], int]
    """(topology key, state) -> how many."""


@contextmanager
def figures_reported(observe: Callable[[], HoldCounts]) -> Iterator[None]:
    """/metrics includes holds and domains inside the `with` block."""
    collector = _Figures(observe)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


class _Figures(Collector):
    def __init__(self, observe: Callable[[], HoldCounts]) -> None:
        self._observe = observe

    def describe(self) -> list[Metric]:
        return []  # else register() would collect, and so count, everything

    def collect(self) -> list[Metric]:
        figures = self._observe()
        holds = GaugeMetricFamily(
            "lws_placement_holds", "Held domains, by state.", labels=["state"]
        )
        for state in HoldState:
            holds.add_metric([state.value], figures.holds.get(state, 0))
        domains = GaugeMetricFamily(
            "lws_placement_domains",
            "Domains of topology keys that groups ask for: whole, broken up by others, held.",
            labels=["topology_key", "state"],
        )
        for (key, domain_state), number in sorted(figures.domains.items()):
            domains.add_metric([key, domain_state.value], number)
        return [holds, domains]
