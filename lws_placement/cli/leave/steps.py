"""The steps of an uninstall, in order.

First our webhooks, so that nothing new is refused; then our processes, so that nothing more is
gated, planned, moved or evicted; then the gates, which nobody else would remove; last what our
processes needed. LeaderWorkerSets, their pods and their CRD are not ours. A step that is done is
not listed again, so an interrupted uninstall is repeated.

Gates are removed without the mark of `release`: if lws-placement is installed again, it adopts
these groups like any others.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from lws_placement.cli.leave.gates import gated_pods, name_of, take_all_gates_off
from lws_placement.cli.leave.our_objects import (
    BINDING,
    BUILT_IN_CONTROLLER,
    CRD,
    DEPLOYMENTS,
    FILES_NAMESPACE,
    HOLDS,
    NAMESPACE,
    NODE_REQUESTS,
    OTHER_PODS,
    OUR_PODS,
    SECOND_SCHEDULER,
    WEBHOOKS,
    all_but_webhooks,
)
from lws_placement.cli.scheduler.use import deployment_path, member_scheduler
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.cache.intake import LWS_PATH, PODS_PATH
from lws_placement.cluster.codec.kept_nodes import encode_let_go
from lws_placement.engine.base.keys import KEPT, PINNED_NODE, SCALE_UP
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.errors import ApiError, ConflictError, NotFoundError, SettingsError
from lws_placement.kube_scheduler.kubeadm import FOLDER

NODES_PATH = "/api/v1/nodes"
_RUNNING = "status.phase!=Failed,status.phase!=Succeeded"
_POLL_S = 0.5
_GONE_WITHIN_S = 120.0
_SHOWN = 5
_BACKGROUND: Raw = {"propagationPolicy": "Background"}
_FOREGROUND: Raw = {"propagationPolicy": "Foreground"}
_AT_ONCE: Raw = {"gracePeriodSeconds": 0}


@dataclass(frozen=True, slots=True)
class Step:
    """Safe to repeat."""

    words: str
    do: Callable[[], Awaitable[None]]


async def find_namespace(api: Api, given: str | None) -> str:
    """The namespace that lws-placement runs in. Raises SettingsError if another one was given."""
    try:
        subjects = (await api.get(BINDING)).get("subjects") or [{}]
        there = str(subjects[0].get("namespace", ""))
    except NotFoundError:
        there = ""
    if given and there and given != there:
        raise SettingsError(
            f"--namespace {given}: lws-placement runs in {there}, as {_names([BINDING])} has it"
        )
    return given or there or NAMESPACE


class Uninstaller:
    """Finds the steps by reading, and writes when a step is done. Raises ApiError in both."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._own_path = f"/api/v1/namespaces/{namespace}"
        self._pods_path = f"{self._own_path}/pods"
        self._leases_path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def steps(self, *, with_sets: bool) -> list[Step]:
        """The steps that are left, in order. Raises SettingsError if LeaderWorkerSets are to be
        deleted and their controller is not ours.
        """
        found = (
            await self._webhooks(),
            await self._processes(),
            await self._node_requests(),
            await self._sets() if with_sets else None,
            await self._gates(),
            await self._left_to_second(),
            await self._kept_nodes(),
            await self._objects(),
            await self._namespaces(),
        )
        return [step for step in found if step is not None]

    async def what_stays(self, *, with_sets: bool) -> str:
        """What the uninstall leaves, in words."""
        words = []
        if not with_sets:
            words.append("LeaderWorkerSets, their pods and their CRD stay.")
            if await self._there([BUILT_IN_CONTROLLER]):
                words.append(
                    "Nobody carries LeaderWorkerSets out then: what runs, runs on, and a pod that "
                    "ends comes back alone, as its StatefulSet has it; none is scaled, updated or "
                    "restarted whole before a controller is there."
                )
        if await self._there([self._own_path]) and not await self._namespace_goes():
            words.append(f"Namespace {self._namespace} stays, with what others have in it.")
            release = await self._helm_release()
            if release:
                words.append(
                    f"Helm still lists its release: helm uninstall {release} -n {self._namespace}"
                )
        words.append(f"On kube-scheduler's machines {FOLDER}, if it is there, is yours to delete.")
        return "\n".join(words)

    async def second_scheduler(self) -> str:
        """The second scheduler's name in our Deployment, else in our manifests."""
        return await self._member_scheduler() or SECOND_SCHEDULER

    async def what_waits(self, second: str) -> str:
        """Pods that still wait when the steps are done, and what to do; empty if there are none.
        `second`: the second scheduler's name, read before the steps.
        """
        unbound = await self._all(PODS_PATH, fieldSelector=f"spec.nodeName=,{_RUNNING}")
        pinned = [p for p in unbound if PINNED_NODE in _notes_of(p)]
        alone = [p for p in unbound if p["spec"].get("schedulerName") == second and not _owned(p)]
        words = []
        if pinned:
            words.append(
                f"Delete what is not bound soon: {_some('pod', pinned)}, pinned to a node by us; "
                "a controller makes it anew, without the pin."
            )
        if alone:
            words.append(
                f"Delete and create again, as no controller does: {_some('pod', alone)}, left to "
                f"the scheduler {second}."
            )
        return "\n".join(words)

    # -- the steps -------------------------------------------------------------------------------

    async def _webhooks(self) -> Step | None:
        there = await self._there(WEBHOOKS)
        words = f"delete {_names(there)}: nothing new is gated or refused"
        return Step(words, partial(self._delete, there)) if there else None

    async def _processes(self) -> Step | None:
        deployments = await self._there([deployment_path(self._namespace, d) for d in DEPLOYMENTS])
        scaled = [(await self._api.get(path))["spec"].get("replicas") for path in deployments]
        pods = await self._running()
        if not (pods or any(scaled)):
            return None

        async def stop() -> None:
            for path in deployments:
                await self._api.patch(path, {"spec": {"replicas": 0}})
            await self._until_none(self._running_names)

        return Step(f"scale {_names(deployments)} to 0: {_some('pod', pods)}", stop)

    async def _node_requests(self) -> Step | None:
        """A cluster autoscaler would go on making nodes for them."""

        async def find() -> list[str]:
            collections = [
                f"{api}/namespaces/{self._namespace}/{kind}" for kind, api in NODE_REQUESTS.items()
            ]
            return [
                _path_of(collection, one)
                for collection in collections
                for one in await self._all(collection, labelSelector=SCALE_UP)
            ]

        async def delete() -> None:
            await self._delete(await find(), _AT_ONCE)

        paths = await find()
        plural = "" if len(paths) == 1 else "s"
        words = f"delete {len(paths)} object{plural} that request{'' if plural else 's'} nodes"
        return Step(f"{words} from a cluster autoscaler", delete) if paths else None

    async def _sets(self) -> Step | None:
        if not await self._there([CRD]):
            return None
        if not await self._there([BUILT_IN_CONTROLLER]):
            raise SettingsError(
                "--with-leaderworkersets: the built-in controller is not here, so they are not "
                f"ours: take them off with their controller, or kubectl delete {_names([CRD])}"
            )
        sets = await self._all(LWS_PATH)

        async def delete() -> None:
            await self._delete([_path_of(LWS_PATH, one) for one in sets], _FOREGROUND)
            # With the CRD first, the garbage collector may lose sight of their pods.
            await self._until_none(self._set_names)
            await self._delete([CRD])

        return Step(f"delete {_some('LeaderWorkerSet', sets)} with their pods, and the CRD", delete)

    async def _gates(self) -> Step | None:
        pods = await gated_pods(self._api)
        if not (pods or await self._running()):
            return None
        words = f"take our gate off {_some('pod', pods)}, and off what comes meanwhile"
        return Step(words, partial(take_all_gates_off, self._api))

    async def _left_to_second(self) -> Step | None:
        """Unbound pods keep their schedulerName, and no scheduler of that name would bind them."""
        given = await self._member_scheduler()
        name = given or SECOND_SCHEDULER
        selector = f"spec.schedulerName={name},spec.nodeName="

        async def find() -> RawList:
            return [p for p in await self._all(PODS_PATH, fieldSelector=selector) if _owned(p)]

        async def delete() -> None:
            await self._delete([_path_of(PODS_PATH, pod) for pod in await find()])

        pods = await find()
        if not (pods or given):
            return None
        words = f"delete {_some('pod', pods)} that {name} has not bound: their controllers make "
        return Step(f"{words}them anew, for the cluster's own scheduler", delete)

    async def _kept_nodes(self) -> Step | None:
        async def find() -> RawList:
            return [n for n in await self._all(NODES_PATH) if KEPT in _notes_of(n)]

        async def let_go() -> None:
            for node in await find():
                path = f"{NODES_PATH}/{node['metadata']['name']}"
                with suppress(NotFoundError):
                    await self._api.patch(path, encode_let_go(_notes_of(node)))

        nodes = await find()
        plural = "" if len(nodes) == 1 else "s"
        words = f"take our annotations against scale-down off {len(nodes)} node{plural}"
        return Step(words, let_go) if nodes else None

    async def _objects(self) -> Step | None:
        paths = await self._there(all_but_webhooks(self._namespace))
        leases = await self._all(self._leases_path, labelSelector=HOLDS)
        if not (paths or leases):
            return None

        async def delete() -> None:
            now = await self._all(self._leases_path, labelSelector=HOLDS)
            await self._delete([_path_of(self._leases_path, lease) for lease in now])
            await self._delete(paths)

        return Step(f"delete {len(leases)} holds and {_names(paths)}", delete)

    async def _namespaces(self) -> Step | None:
        own = [self._own_path] if await self._namespace_goes() else []
        paths = await self._there([f"/api/v1/namespaces/{FILES_NAMESPACE}", *own])

        async def delete() -> None:
            await self._delete(paths)
            await self._until_none(lambda: self._there(paths))

        words = f"delete {_names(paths)}, with all that is left there"
        return Step(words, delete) if paths else None

    # -- read and write --------------------------------------------------------------------------

    async def _namespace_goes(self) -> bool:
        """True for the default namespace of lws-placement without pods of others."""
        others = await self._all(self._pods_path, labelSelector=OTHER_PODS)
        return self._namespace == NAMESPACE and not others

    async def _member_scheduler(self) -> str:
        """The setting of our Deployment; empty without it."""
        return member_scheduler(await self._get(deployment_path(self._namespace)) or {})

    async def _helm_release(self) -> str:
        deployment = await self._get(deployment_path(self._namespace)) or {"metadata": {}}
        annotations = deployment["metadata"].get("annotations") or {}
        return str(annotations.get("meta.helm.sh/release-name", ""))

    async def _running(self) -> RawList:
        return await self._all(self._pods_path, labelSelector=OUR_PODS, fieldSelector=_RUNNING)

    async def _running_names(self) -> list[str]:
        return [f"pod {name_of(pod)}" for pod in await self._running()]

    async def _set_names(self) -> list[str]:
        return [f"LeaderWorkerSet {name_of(one)}" for one in await self._all(LWS_PATH)]

    async def _all(self, path: str, **params: str) -> RawList:
        """Empty for a kind that the API server does not know."""
        try:
            return (await self._api.list_all(path, **params))[0]
        except NotFoundError:
            return []

    async def _get(self, path: str) -> Raw | None:
        try:
            return await self._api.get(path)
        except NotFoundError:
            return None

    async def _there(self, paths: Sequence[str]) -> list[str]:
        return [path for path in paths if await self._get(path) is not None]

    async def _delete(self, paths: Sequence[str], how: Raw = _BACKGROUND) -> None:
        for path in paths:
            try:
                await self._api.delete(path, how)
            except (NotFoundError, ConflictError):
                continue  # a namespace that is going already answers with a conflict

    async def _until_none(self, look: Callable[[], Awaitable[Sequence[str]]]) -> None:
        left: Sequence[str] = ()
        try:
            async with asyncio.timeout(_GONE_WITHIN_S):
                while left := await look():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as e:
            names = ", ".join(left[:_SHOWN])
            raise ApiError(
                f"still there after {_GONE_WITHIN_S:.0f} s: {names} (what waits for a node that is "
                "gone: kubectl delete --force)"
            ) from e


def _notes_of(obj: Raw) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def _owned(pod: Raw) -> bool:
    return bool(pod["metadata"].get("ownerReferences"))


def _path_of(collection: str, obj: Raw) -> str:
    meta = obj["metadata"]
    folder, _, plural = collection.rpartition("/")
    if "/namespaces/" not in collection:
        folder = f"{folder}/namespaces/{meta['namespace']}"
    return f"{folder}/{plural}/{meta['name']}"


def _names(paths: Sequence[str]) -> str:
    return ", ".join("/".join(path.split("/")[-2:]) for path in paths)


def _some(kind: str, objects: RawList) -> str:
    """How many, and the first few by name."""
    names = [name_of(obj) for obj in objects[:_SHOWN]]
    rest = [f"{len(objects) - _SHOWN} more"] if len(objects) > _SHOWN else []
    plural = "" if len(objects) == 1 else "s"
    said = f" ({', '.join([*names, *rest])})" if names else ""
    return f"{len(objects)} {kind}{plural}{said}"
