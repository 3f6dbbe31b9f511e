"""The controller's watches: LeaderWorkerSets and all objects with their name label.

Pods are kept as small values (leaders also as the part of the raw object from which their worker
StatefulSet is made), other kinds as raw objects. Handlers get the LeaderWorkerSet or pod to
reconcile. A deleted pod is reported once more in its last state, so that a worker that vanished at
once still restarts its group.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.watch import Watcher
from lws_placement.cluster.cache.informers import Informers
from lws_placement.cluster.cache.intake import LWS_PATH, PODS_PATH, REVISIONS_PATH, SETS_PATH, Kind
from lws_placement.cluster.codec.objects import (
    UNREADABLE,
    checked_texts,
    controlling_owner,
    is_ready,
)
from lws_placement.engine.base import keys
from lws_placement.engine.base.nested import DictOfSets
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_REPLICAS, MOST_SIZE, whole_number
from lws_placement.engine.lws.children import unversioned
from lws_placement.engine.lws.restart import PodState
from lws_placement.engine.lws.revision import data_of

Name = tuple[str, str]
"""(namespace, name)."""

_SERVICES_PATH = "/api/v1/services"
_WAITS = "WaitingForDomain"
"""Reason in the annotation of a gated leader that has no domain."""


class Observed:
    """Calls handlers on changes, on the event loop; they must not wait. `on_lws(name)`: a
    LeaderWorkerSet; `on_child(name)`: an object of this LeaderWorkerSet; `on_pod(state)`: a pod.
    """

    def __init__(
        self,
        api: Api,
        informers: Informers,
        *,
        on_lws: Callable[[Name], None],
        on_child: Callable[[Name], None],
        on_pod: Callable[[PodState], None],
    ) -> None:
        self._on_lws = on_lws
        self._on_child = on_child
        self._on_pod = on_pod
        self.lws: dict[Name, Raw] = {}
        self.sets: dict[Name, Raw] = {}
        self.services: dict[Name, Raw] = {}
        self._revisions: dict[Name, Raw] = {}
        self._revisions_of = DictOfSets[Name, Name]()
        self._pods: dict[Name, PodState] = {}
        self._leaders: dict[Name, Raw] = {}
        self._of_group = DictOfSets[tuple[Name, str], Name]()
        self._leaders_of_lws = DictOfSets[Name, Name]()
        self._sets_by_uid: dict[str, Name] = {}
        self._services = Watcher(
            api,
            _SERVICES_PATH,
            on_event=Kind(
                _SERVICES_PATH, self._put_service, partial(self._drop, self.services)
            ).on_event,
            params={"labelSelector": keys.LWS_NAME},
        )
        self._watchers = [
            self._services,
            _follow(informers, LWS_PATH, self._put_lws, self._drop_lws),
            _follow(informers, SETS_PATH, self._put_set, self._drop_set),
            _follow(informers, REVISIONS_PATH, self._put_revision, self._drop_revision),
            _follow(informers, PODS_PATH, self._put_pod, self._drop_pod),
        ]

    async def run(self) -> None:
        """Watches Services; the informers watch the other kinds."""
        await self._services.run()

    async def wait_synced(self) -> None:
        for watcher in self._watchers:
            await watcher.synced.wait()

    def pod(self, name: Name) -> PodState | None:
        return self._pods.get(name)

    def all_pods(self) -> list[PodState]:
        return list(self._pods.values())

    def leader(self, pod: PodState) -> Raw:
        """Names, labels and resources of a known leader."""
        return self._leaders[(pod.namespace, pod.name)]

    def group_of(self, pod: PodState) -> list[PodState]:
        """All existing pods of its group, of any revision."""
        return [self._pods[name] for name in sorted(self._of_group[_group_of(pod)])]

    def leaders_of(self, lws: Name) -> list[PodState]:
        """Leaders alone: a fraction of the pods of a large set."""
        return [self._pods[name] for name in sorted(self._leaders_of_lws[lws])]

    def leaders_number(self, lws: Name) -> int:
        return len(self._leaders_of_lws[lws])

    def groups_asked(self, lws: Name) -> int:
        """Requested replicas of its leader StatefulSet; 0 if there is none."""
        spec = self.sets.get(lws, {}).get("spec") or {}
        return whole_number(spec.get("replicas"), most=MOST_REPLICAS) or 0

    def revisions_of(self, lws: Raw) -> list[Raw]:
        """Its ControllerRevisions, including those without an owner."""
        uid = lws["metadata"]["uid"]
        names = sorted(self._revisions_of[name_of(lws)])
        found = [self._revisions[name] for name in names]
        return [raw for raw in found if controlling_owner(raw).get("uid", uid) == uid]

    def owner_of_set(self, uid: str) -> str | None:
        """UID of the controlling owner of a StatefulSet; None if the StatefulSet is gone."""
        name = self._sets_by_uid.get(uid)
        return str(controlling_owner(self.sets[name]).get("uid", "")) if name else None

    # -- inside ----------------------------------------------------------------------------------

    def _put_lws(self, raw: Raw) -> None:
        known = self.lws.get(name_of(raw))
        if known is not None and _is_older(raw, known):
            return  # older than the response to our write
        self.lws[name_of(raw)] = raw
        self._on_lws(name_of(raw))
        if known is not None and _asks_the_same(known, raw):
            return  # only its status changed, which does not affect the groups
        for pod in self.leaders_of(name_of(raw)):
            self._on_pod(pod)

    def _drop_lws(self, raw: Raw) -> None:
        if self.lws.get(name_of(raw), {}).get("metadata", {}).get("uid") == raw["metadata"]["uid"]:
            del self.lws[name_of(raw)]
            self._on_lws(name_of(raw))

    def put_written_set(self, raw: Raw) -> bool:
        """Takes a write response, which may be newer or older than the watch's last event. True if
        it is newer than the known version.
        """
        known = self.sets.get(name_of(raw))
        if known is not None and _is_older(raw, known):
            return False
        self._sets_by_uid[raw["metadata"]["uid"]] = name_of(raw)
        self.sets[name_of(raw)] = raw
        return True

    def put_written_revision(self, raw: Raw) -> None:
        """Takes a write response, without notifying a handler."""
        known = self._revisions.get(name_of(raw))
        if known is not None:
            self._revisions_of.discard(_lws_of(known), name_of(raw))
        self._revisions[name_of(raw)] = raw
        self._revisions_of.add(_lws_of(raw), name_of(raw))

    def _put_revision(self, raw: Raw) -> None:
        """Ignores a StatefulSet's own revisions: they carry its labels, one for each group."""
        if controlling_owner(raw).get("kind") == "StatefulSet":
            return
        data_of(raw["data"])  # else nothing can be told of it
        self.put_written_revision(raw)
        self._on_child(_lws_of(raw))

    def _drop_revision(self, raw: Raw) -> None:
        known = self._revisions.get(name_of(raw))
        if known is not None and known["metadata"]["uid"] == raw["metadata"]["uid"]:
            self._revisions_of.discard(_lws_of(known), name_of(raw))
            self._drop(self._revisions, raw)

    def _put_set(self, raw: Raw) -> None:
        if self.put_written_set(raw):
            self._on_child(_lws_of(raw))

    def _drop_set(self, raw: Raw) -> None:
        self._sets_by_uid.pop(raw["metadata"]["uid"], None)
        self._drop(self.sets, raw)

    def _put_service(self, raw: Raw) -> None:
        self.services[name_of(raw)] = raw
        self._on_child(_lws_of(raw))

    def _drop(self, store: dict[Name, Raw], raw: Raw) -> None:
        """A leader has a StatefulSet and perhaps a Service of its own name."""
        known = store.get(name_of(raw))
        if known is not None and known["metadata"]["uid"] == raw["metadata"]["uid"]:
            del store[name_of(raw)]
            self._on_child(_lws_of(known))
        leader = self._pods.get(name_of(raw))
        if leader is not None:
            self._on_pod(leader)

    def _put_pod(self, raw: Raw) -> None:
        if not _lws_of(raw)[1]:
            self._drop_pod(raw)  # it may have lost the label
            return
        state = pod_state(raw)
        leader = _as_leader(raw) if state.is_leader else None
        known = self._pods.get(name_of(raw))
        if known is not None:
            self._forget(known)  # its labels may have changed
        self._pods[name_of(raw)] = state
        if leader is not None:
            self._leaders[name_of(raw)] = leader
            self._leaders_of_lws.add((state.namespace, state.lws), name_of(raw))
        self._of_group.add(_group_of(state), name_of(raw))
        self._on_pod(state)
        self._on_child((state.namespace, state.lws))

    def _drop_pod(self, raw: Raw) -> None:
        known = self._pods.get(name_of(raw))
        if known is None or known.uid != raw["metadata"]["uid"]:
            return
        self._forget(known)
        last = _last_state(raw, known)
        self._on_pod(replace(last, node=last.node or known.node, terminating=True))
        self._on_child((known.namespace, known.lws))

    def _forget(self, pod: PodState) -> None:
        name = (pod.namespace, pod.name)
        del self._pods[name]
        self._leaders.pop(name, None)
        self._of_group.discard(_group_of(pod), name)
        self._leaders_of_lws.discard((pod.namespace, pod.lws), name)


