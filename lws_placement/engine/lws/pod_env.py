"""Environment that LeaderWorkerSet gives its pods: LWS_* in every container, TPU_* where TPUs are
requested.

Edits raw pod specs in place; callers pass a copy.
"""

from dataclasses import dataclass

from lws_placement.engine.base.group_names import subgroup_index
from lws_placement.engine.base.raw import Raw

TPU = "google.com/tpu"
_FIRST_PORT = 8476
_WITH_RANK_AND_PORT = len("-16384..:65535,")


def containers_of(spec: Raw) -> list[Raw]:
    """Containers, then init containers: LeaderWorkerSet's order."""
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def requests_tpu(spec: Raw) -> bool:
    return any(_chips(c) for c in containers_of(spec))


def tpu_env_bytes(spec: Raw, *, leader: str, size: int) -> int:
    """Upper bound of what `add_tpu_env` writes: every TPU container lists the whole group."""
    wanting = sum(_chips(c) for c in containers_of(spec))
    host = len(leader) + len(spec.get("subdomain") or "") + _WITH_RANK_AND_PORT
    return 2 * wanting * wanting * size * host


def add_lws_env(spec: Raw, *, leader_address: str, size: str, worker_index: str) -> None:
    """Puts them first in every container, in this order, over a user's of the same name."""
    ours = [
        {"name": "LWS_LEADER_ADDRESS", "value": leader_address},
        {"name": "LWS_GROUP_SIZE", "value": size},
        {"name": "LWS_WORKER_INDEX", "value": worker_index},
    ]
    for container in containers_of(spec):
        container["env"] = _first_of_each([*ours, *(container.get("env") or ())])


@dataclass(frozen=True, slots=True)
class GroupHosts:
    """Names of a group's pods. `leader`: the leader pod's name; `leader_host`: its host name,
    usually the same.
    """

    leader: str
    leader_host: str
    size: int
    subdomain: str

    def host(self, rank: int) -> str:
        name = self.leader_host if rank == 0 else f"{self.leader}-{rank}"
        return f"{name}.{self.subdomain}"


def add_tpu_env(
    spec: Raw,
    *,
    group: GroupHosts,
    worker: int,
    leader_has_tpu: bool,
    subgroup_size: int | None = None,
) -> None:
    """Adds host list, worker id, name and ports of the pod's slice; nothing if the pod requests no
    TPU or already has them.

    `worker`: the pod's rank. `leader_has_tpu`: the leader is one of the TPU hosts. With
    `subgroup_size` the hosts are those of the pod's own subgroup, and only the first TPU container
    gets variables.
    """
    wanting = [c for c in containers_of(spec) if _chips(c)]
    if not wanting:
        return
    names = {e["name"] for e in wanting[0].get("env") or ()}
    if names & {"TPU_WORKER_HOSTNAMES", "TPU_WORKER_ID"}:
        return
    own = worker if worker == 0 or leader_has_tpu else worker - 1
    ports = [_port(c, i) for i, c in enumerate(wanting)]
    if subgroup_size is not None:
        ranks = _subgroup_ranks(
            group.size, worker, leader_has_tpu=leader_has_tpu, subgroup_size=subgroup_size
        )
        wanting, ports, own = wanting[:1], ports[:1], own % subgroup_size
    else:
        ranks = ([0] if worker == 0 or leader_has_tpu else []) + list(range(1, group.size))
    hosts = [group.host(rank) for rank in ranks for _ in wanting]
    for i, container in enumerate(wanting):
        first_id = own * len(wanting) + i
        _give(container, group.leader, hosts=hosts, first_id=first_id, ports=ports, own=ports[i])


def _subgroup_ranks(
    size: int, worker: int, *, leader_has_tpu: bool, subgroup_size: int
) -> list[int]:
    """Ranks of the hosts in the subgroup of `worker`."""
    if worker == 0 or not leader_has_tpu:
        index = max(worker - 1, 0) // subgroup_size
    else:
        index = subgroup_index(worker, size=size, subgroup_size=subgroup_size)
    start, end = subgroup_size * index + 1, subgroup_size * (index + 1)
    if worker == 0 or (leader_has_tpu and index == 0):
        return [0, *range(start, end)]
    return list(range(start - 1, end) if leader_has_tpu else range(start, end + 1))


def _give(
    container: Raw, leader: str, *, hosts: list[str], first_id: int, ports: list[str], own: str
) -> None:
    """`ports`: one per TPU container of a host, in order; `own`: this container's port."""
    env = container.setdefault("env", [])
    addresses = [f"{host}:{ports[i % len(ports)]}" for i, host in enumerate(hosts)]
    env.append({"name": "TPU_WORKER_HOSTNAMES", "value": ",".join(hosts)})
    env.append({"name": "TPU_WORKER_ID", "value": str(first_id)})
    env.append({"name": "TPU_NAME", "value": leader})
    if not any(e["name"] == "TPU_PROCESS_PORT" for e in env):
        env.append({"name": "TPU_PROCESS_PORT", "value": own})
    env.append({"name": "TPU_PROCESS_ADDRESSES", "value": ",".join(addresses)})


def _port(container: Raw, index: int) -> str:
    """The container's own TPU_PROCESS_PORT, else 8476 and up."""
    for entry in container.get("env") or ():
        if entry["name"] == "TPU_PROCESS_PORT" and entry.get("value"):
            return str(entry["value"])
    return str(_FIRST_PORT + index)


def _chips(container: Raw) -> bool:
    resources = container.get("resources") or {}
    return TPU in (resources.get("limits") or ()) or TPU in (resources.get("requests") or ())


def _first_of_each(env: list[Raw]) -> list[Raw]:
    seen: dict[str, Raw] = {}
    for entry in env:
        seen.setdefault(entry["name"], entry)
    return list(seen.values())
