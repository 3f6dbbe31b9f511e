"""Finds pods with our scheduling gate and removes it, with the caller's credentials. None of our
processes has to run.
"""

from collections.abc import Mapping

from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.errors import ApiError, ConflictError, NotFoundError

_MOST_WORDS = 5
_MOST_ROUNDS = 20


async def gated_pods(api: Api, path: str = "/api/v1/pods", **params: str) -> RawList:
    """The pods under `path` that carry our gate."""
    found = [
        pod
        async for pods, _ in api.pages(path, fieldSelector="status.phase=Pending", **params)
        for pod in pods
        if keys.GATE in gates_of(pod)
    ]
    return sorted(found, key=name_of)


def gates_of(pod: Raw) -> list[str]:
    return [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]


def name_of(obj: Raw) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


async def take_gate_off(api: Api, pod: Raw, *, annotations: Mapping[str, str]) -> None:
    """Removes our gate and adds `annotations`; other gates stay. Raises ConflictError if the pod
    has changed, NotFoundError if it is gone.
    """
    meta = pod["metadata"]
    body: Raw = {
        "metadata": {
            "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"],
            "annotations": {**annotations, keys.CONDITION: None},
        },
        "spec": {"schedulingGates": [{"name": g} for g in gates_of(pod) if g != keys.GATE]},
    }
    await api.patch(pod_path(meta["namespace"], meta["name"]), body)


async def release_pod(api: Api, pod: Raw) -> bool:
    """Marks the pod released and removes our gate. False if the pod is gone, or another pod has
    its name: there is nothing to release.

    A pod that has changed is read and tried again: the planner writes why it waits at any time.
    Raises ApiError if it is refused, or keeps changing.
    """
    meta = pod["metadata"]
    try:
        for _ in range(_MOST_ROUNDS):
            try:
                await take_gate_off(api, pod, annotations={keys.RELEASED: "true"})
                return True
            except ConflictError:
                pod = await api.get(pod_path(meta["namespace"], meta["name"]))
                if pod["metadata"]["uid"] != meta["uid"]:
                    return False
    except NotFoundError:
        return False
    raise ApiError(f"pod {name_of(pod)} keeps changing: try again")


async def take_all_gates_off(api: Api) -> None:
    """Lists and ungates until no pod of the cluster has our gate.

    Raises ApiError, which names the first few pods, if some were refused (all others are ungated
    first), or if gated pods keep coming: their template has our gate.
    """
    for _ in range(_MOST_ROUNDS):
        pods = await gated_pods(api)
        if not pods:
            return
        refused = []
        for pod in pods:
            try:
                await take_gate_off(api, pod, annotations={})
            except (ConflictError, NotFoundError):
                continue
            except ApiError as e:
                refused.append(f"pod {name_of(pod)}: {e}")
        if refused:
            raise ApiError("; ".join(refused[:_MOST_WORDS]))
    if pods := await gated_pods(api):
        names = ", ".join(name_of(pod) for pod in pods[:_MOST_WORDS])
        raise ApiError(
            f"pods with the scheduling gate {keys.GATE} keep coming, the last ones {names}: end "
            "what makes them (is the gate in its pod template?)"
        )
