"""`make bench-day`: a day of groups that come and go, placed by best fit, first fit and at random.

Virtual time and the engine alone: the same arrivals (fixed seeds) are given to each contender over
200 domains of 4, 8 and 16 nodes. Arrivals swell and ebb over the day, beyond what the domains take
at noon. Groups of 1 to 16 nodes are planned in order of priority, age and name whenever something
came or went. Foreign pods take a whole node each, spare nodes of held domains included.

Ours is best fit, and foreign pods go where the guard's scores steer them; for the others they go
anywhere. First fit and random choose among the domains that the engine says would take the group,
so the contenders differ in nothing but the choice. A group that still waits at the end counts with
its wait until then. A domain is whole if nobody holds it and none of its nodes is taken.
"""

import argparse
import heapq
import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from lws_placement.cluster.cache.topology_index import TopologyIndex
from lws_placement.engine.fit.fragmentation import DomainState, state_of, steering
from lws_placement.engine.model.groups import Group, GroupId, Member, Occupant
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.model.snapshot import DomainSet
from lws_placement.engine.model.verdicts import Placed
from lws_placement.engine.objects.nodes import Node
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.engine.planning.single_domain import PlanMemo, plan_group, plan_in_domain

KEY = "topology.example.com/slice"
CHIPS = "google.com/tpu"
WHOLE_NODE = Demand(resources=((CHIPS, 4), ("pods", 1)))
GUARDED = frozenset({CHIPS})
NODES_OF_DOMAINS = (4,) * 100 + (8,) * 60 + (16,) * 40
SIZES, SHARES = (1, 2, 4, 8, 16), (20, 25, 30, 15, 10)
DAY_H = 24.0
STAY_H, FOREIGN_STAY_H = 2.0, 3.0
SAMPLE_H = 0.1

Choose = Callable[[Group, DomainSet, PlanMemo], Placed | None]


@dataclass(frozen=True)
class Arrival:
    at_h: float
    stay_h: float
    size: int
    """0: a foreign pod on one node."""
    priority: int
    luck: int
    """Seed of what is left to chance when it is placed."""


def arrivals(seed: int, load: float, foreign: float) -> list[Arrival]:
    """`load`: groups there would be, on average, per domain; `foreign`: pods per node."""
    rng = random.Random(seed)
    found = []
    per_h = {
        "group": load * len(NODES_OF_DOMAINS) / STAY_H,
        "foreign": foreign * sum(NODES_OF_DOMAINS) / FOREIGN_STAY_H,
    }
    for kind, rate in per_h.items():
        at_h = 0.0
        while (at_h := at_h + rng.expovariate(rate * 1.4)) < DAY_H:
            if rng.random() * 1.4 > 1 - 0.4 * math.cos(2 * math.pi * at_h / DAY_H):
                continue  # thinned out to the hour's rate
            foreign_pod = kind == "foreign"
            found.append(
                Arrival(
                    at_h=at_h,
                    stay_h=rng.expovariate(1 / (FOREIGN_STAY_H if foreign_pod else STAY_H)),
                    size=0 if foreign_pod else rng.choices(SIZES, SHARES)[0],
                    priority=rng.choices((0, 100), (80, 20))[0],
                    luck=rng.getrandbits(32),
                )
            )
    return sorted(found, key=lambda a: a.at_h)


# -- contenders ------------------------------------------------------------------------------------


def best_fit(group: Group, domains: DomainSet, memo: PlanMemo) -> Placed | None:
    plan = plan_group(group, domains, memo=memo)
    return plan if isinstance(plan, Placed) else None


def first_fit(group: Group, domains: DomainSet, memo: PlanMemo) -> Placed | None:
    return _there(group, domains, min(_possible(group, domains, memo), default=None))


def random_fit(group: Group, domains: DomainSet, memo: PlanMemo) -> Placed | None:
    values = sorted(_possible(group, domains, memo))
    rng = random.Random(group.id.group_key)
    return _there(group, domains, rng.choice(values) if values else None)


def _possible(group: Group, domains: DomainSet, memo: PlanMemo) -> list[str]:
    with_room = (value for _, value in memo.indexes.of(group, domains).best_first)
    views = ((value, domains.get(value)) for value in with_room)
    return [value for value, view in views if view is not None and not view.owners]


