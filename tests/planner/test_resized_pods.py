"""A pod that is resized where it runs takes what its node still gives it, and then no more."""

from support.fake_cluster import a_cluster
from support.virtual_time import run


def a_filler(node, cpu):
    resources = {"requests": {"cpu": cpu}}
    return {
        "metadata": {"name": "filler"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": resources}]},
        "status": {"phase": "Running", "containerStatuses": [reports(cpu)]},
    }


def reports(cpu):
    amounts = {"cpu": cpu}
    return {"name": "c", "allocatedResources": amounts, "resources": {"requests": amounts}}


def test_a_group_gets_the_room_of_a_foreign_pod_when_its_node_has_taken_it_back():
    def asks_for_less(pod):
        pod["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "1"}

    def is_resized(pod):
        pod["status"]["containerStatuses"] = [reports("1")]

    async def story():
        cluster = await a_cluster("a")
        cluster.server.create("pods", a_filler("a-0", "8"), namespace="ns")
        cluster.add_lws()
        await cluster.rest()
        assert cluster.holds() == {}
        cluster.change("pods", "filler", asks_for_less)
        await cluster.rest()
        assert cluster.holds() == {}, "its node has not resized it yet"
        cluster.change("pods", "filler", is_resized)
        await cluster.rest()
        assert set(cluster.holds()) == {"a"}
        assert cluster.places() == {"filler": "a-0", "llm-0": "a-0", "llm-0-1": "a-1"}
        await cluster.stop()

    run(story())
