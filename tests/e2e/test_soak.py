"""`make soak`: tenants and faults beside each other, and every promise checked at every event.

`LWS_PLACEMENT_SOAK_SECONDS` says for how long; without it this is left out.
"""

import os
import random
import time

import pytest
from soak.calm import Calm
from soak.figures import Figures
from soak.promises import Promises
from soak.stage import staged
from soak.storm import KINDS, Storm
from soak.tenants import URGENT, Tenant, admit_tenant
from soak.watching import Watching


def setting(name, default):
    return os.environ.get(f"LWS_PLACEMENT_SOAK_{name}") or default


SECONDS = float(setting("SECONDS", "0"))
KILL_EVERY_S = 2.0
FAULTS = tuple(setting("FAULTS", ",".join(KINDS)).split(","))
SEED = setting("SEED", "1")
if SEED == "random":
    SEED = str(random.randrange(1, 10**6))
ROUND_S = 120.0
"""Between two times at which faults stop until all is whole."""
TENANTS = {"honest-a": False, "honest-b": False, "hostile-a": True, "hostile-b": True}
PAUSE_S = 0.5


class Soak:
    def __init__(self, stage, figures, say):
        self._stage, self._figures, self._say = stage, figures, say
        self._begun = time.monotonic()
        self._told = self._measured = self._begun
        self.promises = Promises(figures)
        self.watching = Watching(stage.cluster, self.promises, figures)
        self.tenants = [self._tenant(name, hostile) for name, hostile in TENANTS.items()]
        rng = random.Random(f"{SEED} storm")
        self.storm = Storm(stage, rng, figures, kill_every_s=KILL_EVERY_S, kinds=FAULTS)
        self.calm = Calm(stage, self.tenants, figures)

    def _tenant(self, name, hostile):
        how = {"hostile": hostile, "seed": SEED, "pause_s": PAUSE_S}
        return Tenant(self._stage, name, figures=self._figures, **how)

    def run(self):
        end = time.monotonic() + SECONDS
        while (left := end - time.monotonic()) > 0:
            for tenant in self.tenants:
                tenant.let()
            self.storm.blow(time.monotonic() + min(ROUND_S, left), self.look)
            for tenant in self.tenants:
                tenant.hush()
            self.storm.end()
            self.calm.become_whole(self.rest)
        self.calm.become_empty(self.rest)
        self._check_memory()
        tracebacks = self._stage.programs.tracebacks()
        assert not tracebacks, "\n".join(f"{n} x {line}" for line, n in tracebacks.most_common())

    def _check_memory(self):
        for role, ((first, _), (last, _)) in self._figures.thirds().items():
            assert last < 1.5 * first + 50, f"{role}: {first:.0f} MB, and {last:.0f} MB later"

    def rest(self):
        self._stage.programs.tend()
        self.look()

    def look(self):
        """Again and again: judges what was seen, and tells how it goes."""
        self.promises.judge_binds()
        self.promises.note_partial_groups()
        problems = [*self.promises.broken, *self._stage.programs.ended_alone]
        assert not problems, "\n".join([*problems[:5], "after", *self.storm.log[-25:]])
        now = time.monotonic()
        if now - self._measured > 2:
            self._measured = now
            self._stage.programs.measure_memory(self._begun)
        if now - self._told > 60:
            self._told = now
            self._say(self._progress(now))

    def _progress(self, now):
        total, counts = self._figures.total, self._figures.counts
        return (
            f"{now - self._begun:5.0f} s: {total('kills of')} kills, {total('stops of')} stops, "
            f"{total('connections:')} times bad connections, "
            f"{counts['pods bound: members']} members bound, "
            f"{counts['times that all was whole']} times all whole, "
            f"{counts['promises checked']} promises checked"
        )

    def close(self):
        for tenant in self.tenants:
            tenant.close()
        self.watching.close()


@pytest.fixture
def soak(binaries, tmp_path_factory, say):
    figures = Figures()
    folder = tmp_path_factory.mktemp("soak") / "s"
    with staged(folder, binaries, SEED, figures) as stage:
        for name in TENANTS:
            admit_tenant(stage.cluster, name)
        urgent = {"metadata": {"name": URGENT}, "value": 1000}
        stage.cluster.api.create("/apis/scheduling.k8s.io/v1/priorityclasses", urgent)
        made = Soak(stage, figures, say)
        try:
            yield made
        finally:
            made.close()
            say(f"seed {SEED}\n{figures.table()}")


@pytest.mark.skipif(not SECONDS, reason="make soak")
def test_all_promises_hold_whatever_happens(soak):
    soak.run()