def _there(group: Group, domains: DomainSet, value: str | None) -> Placed | None:
    view = domains.get(value) if value is not None else None
    if view is None:
        return None
    nodes = plan_in_domain(group, view)
    assert isinstance(nodes, dict), "the domain was said to take the group"
    return Placed(view.name, nodes)


CONTENDERS: dict[str, tuple[Choose, bool]] = {
    "ours": (best_fit, True),
    "best fit alone": (best_fit, False),
    "first fit": (first_fit, False),
    "random": (random_fit, False),
}


# -- the day ---------------------------------------------------------------------------------------


@dataclass
class Result:
    placed: int = 0
    waits_h: list[float] = field(default_factory=list)
    large_waits_h: list[float] = field(default_factory=list)
    """Of groups of 8 and 16."""
    whole: list[int] = field(default_factory=list)
    nodes_whole: list[int] = field(default_factory=list)
    """Samples of how many domains are whole, and of how many nodes are in these."""

    def add(self, other: "Result") -> None:
        self.placed += other.placed
        self.waits_h += other.waits_h
        self.large_waits_h += other.large_waits_h
        self.whole += other.whole
        self.nodes_whole += other.nodes_whole

    def figures(self) -> dict[str, float]:
        return {
            "groups_placed": self.placed,
            "mean_wait_min": 60 * fmean(self.waits_h),
            "p95_wait_min": 60 * quantiles(self.waits_h, n=20)[-1],
            "mean_wait_8_16_min": 60 * fmean(self.large_waits_h),
            "domains_whole": fmean(self.whole),
            "nodes_in_whole": fmean(self.nodes_whole),
        }


