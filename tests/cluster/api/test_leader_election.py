"""Leader election: one leads, a lapse is known by the monotonic clock, the next one takes over."""

import asyncio

import pytest
from support.same_loop import SameLoop
from support.scrape import scrape

from lws_placement.cluster.api.leader_election import Elector, Leadership, Timing
from lws_placement.errors import ApiError, ConflictError, NotFoundError, NotLeaderError

QUICK = Timing(duration_s=0.4, renew_deadline_s=0.25, retry_s=0.03)


class Leases:
    """One Lease with compare-and-swap, shared by several clients that can be cut off."""

    def __init__(self):
        self.lease = None
        self.version = 0

    def client(self):
        return Client(self)


class Client:
    def __init__(self, server):
        self.server = server
        self.cut = False

    def _reach(self):
        if self.cut:
            raise ApiError("no route")

    async def get(self, path):
        self._reach()
        if self.server.lease is None:
            raise NotFoundError("no", status=404)
        lease = self.server.lease
        return {"metadata": dict(lease["metadata"]), "spec": dict(lease["spec"])}

    async def create(self, path, body):
        self._reach()
        if self.server.lease is not None:
            raise ConflictError("exists", status=409)
        return self._keep(body)

    async def replace(self, path, body):
        self._reach()
        if body["metadata"]["resourceVersion"] != self.server.lease["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        return self._keep(body)

    def _keep(self, body):
        self.server.version += 1
        body["metadata"]["resourceVersion"] = str(self.server.version)
        self.server.lease = body
        return body


def an_elector(client, name, *, notes=None):
    how = {"timing": QUICK, "side": SameLoop(), "notes": notes}
    return Elector(client, Leadership(), namespace="ns", identity=name, **how)


async def lead_for_ever(started):
    started.set()
    await asyncio.Event().wait()


def run(elector):
    started = asyncio.Event()
    return asyncio.create_task(elector.run(lambda: lead_for_ever(started))), started


async def stop(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_only_one_leads_and_gives_the_lease_back_at_once():
    server = Leases()
    one, two = an_elector(server.client(), "one"), an_elector(server.client(), "two")
    first, started = run(one)
    await asyncio.wait_for(started.wait(), 5)
    second, other = run(two)
    assert one.leadership.holds
    assert not two.leadership.holds
    await stop(first)
    assert server.lease["spec"]["holderIdentity"] in ("", "two")
    await asyncio.wait_for(other.wait(), 5)
    assert two.leadership.holds
    await stop(second)


async def test_a_leader_that_is_cut_off_knows_it_before_another_one_leads():
    server = Leases()
    cut = server.client()
    one, two = an_elector(cut, "one"), an_elector(server.client(), "two")
    first, started = run(one)
    await asyncio.wait_for(started.wait(), 5)
    second, other = run(two)
    cut.cut = True
    await asyncio.wait_for(other.wait(), 5)
    assert not one.leadership.holds
    with pytest.raises(NotLeaderError):
        one.leadership.require()
    await stop(first, second)


def test_nobody_leads_to_begin_with():
    with pytest.raises(NotLeaderError):
        Leadership().require()


async def test_whoever_leads_shows_it_in_its_metrics():
    leading = asyncio.Event()

    async def lead():
        leading.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(an_elector(Leases().client(), "a").run(lead))
    await asyncio.wait_for(leading.wait(), 10)
    assert (await scrape())["lws_placement_leader",] == 1
    task.cancel()
    await asyncio.wait([task])
    assert (await scrape())["lws_placement_leader",] == 0


async def test_the_lease_carries_what_the_verbs_tell_of_the_leader():
    server, notes = Leases(), {}
    elector = an_elector(server.client(), "one", notes=notes)
    leading, started = run(elector)
    await asyncio.wait_for(started.wait(), 5)
    assert server.lease["metadata"]["annotations"] == {}
    notes["how"] = "slowly"
    while server.lease["metadata"]["annotations"] != notes:
        await asyncio.sleep(0.01)
    await stop(leading)
