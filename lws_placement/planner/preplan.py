"""Plans groups before they have pods, so that their pods are pinned at admission and need neither
gate nor PATCH.

A LeaderWorkerSet contains all that a plan needs: its groups and their members. The planner decides
as for the gated leader, a pod that does not exist yet. The only outcome can be a hold; pods that
arrive before it is written are gated as usual.

Ahead of its pods a group comes last in the queue: it takes room that no waiting group can use,
preempts nothing, and does not wait. It is planned ahead once: if its hold ends because no pod came
and another group or pod waits for the room (`engine/reconcile/vacant_holds.py`), it is planned with
its pods. No group is planned ahead if
- its set's groups have no ordinals: a hash key is unknown before its leader exists;
- the set has several revisions, or one that differs from its spec: a new pod's content is unknown;
- its pods will carry foreign scheduling gates: how long these stay is unknown;
- the API server would refuse its pods.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.admission.member_labels import expected_labels
from lws_placement.engine.base.group_names import group_key
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import MemberInfo, Pod
from lws_placement.engine.model.workload import LwsInfo
from lws_placement.engine.reconcile.actions import Action, Pin, WriteHold
from lws_placement.engine.reconcile.group_state import GroupState

_LAST_PRIORITY = -(2**31)
_MOST = 1000


class Preplanner:
    def __init__(self, cache: ClusterCache) -> None:
        self._cache = cache
        self._expected: dict[tuple[str, str], dict[GroupId, int]] = {}
        self._begun: set[GroupId] = set()

    def follow(self, namespace: str, name: str) -> list[GroupId]:
        """Groups that this LeaderWorkerSet should have and that never had a pod or hold."""
        lws = self._cache.workloads.lws.get((namespace, name))
        before = self._expected.pop((namespace, name), {})
        wanted = _groups_of(lws) if lws is not None else {}
        self._begun -= before.keys() - wanted.keys()
        if wanted:
            self._expected[namespace, name] = wanted
        return [group for group in wanted if not self._is_known(group)]

    def leader_of(self, group: GroupId) -> Pod | None:
        """The group's future leader; None if the group is not to be planned ahead."""
        index = self._expected.get((group.namespace, group.lws), {}).get(group)
        if index is None or self._is_known(group):
            return None
        lws = self._cache.workloads.lws_of(group)
        revision = self._cache.workloads.only_revision(group)
        if lws is None or revision is None or not lws.templates.runnable:
            return None
        expected = self._as_expected(lws, group, revision)
        return _gated_leader(expected, group, index=index, revision=revision)

    def with_leader(self, observed: GroupState, leader: Pod) -> GroupState:
        """The group as it will be once its leader exists."""
        revision = leader.member.revision if leader.member is not None else ""
        if observed.lws is None:
            return replace(observed, pods=(leader,), templates={})
        expected = self._as_expected(observed.lws, observed.id, revision)
        return replace(observed, pods=(leader,), templates={revision: expected.templates})

    def _as_expected(self, lws: LwsInfo, group: GroupId, revision: str) -> LwsInfo:
        expected = self._cache.admissions.expected(lws.templates, group, revision)
        return replace(lws, templates=expected)

    def _is_known(self, group: GroupId) -> bool:
        """True if the group has, or ever had, a pod or a hold."""
        if group in self._begun:
            return True
        if self._cache.group_pods(group) or self._cache.holds_of(group):
            self._begun.add(group)
        return group in self._begun


def holds_in(actions: Sequence[Action]) -> list[Action]:
    """The writes of holds if the decision is to place the group, else nothing."""
    if all(isinstance(action, WriteHold | Pin) for action in actions):
        return [action for action in actions if isinstance(action, WriteHold)]
    return []


def _groups_of(lws: LwsInfo) -> dict[GroupId, int]:
    if lws.deleting or lws.keyed or not lws.request.places:
        return {}
    keys = (
        group_key(lws.namespace, f"{lws.name}-{index}") for index in range(min(lws.replicas, _MOST))
    )
    return {GroupId(lws.namespace, lws.name, lws.uid, key): i for i, key in enumerate(keys)}


def _gated_leader(lws: LwsInfo, group: GroupId, *, index: int, revision: str) -> Pod:
    name = f"{lws.name}-{index}"
    member = MemberInfo(
        group_key=group.group_key,
        group_index=str(index),
        lws=lws.name,
        lws_uid=lws.uid,
        rank=0,
        size=lws.templates.size,
        revision=revision,
        request=lws.request,
        leader_name=name,
    )
    labels = expected_labels(lws.templates.labels(0), member, 0)
    return Pod(
        namespace=lws.namespace,
        name=name,
        uid="",
        resource_version="0",
        created_s=math.inf,
        demand=lws.templates.leader,
        gated=True,
        marked=True,
        priority=_LAST_PRIORITY,
        preempts=False,
        labels=tuple(sorted(labels.items())),
        member=member,
    )
