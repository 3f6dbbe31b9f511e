"""Planning, without an API server: the real planner over a real cache, and writes that succeed at
once.

- One group: its gated leader appears, it is planned, held and pinned. CPU of all of that, from the
  decoding of the pod on. The baseline asks every domain, as a planner without an index would.
  The same for members with rules about other pods.
- Victims: every domain is taken, by a group or by foreign pods, and a group that outranks them all
  asks whom to evict, each time after a pod has come or gone. The baseline looks into every domain.
- Room for one: a thousand groups wait, one hold ends (two for groups of two subgroups). Time until
  one of them has the room, and CPU. The baseline decides afresh about each that waits.
"""

import asyncio
import time
from dataclasses import replace
from statistics import fmean

from lws_placement.cluster.adapters.tenants import ClusterTenants
from lws_placement.engine.model.failure_history import Policy
from lws_placement.engine.model.groups import Group, Member
from lws_placement.engine.objects.placement_request import TopologyRequest, placement_request_of
from lws_placement.engine.planning.multi_domain import place_multi_domain
from lws_placement.engine.planning.single_domain import plan_group
from lws_placement.engine.preemption.search import PreemptionMemo, preempt
from lws_placement.engine.reconcile.actions import Pin, Wait, WriteHold
from lws_placement.planner.assumed_holds import AssumedHolds
from lws_placement.planner.failure_tracker import FailureTracker
from lws_placement.planner.limits.pace import Pace
from lws_placement.planner.planner import Planner

from .figures import Figure, percentile
from .objects import APART, ASKS, KEY, PER_DOMAIN, SEVERAL, a_member, domains_of
from .world import WHOLE_NODE, a_large_cluster, a_small_pod, group_of, held, taken_by_all

GROUPS = 400
WAITING = 1000
EVENTS = 200
AFRESH = 5
OUTRANKS = 1000


class PromptActor:
    """Every write succeeds at once; tells of each hold that was written, and which groups wait."""

    def __init__(self, cache, asks, rules):
        self._cache = cache
        self._asks = asks
        self._rules = rules
        self._version = 1000
        self.assumed = AssumedHolds(cache)
        self.written = asyncio.Queue()
        self.waiting = set()

    async def apply(self, group, action):
        self._version += 1
        match action:
            case WriteHold(hold):
                written = replace(hold, resource_version=str(self._version), uid=hold.name)
                self._cache.put_hold(written)
                self.written.put_nowait((hold, time.perf_counter()))
            case Wait():
                self.waiting.add(group)
            case Pin(pod, _, node):
                number = int(pod.member.group_index)
                made = {"version": self._version, "asks": self._asks, "rules": self._rules}
                raw = a_member(number, 0, gated=False, **made)
                raw["spec"]["nodeName"] = node
                self._cache.put_written_pod(raw)


def measure(args, console):
    figures = []
    for nodes in (int(n) for n in (args.nodes or "15000").split(",")):
        if nodes < GROUPS * PER_DOMAIN:
            raise SystemExit(f"engine: --nodes {nodes}: {GROUPS} groups need {PER_DOMAIN} each")
        console.print(f"engine: {nodes} nodes, {nodes // PER_DOMAIN} domains …")
        figures += asyncio.run(_one_group(nodes))
        figures += asyncio.run(_room_for_one(nodes))
        for who, asks in SEVERAL.items():
            figures += asyncio.run(_room_for_one(nodes, who, asks))
        figures += _victims(nodes)
    return figures


async def _one_group(nodes):
    cache = a_large_cluster(nodes)
    domains = cache.domains.domains(KEY)
    afresh = []
    for number in range(AFRESH):
        started = time.thread_time()
        plan_group(_asked(number), list(domains))
        afresh.append(time.thread_time() - started)
    each = await _each_of_many(cache)
    apart = await _each_of_many(a_large_cluster(nodes, rules=APART), rules=APART)
    return [
        Figure(
            part="engine",
            where=f"{nodes} nodes",
            what="planning one group, CPU",
            value=each * 1000,
            unit="ms",
            against="asking every domain",
            baseline=fmean(afresh) * 1000,
            goal=2,
        ),
        Figure(
            part="engine",
            where=f"{nodes} nodes",
            what="the same with spread and anti-affinity by host",
            value=apart * 1000,
            unit="ms",
            against="planning one without rules",
            baseline=each * 1000,
            goal=10,
        ),
    ]


