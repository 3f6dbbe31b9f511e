"""One pod of a LeaderWorkerSet: its failures, and the workers and Service of a leader.

A worker StatefulSet is created but never changed. Workers change by replacing their leader, which
owns them. A group on exclusive topology gets it once the leader is bound, or once placement has
chosen the leader's node, with that node's domain as node selector.
"""

import logging

from lws_placement.cluster.api.events import Event
from lws_placement.controller.lws_reconciler import LwsReconciler
from lws_placement.controller.restarts import Restarts
from lws_placement.controller.revisions import APPS, key_of
from lws_placement.controller.world import World
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.children import replica_service, wants_shared_service, worker_set
from lws_placement.engine.lws.restart import PodState, calls_for_restart
from lws_placement.engine.lws.revision import spec_at
from lws_placement.engine.lws.validation import why_not_made
from lws_placement.engine.model.groups import GroupId
from lws_placement.errors import AlreadyExistsError, ApiError, LwsPlacementError

log = logging.getLogger(__name__)

_STRICT = {"fieldValidation": "Strict"}
"""The API server refuses an unknown field, as it does in the leader's StatefulSet, which is
applied. By default it drops the field with a warning that nothing reads.
"""

_OF_GROUP = (keys.LWS_GROUP_INDEX, keys.LWS_GROUP_KEY)


class PodReconciler:
    def __init__(self, world: World, *, sets: LwsReconciler, restarts: Restarts) -> None:
        self._api, self._observed = world.api, world.observed
        self._nodes, self._say = world.nodes, world.say
        self._sets = sets
        self._restarts = restarts

    async def reconcile(self, pod: PodState) -> None:
        """`pod`: its last known state; the pod no longer exists if it was deleted."""
        lws = self._observed.lws.get((pod.namespace, pod.lws))
        if lws is None or lws["metadata"].get("deletionTimestamp"):
            return
        if calls_for_restart(pod):
            await self._restarts.handle_failure(lws, pod)
        living = self._observed.pod((pod.namespace, pod.name))
        if living is not None and living.uid == pod.uid and living.is_leader:
            await self._lead(lws, living)

    # -- workers ---------------------------------------------------------------------------------

    async def _lead(self, lws: Raw, pod: PodState) -> None:
        if pod.has_leader_annotation:
            note = f"pod {pod.name} is both leader and worker: StatefulSet ordinals are missing"
            await self._say(lws, Event("FailedCreate", note, "Create", "Warning"))
            return
        if pod.terminating or why_not_made(lws) is not None:
            return
        spec = lws["spec"]
        needs_service = not wants_shared_service(lws)
        size = pod.size or spec["leaderWorkerTemplate"].get("size", 1)  # its own, in a resize
        if not needs_service and size == 1:
            return
        there = self._observed.sets.get((pod.namespace, pod.name))
        needs_set = size > 1 and there is None
        if needs_set and spec.get("startupPolicy") == "LeaderReady" and not pod.ready:
            needs_set = False
        topology = dict(pod.annotations).get(keys.LWS_EXCLUSIVE_TOPOLOGY)
        node = pod.node or self._planned_node(lws, pod)
        if needs_set and topology and not node:
            needs_set = False
        leader = self._observed.leader(pod)
        lacking = [k for k in _OF_GROUP if k not in leader["metadata"]["labels"]]
        if lacking and (needs_service or needs_set):
            note = (
                f"pod {pod.name} has lost label {lacking[0]}, by which its group is known: "
                "delete the pod, and it is made again"
            )
            topic = leader["metadata"]["uid"]
            await self._say(lws, Event("FailedCreate", note, "Create", "Warning", topic=topic))
            return
        if needs_service:
            await self._sets.create_service(lws, replica_service(lws, leader=leader))
        if needs_set:
            selector = await self._domain_of(topology, node) if topology else None
            await self._create_workers(lws, leader, selector)

    def _planned_node(self, lws: Raw, pod: PodState) -> str:
        """The leader's planned node; empty if the reservation does not contain it."""
        key = self._observed.leader(pod)["metadata"]["labels"].get(keys.LWS_GROUP_KEY, "")
        group = GroupId(pod.namespace, pod.lws, lws["metadata"]["uid"], key)
        held = pod.planned_node and self._nodes.is_planned(group, pod.planned_node)
        return pod.planned_node if held else ""

    async def _create_workers(self, lws: Raw, leader: Raw, selector: dict[str, str] | None) -> None:
        meta = leader["metadata"]
        revision = meta["labels"].get(keys.LWS_REVISION, "")
        stored = next((r for r in self._observed.revisions_of(lws) if key_of(r) == revision), None)
        if stored is None:
            raise LwsPlacementError(
                f"pod {meta['namespace']}/{meta['name']}: revision {revision} is not there (yet)"
            )
        at = spec_at(lws, stored["data"])
        problem = why_not_made(at)
        if problem is not None:
            raise LwsPlacementError(
                f"revision {revision} of {meta['namespace']}/{meta['name']}: {problem}"
            )
        body = worker_set(at, leader=leader, revision=revision, node_selector=selector)
        try:
            path = f"{APPS}/{meta['namespace']}/statefulsets"
            await self._api.create(path, body, params=_STRICT)
        except AlreadyExistsError:
            return  # or an earlier leader's exists: its deletion triggers the next try
        except ApiError as e:
            if e.is_refusal:
                await self._say(
                    lws, Event("FailedCreate", str(e), "Create", "Warning", topic=meta["uid"])
                )
            raise
        note = f"Created worker statefulset for leader pod {meta['name']}"
        await self._say(lws, Event("GroupsProgressing", note, "Create", topic=meta["uid"]))

    async def _domain_of(self, topology: str, node: str) -> dict[str, str]:
        value = self._nodes.label_of(node, topology)
        if value is None:  # a node that our watch has not seen yet, or a label that it lacks
            raw = await self._api.get(f"/api/v1/nodes/{node}")
            value = (raw["metadata"].get("labels") or {}).get(topology)
        if value is None:
            raise LwsPlacementError(f"node {node} has no label {topology}")
        return {topology: value}
