"""Simulated nodes: raw Node objects that KWOK brings to Ready."""

from collections.abc import Mapping, Sequence

from lws_placement.engine.base.raw import Raw

_ROOM = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}


def a_simulated_node(
    name: str,
    *,
    labels: Mapping[str, str],
    capacity: Mapping[str, str] | None = None,
    taints: Sequence[Raw] = (),
    ready: bool = False,
) -> Raw:
    """`capacity` extends or overrides 64 cpu, 256Gi and 110 pods. `ready`: Ready at once, for
    clusters without KWOK.
    """
    room = {**_ROOM, **(capacity or {})}
    status: Raw = {"capacity": room, "allocatable": room}
    if ready:
        status["conditions"] = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **labels}},
        "spec": {"taints": list(taints)} if taints else {},
        "status": status,
    }
