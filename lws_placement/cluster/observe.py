"""One group as the cache has it: what `engine/decide.py` is asked about.

The planner and the verbs that explain its decisions look through the same eyes.
"""

from functools import partial

from lws_placement.cluster.cache import ClusterCache
from lws_placement.cluster.names import name_of
from lws_placement.engine.model import GroupId
from lws_placement.engine.plan import PlanMemo
from lws_placement.engine.seen import Seen
from lws_placement.engine.victims import Tenants


def observe(
    cache: ClusterCache,
    group: GroupId,
    *,
    plan_id: str,
    memo: PlanMemo | None = None,
    tenants: Tenants | None = None,
) -> Seen:
    """`plan_id`: for a plan that is made of it. `tenants`: who could be evicted for it."""
    pods = tuple(cache.group_pods(group))
    revisions = {p.member.revision for p in pods if p.member is not None}
    stored = {r: cache.templates(group, r) for r in sorted(revisions)}
    templates = {
        r: cache.admissions.expected(t, group, r, pods=pods)
        for r, t in stored.items()
        if t is not None
    }
    holds = tuple(cache.holds_of(group))
    held = {h.revision for h in holds}
    return Seen(
        id=group,
        pods=pods,
        holds=holds,
        lws=cache.lws_of(group),
        templates=templates,
        plan_id=plan_id,
        memo=memo,
        tenants=tenants,
        name_of=partial(name_of, cache),
        yields_to=cache.successor_of(group),
        current=frozenset(r for r in held if cache.is_current(group, r)),
    )
