"""What becomes of users and groups while our pods or the API server are replaced or away."""

import pytest
from node.cluster import PRODUCT
from node.install import PODS, evict, health
from node.load import Creations, Restarts, complaints
from node.objects import a_fake_spec, an_lws
from node.world import is_ready

SETS = 200


@pytest.fixture
def busy(node, world):
    """Names of 25 sets of one group each, which runs."""
    pool = world.add_pool("busy", slices=30, nodes_each=2)
    names = [f"steady-{n}" for n in range(25)]
    for name in names:
        world.create_lws(an_lws(name, a_fake_spec(pool), size=2))
    node.wait(lambda: world.whole(25, 2), "25 groups are whole")
    return names


@pytest.fixture(params=["restart", "another version"])
def replace(node, installed, request):
    """Begins to replace our pods; in the end the first version is there again."""
    if request.param == "restart":
        yield installed.restart
        return
    another = installed.another_version("0.1.1")
    yield lambda: installed.set_image(another)
    installed.set_image(PRODUCT)
    installed.wait_ours_rolled_out()


def test_nobody_is_refused_while_our_pods_are_replaced(node, installed, replace, world, busy):
    room = world.add_pool("room", slices=2, nodes_each=2)
    with (
        Creations(world, room, number=SETS) as creations,
        Restarts(world, [f"{n}-0-1" for n in busy]) as restarts,
    ):
        node.wait(lambda: creations.made > SETS // 10, "sets are being created")
        replace()
        installed.wait_ours_rolled_out()
        node.wait(lambda: creations.done, "all sets were created")
        node.wait(lambda: restarts.rounds > 0, "groups were restarted meanwhile")
    assert creations.refusals == []
    assert complaints(world) == []
    node.wait(installed.ready, "both replicas are ready")
    node.wait(lambda: world.is_whole(busy), "every group is whole again")


def test_a_drain_takes_one_replica_and_leaves_the_other(node, installed, world):
    first, second = (pod["metadata"]["name"] for pod in installed.pods("gate"))
    node.kubectl("cordon", "node-1")
    try:
        assert evict(node, first)
        node.wait(lambda: len(running(installed)) == 1, "one replica is left")
        assert not evict(node, second), "the budget keeps the last one"
        world.create_lws(an_lws("meanwhile", a_fake_spec("none"), topology=""))
        node.wait(lambda: world.pods(), "sets are admitted meanwhile")
    finally:
        node.kubectl("uncordon", "node-1")
    node.wait(installed.ready, "both replicas are ready again")
    assert evict(node, second)
    node.wait(lambda: second not in {p["metadata"]["name"] for p in node.api.items(PODS)}, "gone")
    node.wait(installed.ready, "both replicas are ready again")


def test_health_answers_and_nothing_is_killed_while_the_api_server_is_away(node, installed):
    before, servers = restarts_of(node), installed.health_servers()
    with installed.without_api_server():
        installed.kill_containers()
        for address, port in servers:
            node.wait(lambda a=address, p=port: health(a, p), f"{address}:{port} answers")
            assert not health(address, port, "/readyz"), "nothing is known yet"
    node.wait(lambda: all_started_again(node, before), "kubelet tells of the starts")
    node.wait(installed.ready, "both replicas are ready")
    after = restarts_of(node)
    assert {name: after[name] - before[name] for name in before} == dict.fromkeys(before, 1)


def test_all_comes_back_after_a_reboot_of_the_node(node, installed, world):
    pool = world.add_pool("reboot", slices=4)
    world.create_lws(an_lws("llm", a_fake_spec(pool), replicas=2))
    node.wait(lambda: world.whole(2, 4), "both groups are whole")
    before, starts = world.uids(), restarts_of(node)
    node.reboot()
    node.wait(lambda: all_started_again(node, starts), "kubelet has started all of ours again")
    node.wait(installed.ready, "both replicas are ready")
    assert world.uids() == before
    later = an_lws("later", a_fake_spec(pool), replicas=2)
    node.wait(lambda: world.create_lws(later), "kube-proxy routes to the webhook again")
    node.wait(lambda: world.whole(4, 4), "new groups are placed")
    assert before < world.uids()


def all_started_again(node, before):
    """A status from before the end is still there when the API server is back."""
    now = restarts_of(node)
    return now.keys() == before.keys() and all(now[each] > before[each] for each in before)


def running(installed):
    return [pod for pod in installed.pods("gate") if is_ready(pod)]


def restarts_of(node):
    """(pod, container) -> how often it was started again."""
    return {
        (pod["metadata"]["name"], status["name"]): status["restartCount"]
        for pod in node.api.items(PODS)
        for status in pod["status"]["containerStatuses"]
    }