class Day:
    """One contender's day."""

    def __init__(self, choose: Choose, *, steered: bool, seed: int) -> None:
        self._choose = choose
        self._steered = steered
        self._index = TopologyIndex()
        self._memo = PlanMemo()
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._waiting: dict[GroupId, tuple[Group, Arrival]] = {}
        self.result = Result()
        sizes = list(NODES_OF_DOMAINS)
        random.Random(seed).shuffle(sizes)
        for d, nodes in enumerate(sizes):
            for n in range(nodes):
                labels, room = {KEY: f"d{d:03}"}, {CHIPS: 4, "pods": 110}
                self._index.put_node(Node(f"d{d:03}-{n:02}", labels, room))

    def run(self, coming: Sequence[Arrival]) -> Result:
        for arrival in coming:
            self._at(arrival.at_h, self._comes(arrival))
        for sample in range(1, int(DAY_H / SAMPLE_H)):
            self._at(sample * SAMPLE_H, self._sample)
        while self._events and self._events[0][0] < DAY_H:
            now_h, _, happen = heapq.heappop(self._events)
            happen(now_h)
        for _, arrival in self._waiting.values():
            self._waited(arrival, DAY_H)
        return self.result

    def _at(self, at_h: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at_h, next(self._numbers), happen))

    def _comes(self, arrival: Arrival) -> Callable[[float], None]:
        return lambda now_h: self._foreign(arrival) if not arrival.size else self._group(arrival)

    def _group(self, arrival: Arrival) -> None:
        name = f"{next(self._numbers):08}"
        group = Group(
            GroupId("ns", "lws", "uid", name),
            TopologyRequest(KEY),
            tuple(Member(rank, WHOLE_NODE) for rank in range(arrival.size)),
            priority=arrival.priority,
            since_s=arrival.at_h * 3600,
        )
        self._waiting[group.id] = (group, arrival)
        self._plan(arrival.at_h)

    def _plan(self, now_h: float) -> None:
        """All that wait, in order; a shape that found nothing finds nothing later in the pass."""
        refused: set[int] = set()
        order = sorted(self._waiting.values(), key=lambda w: (-w[1].priority, w[1].at_h, w[0].id))
        for group, arrival in order:
            if group.size in refused:
                continue
            plan = self._choose(group, self._index.domains(KEY), self._memo)
            if plan is None:
                refused.add(group.size)
                continue
            del self._waiting[group.id]
            self._waited(arrival, now_h)
            self.result.placed += 1
            self._place(group, plan)
            self._at(now_h + arrival.stay_h, self._leaves(group, plan))

    def _waited(self, arrival: Arrival, until_h: float) -> None:
        self.result.waits_h.append(until_h - arrival.at_h)
        if arrival.size >= 8:
            self.result.large_waits_h.append(until_h - arrival.at_h)

    def _place(self, group: Group, plan: Placed) -> None:
        demands = {m.rank: m.demand for m in group.members}
        self._index.put_hold(
            Hold(plan.domain, group.id, "0", "", "", group.size, "", plan.nodes, demands)
        )
        for rank, node in plan.nodes.items():
            pod = Occupant(f"{group.id.group_key}-{rank}", WHOLE_NODE, group.id)
            self._index.put_occupant(node, pod, owner_uid="")

    def _leaves(self, group: Group, plan: Placed) -> Callable[[float], None]:
        def leave(now_h: float) -> None:
            for rank, node in plan.nodes.items():
                self._index.drop_occupant(node, f"{group.id.group_key}-{rank}")
            self._index.drop_hold(plan.domain, group.id)
            self._plan(now_h)

        return leave

    def _foreign(self, arrival: Arrival) -> None:
        scores: dict[str, int] = {}
        for domain in self._index.domains(KEY):
            score = steering(domain, GUARDED) if self._steered else 0
            scores |= {n.node.name: score for n in domain.nodes if n.free[CHIPS] >= 4}
        if not scores:
            return
        best = max(scores.values())
        equal = sorted(node for node, score in scores.items() if score == best)
        node = random.Random(arrival.luck).choice(equal)
        uid = f"foreign-{next(self._numbers)}"
        self._index.put_occupant(node, Occupant(uid, WHOLE_NODE), owner_uid="")

        def leave(now_h: float) -> None:
            self._index.drop_occupant(node, uid)
            self._plan(now_h)

        self._at(arrival.at_h + arrival.stay_h, leave)

    def _sample(self, _: float) -> None:
        views = self._index.domains(KEY)
        whole = [len(v.nodes) for v in views if state_of(v, GUARDED) is DomainState.WHOLE]
        self.result.whole.append(len(whole))
        self.result.nodes_whole.append(sum(whole))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="1,2,3", help="one day each, comma-separated")
    parser.add_argument("--load", type=float, default=0.8, help="groups per domain, on average")
    parser.add_argument("--foreign", type=float, default=0.06, help="foreign pods per node")
    parser.add_argument("--json", type=Path, default=Path("bench-day.json"))
    args = parser.parse_args()
    console = Console()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    days = {seed: arrivals(seed, args.load, args.foreign) for seed in seeds}
    groups = sum(1 for day in days.values() for a in day if a.size)
    foreign = sum(len(day) for day in days.values()) - groups
    console.print(
        f"{len(seeds)} days, {groups} groups and {foreign} foreign pods in all, "
        f"{len(NODES_OF_DOMAINS)} domains, {sum(NODES_OF_DOMAINS)} nodes"
    )
    results: list[dict[str, Any]] = []
    for name, (choose, steered) in CONTENDERS.items():
        total = Result()
        for seed, day in days.items():
            total.add(Day(choose, steered=steered, seed=seed).run(day))
        results.append({"contender": name, **total.figures()})
        console.print(f"{name} …")
    console.print(table_of(results))
    args.json.write_text(json.dumps(results, indent=1))
    console.print(f"written to {args.json}")


def table_of(results: list[dict[str, Any]]) -> Table:
    """Figures, and how many times ours they are."""
    names = {
        "groups_placed": "placed",
        "mean_wait_min": "mean wait, min",
        "p95_wait_min": "p95, min",
        "mean_wait_8_16_min": "mean of 8+16, min",
        "domains_whole": "whole domains",
        "nodes_in_whole": "nodes in these",
    }
    table = Table("contender", *names.values())
    for row in results:
        ratios = row["ratio_to_ours"] = {
            k: round(row[k] / results[0][k], 2) if results[0][k] else None for k in names
        }
        table.add_row(row["contender"], *(f"{row[k]:.1f}\nx{ratios[k]}" for k in names))
    return table


if __name__ == "__main__":
    main()
