"""Counts how groups went that we placed or refused, and tells where kube-scheduler differs."""

import json
from collections import Counter
from dataclasses import dataclass, field

from e2e.differences import shown, without_values
from e2e.scheduler_answers import scheduled

_MOST_TOLD = 4


@dataclass(frozen=True)
class Place:
    """Where a group that we refused was bound by kube-scheduler, all of it."""

    domain: str
    pods: list
    ours: str
    """Why not there."""
    expected: str
    """Why we may refuse what kube-scheduler binds; empty: we may not."""


@dataclass
class GroupTally:
    groups: int = 0
    wrong: Counter = field(default_factory=Counter)
    _told: list = field(default_factory=list)
    _counts: dict = field(default_factory=dict)
    _expected: Counter = field(default_factory=Counter)

    def add_placed(self, group, plan, pods, uneven, *, seed, there):
        """`pods`: as they are in the end. `uneven`: what breaks topology spread then. `there`: what
        the plan was made on. Returns whether all is well.
        """
        planned = [plan.nodes[rank] for rank in range(len(group.pods))]
        bound = [pod["spec"].get("nodeName") for pod in pods] == planned
        self._count(group, placed=1, bound=bound)
        if not bound:
            found = [f"  planned: {planned}", *map(_outcome, pods)]
            self._wrong("WRONG YES", group, seed, found, there)
        elif uneven:
            self._wrong("WRONG YES: uneven", group, seed, uneven, there)
        return bound and not uneven

    def add_refused(self, group, places, *, seed, there):
        """`places`: those where kube-scheduler bound it."""
        wrong = [place for place in places if not place.expected]
        self._count(group, refused=1, differ=bool(wrong))
        if wrong:
            found = [
                f"  {p.domain}: ours: {p.ours}; kube-scheduler: {', '.join(map(_where, p.pods))}"
                for p in wrong
            ]
            self._wrong(f"WRONG NO: {without_values(wrong[0].ours)}", group, seed, found, there)
        elif places:
            self._expected[places[0].expected] += 1

    def table(self):
        """Per feature that groups used."""
        columns = ("groups", "placed", "bound", "refused", "differ")
        lines = [f"{'feature':<14} " + " ".join(f"{name:>7}" for name in columns)]
        for feature, counts in self._counts.items():
            lines.append(f"{feature:<14} " + " ".join(f"{counts[name]:>7}" for name in columns))
        lines += [f"expected, {number}: {why}" for why, number in self._expected.items()]
        return "\n".join(lines)

    def story(self):
        lines = [f"{number} x {kind}" for kind, number in self.wrong.most_common()]
        return "\n".join((*lines, *self._told))

    def _count(self, group, **numbers):
        self.groups += 1
        for feature in ("all", *group.features):
            self._counts.setdefault(feature, Counter()).update(groups=1, **numbers)

    def _wrong(self, kind, group, seed, found, there):
        self.wrong[kind] += 1
        if len(self._told) < _MOST_TOLD:
            head = (
                f"SEED={seed} GROUPS=1 PAIRS=0, group {group.name}: {kind}, {group.request}, "
                f"created in order {group.order}"
            )
            pods = [f"  pod {shown(pod)}" for pod in group.pods]
            self._told.append("\n".join((head, *found, *pods, *(_fact(obj) for obj in there))))


def _where(pod):
    return f"{pod['metadata']['name']} on {pod['spec']['nodeName']}"


def _outcome(pod):
    if "nodeName" in pod["spec"]:
        return f"  {_where(pod)}"
    return f"  {pod['metadata']['name']} not bound: {scheduled(pod).get('message', 'not tried')}"


def _fact(obj):
    if obj["kind"] != "Node":
        return f"  there: {shown(obj)}"
    spec = {key: obj["spec"][key] for key in ("taints", "unschedulable") if obj["spec"].get(key)}
    facts = {"labels": obj["metadata"].get("labels")} | spec
    return f"  node {obj['metadata']['name']}: {json.dumps(facts | obj['status']['allocatable'])}"
