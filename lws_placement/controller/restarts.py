"""Restarts of groups: deletes a leader, at once or when its back-off has passed."""

import time
from collections.abc import Callable

from lws_placement.cluster.api.client import pod_path
from lws_placement.cluster.api.events import Event
from lws_placement.controller.informer_cache import Name, Observed, name_of
from lws_placement.controller.revisions import APPS
from lws_placement.controller.world import World
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.conditions import Problem
from lws_placement.engine.lws.restart import PodState, why_no_restart
from lws_placement.engine.lws.restart_budget import (
    RestartBudget,
    RestartRecord,
    budget_of,
    crash_looping,
    decode_records,
    encode_records,
    next_look_s,
    record_of,
)
from lws_placement.errors import ConflictError, NotFoundError


class Restarts:
    """`look_again(name, delay_s)`: reconciles a LeaderWorkerSet later."""

    def __init__(
        self,
        world: World,
        *,
        look_again: Callable[[Name, float], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api, self._observed, self._say = world.api, world.observed, world.say
        self._look_again = look_again
        self._clock = clock

    async def handle_failure(self, lws: Raw, pod: PodState) -> None:
        """Handles a failure of `pod` that may call for a restart of its group."""
        leader = leader_to_delete(self._observed, lws, pod)
        if leader is None:
            return
        budget = budget_of(lws)
        if budget is not None and not await self._may_restart(lws, budget, leader):
            return
        who = "Leader" if pod.is_leader else "Worker"
        await self._delete(lws, leader, failed=f"{who} pod {pod.name}")

    async def carry_out(self, lws: Raw) -> None:
        """Carries out restarts whose back-off has passed, including those of another process."""
        budget = budget_of(lws)
        if budget is None:
            return
        name, now = name_of(lws), self._clock()
        records = self._records(name)
        for leader in self._observed.leaders_of(name):
            record = records.get(leader.group_index)
            if record is None or record.leader != leader.uid or leader.terminating:
                continue
            if not record.spent(budget) and record.at_s <= now:
                await self._delete(lws, leader, failed="a pod of the group")
        later = next_look_s(records, now)
        if later is not None:
            self._look_again(name, later)

    def problem(self, lws: Raw) -> Problem | None:
        """The problem for condition CrashLooping."""
        budget, name = budget_of(lws), name_of(lws)
        if budget is None:
            return None
        leaders = {pod.group_index: pod.uid for pod in self._observed.leaders_of(name)}
        return crash_looping(budget, self._records(name), leaders=leaders, now_s=self._clock())

    # -- inside ----------------------------------------------------------------------------------

    async def _may_restart(self, lws: Raw, budget: RestartBudget, leader: PodState) -> bool:
        """True if the restart is due now; else it is recorded for later, or the budget is spent."""
        name, now = name_of(lws), self._clock()
        records, group = self._records(name), leader.group_index
        before = records.get(group)
        record = record_of(budget, before, leader=leader.uid, revision=leader.revision, now_s=now)
        if record != before:
            await self._write({**records, group: record}, name)
        if record.spent(budget):
            text = f"group {group} is left alone after {budget.restarts} restarts in a row"
            await self._say(
                lws, Event("RestartBudgetSpent", text, "Update", "Warning", topic=f"budget {group}")
            )
            return False
        if record.at_s > now:
            self._look_again(name, record.at_s - now)
        return record.at_s <= now

    def _records(self, name: Name) -> dict[str, RestartRecord]:
        stateful_set = self._observed.sets.get(name)
        meta = stateful_set["metadata"] if stateful_set is not None else {}
        return decode_records((meta.get("annotations") or {}).get(keys.RESTARTS, ""))

    async def _write(self, records: dict[str, RestartRecord], name: Name) -> None:
        """Patches the StatefulSet version that was read; raises ConflictError if it has changed."""
        stateful_set = self._observed.sets.get(name)
        if stateful_set is None:
            raise ConflictError(f"StatefulSet {name} is not there (yet)", status=409)
        meta = stateful_set["metadata"]
        body = {
            "metadata": {
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
                "annotations": {keys.RESTARTS: encode_records(records)},
            }
        }
        written = await self._api.patch(f"{APPS}/{name[0]}/statefulsets/{name[1]}", body)
        self._observed.put_written_set(written)

    async def _delete(self, lws: Raw, leader: PodState, *, failed: str) -> None:
        try:
            options = {"propagationPolicy": "Foreground", "preconditions": {"uid": leader.uid}}
            await self._api.delete(pod_path(leader.namespace, leader.name), options)
        except NotFoundError:
            return  # a conflict is raised: it may be another leader, or a delete to repeat
        message = (
            f"{failed} failed, deleted leader pod {leader.name} "
            f"to recreate group {leader.group_index}"
        )
        await self._say(lws, Event("RecreateGroup", message, "Delete"))


def leader_to_delete(observed: Observed, lws: Raw, pod: PodState) -> PodState | None:
    """The leader to delete because `pod` failed; None if its failure restarts no group."""
    leader = observed.pod((pod.namespace, pod.name if pod.is_leader else pod.leader_name))
    if pod.is_leader and leader is not None and leader.uid != pod.uid:
        return None
    why_not = why_no_restart(
        lws,
        pod,
        leader=leader,
        workers_owner=observed.owner_of_set(pod.owner_uid),
        group=observed.group_of(pod),
    )
    return leader if why_not is None else None
