"""What must hold at every event, from first to last.

- No two groups are in one exclusive domain, not even while one of them ends.
- No group is in two domains.
- A member is bound only where, in that version of the cluster, a hold names its group. Versions of
  pods and of holds are of one sequence, so this is exact, however late we learn of either.
- On no node are more chips promised to members than it has.
- Every write of a hold is one of its life (`support/hold_law.py`).
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from types import SimpleNamespace

from soak.facts import CHIPS_EACH, KEY, domain_and_holders, domain_of, seen_pod
from support.hold_law import against_the_law

_KEPT = 50
"""Versions of one hold: more than change while a bind waits to be judged."""


@dataclass(frozen=True)
class _Bind:
    version: int
    pod: object
    interruptions: int
    """Of the watch of holds, so far."""


class Promises:
    def __init__(self, figures):
        self.broken = []
        self.pods = _Pods(self, figures)
        self.holds = _Holds(self)
        self._figures = figures
        self._lock = threading.Lock()
        self._binds = []
        self._partly = {}

    def breach(self, text):
        with self._lock:
            self.broken.append(f"{time.strftime('%H:%M:%S')} {text}")

    def kept(self, number=1):
        self._figures.count("promises checked", number)

    def bound(self, pod, version):
        with self._lock:
            self._binds.append(_Bind(version, pod, self.holds.interruptions))

    def judge_binds(self):
        """To be called now and then: those of which the watch of holds has got beyond."""
        with self._lock:
            seen = self.holds.version
            late = [b for b in self._binds if b.version <= seen]
            self._binds = [b for b in self._binds if b.version > seen]
        for bind in late:
            if bind.interruptions != self.holds.interruptions:
                self._figures.count("binds not judged: the watch of holds was interrupted")
                continue
            pod = bind.pod
            if pod.group is None:
                self._count_foreign(pod, bind.version)
                continue
            holders = self.holds.holders_at(pod.domain, bind.version)
            if not any(pod.group.is_same(holder) for holder in holders):
                held_by = ", ".join(map(str, holders)) or "nobody"
                self.breach(
                    f"{pod.name} of {pod.group} was bound to {pod.node} in version {bind.version}, "
                    f"while {held_by} held {pod.domain[1]}"
                )
            self.kept()

    def _count_foreign(self, pod, version):
        """No breach: kube-scheduler does without the extender's filter while that is away, and a
        hold may come between its filter and its bind.
        """
        held = self.holds.holders_at(domain_of(pod.node, KEY), version)
        self._figures.count(f"foreign chips bound {'in held domains' if held else 'elsewhere'}")

    def note_partial_groups(self):
        """For how long each group that is bound in part has been so: the longest is measured."""
        now, partial = time.monotonic(), self.pods.partial_groups()
        self._partly = {group: self._partly.get(group, now) for group in partial}
        for since in self._partly.values():
            self._figures.took("a group bound in part", now - since)


class _Pods:
    """The watch of pods."""

    def __init__(self, promises, figures):
        self._promises = promises
        self._figures = figures
        self._lock = threading.Lock()
        self._pods = {}
        self._on_node = defaultdict(set)

    def reached(self, version):
        """Of no use here."""

    def listed(self, items):
        pods = {raw["metadata"]["uid"]: seen_pod(raw) for raw in items}
        with self._lock:
            for uid in set(self._pods) - set(pods):
                self._forget(uid)
            known = [self._put(pod) for pod in pods.values()]
            problems = [problem for pod in known for problem in self._problems(pod)]
        self._tell(problems, len(pods))

    def changed(self, kind, raw):
        pod, version = seen_pod(raw), int(raw["metadata"]["resourceVersion"])
        with self._lock:
            before = self._pods.get(pod.uid)
            if kind == "DELETED":
                self._forget(pod.uid)
                return
            pod = self._put(pod)
            problems = self._problems(pod)
        self._tell(problems, 1)
        newly = bool(pod.node) and before is not None and not before.node
        if newly:
            self._figures.count("pods bound: members" if pod.group else "pods bound: foreign")
        if newly and (pod.domain is not None or (pod.group is None and pod.chips)):
            self._promises.bound(pod, version)

    def partial_groups(self):
        """Groups of which some members are bound, and fewer than it has."""
        bound, sizes = defaultdict(int), {}
        with self._lock:
            for pod in self._pods.values():
                if pod.group is not None:
                    bound[pod.group] += bool(pod.node) and not pod.goes
                    sizes[pod.group] = pod.size
        return [group for group, number in bound.items() if 0 < number < sizes[group]]

    def _put(self, pod):
        """A tenant may change the labels of its pods: who does so is no member any more for us."""
        known = self._pods.get(pod.uid)
        if known is not None and known.group != pod.group:
            pod = replace(pod, group=None, key="")
        self._forget(pod.uid)
        self._pods[pod.uid] = pod
        if pod.node:
            self._on_node[pod.node].add(pod.uid)
        return pod

    def _forget(self, uid):
        known = self._pods.pop(uid, None)
        if known is not None:
            self._on_node[known.node].discard(uid)

    def _there(self, node):
        return [self._pods[uid] for uid in self._on_node[node]]

    def _problems(self, pod):
        if not pod.node or pod.domain is None:
            return []
        found = self._chips_on(pod.node)
        for other in self._pods.values():
            if other.group is None or not other.key or not other.node:
                continue
            if pod.group.is_same(other.group):
                if other.key == pod.key and other.domain != pod.domain:
                    found.append(f"{pod.group} is on {pod.node} and on {other.node}")
            elif not (pod.narrow or other.narrow) and _in_the_way(pod, other):
                found.append(f"{pod.name} ({pod.group}) is on {pod.node} of {other.group}")
        return found

    def _chips_on(self, node):
        promised = sum(p.chips for p in self._there(node) if p.group is not None)
        if promised <= CHIPS_EACH:
            return []
        names = ", ".join(sorted(p.name for p in self._there(node)))
        return [f"{promised} chips of {node} are promised to members: {names}"]

    def _tell(self, problems, checked):
        for problem in problems:
            self._promises.breach(problem)
        self._promises.kept(checked)


def _in_the_way(one, other):
    """True if the node of either lies in the domain of the other."""
    return (
        domain_of(one.node, other.key) == other.domain
        or domain_of(other.node, one.key) == one.domain
    )


class _Holds:
    """The watch of all Leases beside the holds: the leader's, which is renewed all the time, shows
    how far it has got.
    """

    def __init__(self, promises):
        self._promises = promises
        self._lock = threading.Lock()
        self._leases = {}
        self._versions = defaultdict(list)
        self.interruptions = 0
        self.version = 0

    def reached(self, version):
        self.version = version

    def listed(self, items):
        """What happened since the last event is not known."""
        with self._lock:
            self.interruptions += 1
            self._versions.clear()
            self._leases = {lease["metadata"]["name"]: lease for lease in items}
            for lease in items:
                self._add("ADDED", lease)

    def changed(self, kind, lease):
        if domain_and_holders(lease) is None:
            return
        name = lease["metadata"]["name"]
        with self._lock:
            before = self._leases.pop(name, None)
            if kind != "DELETED":
                self._leases[name] = lease
            self._add(kind, lease)
        change = SimpleNamespace(kind=kind, before=before, obj=lease)
        for problem in against_the_law(change):
            self._promises.breach(f"hold {name}: {problem}")
        self._promises.kept()

    def holders_at(self, domain, version):
        with self._lock:
            known = [groups for at, groups in self._versions[domain] if at < version]
        return known[-1] if known else []

    def _add(self, kind, lease):
        found = domain_and_holders(lease)
        if found is None:
            return
        domain, groups = found
        versions = self._versions[domain]
        versions.append((int(lease["metadata"]["resourceVersion"]), groups * (kind != "DELETED")))
        del versions[:-_KEPT]
