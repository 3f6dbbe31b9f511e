"""Faults by a random schedule: each kind comes again and again, after times that are exponentially
distributed, so that any two may meet.
"""

import time
from contextlib import suppress
from dataclasses import dataclass

from e2e.resources import path_of
from soak.client import Client, UnreachableError
from soak.programs import API_SERVER, BRAINS, ETCD, GATES, OURS, SCHEDULER
from urllib3.exceptions import HTTPError

from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.install import NAMESPACE

KINDS = ("kills", "stops", "connections", "clocks", "compaction", "nodes")
_LEADER, _STANDBY = "the leading brain", "the other brain"
_VICTIMS = {
    _LEADER: 14,
    _STANDBY: 10,
    GATES[0]: 14,
    GATES[1]: 10,
    SCHEDULER: 40,
    "kube-controller-manager": 4,
    API_SERVER: 1.2,
    ETCD: 0.8,
}
"""With weights: ours take some seconds to start, kube-scheduler does not."""
_SHIFTS_S = (-86400, -3600, -60, -5, 5, 60, 3600, 86400)
_TURN_S = 0.05


@dataclass
class Fault:
    every_s: float
    do: object
    due: float = 0.0


class Storm:
    def __init__(self, stage, rng, figures, *, kill_every_s, kinds=KINDS):
        self._stage = stage
        self._rng = rng
        self._figures = figures
        self._admin = Client(stage.cluster)
        self._healing = []
        """(when, what): of faults that last."""
        self._cordoned = set()
        schedule = {
            "kills": (kill_every_s, self._kill),
            "stops": (6, self._stop),
            "connections": (5, self._disturb_connections),
            "clocks": (8, self._shift_a_clock),
            "compaction": (30, self._compact),
            "nodes": (5, self._cordon),
        }
        self._faults = [Fault(*schedule[kind]) for kind in kinds]
        self.log = []

    def blow(self, until, meanwhile):
        """Until this time, `meanwhile` called in every turn."""
        for fault in self._faults:
            fault.due = self._next(fault)
        while (now := time.monotonic()) < until:
            self._heal(now)
            self._stage.programs.tend()
            for fault in self._faults:
                if fault.due <= now:
                    fault.do()
                    fault.due = self._next(fault)
            meanwhile()
            time.sleep(_TURN_S)

    def end(self):
        """All that is down comes back; nodes take pods again."""
        self._healing = []
        self._stage.heal()
        while self._stage.programs.hurt:
            self._stage.programs.tend()
            time.sleep(_TURN_S)
        while self._cordoned:
            with suppress(UnreachableError):
                self._set_schedulable(min(self._cordoned), schedulable=True)

    # -- inside ----------------------------------------------------------------------------------

    def _next(self, fault):
        return time.monotonic() + self._rng.expovariate(1 / fault.every_s)

    def _heal(self, now):
        for due in [h for h in self._healing if h[0] <= now]:
            self._healing.remove(due)
            due[1]()

    def _later(self, seconds, do):
        self._healing.append((time.monotonic() + seconds, do))

    def _note(self, text):
        self.log.append(f"{time.strftime('%H:%M:%S')} {text}")

    def _kill(self):
        name = self._rng.choices(list(_VICTIMS), weights=list(_VICTIMS.values()))[0]
        if name in (_LEADER, _STANDBY):
            name = self._brain(name)
        if self._stage.programs.process(name).running:
            self._note(f"kill {name}")
            self._stage.programs.kill(name)

    def _brain(self, which):
        """By the leader Lease; any of them if that cannot be read."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEADER_LEASE}"
        leader = ""
        if not {ETCD, API_SERVER} & self._stage.programs.hurt:
            with suppress(LocalClusterError):
                leader = self._stage.cluster.api.get(path)["spec"].get("holderIdentity", "")
        if leader not in BRAINS:
            return self._rng.choice(BRAINS)
        (other,) = set(BRAINS) - {leader}
        return leader if which == _LEADER else other

    def _stop(self):
        name = self._rng.choice((*OURS, *OURS, SCHEDULER, SCHEDULER, API_SERVER, ETCD))
        seconds = self._rng.uniform(0.3, 2.0 if name in (API_SERVER, ETCD) else 6.0)
        self._note(f"stop {name} for {seconds:.1f} s")
        self._stage.programs.stop(name, seconds)

    def _disturb_connections(self):
        api, seconds = self._rng.choice(self._stage.apis), self._rng.uniform(1, 5)
        how, last = self._rng.choice(
            (
                ("cut", api.cut),
                ("close the door", api.close_door),
                ("hold", api.hold),
                ("delay", lambda: api.delay(self._rng.uniform(0.05, 1.0))),
                ("refuse", lambda: api.refuse(self._rng.uniform(0.1, 0.6))),
                ("expire", lambda: api.expire(self._rng.uniform(0.3, 1.0))),
            )
        )
        self._note(f"connections: {how} for {seconds:.1f} s")
        self._figures.count(f"connections: {how}")
        last()
        self._later(seconds, api.heal)

    def _shift_a_clock(self):
        name = self._rng.choice(OURS)
        seconds = self._rng.choice(_SHIFTS_S)
        self._note(f"clock of {name}: {seconds} s")
        self._figures.count("clocks shifted")
        self._stage.shift_clock(name, seconds)

    def _compact(self):
        """What is older cannot be watched any more: 410 by the API server itself."""
        with suppress(HTTPError, ValueError, KeyError):  # it may be down
            self._stage.compact()
            self._note("compaction")
            self._figures.count("compactions of etcd")

    def _cordon(self):
        """Or the other way round, if three are already."""
        if {ETCD, API_SERVER} & self._stage.programs.hurt:
            return
        undo = len(self._cordoned) >= 3
        node = self._rng.choice(sorted(self._cordoned) if undo else self._stage.nodes)
        with suppress(UnreachableError):
            self._set_schedulable(node, schedulable=undo)
            self._figures.count("nodes uncordoned" if undo else "nodes cordoned")

    def _set_schedulable(self, node, *, schedulable):
        self._cordoned.add(node)
        body = {"spec": {"unschedulable": not schedulable}}
        path = path_of("nodes", "", node)
        status, _ = self._admin.ask("PATCH", path, body, kind="application/merge-patch+json")
        if status == 200 and schedulable:
            self._cordoned.discard(node)
