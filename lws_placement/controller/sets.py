"""One LeaderWorkerSet: its revision, leader StatefulSet, shared Service and status."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from lws_placement import keys
from lws_placement.cluster.client import APPLY_PATCH, Api, Raw
from lws_placement.cluster.decode import controlling_owner
from lws_placement.cluster.events import EventRecorder
from lws_placement.controller.nodes import Nodes
from lws_placement.controller.observed import Name, Observed
from lws_placement.engine.desired import (
    API_VERSION,
    leader_set,
    owner_reference,
    shared_service,
    wants_shared_service,
)
from lws_placement.engine.lws_conditions import (
    BLOCKED,
    Problem,
    refused_set,
    why_blocked,
    with_condition,
)
from lws_placement.engine.lws_status import GroupState, new_status, set_is_ready, turned_true
from lws_placement.engine.revision import revision_data, revision_key, same_content
from lws_placement.engine.rollout import next_step
from lws_placement.errors import ApiError, ConflictError, NotFoundError

log = logging.getLogger(__name__)

APPS = "/apis/apps/v1/namespaces"
_UPSTREAM_MANAGER = {"fieldManager": "lws", "force": "true"}
_NAME_MOST = 220


class SetReconciler:
    """`reconcile(name)` is level-triggered: safe to repeat, says nothing when all is well."""

    def __init__(
        self,
        api: Api,
        observed: Observed,
        *,
        nodes: Nodes,
        recorder: EventRecorder,
        may_write: Callable[[], None],
    ) -> None:
        self._api = api
        self._observed = observed
        self._nodes = nodes
        self._recorder = recorder
        self._may_write = may_write
        self._applied: dict[str, tuple[str, str, int]] = {}
        """LWS UID -> (what was applied last, UID and generation of the StatefulSet it gave)."""

    async def reconcile(self, name: Name) -> None:
        lws = self._observed.lws.get(name)
        if lws is None or lws["metadata"].get("deletionTimestamp"):
            return
        stateful_set = self._observed.sets.get(name)
        if stateful_set is not None:
            if stateful_set["metadata"].get("deletionTimestamp"):
                return  # its deletion event brings us back
            owner = controlling_owner(stateful_set).get("uid")
            if owner and owner != lws["metadata"]["uid"]:
                return  # of an earlier LeaderWorkerSet of this name; garbage collection takes it
        revision = await self._revision(lws, stateful_set)
        applied = await self._apply_leader_set(lws, stateful_set, revision)
        if wants_shared_service(lws):
            await self.create_service(lws, shared_service(lws))
        await self._write_status(lws, applied, revision)
        await self._drop_old_revisions(lws, revision)

    # -- revisions -------------------------------------------------------------------------------

    async def _revision(self, lws: Raw, stateful_set: Raw | None) -> str:
        """Key of the live template's revision; its ControllerRevision exists afterwards."""
        data = revision_data(lws)
        labels = stateful_set["metadata"].get("labels") or {} if stateful_set else {}
        current = labels.get(keys.LWS_REVISION, "")
        mine = self._revisions_of(lws)
        for stored in sorted(mine, key=lambda r: int(r.get("revision", 0)), reverse=True):
            key = stored["metadata"]["labels"].get(keys.LWS_REVISION, "")
            if key and same_content(stored["data"], data):
                return str(key)
        if current and not any(
            r["metadata"]["labels"].get(keys.LWS_REVISION) == current for r in mine
        ):
            # Taken over from a controller whose revision is gone: the key is kept, no rollout.
            await self._create_revision(lws, data, current, mine)
            await self._say(
                lws,
                "CreatingRevision",
                f"Creating missing revision with key {current} for existing LeaderWorkerSet",
                "Create",
            )
            return str(current)
        key = revision_key(data)
        await self._create_revision(lws, data, key, mine)
        what = "updated LWS" if current else "a newly created LeaderWorkerSet"
        note = f"Creating revision with key {key} for {what}"
        await self._say(lws, "CreatingRevision", note, "Create")
        return key

    def _revisions_of(self, lws: Raw) -> list[Raw]:
        meta = lws["metadata"]
        return [
            raw
            for (namespace, _), raw in self._observed.revisions.items()
            if namespace == meta["namespace"]
            and raw["metadata"]["labels"].get(keys.LWS_NAME) == meta["name"]
            and controlling_owner(raw).get("uid", meta["uid"]) == meta["uid"]
        ]

    async def _create_revision(self, lws: Raw, data: Raw, key: str, others: list[Raw]) -> None:
        meta = lws["metadata"]
        number = 1 + max((int(r.get("revision", 0)) for r in others), default=0)
        body: Raw = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{meta['name'][:_NAME_MOST]}-{key}-{number}",
                "namespace": meta["namespace"],
                "labels": {keys.LWS_NAME: meta["name"], keys.LWS_REVISION: key},
                "ownerReferences": [owner_reference(API_VERSION, "LeaderWorkerSet", meta)],
            },
            "data": data,
            "revision": number,
        }
        self._may_write()
        try:
            written = await self._api.create(
                f"{APPS}/{meta['namespace']}/controllerrevisions", body
            )
        except ConflictError:
            return  # our watch lags: it exists
        self._observed.revisions[(meta["namespace"], body["metadata"]["name"])] = written

    async def _drop_old_revisions(self, lws: Raw, revision: str) -> None:
        """Only when every group is at the current one: a group is rebuilt at its leader's."""
        meta, status = lws["metadata"], lws.get("status") or {}
        available = any(
            c["type"] == "Available" and c["status"] == "True"
            for c in status.get("conditions") or ()
        )
        if not available or status.get("observedGeneration") != meta.get("generation"):
            return
        if next_step(lws).partition:
            return
        for raw in self._revisions_of(lws):
            if raw["metadata"]["labels"].get(keys.LWS_REVISION) == revision:
                continue
            name = raw["metadata"]["name"]
            self._may_write()
            try:
                await self._api.delete(f"{APPS}/{meta['namespace']}/controllerrevisions/{name}")
            except NotFoundError:
                continue

    # -- children --------------------------------------------------------------------------------

    async def _apply_leader_set(self, lws: Raw, known: Raw | None, revision: str) -> Raw:
        """Server-side apply, only if what we want or what is there has changed."""
        meta = lws["metadata"]
        step = next_step(lws)
        body = leader_set(lws, revision=revision, replicas=step.replicas, partition=step.partition)
        wanted = json.dumps(body, sort_keys=True)
        if known is not None:
            there = (wanted, known["metadata"]["uid"], known["metadata"]["generation"])
            if self._applied.get(meta["uid"]) == there and _carries_metadata(known, body):
                return known
            body["metadata"]["uid"] = known["metadata"]["uid"]  # of no other of that name
        self._may_write()
        path = f"{APPS}/{meta['namespace']}/statefulsets/{meta['name']}"
        try:
            written = await self._api.patch(
                path, body, content_type=APPLY_PATCH, params=_UPSTREAM_MANAGER
            )
        except ApiError as e:
            if 400 <= e.status < 500 and not isinstance(e, ConflictError):
                reason = "FailedUpdate" if known else "FailedCreate"
                await self._say(lws, reason, str(e), "Update" if known else "Create", "Warning")
                await self._write_status(lws, known or {}, revision, refused=refused_set(str(e)))
            raise
        self._applied[meta["uid"]] = (
            wanted,
            written["metadata"]["uid"],
            written["metadata"]["generation"],
        )
        if known is None:
            note = f"Created leader statefulset {meta['name']}"
            await self._say(lws, "GroupsProgressing", note, "Create", topic="leader set")
        return written

    async def create_service(self, lws: Raw, body: Raw) -> None:
        """Created if absent, never updated."""
        namespace, name = lws["metadata"]["namespace"], body["metadata"]["name"]
        if (namespace, name) in self._observed.services:
            return
        self._may_write()
        try:
            written = await self._api.create(f"/api/v1/namespaces/{namespace}/services", body)
        except ConflictError:
            return
        self._observed.services[(namespace, name)] = written

    # -- status ----------------------------------------------------------------------------------

    async def _write_status(
        self, lws: Raw, stateful_set: Raw, revision: str, *, refused: Problem | None = None
    ) -> None:
        meta, old = lws["metadata"], lws.get("status") or {}
        groups = self._groups((meta["namespace"], meta["name"]))
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        status = new_status(
            lws,
            leader_replicas=(stateful_set.get("status") or {}).get("replicas", 0),
            groups=groups,
            revision=revision,
            now=now,
        )
        status["conditions"] = with_condition(
            status["conditions"],
            BLOCKED,
            refused or self._why_blocked(lws),
            generation=meta.get("generation", 0),
            now=now,
        )
        if status == old:
            return
        body = {
            "apiVersion": API_VERSION,
            "kind": "LeaderWorkerSet",
            "metadata": meta,
            "spec": lws["spec"],
            "status": status,
        }
        self._may_write()
        path = f"/apis/{API_VERSION}/namespaces/{meta['namespace']}/leaderworkersets"
        written = await self._api.replace(f"{path}/{meta['name']}/status", body)
        name = (meta["namespace"], meta["name"])
        if self._observed.lws.get(name) is lws:
            self._observed.lws[name] = written
        condition = turned_true(old, status)
        if condition is not None:
            note = (
                f"{condition['message']}, with {status['readyReplicas']} groups ready of total "
                f"{lws['spec'].get('replicas', 1)} groups"
            )
            await self._say(lws, condition["reason"], note, "Update", topic="condition")

    def _why_blocked(self, lws: Raw) -> Problem | None:
        meta = lws["metadata"]
        key = (meta.get("annotations") or {}).get(keys.LWS_EXCLUSIVE_TOPOLOGY)
        leaders = [
            p
            for p in self._observed.pods_of((meta["namespace"], meta["name"]))
            if p.is_leader and p.node
        ]
        return why_blocked(
            lws,
            key_known=self._nodes.topology_key_known(key) if key else None,
            all_leaders_bound=len(leaders) >= lws["spec"].get("replicas", 1),
        )

    def _groups(self, name: Name) -> list[GroupState]:
        found = []
        for pod in self._observed.pods_of(name):
            if not pod.is_leader or not pod.group_index.isdecimal():
                continue
            workers = self._observed.sets.get((pod.namespace, pod.name))
            labels = workers["metadata"].get("labels") or {} if workers else {}
            found.append(
                GroupState(
                    index=int(pod.group_index),
                    leader_ready=pod.phase == "Running" and pod.ready and not pod.terminating,
                    leader_revision=pod.revision,
                    workers_exist=workers is not None,
                    workers_ready=workers is not None and set_is_ready(workers),
                    workers_revision=labels.get(keys.LWS_REVISION, ""),
                )
            )
        return found

    async def _say(
        self,
        lws: Raw,
        reason: str,
        note: str,
        action: str,
        type: str = "Normal",
        *,
        topic: str = "",
    ) -> None:
        regarding = {
            "apiVersion": API_VERSION,
            "kind": "LeaderWorkerSet",
            "metadata": lws["metadata"],
        }
        await self._recorder.emit(
            regarding, reason=reason, note=note, action=action, type=type, topic=topic
        )


def _carries_metadata(stateful_set: Raw, wanted: Raw) -> bool:
    """Are our labels and annotations on it? Edits of them do not show in its generation."""
    there = stateful_set["metadata"]
    return all(
        (wanted["metadata"][kind].items()) <= (there.get(kind) or {}).items()
        for kind in ("labels", "annotations")
    )
