"""Templates are read as the API server will admit their pods, also when that changes later."""

from support.fake_cluster import a_cluster
from support.virtual_time import run

DEFAULTS = {"type": "Container", "defaultRequest": {"memory": "1Ti"}}


def test_a_group_waits_for_what_its_workers_will_ask_by_default_and_no_longer_than_that():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        assert set(cluster.holds()) == {"a"}
        a_range = {"metadata": {"name": "defaults"}, "spec": {"limits": [DEFAULTS]}}
        cluster.server.create("limitranges", a_range, namespace="ns")
        await cluster.rest()
        cluster.add_slice("b")
        cluster.add_lws("later")
        await cluster.rest()
        assert set(cluster.holds()) == {"a"}
        assert any(
            "worker 1 needs 1024Gi memory" in words for words in cluster.said("WaitingForDomain")
        )
        cluster.delete("limitranges", "defaults")
        await cluster.rest()
        assert set(cluster.holds()) == {"a", "b"}
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_group_that_can_never_be_whole_leaves_its_domain_to_another_until_the_range_is_gone():
    async def story():
        cluster = await a_cluster("a")
        bounds = [{"type": "Container", "max": {"cpu": "1"}}]
        a_range = {"metadata": {"name": "small"}, "spec": {"limits": bounds}}
        cluster.server.create("limitranges", a_range, namespace="ns")
        await cluster.rest()
        cluster.add_lws("large", cpu="2")
        await cluster.rest()
        assert cluster.holds() == {}
        assert set(cluster.said("MembersForbidden")) == {
            "the API server would refuse its worker 1: LimitRange small refuses container model: "
            "maximum cpu usage per Container is 1, but request is 2"
        }
        cluster.add_slice("b")
        cluster.add_lws(cpu="1")
        await cluster.rest()
        assert {h["lws"] for h in cluster.holds().values()} == {"llm"}
        cluster.delete("limitranges", "small")
        await cluster.rest()
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())
