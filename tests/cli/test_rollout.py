"""`lws-placement rollout`: its words, and its calls beside a controller at work."""

import asyncio

import pytest
from click.testing import CliRunner
from support.rollout_cluster import RolloutCluster
from support.virtual_time import run

from lws_placement.cli.main import cli
from lws_placement.cli.rollout_client import Rollout, numbered, previous
from lws_placement.engine.lws.rollout_report import Report, report_of
from lws_placement.errors import LwsPlacementError


def an_lws(*, generation=1, partition=0, replicas=4, true=("Available",), **status):
    rolling = {"rollingUpdateConfiguration": {"partition": partition}}
    conditions = [
        {"type": t, "status": "True", "reason": f"{t}Reason", "message": "m"} for t in true
    ]
    return {
        "metadata": {"name": "llm", "generation": generation},
        "spec": {"replicas": replicas, "rolloutStrategy": rolling},
        "status": {"observedGeneration": 1, "conditions": conditions, **status},
    }


def test_a_change_that_was_not_seen_yet_is_not_done():
    lws = an_lws(generation=2, updatedReplicas=4, readyReplicas=4)
    assert report_of(lws) == Report(False, 'waiting for the change of "llm" to be seen')


def test_what_is_said_of_an_update():
    done = an_lws(updatedReplicas=4, readyReplicas=4)
    done["status"]["replicas"] = 4
    assert report_of(done) == Report(True, '"llm" is rolled out: 4 groups updated and ready')
    underway = an_lws(
        true=("Progressing", "UpdateInProgress", "Blocked"), updatedReplicas=1, readyReplicas=4
    )
    underway["status"]["replicas"] = 5
    assert report_of(underway) == Report(
        False, '"llm": 1 of 5 groups updated, 4 ready, 1 of them surge; BlockedReason: m'
    )
    parted = an_lws(partition=2, updatedReplicas=2, readyReplicas=4)
    parted["status"]["replicas"] = 4
    assert report_of(parted) == Report(
        True, '"llm" is rolled out down to its partition 2: 2 of 4 groups updated, all ready'
    )


def test_status_follows_an_update_to_its_end_and_undo_takes_it_back():
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        target = Rollout(cluster.brain.api, "ns", "llm")
        cluster.add_lws(replicas=2)
        await cluster.rest()
        cluster.edit(image="two")
        said = []
        following = asyncio.create_task(target.follow(lambda r: said.append(r.text)))
        await cluster.rest()
        assert following.done()
        assert said[-1] == '"llm" is rolled out: 2 groups updated and ready'
        assert len(said) >= 3

        lws = await target.fetch()
        stored = await target.revisions(lws)
        assert [r["revision"] for r in stored] == [1, 2]
        with pytest.raises(LwsPlacementError, match="there is no revision 7; there are: 1, 2"):
            numbered(stored, 7)
        back = previous(lws, stored)
        await target.set_template(lws, back["data"], dry_run=True)
        await cluster.rest()
        assert cluster.images() == {0: ["two"], 1: ["two"]}
        await target.set_template(lws, back["data"], dry_run=False)
        await cluster.rest()
        assert cluster.images() == {0: ["one"], 1: ["one"]}
        assert [r["revision"] for r in await target.revisions(await target.fetch())] == [2, 3]
        await cluster.stop()

    run(story())


def test_what_cannot_be_found_is_named():
    async def story():
        cluster = RolloutCluster()
        await cluster.start()
        with pytest.raises(LwsPlacementError, match='no LeaderWorkerSet "llm" in namespace "ns"'):
            await Rollout(cluster.brain.api, "ns", "llm").fetch()
        cluster.add_lws(replicas=1)
        await cluster.rest()
        target = Rollout(cluster.brain.api, "ns", "llm")
        lws = await target.fetch()
        with pytest.raises(LwsPlacementError, match="no earlier revision"):
            previous(lws, await target.revisions(lws))
        await cluster.stop()

    run(story())


def test_help_shows_the_verbs_and_a_wrong_kind_is_wrong_usage():
    text = CliRunner().invoke(cli, ["rollout", "--help"]).output
    assert {"status", "history", "undo"} <= set(text.split())
    assert CliRunner().invoke(cli, ["rollout", "status"]).exit_code == 2
    done = CliRunner().invoke(cli, ["rollout", "status", "deploy/llm"])
    assert done.exit_code == 2
    assert "LeaderWorkerSets" in done.output
