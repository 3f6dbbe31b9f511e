"""Simulates LeaderWorkerSets: plans them as the planner does, on a cache of its own.

The cache is filled from files or read from a cluster. The sets get their leader pods (`admit.py`),
younger than all existing pods and one after another in the order of the file. Every group is
decided once, waiting groups last and in the order of the queue, and the holds that would be written
are put into the cache. One pass is enough, since placing a group never makes room for another.

The `maxSurge` extra groups of a rolling update are planned last, and removed again. Running groups
whose templates change return to their own domain if they still fit there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from lws_placement.cluster.adapters.backfill import Backfill
from lws_placement.cluster.adapters.group_state import context_of, name_of, observe
from lws_placement.cluster.adapters.tenants import ClusterTenants
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.intake import Intake
from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.engine.base.group_names import group_key
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.fit.extended_resources import depends_on_plugin
from lws_placement.engine.model.failure_history import FailureHistory
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.verdicts import Reason
from lws_placement.engine.model.what_if import pods_by_node
from lws_placement.engine.objects.placement_request import PlacementRequest
from lws_placement.engine.reconcile.actions import (
    Action,
    EndHold,
    LeaveHold,
    TryEvictions,
    WriteHold,
)
from lws_placement.engine.reconcile.decide import decide
from lws_placement.engine.reconcile.group_state import GroupState, MembersState
from lws_placement.engine.reconcile.placement import plan_again_in
from lws_placement.errors import InvalidObjectError
from lws_placement.inspect.admit import Admitted, Refused, admit, leader_pod
from lws_placement.inspect.documents import NODE_GROUP, as_stored, by_kind
from lws_placement.inspect.inquiry import NO_FAILURES, Answer, Inquiry
from lws_placement.inspect.node_groups import Growth, NodeGroups
from lws_placement.inspect.outcome import Outcome, SetOutcome, Update

LWS = "LeaderWorkerSet"
_MOST_GROUPS = 10_000
_MOST_MEMBERS = 100_000
_BUILT_IN = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""PriorityClasses that each cluster has."""
_TOO_MANY = (
    f"not simulated: with the sets before it, more than {_MOST_GROUPS} groups or {_MOST_MEMBERS} "
    "pods; lower spec.replicas"
)


@dataclass(frozen=True, slots=True)
class _Set:
    name: str
    admitted: Admitted | Refused


