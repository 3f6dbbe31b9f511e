"""One LeaderWorkerSet: its revision, leader StatefulSet, shared Service and status.

The reconciler applies one step of a rolling update after another to the leader StatefulSet
(`engine/lws/rollout.py`). The API server refuses a step decided on an old version of it.
"""

import json
import logging

from lws_placement.cluster.api.client import APPLY_PATCH
from lws_placement.cluster.api.events import Event
from lws_placement.cluster.api.timestamps import encode_now
from lws_placement.cluster.codec.objects import controlling_owner
from lws_placement.controller.group_states import asked_of, groups_of, progress_of
from lws_placement.controller.informer_cache import Name
from lws_placement.controller.restarts import Restarts
from lws_placement.controller.revisions import APPS, Revisions
from lws_placement.controller.world import World
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.children import (
    API_VERSION,
    Annotations,
    leader_annotations,
    leader_set,
    shared_service,
    unversioned,
    wants_shared_service,
)
from lws_placement.engine.lws.conditions import (
    BLOCKED,
    STANDSTILL,
    Problem,
    refused_set,
    why_blocked,
    with_condition,
)
from lws_placement.engine.lws.restart_budget import CRASH_LOOPING
from lws_placement.engine.lws.rollout import (
    Asked,
    Groups,
    Step,
    is_finished,
    next_step,
    strategy_of,
)
from lws_placement.engine.lws.rollout_messages import (
    surge_note,
    update_messages,
    why_at_a_standstill,
)
from lws_placement.engine.lws.status import GroupStatus, new_status, turned_true
from lws_placement.engine.lws.validation import why_not_made
from lws_placement.errors import AlreadyExistsError, ApiError

log = logging.getLogger(__name__)

_UPSTREAM_MANAGER = {"fieldManager": "lws", "force": "true"}


