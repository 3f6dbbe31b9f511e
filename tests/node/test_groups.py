"""Groups on a real cluster: the trap on fake nodes beside the real one, and real containers."""

from node.objects import a_fake_spec, a_foreign_pod, a_real_spec, an_lws
from node.world import is_ready


def test_the_trap_ends_with_ten_of_ten_groups_whole(node, world):
    pool = world.add_pool("trap", slices=20)
    for broken in range(0, 20, 2):
        world.create_pod(a_foreign_pod(f"foreign-{broken}", f"{pool}-{broken:02}-0"))
    world.create_lws(an_lws("trap", a_fake_spec(pool), replicas=10))
    node.wait(lambda: world.whole(10, 4), "ten of ten groups are whole")


def test_a_group_of_real_containers_is_restarted_when_one_of_them_is_killed(node, world):
    world.create_lws(an_lws("real", a_real_spec(), size=3, topology="kubernetes.io/hostname"))
    node.wait(lambda: runs(world, 3), "the group runs")
    before = world.uids()
    kill_container(node, world.namespace, "real-0-1")
    node.wait(lambda: runs(world, 3) and not before & world.uids(), "all three are new and run")
    assert world.events(reason="RecreateGroup"), "the restart is told"


def runs(world, size):
    pods = world.pods()
    return len(pods) == size and all(map(is_ready, pods))


def kill_container(node, namespace, pod):
    """SIGKILL to the process of its container, by containerd and not by the API server."""
    found = node.api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")
    (status,) = found["status"]["containerStatuses"]
    container = status["containerID"].removeprefix("containerd://")
    node.machine.run("ctr", "-n", "k8s.io", "tasks", "kill", "--signal=SIGKILL", container)