class Simulation:
    """One cluster, in memory. `now_s`: seconds since the epoch, later than anything in the cache.

    `failures`: the planner's failure histories. `progress` is called with (groups decided, all).
    """

    def __init__(
        self,
        cache: ClusterCache,
        *,
        namespace: str,
        now_s: float,
        progress: Callable[[int, int], None] = lambda done, of: None,
        most: int = 8,
        failures: Mapping[GroupId, FailureHistory] = NO_FAILURES,
    ) -> None:
        self._cache = cache
        self._intake = Intake(cache, namespace=namespace)
        self._now_s = now_s
        self._progress = progress
        self._most = most
        self._failures = failures
        self._priorities = dict(_BUILT_IN)
        self._adds_tolerations = False
        self._context = context_of(cache, ClusterTenants(cache))
        self._backfill = Backfill(cache.domains)
        self._decided: dict[GroupId, tuple[GroupState, list[Action]]] = {}
        self._created = 0
        self._groups = self._members = 0

    def run(self, objects: Sequence[Raw]) -> Outcome:
        """`objects`: the sets to place, and what exists besides the contents of the cache.

        Raises InvalidObjectError for an object that cannot be understood.
        """
        found = by_kind(objects)
        self._take_facts(found)
        self._adds_tolerations = self._cache.admissions.adds_tolerations()
        sets = [self._admit(raw) for raw in found.pop(LWS, [])]
        queue = self._inquiry().queue
        self._plan([*sorted(set(self._cache.groups()) - set(queue)), *queue])
        growth = self._grow(found.pop(NODE_GROUP, []))
        inquiry = self._inquiry()
        outcomes = tuple(self._outcome(one, inquiry) for one in sets)
        left_out = {kind: len(raws) for kind, raws in found.items()}
        return Outcome(
            outcomes,
            inquiry,
            tuple(self._keys(outcomes)),
            left_out,
            adds_tolerations=self._adds_tolerations if self._is_for_plugin(sets) else None,
            unknown=tuple(sorted({words for one in sets for words in self._unknown(one)})),
            growth=growth,
        )

    def _grow(self, node_groups: Sequence[Raw]) -> tuple[Growth, ...]:
        """Domains for those that still wait."""
        made = NodeGroups(node_groups, self._intake.nodes, self._cache.domains)
        for group in self._inquiry().queue if node_groups else ():
            observed = observe(self._cache, group, plan_id="simulated")
            size = max((p.member.size for p in observed.pods if p.member is not None), default=0)
            name = name_of(self._cache, group)
            made.make_for(name, size=size, fits=partial(self._has_place, group))
        return made.growth()

    def _has_place(self, group: GroupId) -> bool:
        """Takes the place, if there is one that nobody has to leave."""
        actions = decide(observe(self._cache, group, plan_id="simulated"), self._context)
        if not any(isinstance(a, WriteHold) for a in actions) or any(
            isinstance(a, TryEvictions) for a in actions
        ):
            return False
        self._decided[group] = self._place(group)
        return True

    def _unknown(self, one: _Set) -> Iterator[str]:
        if not isinstance(one.admitted, Admitted):
            return
        given = one.admitted.defaults.runtime_classes
        template = one.admitted.lws["spec"]["leaderWorkerTemplate"]
        for role in ("leaderTemplate", "workerTemplate"):
            spec = (template.get(role) or {}).get("spec") or {}
            priority, runtime = spec.get("priorityClassName"), spec.get("runtimeClassName")
            if priority and priority not in self._priorities:
                yield f"PriorityClass {priority} has value 0"
            if runtime and runtime not in given:
                yield f"RuntimeClass {runtime} adds nothing"

    def _is_for_plugin(self, sets: Sequence[_Set]) -> bool:
        """True if the API server's plugin ExtendedResourceToleration makes a difference here."""
        taints = {t for view in self._cache.domains.node_views() for t in view.node.taints}
        admitted = [one.admitted for one in sets if isinstance(one.admitted, Admitted)]
        return any(depends_on_plugin(one.info.templates, taints) for one in admitted)

    def _inquiry(self) -> Inquiry:
        return Inquiry(self._cache, most=self._most, failures=self._failures)

    def _keys(self, outcomes: Sequence[SetOutcome]) -> Iterator[tuple[str, int, int]]:
        for key in sorted({key for one in outcomes for key in _keys_of(one.request)}):
            views = self._cache.domains.domains(key)
            yield key, len(views), sum(len(view.nodes) for view in views)

    # -- what is there ---------------------------------------------------------------------------

    def _take_facts(self, found: dict[str, list[Raw]]) -> None:
        kinds = {
            "Namespace": self._intake.namespaces,
            "LimitRange": self._intake.limit_ranges,
            "RuntimeClass": self._intake.runtime_classes,
            "Node": self._intake.nodes,
            "Lease": self._intake.holds,
            "ControllerRevision": self._intake.revisions,
            "StatefulSet": self._intake.stateful_sets,
            "DaemonSet": self._intake.daemon_sets,
            "PodDisruptionBudget": self._intake.budgets,
            **self._intake.storage,
            **self._intake.devices,
            "Pod": self._intake.pods,
        }
        number = 0
        for name, kind in kinds.items():
            for raw in found.pop(name, []):
                number += 1
                with _named(raw):
                    kind.put(as_stored(raw, number=number))
        for raw in found.pop("PriorityClass", []):
            with _named(raw):
                value = int(raw["value"])
                self._priorities[raw["metadata"]["name"]] = value
                if raw.get("globalDefault"):
                    self._priorities[""] = value

    # -- what is to come -------------------------------------------------------------------------

    def _admit(self, raw: Raw) -> _Set:
        """A set that exists, in the cluster or by its UID in the file, keeps its groups."""
        given = raw["metadata"].get("uid")
        raw = as_stored(raw, number=0)
        namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        known = self._cache.workloads.lws.get((namespace, name))
        uid = known.uid if known is not None else given or f"simulated-{namespace}-{name}"
        one = _Set(
            f"{namespace}/{name}",
            admit(raw, uid=uid, defaults=self._cache.pod_defaults.of(namespace)),
        )
        if isinstance(one.admitted, Admitted) and one.admitted.info.request.places:
            info = one.admitted.info
            if self._too_many(one.admitted):
                return _Set(one.name, Refused(_TOO_MANY))
            self._cache.put_lws(info)
            self._cache.put_revision((namespace, name, one.admitted.revision), info.templates)
            for index in range(info.replicas):
                refused = self._create(one.admitted, index)
                if refused is not None:
                    return _Set(one.name, refused)
        return one

    def _too_many(self, admitted: Admitted) -> bool:
        groups = admitted.info.replicas + admitted.surge
        self._groups += groups
        self._members += groups * admitted.info.templates.size
        return self._groups > _MOST_GROUPS or self._members > _MOST_MEMBERS

    def _create(self, admitted: Admitted, index: int) -> Refused | None:
        """Creates the leader of a group that does not exist yet."""
        group = _group_of(admitted, index)
        if self._cache.group_pods(group) or self._cache.holds_of(group):
            return None
        self._created += 1
        created_s = self._now_s + self._created
        pod = leader_pod(
            admitted,
            index,
            created_s=created_s,
            priorities=self._priorities,
            adds_tolerations=self._adds_tolerations,
        )
        if isinstance(pod, Refused):
            return pod
        self._cache.put_pod(pod)
        return None

    def _plan(self, groups: Sequence[GroupId]) -> None:
        for number, group in enumerate(groups, start=1):
            self._decided[group] = self._place(group)
            self._progress(number, len(groups))

    def _place(self, group: GroupId) -> tuple[GroupState, list[Action]]:
        observed = observe(self._cache, group, plan_id="simulated")
        observed = replace(observed, failures=self._failures.get(group, observed.failures))
        actions = decide(observed, self._context)
        for action in actions:
            match action:
                case WriteHold(hold):
                    self._cache.put_hold(replace(hold, resource_version="1", uid="simulated"))
                case LeaveHold(hold):
                    self._cache.put_hold(hold.to(HoldState.LEAVING))
                case EndHold(hold, returning=False):
                    self._cache.drop_hold(hold.domain, hold.group)
                case _:
                    continue
        self._backfill.decided(observed, actions)
        return observed, actions

    # -- what becomes of it ----------------------------------------------------------------------

    def _outcome(self, one: _Set, inquiry: Inquiry) -> SetOutcome:
        if isinstance(one.admitted, Refused):
            return SetOutcome(one.name, refused=one.admitted.why)
        info = one.admitted.info
        size = info.templates.size
        if not info.request.places:
            return SetOutcome(one.name, request=info.request, replicas=info.replicas, size=size)
        groups = [_group_of(one.admitted, index) for index in range(info.replicas)]
        return SetOutcome(
            one.name,
            request=info.request,
            replicas=info.replicas,
            size=size,
            groups=tuple(self._answer(group, inquiry) for group in groups),
            update=self._update(one.admitted, groups),
        )

    def _answer(self, group: GroupId, inquiry: Inquiry) -> Answer:
        """Its final state. Whom it preempts is known only from the time of that decision."""
        decided = self._decided.get(group)
        if decided is not None and any(isinstance(a, TryEvictions) for a in decided[1]):
            return inquiry.answer(*decided)
        return inquiry.about(group)

    def _update(self, admitted: Admitted, groups: Sequence[GroupId]) -> Update | None:
        """None if there is nothing to say: no extra groups and no changed ones, or a group that
        waits.
        """
        moved = tuple(self._moved(admitted, groups))
        changed = any(self._differs(admitted, group) for group in groups)
        waits = any(self._cache.reservation_of(group) is None for group in groups)
        if waits or not (admitted.surge or changed):
            return None
        surge = self._surge(admitted)
        return Update(surge, admitted.unavailable, moved, changed)

    def _surge(self, admitted: Admitted) -> tuple[Answer, ...]:
        replicas = admitted.info.replicas
        more = [_group_of(admitted, replicas + n) for n in range(admitted.surge)]
        answers = []
        for number, group in enumerate(more):
            self._create(admitted, replicas + number)
            answers.append(self._inquiry().answer(*self._place(group)))
        for group in more:
            for hold in self._cache.holds_of(group):
                self._cache.drop_hold(hold.domain, group)
            for pod in self._cache.group_pods(group):
                self._cache.drop_pod(pod.uid)
        return tuple(answers)

    def _differs(self, admitted: Admitted, group: GroupId) -> bool:
        pods = self._cache.group_pods(group)
        return any(p.member and p.member.revision != admitted.revision for p in pods)

    def _moved(
        self, admitted: Admitted, groups: Sequence[GroupId]
    ) -> Iterator[tuple[str, str, Reason]]:
        """Groups that would not fit where they are with the new templates."""
        info = admitted.info
        for group in groups:
            reservation = self._cache.reservation_of(group)
            if reservation is None or not self._differs(admitted, group):
                continue
            observed = observe(self._cache, group, plan_id="simulated")
            current = MembersState.of(observed, observed.members)
            gone = replace(current, members={}, going=pods_by_node(observed.pods))
            templates = self._cache.admissions.expected(
                info.templates, group, admitted.revision, pods=observed.pods
            )
            members = tuple(Member(rank, templates.demand(rank)) for rank in range(templates.size))
            asked = info.request.of_size(templates.size)
            wanted = Group(group, asked, members, scope=info.request.claims)
            why = plan_again_in(reservation.holds, wanted, gone, self._cache.domains)
            if isinstance(why, Reason):
                yield (
                    f"{group.namespace}/{reservation.holds[0].leader_name}",
                    reservation.where,
                    why,
                )


def _keys_of(request: PlacementRequest) -> Iterator[str]:
    if request.places:
        yield from (
            *request.keys,
            *filter(None, (request.required_topology, request.preferred_topology)),
        )


def _group_of(admitted: Admitted, index: int) -> GroupId:
    info = admitted.info
    key = group_key(info.namespace, f"{info.name}-{index}")
    return GroupId(info.namespace, info.name, info.uid, key)


@contextmanager
def _named(raw: Raw) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as e:
        name = raw["metadata"].get("name")
        raise InvalidObjectError(f"{raw['kind']} {name}: cannot be understood: {e!r}") from e