class LwsReconciler:
    """`reconcile(name)` is level-triggered: safe to repeat, silent when all is well."""

    def __init__(self, world: World, *, restarts: Restarts) -> None:
        self._api, self._observed = world.api, world.observed
        self._nodes, self._say = world.nodes, world.say
        self._restarts = restarts
        self._applied: dict[str, tuple[str, str, int]] = {}
        """LWS UID -> (last applied body, UID and generation of the resulting StatefulSet)."""
        self._revisions = Revisions(world)

    async def reconcile(self, name: Name) -> None:
        lws = self._observed.lws.get(name)
        if lws is None or lws["metadata"].get("deletionTimestamp"):
            return
        stateful_set = self._observed.sets.get(name)
        if stateful_set is not None:
            if stateful_set["metadata"].get("deletionTimestamp"):
                return  # its deletion event triggers the next reconcile
            owner = controlling_owner(stateful_set).get("uid")
            if owner and owner != lws["metadata"]["uid"]:
                return  # of an earlier LeaderWorkerSet of this name; garbage collection deletes it
        if why_not_made(lws) is not None:  # it bypassed admission: create nothing
            there, known = groups_of(self._observed, name), _revision_of(stateful_set)
            await self._write_status(lws, stateful_set or {}, known, there)
            return
        revision = await self._revisions.ensure(lws, _revision_of(stateful_set))
        groups = groups_of(self._observed, name)
        step = await self._next_step(lws, stateful_set, groups, revision)
        applied = await self._apply_leader_set(lws, stateful_set, revision, step)
        if wants_shared_service(lws):
            await self.create_service(lws, shared_service(lws))
        asked = asked_of(applied)
        progress = self._progress(lws, asked, groups, revision)
        standstill = await self._standstill(lws, asked, progress, revision)
        await self._write_status(lws, applied, revision, groups, standstill=standstill)
        await self._restarts.carry_out(lws)
        if is_finished(strategy_of(lws), asked, progress):
            await self._revisions.set_others_aside(lws, revision)

    async def _next_step(
        self, lws: Raw, stateful_set: Raw | None, groups: list[GroupStatus], revision: str
    ) -> Step:
        """The next step; also emits an event if a surge has to wait."""
        strategy = strategy_of(lws)
        if stateful_set is None:
            return next_step(strategy, None, (), changed=False)
        asked = asked_of(stateful_set)
        changed = _revision_of(stateful_set) != revision or _annotations_of(
            stateful_set
        ) != leader_annotations(lws)
        progress = self._progress(lws, asked, groups, revision)
        note = surge_note(strategy, asked, progress, name=lws["metadata"]["name"])
        if note and not changed:
            await self._say(lws, Event("SurgeWaits", note, "Update", topic=f"surge at {revision}"))
        return next_step(strategy, asked, progress, changed=changed)

    async def _standstill(
        self, lws: Raw, asked: Asked, progress: Groups, revision: str
    ) -> Problem | None:
        """Why the update does not go on; also emits an event."""
        name = lws["metadata"]["name"]
        found = why_at_a_standstill(strategy_of(lws), asked, progress, name=name)
        if found is not None and found.reason != "SurgeWaits":  # told already
            topic = f"standstill at {revision}"
            await self._say(
                lws, Event(found.reason, found.message, "Update", "Warning", topic=topic)
            )
        return found

    def _progress(self, lws: Raw, asked: Asked, groups: list[GroupStatus], revision: str) -> Groups:
        return progress_of(
            groups, replicas=asked.replicas, revision=revision, annotations=leader_annotations(lws)
        )

    # -- children --------------------------------------------------------------------------------

    async def _apply_leader_set(
        self, lws: Raw, known: Raw | None, revision: str, step: Step
    ) -> Raw:
        """Server-side apply, only if the wanted or the existing object has changed."""
        meta = lws["metadata"]
        body = leader_set(lws, revision=revision, replicas=step.replicas, partition=step.partition)
        wanted = json.dumps(body, sort_keys=True)
        if known is not None:
            there = (wanted, known["metadata"]["uid"], known["metadata"]["generation"])
            if self._applied.get(meta["uid"]) == there and _carries_metadata(known, body):
                return known
            body["metadata"]["uid"] = known["metadata"]["uid"]  # not another of that name
            body["metadata"]["resourceVersion"] = known["metadata"]["resourceVersion"]
        path = f"{APPS}/{meta['namespace']}/statefulsets/{meta['name']}"
        try:
            written = await self._api.patch(
                path, body, content_type=APPLY_PATCH, params=_UPSTREAM_MANAGER
            )
        except ApiError as e:
            if e.is_refusal:
                reason = "FailedUpdate" if known else "FailedCreate"
                await self._say(
                    lws, Event(reason, str(e), "Update" if known else "Create", "Warning")
                )
                groups = groups_of(self._observed, (meta["namespace"], meta["name"]))
                refused = refused_set(str(e))
                await self._write_status(lws, known or {}, revision, groups, refused=refused)
            raise
        self._applied[meta["uid"]] = (
            wanted,
            written["metadata"]["uid"],
            written["metadata"]["generation"],
        )
        if known is None:
            note = f"Created leader statefulset {meta['name']}"
            await self._say(lws, Event("GroupsProgressing", note, "Create", topic="leader set"))
        else:
            await self._say_step(lws, known, step, revision)
        self._observed.put_written_set(written)
        return written

    async def _say_step(self, lws: Raw, known: Raw, step: Step, revision: str) -> None:
        messages = update_messages(asked_of(known), step, name=lws["metadata"]["name"])
        for reason, note in messages:
            await self._say(lws, Event(reason, note, "Update", topic=f"{reason} {revision}"))

    async def create_service(self, lws: Raw, body: Raw) -> None:
        """Creates it if absent, never updates it."""
        namespace, name = lws["metadata"]["namespace"], body["metadata"]["name"]
        if (namespace, name) in self._observed.services:
            return
        try:
            written = await self._api.create(f"/api/v1/namespaces/{namespace}/services", body)
        except AlreadyExistsError:
            return
        self._observed.services[(namespace, name)] = written

    # -- status ----------------------------------------------------------------------------------

    async def _write_status(
        self,
        lws: Raw,
        stateful_set: Raw,
        revision: str,
        groups: list[GroupStatus],
        *,
        refused: Problem | None = None,
        standstill: Problem | None = None,
    ) -> None:
        meta, old = lws["metadata"], lws.get("status") or {}
        now = encode_now()
        status = new_status(
            lws,
            leader_replicas=(stateful_set.get("status") or {}).get("replicas", 0),
            groups=groups,
            revision=revision,
            now=now,
        )
        for kind, problem in (
            (BLOCKED, refused or self._why_blocked(lws)),
            (CRASH_LOOPING, self._restarts.problem(lws)),
            (STANDSTILL, standstill),
        ):
            status["conditions"] = with_condition(
                status["conditions"],
                kind,
                problem,
                generation=meta.get("generation", 0),
                now=now,
            )
        if status == old:
            return
        body = {**lws, "apiVersion": API_VERSION, "kind": "LeaderWorkerSet", "status": status}
        path = f"/apis/{API_VERSION}/namespaces/{meta['namespace']}/leaderworkersets"
        written = await self._api.replace(f"{path}/{meta['name']}/status", body)
        name = (meta["namespace"], meta["name"])
        if self._observed.lws.get(name) is lws:
            self._observed.lws[name] = written
        condition = turned_true(old, status)
        if condition is not None and condition["type"] != STANDSTILL:  # that has an event already
            note = (
                f"{condition['message']}, with {status['readyReplicas']} groups ready of total "
                f"{lws['spec'].get('replicas', 1)} groups"
            )
            await self._say(lws, Event(condition["reason"], note, "Update", topic="condition"))

    def _why_blocked(self, lws: Raw) -> Problem | None:
        meta = lws["metadata"]
        key = (meta.get("annotations") or {}).get(keys.LWS_EXCLUSIVE_TOPOLOGY)
        leaders = [
            p for p in self._observed.leaders_of((meta["namespace"], meta["name"])) if p.node
        ]
        return why_blocked(
            lws,
            key_known=self._nodes.topology_key_known(key) if key else None,
            all_leaders_bound=len(leaders) >= lws["spec"].get("replicas", 1),
        )


def _carries_metadata(stateful_set: Raw, wanted: Raw) -> bool:
    """True if our labels and annotations are on it. Edits of them do not change its generation."""
    there = stateful_set["metadata"]
    return all(
        (wanted["metadata"][kind].items()) <= (there.get(kind) or {}).items()
        for kind in ("labels", "annotations")
    )


def _annotations_of(stateful_set: Raw) -> Annotations:
    """The annotations that its template got from the LeaderWorkerSet."""
    meta = stateful_set["spec"]["template"].get("metadata") or {}
    return unversioned(meta.get("annotations") or {})


def _revision_of(stateful_set: Raw | None) -> str:
    labels = stateful_set["metadata"].get("labels") or {} if stateful_set else {}
    return str(labels.get(keys.LWS_REVISION, ""))
