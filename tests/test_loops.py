"""A leader whose main loop hangs: it keeps its Lease for a while, loses it then, and what it
decided before is never written.
"""

import asyncio

import pytest
from support.fake_server import FakeServer
from support.fakes import FakeApi
from support.stalled import Loop, until

from lws_placement.cluster.api.leader_election import LEADER_LEASE, Elector, Leadership, Timing
from lws_placement.errors import NotLeaderError
from lws_placement.loops import Heartbeat, SideLoop


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Leases(FakeApi):
    """Counts what arrives."""

    def __init__(self):
        super().__init__(FakeServer())
        self.written = 0

    async def replace(self, path, body, **more):
        written = await super().replace(path, body, **more)
        self.written += 1
        return written

    @property
    def holder(self):
        lease = self.server._known("leases", ("ns", LEADER_LEASE))
        return lease["spec"]["holderIdentity"]


class Candidate:
    """An elector on the main loop that the test blocks. In each term `lead` waits until it is
    cancelled, and notes what a write would meet then.
    """

    def __init__(self, main, *, timing):
        self.clock = Clock()
        self.heartbeat = Heartbeat(stall_s=30, clock=self.clock)
        self.api = Leases()
        self.leadership = Leadership()
        self.terms = 0
        self.at_the_end = []
        self.main = main
        main.run(self._begin(timing))

    async def _begin(self, timing):
        self.side = SideLoop(self.heartbeat)
        elector = Elector(
            self.api, self.leadership, namespace="ns", identity="me", timing=timing, side=self.side
        )
        self._task = asyncio.create_task(elector.run(self._lead))

    async def _lead(self):
        self.terms += 1
        try:
            await asyncio.Event().wait()
        finally:
            try:
                self.leadership.require()
                self.at_the_end.append("written")
            except NotLeaderError:
                self.at_the_end.append("refused")

    def stop(self):
        self.main.run(self._stop())

    async def _stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.side.close()


@pytest.fixture
def main():
    loop = Loop()
    yield loop
    loop.close()


def test_a_main_loop_that_is_blocked_for_a_while_keeps_the_lease(main):
    one = Candidate(main, timing=Timing(duration_s=90, renew_deadline_s=60, retry_s=0.01))
    until(lambda: one.terms == 1)
    with main.blocked():
        renewed = one.api.written
        until(lambda: one.api.written > renewed + 3)
        assert one.leadership.holds
    assert one.leadership.require() > 0
    assert one.terms == 1, "the same term"
    one.stop()
    assert one.api.holder == "", "given back"


def test_a_main_loop_that_hangs_loses_the_lease_and_writes_nothing_when_it_comes_back(main):
    one = Candidate(main, timing=Timing(duration_s=1.5, renew_deadline_s=1.0, retry_s=0.01))
    until(lambda: one.terms == 1)
    with main.blocked():
        one.clock.now = 31
        until(lambda: not one.leadership.holds)
        with pytest.raises(NotLeaderError):
            one.leadership.require()
        written = one.api.written
    # It has come back: that alone brings no right to write what it decided before.
    one.heartbeat.beat()
    until(lambda: one.terms > 1)
    assert one.at_the_end[0] == "refused"
    until(lambda: one.api.written > written)
    one.stop()


def test_a_main_loop_that_comes_back_in_time_goes_on_with_its_term(main):
    one = Candidate(main, timing=Timing(duration_s=90, renew_deadline_s=60, retry_s=0.01))
    until(lambda: one.terms == 1)
    with main.blocked():
        one.clock.now = 31
        renewed = one.api.written
    one.heartbeat.beat()
    until(lambda: one.api.written > renewed + 3)
    assert one.terms == 1
    one.stop()


@pytest.mark.parametrize("end", [Leadership.drop, lambda leadership: leadership.extend(0.0)])
def test_a_term_that_has_ended_is_not_extended_by_a_renewal_under_way(end):
    leadership = Leadership()
    leadership.begin(1e12)
    assert leadership.require() > 0
    end(leadership)
    leadership.extend(1e12)
    with pytest.raises(NotLeaderError):
        leadership.require()
