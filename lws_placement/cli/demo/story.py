"""The demo's story `trap`: leader-by-leader placement strands groups, lws-placement does not; then
the examples, a group that waits, and a killed worker.
"""

import time
from collections.abc import Callable, Sequence

from lws_placement.cli.demo.domain_map import Seen
from lws_placement.cli.demo.stage import BLOCK, NODE_POOL, RACK, SLICE, Stage
from lws_placement.engine.base.raw import Raw

_PLAIN_SCHEDULER = {
    "apiVersion": "kubescheduler.config.k8s.io/v1",
    "kind": "KubeSchedulerConfiguration",
    "leaderElection": {"leaderElect": False},
}


def tell_the_trap(stage: Stage) -> None:
    without_us(stage)
    with_us(stage)
    examples(stage)
    waiting(stage)
    restart(stage)


def without_us(stage: Stage) -> None:
    """The trap with LeaderWorkerSet's own affinity alone."""
    stage.say("Act 1: the trap, our roles switched off: leaders are bound one by one")
    roles = "webhook,controller,certificates"
    stage.installed.start_server("plain", roles=roles, ports=True, flags=["--placing=false"])
    stage.installed.wait_ready("plain")
    stage.cluster.start_scheduler(_PLAIN_SCHEDULER)
    stage.make_pools([SLICE], [_taken(f"s{d:02}-0") for d in range(0, 20, 2)])
    stage.apply("trap.yaml")
    stage.until("plain affinity", lambda seen: _all_tried(stage), keys=(SLICE,))
    groups = stage.look((SLICE,))[0].groups
    whole = sum(g.whole for g in groups)
    stuck = sum(0 < g.bound < g.size for g in groups)
    text = f"{whole} of 10 groups whole, {stuck} stuck half-placed, each keeping a slice shut"
    stage.results.append(("the trap, plain affinity (for comparison)", whole < 10, text))
    stage.console.print(f"  {text}")
    # The StatefulSets by name as well: garbage collection of a new kind takes half a minute.
    stage.cluster.kubectl("delete", "lws,sts", "--all", "--wait=false")
    stage.until("clearing away", lambda seen: not stage.members(), keys=(SLICE,))
    stage.installed.stop_server("plain")
    stage.cluster.stop_scheduler()


def with_us(stage: Stage) -> None:
    stage.say("Act 2: the same trap, with lws-placement")
    stage.start_ours()
    started = time.monotonic()
    stage.apply("trap.yaml")
    done = stage.until("placing whole groups", _all_whole(10), keys=(SLICE,))
    took = time.monotonic() - started
    whole = sum(g.whole for g in stage.look((SLICE,))[0].groups)
    stage.results.append(("the trap, lws-placement", done, f"{whole} of 10 whole in {took:.1f} s"))


def examples(stage: Stage) -> None:
    stage.say("Act 3: the reference examples of manifests/examples/")
    stage.make_pools([NODE_POOL, RACK, BLOCK], [])
    for name in ("tpu-v5e-16", "gpu-ray", "disaggregated"):
        stage.apply(f"{name}.yaml")
    keys = (NODE_POOL, RACK, BLOCK)
    done = stage.until(
        "placing the examples",
        lambda seen: (
            [len(s.groups) for s in seen] == [2, 2, 1]
            and all(g.whole for s in seen for g in s.groups)
        ),
        keys=keys,
    )
    for seen in stage.look(keys):
        groups = seen.groups
        text = "; ".join(
            f"group {g.index}: {g.size} pods in {g.domains[0]}" for g in groups if g.domains
        )
        stage.results.append((seen.title, done and all(g.whole for g in groups), text))


def waiting(stage: Stage) -> None:
    stage.say("Act 4: an eleventh group has to wait, and says why")
    stage.cluster.kubectl("scale", "lws", "trap", "--replicas=11")
    told = stage.until("waiting", lambda seen: bool(stage.notes()), keys=(SLICE,))
    note = stage.notes()[-1] if told else "no event"
    stage.console.print(f"  event: {note}")
    stage.console.print("  one of the foreign pods goes …")
    stage.cluster.kubectl("delete", "pod", "taken-s00-0", "--wait=false")
    done = stage.until("placing the eleventh", _all_whole(11), keys=(SLICE,))
    stage.results.append(("an eleventh group waited, then was placed", told and done, note))


def restart(stage: Stage) -> None:
    stage.say("Act 5: a worker is killed: its whole group restarts, in its own slice")
    before = {g.index: g.domains for g in stage.look((SLICE,))[0].groups}
    uids = _uids(stage, "trap-3")
    stage.cluster.kubectl("delete", "pod", "trap-3-2", "--wait=false")

    def restarted(seen: Sequence[Seen]) -> bool:
        now = _uids(stage, "trap-3")
        new = len(now) == 4 and not now & uids
        return new and _all_whole(11)(seen)

    done = stage.until("restarting group 3", restarted, keys=(SLICE,))
    after = {g.index: g.domains for g in stage.look((SLICE,))[0].groups}
    same = before == after
    where = after.get("3", ("nowhere",))[0]
    stage.results.append(("a killed worker restarts its group", done and same, f"in {where}"))


def _uids(stage: Stage, leader: str) -> set[str]:
    return {uid for name, uid in stage.uids().items() if f"{name}-".startswith(f"{leader}-")}


def _all_tried(stage: Stage) -> bool:
    """Every leader, and every worker that a bound leader has, is bound or refused."""
    pods = stage.members()
    leaders = [p for p in pods if p["metadata"]["name"].count("-") == 1]
    expected = 10 + 3 * sum(bool(p["spec"].get("nodeName")) for p in leaders)
    return len(pods) == expected and all(_tried(p) for p in pods)


def _tried(pod: Raw) -> bool:
    refused = any(
        c["type"] == "PodScheduled" and c["status"] == "False"
        for c in pod["status"].get("conditions") or ()
    )
    return bool(pod["spec"].get("nodeName")) or refused


def _all_whole(number: int) -> Callable[[Sequence[Seen]], bool]:
    def done(seen: Sequence[Seen]) -> bool:
        groups = seen[0].groups
        return len(groups) == number and all(g.whole for g in groups)

    return done


def _taken(node: str) -> Raw:
    resources = {"limits": {"google.com/tpu": "4"}}
    container = {"name": "c", "image": "registry.example.com/other:1", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"taken-{node}", "namespace": "default"},
        "spec": {"nodeName": node, "containers": [container]},
    }
