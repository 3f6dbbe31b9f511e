"""A hold that cannot be read keeps its domain shut, and nobody takes it for free."""

from support.fake_cluster import KEY, FakeCluster
from support.replicas import OURS
from support.virtual_time import run

from lws_placement.engine.base import keys
from lws_placement.engine.model.reservation import lease_name
from lws_placement.engine.objects.nodes import DomainName

BROKEN = {
    "metadata": {
        "name": lease_name(DomainName(KEY, "a")),
        "labels": {keys.HOLD_LABEL: "hold"},
        "annotations": {keys.HOLD: '{"version": "v9"}'},
    }
}


def test_its_domain_counts_as_held_until_the_lease_is_gone():
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        cluster.server.create("leases", BROKEN, namespace=OURS)
        cluster.add_slice("a")
        cluster.add_lws()
        await cluster.rest()
        assert cluster.places() == {}
        (said,) = set(cluster.said("WaitingForDomain"))
        assert "1 domain held by another group" in said
        assert ("create", "leases") not in cluster.brain.api.writes, "it is not even tried"
        cluster.server.delete("leases", (OURS, BROKEN["metadata"]["name"]))
        await cluster.rest()
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_group_takes_another_domain_meanwhile():
    async def story():
        cluster = FakeCluster()
        await cluster.start()
        cluster.add_slice("a")
        cluster.add_slice("b")
        cluster.server.create("leases", BROKEN, namespace=OURS)
        await cluster.rest()
        cluster.add_lws()
        await cluster.rest()
        assert set(cluster.places().values()) == {"b-0", "b-1"}
        await cluster.stop()

    run(story())