def _follow(
    informers: Informers, path: str, put: Callable[[Raw], None], drop: Callable[[Raw], None]
) -> Watcher:
    return informers.follow(path, Kind(path, put, drop).on_event)


def _group_of(pod: PodState) -> tuple[Name, str]:
    return (pod.namespace, pod.lws), pod.group_index


def _last_state(raw: Raw, known: PodState) -> PodState:
    """The deleted pod's last state. A pod that vanished during a gap is reported by name only."""
    try:
        return pod_state(raw) if "spec" in raw else known
    except UNREADABLE:
        return known


def pod_state(raw: Raw) -> PodState:
    meta, status = raw["metadata"], raw.get("status") or {}
    labels, annotations = checked_texts(meta.get("labels")), checked_texts(meta.get("annotations"))
    statuses = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    ]
    return PodState(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        lws=labels.get(keys.LWS_NAME, ""),
        worker_index=labels.get(keys.LWS_WORKER_INDEX, ""),
        group_index=labels.get(keys.LWS_GROUP_INDEX, ""),
        revision=labels.get(keys.LWS_REVISION, ""),
        phase=status.get("phase", "Pending"),
        ready=is_ready(status),
        node=raw["spec"].get("nodeName", ""),
        restarted=any(s.get("restartCount", 0) > 0 for s in statuses),
        terminating=bool(meta.get("deletionTimestamp")),
        owner_uid=str(controlling_owner(raw).get("uid", "")),
        leader_name=meta["name"].rsplit("-", 1)[0],
        has_leader_annotation=keys.LWS_LEADER_NAME in annotations,
        planned_node="" if _is_gated(raw) else annotations.get(keys.PINNED_NODE, ""),
        size=whole_number(annotations.get(keys.LWS_SIZE), most=MOST_SIZE) or 0,
        annotations=unversioned(annotations),
        unplaceable=_found_no_room(raw),
    )


