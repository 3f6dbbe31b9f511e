"""Holds end by facts: a quorum list decides, whatever the planner's cache says."""

import asyncio
import json
from dataclasses import replace

from support.fake_cluster import KEY, a_cluster
from support.virtual_time import run

from lws_placement.cluster.codec.hold_lease import encode_holds
from lws_placement.engine.base import keys
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.reservation import lease_name
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.engine.reconcile.actions import EndHold
from lws_placement.planner.executor import StillInUse


def test_a_planner_whose_watch_stands_still_ends_no_hold_that_is_in_use():
    """It saw the old pods go and not the new ones come, which were pinned at admission."""

    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        for name in ("llm-0", "llm-0-1"):
            cluster.delete("pods", name, gracePeriodSeconds=0)
        await asyncio.sleep(0.1)
        cluster.brain.api.watching.clear()
        await cluster.rest(quiet=20)
        assert sorted(cluster.places()) == ["llm-0", "llm-0-1"]
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())


def test_a_pod_pinned_between_the_look_and_the_end_keeps_the_hold():
    """The hold is LEAVING before the look that counts, so this pod is either seen or refused."""

    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        old = cluster.server.find("pods", "llm-0")
        cluster.delete("leaderworkersets", "llm")

        def pin_another_one():
            """As a webhook with an old cache does, the moment the hold becomes LEAVING."""
            states = [h["state"] for h in cluster.holds().values()]
            if states == ["leaving"] and not made:
                made.append(True)
                meta = {k: old["metadata"][k] for k in ("name", "labels", "annotations")}
                spec = {**old["spec"], "nodeName": None}
                status = {"phase": "Pending"}
                pod = {"metadata": meta, "spec": spec, "status": status}
                cluster.server.create("pods", pod, namespace="ns")

        made = []
        cluster.server.after_write.append(pin_another_one)
        for _ in range(8):
            await cluster.round()
        assert made
        assert list(cluster.holds()) == ["a"]
        cluster.delete("pods", "llm-0")
        await cluster.rest()
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_a_coming_hold_stays_while_a_pod_of_its_group_is_still_there():
    """It may stand where the group had a hold that was LEAVING."""

    async def story():
        cluster = await a_cluster("a")
        cluster.add_lws()
        await cluster.rest()
        cache, executor = cluster.gate.cache, cluster.executor()
        (hold,) = cache.holds()
        coming = EndHold(replace(hold, state=HoldState.COMING))
        for name in ("llm-0", "llm-0-1"):
            assert await executor.apply(hold.group, coming) == StillInUse()
            cluster.server.delete("pods", ("ns", name), options={"gracePeriodSeconds": 0})
        assert await executor.apply(hold.group, coming) is None
        assert cluster.holds() == {}
        await cluster.stop()

    run(story())


def test_a_second_hold_that_a_deposed_planner_wrote_late_is_left_and_ended():
    async def story():
        cluster = await a_cluster("a", "b")
        cluster.change("nodes", "a-0", lambda node: node["spec"].update(unschedulable=True), "")
        cluster.add_lws()
        await cluster.rest()
        before = {p["metadata"]["name"]: p["metadata"]["uid"] for p in cluster.pods()}
        assert list(cluster.holds()) == ["b"]
        (hold,) = await cluster.hold_store().fetch(DomainName(KEY, "b"))
        late = encode_holds([hold], namespace="lws-placement-system")
        text = late["metadata"]["annotations"][keys.HOLD]
        text = text.replace('"domain":"b"', '"domain":"a"').replace('"b-', '"a-')
        late["metadata"] = {
            "name": lease_name(DomainName(KEY, "a")),
            "labels": late["metadata"]["labels"],
            "annotations": {keys.HOLD: text},
        }
        assert json.loads(text)["domain"] == "a"
        cluster.server.create("leases", late, namespace="lws-placement-system")
        await cluster.rest()
        assert {p["metadata"]["name"]: p["metadata"]["uid"] for p in cluster.pods()} == before
        assert cluster.not_whole() == []
        await cluster.stop()

    run(story())
