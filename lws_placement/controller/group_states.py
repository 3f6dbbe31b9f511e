"""The observed state of each group: its leader pod and the worker StatefulSet that the pod owns."""

from collections.abc import Sequence

from lws_placement.cluster.codec.objects import controlling_owner
from lws_placement.controller.informer_cache import Name, Observed
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import MOST_REPLICAS, whole_number
from lws_placement.engine.lws.children import Annotations
from lws_placement.engine.lws.restart import PodState
from lws_placement.engine.lws.rollout import Asked, Groups, Progress
from lws_placement.engine.lws.status import GroupStatus, set_is_ready

_WITH_WORKERS = 2


def groups_of(observed: Observed, lws: Name) -> list[GroupStatus]:
    """All groups that have a leader pod, by pod name."""
    return [
        _group(observed, pod, index=index)
        for pod in observed.leaders_of(lws)
        if (index := whole_number(pod.group_index)) is not None
    ]


def progress_of(
    groups: Sequence[GroupStatus], *, replicas: int, revision: str, annotations: Annotations
) -> Groups:
    """Progress of groups 0 to `replicas` - 1 towards leaders at this revision and annotations.

    Bounded by the limit of a LeaderWorkerSet and its surge: the StatefulSet's own `replicas` may
    have been scaled by hand to any number.
    """
    found = {group.index: _progress(group, revision, annotations) for group in groups}
    return Groups(found, min(replicas, 2 * MOST_REPLICAS))


def asked_of(stateful_set: Raw) -> Asked:
    """The leader StatefulSet's requested state. We always set `maxUnavailable`: an API server whose
    feature gate is off drops it.
    """
    spec, annotations = stateful_set["spec"], stateful_set["metadata"].get("annotations") or {}
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    replicas = spec.get("replicas", 1)
    noted = whole_number(annotations.get(keys.LWS_REPLICAS))
    return Asked(
        partition=rolling.get("partition", 0),
        replicas=replicas,
        for_replicas=noted if noted is not None else replicas,
        in_order="maxUnavailable" not in rolling,
    )


def _group(observed: Observed, pod: PodState, *, index: int) -> GroupStatus:
    """A group created with size 1 counts as having its workers, whatever size it is to get."""
    workers = observed.sets.get((pod.namespace, pod.name))
    if workers is not None and controlling_owner(workers).get("uid") != pod.uid:
        workers = None  # the previous leader's; garbage collection deletes it
    alone = pod.size == 1
    labels = workers["metadata"].get("labels") or {} if workers else {}
    return GroupStatus(
        index=index,
        leader_ready=pod.phase == "Running" and pod.ready and not pod.terminating,
        leader_revision=pod.revision,
        workers_exist=alone or workers is not None,
        workers_ready=alone or (workers is not None and set_is_ready(workers)),
        workers_revision=pod.revision if alone else labels.get(keys.LWS_REVISION, ""),
        annotations=pod.annotations,
        unplaceable=pod.unplaceable,
    )


def _progress(group: GroupStatus, revision: str, annotations: Annotations) -> Progress:
    carried = {group.leader_revision}
    if group.workers_exist:
        carried.add(group.workers_revision)
    return Progress(
        ready=group.ready(_WITH_WORKERS),
        updated=group.updated(_WITH_WORKERS, revision) and group.annotations == annotations,
        old=carried != {revision} or group.annotations != annotations,
        unplaceable=group.unplaceable,
    )
