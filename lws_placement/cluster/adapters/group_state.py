"""The cached state of one group and its surroundings: the input of `engine/reconcile/decide.py`.

The planner and the verbs that explain its decisions share this code.
"""

from dataclasses import replace
from functools import partial

from lws_placement.cluster.api.timestamps import encode_time
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base.keys import KUEUE_GATE
from lws_placement.engine.model.groups import GroupId, GroupKind
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.scale_up import NodesRequested
from lws_placement.engine.model.what_if import pods_by_node
from lws_placement.engine.model.workload import Templates
from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.preemption.search import PreemptionMemo
from lws_placement.engine.preemption.victims import Tenants
from lws_placement.engine.reconcile.context import Context
from lws_placement.engine.reconcile.group_state import GroupState, LeftPlace
from lws_placement.engine.reconcile.quota import Quota


def context_of(cache: ClusterCache, tenants: Tenants) -> Context:
    """A context for one planner, with an empty memo."""
    name = partial(name_of, cache)
    policy = cache.domains.policy
    return Context(cache.domains, PlanMemo(), PreemptionMemo(), tenants, name, policy=policy)


def observe(cache: ClusterCache, group: GroupId, *, plan_id: str) -> GroupState:
    """`plan_id`: the id of a plan made from this state."""
    pods, quota = tuple(cache.group_pods(group)), cache.quotas.of(group)
    revisions = {p.member.revision for p in pods if p.member is not None}
    stored = {r: cache.workloads.templates(group, r) for r in sorted(revisions)}
    templates = {
        r: cache.admissions.expected(t, group, r, pods=pods)
        for r, t in stored.items()
        if t is not None
    }
    if quota is not None:
        pods = tuple(_as_admitted(pod, quota) for pod in pods)
        templates = {r: _as_admitted_by(quota, t) for r, t in templates.items()}
    holds = tuple(cache.holds_of(group))
    held = {h.revision for h in holds}
    observed = GroupState(
        id=group,
        pods=pods,
        holds=holds,
        lws=cache.workloads.lws_of(group),
        templates=templates,
        plan_id=plan_id,
        quota=quota,
        requested=_requested(cache, group),
        yields_to=cache.successor_of(group),
        current=frozenset(r for r in held if cache.workloads.is_current(group, r)),
        most_nodes=cache.domains.most_nodes,
        held_beside=cache.domains_held_beside(group),
        has_namesake=group.kind is GroupKind.LABELLED and cache.has_namesake(group),
    )
    return _with_its_set(cache, observed) if observed.keyed else observed


def _as_admitted(pod: Pod, quota: Quota) -> Pod:
    """With what Kueue adds to it before it removes its gate."""
    if pod.member is None or KUEUE_GATE not in pod.foreign_gates:
        return pod
    return replace(pod, demand=quota.flavor(pod.member.rank).added_to(pod.demand))


def _as_admitted_by(quota: Quota, templates: Templates) -> Templates:
    leader, worker = (
        quota.leader.added_to(templates.leader),
        quota.worker.added_to(templates.worker),
    )
    return replace(templates, leader=leader, worker=worker)


def _requested(cache: ClusterCache, group: GroupId) -> NodesRequested:
    pods = cache.placeholders_of(group)
    if not pods:
        return NodesRequested()
    known = cache.placeholders.of_group(group).values()
    return NodesRequested(
        asked=len(pods),
        bound=pods_by_node(pods),
        consumes=max(p.consumes for p in known),
        since=encode_time(min(pod.created_s for pod in pods)),
        answer=max(p.answer for p in known),
    )


def _with_its_set(cache: ClusterCache, observed: GroupState) -> GroupState:
    """Adds what a group without an ordinal needs to know of other groups of its set."""
    if observed.active and not observed.is_over:
        return observed
    led, leaderless = cache.placed_in_set(observed.id)
    if observed.is_over:
        lacks = observed.lws is not None and len(led) < observed.lws.replicas
        return replace(observed, lacks_groups=lacks)
    left = (_left_by(cache, other, heir=observed.id) for other in leaderless)
    return replace(observed, left=tuple(place for place in left if place is not None))


def _left_by(cache: ClusterCache, other: GroupId, *, heir: GroupId) -> LeftPlace | None:
    """None if another group takes the place over, or if the group was already leaving it."""
    reservation, pods = cache.reservation_of(other), tuple(cache.group_pods(other))
    holds = reservation.holds if reservation is not None else tuple(cache.holds_of(other))
    claims = [h for hold in holds for h in cache.holds_in(hold.domain) if h.succeeds(hold)]
    if any(hold.group != heir for hold in claims) or not (reservation or claims):
        return None
    return LeftPlace(other, holds, pods)


def name_of(cache: ClusterCache, group: GroupId) -> str:
    """For users: namespace and name of its leader pod, not the hash in its id."""
    if group.kind is GroupKind.LEASE:
        return f"Lease {group.group_key}, which cannot be read"
    for hold in cache.holds_of(group):
        return hold.owner
    for pod in cache.group_pods(group) or cache.pods_that_say(group):
        if pod.member is not None and pod.member.leader_name:
            return f"{group.namespace}/{pod.member.leader_name}"
    return f"a group of {group.namespace}/{group.lws}"