def _found_no_room(raw: Raw) -> bool:
    if raw["spec"].get("nodeName"):
        return False
    annotations = raw["metadata"].get("annotations") or {}
    if keys.NO_ROOM in annotations:
        return True
    if _is_gated(raw) and _WAITS in str(annotations.get(keys.CONDITION, "")):
        return True
    return any(
        c.get("type") == "PodScheduled" and c.get("reason") == "Unschedulable"
        for c in (raw.get("status") or {}).get("conditions") or ()
    )


def _asks_the_same(known: Raw, raw: Raw) -> bool:
    one, other = known["metadata"], raw["metadata"]
    return all(
        one.get(part) == other.get(part)
        for part in ("uid", "generation", "annotations", "labels", "deletionTimestamp")
    )


def _is_older(raw: Raw, known: Raw) -> bool:
    """True if `raw` is an earlier version of the same object."""
    one, other = raw["metadata"], known["metadata"]
    return one["uid"] == other["uid"] and int(one["resourceVersion"]) < int(
        other["resourceVersion"]
    )


def _is_gated(raw: Raw) -> bool:
    return any(g["name"] == keys.GATE for g in raw["spec"].get("schedulingGates") or ())


def _as_leader(raw: Raw) -> Raw:
    kept = ("name", "namespace", "uid", "labels")
    annotations = dict(unversioned(raw["metadata"].get("annotations") or {}))
    spec = {
        kind: [{"resources": c.get("resources") or {}} for c in raw["spec"].get(kind) or ()]
        for kind in ("containers", "initContainers")
    }
    meta = {k: raw["metadata"][k] for k in kept}
    return {"metadata": {**meta, "annotations": annotations}, "spec": spec}


def name_of(raw: Raw) -> Name:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]


def _lws_of(raw: Raw) -> Name:
    meta = raw["metadata"]
    return meta.get("namespace", ""), (meta.get("labels") or {}).get(keys.LWS_NAME, "")
