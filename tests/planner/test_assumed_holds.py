"""What is assumed of one group's hold is not written with another group's."""

from dataclasses import replace

from support.fake_cluster import a_cluster
from support.virtual_time import run

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.reconcile.actions import EndHold


def test_a_victims_writes_repeat_its_preemptors_hold_as_the_lease_has_it():
    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        cache, executor, store = cluster.gate.cache, cluster.executor(), cluster.hold_store()
        (victim,) = cache.holds()
        preemptor = GroupId("ns", "urgent", "uid", "key")
        coming = replace(
            victim,
            group=preemptor,
            state=HoldState.COMING,
            evicts=(victim.group,),
            resource_version="",
            uid="",
        )
        cache.put_holds(victim.domain, await store.write(coming, beside=[victim]))
        for name in ("llm-0", "llm-0-1"):
            cluster.server.delete("pods", ("ns", name), options={"gracePeriodSeconds": 0})
        executor.assumed.make(preemptor, [EndHold(cache.hold(victim.domain, preemptor))])
        ends = EndHold(cache.hold(victim.domain, victim.group))
        assert await executor.apply(victim.group, ends) is None
        (left,) = await store.fetch(victim.domain)
        assert (left.group, left.state) == (preemptor, HoldState.COMING)
        await cluster.stop()

    run(story())