async def _each_of_many(cache, rules=None):
    async with _planning(cache, rules=rules) as actor:
        await _placed(cache, actor, 0, rules)  # builds the index of the shape, once
        started = time.thread_time()
        for number in range(1, GROUPS):
            await _placed(cache, actor, number, rules)
        return (time.thread_time() - started) / (GROUPS - 1)


async def _placed(cache, actor, number, rules):
    cache.put_pod(a_member(number, 0, rules=rules))
    await actor.written.get()


async def _room_for_one(nodes, who="groups", asks=ASKS):
    cache = a_large_cluster(nodes)
    count = nodes // PER_DOMAIN
    holds = [held(cache, domain, number=domain) for domain in range(count)]
    async with _planning(cache, asks) as actor:
        for number in range(WAITING):
            cache.put_pod(a_member(number, 0, asks=asks))
        while len(actor.waiting) < WAITING:
            await asyncio.sleep(0.05)
        await _idle()
        cpu, wall = [], []
        for event in range(EVENTS):
            ending = [holds[(event * 7 + i) % count] for i in range(domains_of(asks))]
            started = time.perf_counter()
            spent = time.thread_time()
            for freed in ending:
                cache.drop_hold(freed.domain, freed.group)
            for _ in ending:
                _, at = await actor.written.get()
            await asyncio.sleep(0)
            cpu.append(time.thread_time() - spent)
            wall.append(at - started)
        domains = cache.domains.domains(KEY)
        group = replace(_asked(WAITING), request=placement_request_of(asks).of_size(PER_DOMAIN))
        afresh = time.thread_time()
        if group.request.in_one_domain:
            plan_group(group, list(domains))
        else:
            place_multi_domain(group, cache.domains)
        afresh = (time.thread_time() - afresh) * WAITING
    where = f"{nodes} nodes, {WAITING} {who} waiting"
    return [
        Figure("engine", where, "room for one group, until held, median", _ms(wall, 0.5), "ms"),
        Figure(
            "engine", where, "room for one group, until held, p99", _ms(wall, 0.99), "ms", goal=50
        ),
        Figure(
            part="engine",
            where=where,
            what="room for one group, CPU, p99",
            value=_ms(cpu, 0.99),
            unit="ms",
            against="planning all that wait afresh",
            baseline=afresh * 1000,
            goal=50,
        ),
    ]


def _victims(nodes):
    cache = a_large_cluster(nodes)
    taken_by_all(cache, nodes // PER_DOMAIN)
    tenants, memo = ClusterTenants(cache), PreemptionMemo()
    group = replace(_asked(0), priority=OUTRANKS, outranks=OUTRANKS)

    def ask():
        started = time.thread_time()
        memo.ask(group, cache.domains.domains(KEY), tenants)
        return time.thread_time() - started

    first = ask()
    spent = []
    for event in range(EVENTS):
        a_small_pod(cache, event, coming=event % 2 == 0)
        spent.append(ask())
    started = time.thread_time()
    preempt(group, cache.domains.domains(KEY), tenants)
    everywhere = time.thread_time() - started
    return [
        Figure(
            part="engine",
            where=f"{nodes} nodes, all taken",
            what="whom to evict for one group, CPU, p99",
            value=_ms(spent, 0.99),
            unit="ms",
            against="looking into every domain",
            baseline=everywhere * 1000,
            goal=20,
        ),
        Figure("engine", f"{nodes} nodes, all taken", "the first time", first * 1000, "ms"),
    ]


def _ms(seconds, share):
    return percentile(seconds, share) * 1000


class _planning:
    """A planner at work on the cache."""

    def __init__(self, cache, asks=ASKS, rules=None):
        self._cache = cache
        self._asks = asks
        self._rules = rules

    async def __aenter__(self):
        actor = PromptActor(self._cache, self._asks, self._rules)
        pace = Pace(clock=time.monotonic, hold_s=60)
        failures = FailureTracker(self._cache, store=None, clock=time.time, policy=Policy())
        planner = Planner(self._cache, actor, pace=pace, failures=failures)
        self._task = asyncio.create_task(planner.run())
        await asyncio.sleep(0)
        return actor

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])


async def _idle():
    """Until the planner has nothing to do: no CPU for a tenth of a second."""
    quiet = 0
    while quiet < 3:
        before = time.thread_time()
        await asyncio.sleep(0.05)
        quiet = quiet + 1 if time.thread_time() - before < 0.005 else 0


def _asked(number):
    members = tuple(Member(rank, WHOLE_NODE) for rank in range(PER_DOMAIN))
    return Group(group_of(number), TopologyRequest(KEY), members, revision="r1")
