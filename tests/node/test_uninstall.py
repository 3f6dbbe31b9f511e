"""lws-placement leaves a real node by the README's commands, and comes back by them."""

from node.install import NAMESPACE, readme_commands
from node.objects import CHIPS, a_fake_spec, a_foreign_pod, an_lws

GATE = "lws-placement.dev/unplanned"


def test_running_groups_do_not_notice_and_what_waited_is_bound(node, installed, world):
    pool = world.add_pool("leave", slices=2)
    world.create_lws(an_lws("runs", a_fake_spec(pool)))
    node.wait(lambda: world.whole(1, 4), "the group is whole")
    running, slices = placed(world, "runs"), world.slices()
    taken = {slices[host] for _, host in running.values()}
    (other, *_) = sorted(n for n in slices if n.startswith(pool) and slices[n] not in taken)
    world.create_pod(a_foreign_pod("foreign", other))
    world.create_lws(an_lws("waits", a_fake_spec(pool)))
    node.wait(lambda: gated(node) == ["waits-0"], "a group waits")

    release = installed.verb("release", "lws/waits", "-n", world.namespace, "--dry-run")
    assert "waits-0 waits for a plan" in release.stdout
    assert release.stderr == "", "an extender is there: nothing else is needed"
    dry_run, for_real = readme_commands(installed.root, ".venv/bin/lws-placement uninstall")
    refused = installed.verb(*for_real[1:], "--yes", check=False)
    assert refused.returncode == 1
    assert "kube-scheduler has our configuration: pod kube-system/kube-scheduler" in refused.stderr
    installed.restore_scheduler()
    said = installed.verb(*dry_run[1:]).stdout
    assert f"{world.namespace}/waits-0" in said
    assert installed.ready(), "a dry run changes nothing"
    assert gated(node) == ["waits-0"]

    installed.verb(*for_real[1:], "--yes")
    assert gated(node) == []
    assert NAMESPACE not in {o["metadata"]["name"] for o in node.api.items("/api/v1/namespaces")}
    node.wait(lambda: "waits-0" in bound(world), "the stock kube-scheduler binds it")
    spec = a_fake_spec(pool, CHIPS)
    world.create_pod({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "own"}, "spec": spec})
    node.wait(lambda: "own" in bound(world), "a pod with accelerators is bound without us")
    world.create_lws(an_lws("meanwhile", a_fake_spec(pool)))
    assert placed(world, "runs") == running

    for pod in ("own", "foreign"):
        world.delete_pod(pod)
    installed.install()
    installed.configure_scheduler()
    node.wait(lambda: world.is_whole(["runs", "waits"], size=4), "both groups are whole")
    node.wait(lambda: gated(node) == ["meanwhile-0"], "the set that came meanwhile waits for us")
    assert placed(world, "runs") == running


def placed(world, name):
    """Pod -> its UID, and its node if it has one."""
    return {
        pod["metadata"]["name"]: (pod["metadata"]["uid"], pod["spec"].get("nodeName", ""))
        for pod in world.pods(labelSelector=f"leaderworkerset.sigs.k8s.io/name={name}")
    }


def bound(world):
    return {p["metadata"]["name"] for p in world.pods() if p["spec"].get("nodeName")}


def gated(node):
    return sorted(
        pod["metadata"]["name"]
        for pod in node.api.items("/api/v1/pods")
        if any(gate["name"] == GATE for gate in pod["spec"].get("schedulingGates") or ())
    )
