"""The demo's story `life`: the reference examples are deployed, scaled by an autoscaler, lose a
worker, get a new image, return to the old one, and are deleted.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence

from lws_placement.cli.demo.domain_map import Seen
from lws_placement.cli.demo.stage import BLOCK, NODE_POOL, RACK, Stage
from lws_placement.engine.base.keys import HOLD_LABEL
from lws_placement.engine.base.raw import Raw
from lws_placement.localcluster.install import NAMESPACE
from lws_placement.localcluster.metrics_api import MetricsApi

_KEYS = (NODE_POOL, RACK, BLOCK)
_TPU = "tpu-v5e-16"
_BUSY = 1900
"""Of the 2 cpu that a leader asks for."""
_SETS = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/default/leaderworkersets"
_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_NEW_IMAGE = "registry.example.com/llm-worker:2.0"


def tell_a_life(stage: Stage) -> None:
    deploy(stage)
    scale(stage)
    kill_a_worker(stage)
    update(stage)
    take_it_back(stage)
    delete(stage)


def deploy(stage: Stage) -> None:
    stage.say("Act 1: the reference examples are deployed")
    stage.start_ours()
    stage.make_pools(_KEYS, [])
    for name in (_TPU, "gpu-ray", "disaggregated"):
        stage.apply(f"{name}.yaml")
    done = stage.until("deploying", lambda seen: _available(stage), keys=_KEYS)
    stage.results.append(("deployed", done, "every group whole, in a domain of its own, and ready"))


def scale(stage: Stage) -> None:
    stage.say(f"Act 2: the leaders of {_TPU} are busy, and an autoscaler adds a third group")
    metrics = MetricsApi(stage.cluster, millicores=_BUSY)
    try:
        stage.apply("autoscaler.yaml")
        scaled = stage.until(
            "scaling", lambda seen: _available(stage) and _groups(seen) == 3, keys=_KEYS
        )
        _kubectl(stage, "delete", "hpa", _TPU)
    finally:
        metrics.close()
    stage.results.append(("scaled up by an autoscaler", scaled, "a third group, in a third pool"))


def kill_a_worker(stage: Stage) -> None:
    stage.say("Act 3: a worker is killed: its group restarts, and no other")
    before = stage.uids()
    _kubectl(stage, "delete", "pod", f"{_TPU}-1-2", "--wait=false")
    whole_group = {f"{_TPU}-1", *(f"{_TPU}-1-{w}" for w in range(1, 5))}

    def restarted(seen: Sequence[Seen]) -> bool:
        after = stage.uids()
        new = {name for name in before if after.get(name) not in (None, before[name])}
        return new == whole_group and len(after) == len(before) and _available(stage)

    done = stage.until("restarting", restarted, keys=_KEYS)
    stage.results.append(("a worker killed", done, f"{len(whole_group)} pods were made anew"))


def update(stage: Stage) -> None:
    stage.say(f"Act 4: {_TPU} is updated, group by group from the highest; each keeps its domain")
    before = _domains(stage)
    path = "/spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/image"
    change = f'[{{"op": "replace", "path": "{path}", "value": "{_NEW_IMAGE}"}}]'
    _kubectl(stage, "patch", "lws", _TPU, "--type=json", f"-p={change}")
    done = _roll(stage, lambda images: images == {_NEW_IMAGE})
    same = before == _domains(stage)
    text = f"all workers run {_NEW_IMAGE.rpartition('/')[2]}, every group where it was"
    stage.results.append(("updated", done and same, text))


def take_it_back(stage: Stage) -> None:
    stage.say("Act 5: the update is taken back")
    for verb in ("history", "undo"):
        stage.console.print(f"  lws-placement rollout {verb} {_TPU}")
        stage.console.print(_rollout(stage, verb), soft_wrap=True)
    done = _roll(stage, lambda images: _NEW_IMAGE not in images)
    stage.results.append(("taken back", done, "all workers run the first image again"))


def delete(stage: Stage) -> None:
    stage.say("Act 6: everything is deleted; no pod and no hold is left")
    _kubectl(stage, "delete", "lws", "--all", "--wait=false")

    def gone(seen: Sequence[Seen]) -> bool:
        holds = stage.cluster.api.items(_LEASES, labelSelector=f"{HOLD_LABEL}=hold")
        return not stage.members() and not holds

    done = stage.until("deleting", gone, keys=_KEYS)
    stage.results.append(("deleted", done, "nothing is left"))


# -- inside --------------------------------------------------------------------------------------


def _roll(stage: Stage, good: Callable[[set[str]], bool]) -> bool:
    def rolled(seen: Sequence[Seen]) -> bool:
        return good(_worker_images(stage)) and _available(stage)

    return stage.until("updating", rolled, keys=(NODE_POOL,))


def _available(stage: Stage) -> bool:
    """True if every set is Available at its current generation, without surge groups."""
    return all(_is_available(lws) for lws in stage.cluster.api.items(_SETS))


def _is_available(lws: Raw) -> bool:
    status = lws.get("status") or {}
    true = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
    return (
        "Available" in true
        and status.get("observedGeneration") == lws["metadata"]["generation"]
        and status.get("replicas") == lws["spec"]["replicas"]
    )


def _groups(seen: Sequence[Seen]) -> int:
    return sum(g.lws == _TPU and g.whole for s in seen for g in s.groups)


def _domains(stage: Stage) -> dict[str, tuple[str, ...]]:
    return {g.index: g.domains for g in stage.look((NODE_POOL,))[0].groups if g.lws == _TPU}


def _worker_images(stage: Stage) -> set[str]:
    pods = stage.members()
    return {
        p["spec"]["containers"][0]["image"]
        for p in pods
        if p["metadata"]["name"].startswith(f"{_TPU}-") and p["metadata"]["name"].count("-") == 4
    }


def _kubectl(stage: Stage, *args: str) -> None:
    stage.console.print(f"  kubectl {' '.join(a for a in args if not a.startswith('-p='))}")
    stage.cluster.kubectl(*args)


def _rollout(stage: Stage, verb: str) -> str:
    command = [sys.executable, "-m", "lws_placement.cli.main", "rollout", verb, _TPU]
    access = f"--kubeconfig={stage.cluster.kubeconfig}"
    done = subprocess.run([*command, access], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).rstrip()
