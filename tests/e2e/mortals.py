"""Replicas that are killed at their writes, for the tests of that (`test_killed_*.py`)."""

from pathlib import Path

import pytest
from e2e.resources import path_of
from e2e.servers import launch, start

from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.engine.base import keys

BOTH = pytest.mark.parametrize("when", ["before", "after"])
LEASES = path_of("leases", "lws-placement-system")
_KILLABLE = Path(__file__).with_name("killable.py")
_FLAGS = ("--force-delete-after=1", "--scale-up=pods", "--scale-up-after-seconds=1")


class Mortals:
    """Replicas that die at writes of the kinds that are asked for, and are started again."""

    def __init__(self, installed, folder, *, flags=_FLAGS):
        self._installed = installed
        self._flags = flags
        self._folder = folder
        self._how = {"program": (str(_KILLABLE), str(folder))}
        self._names = []

    def become(self, *names):
        """In place of those of these names that were there."""
        for name in names:
            self._installed.stop_server(name)
            start(self._installed, name, *self._flags, **self._how)
            self._names.append(name)

    def die_at(self, kinds, when):
        for kind in kinds:
            (self._folder / f"{when} {kind}").touch()

    def left(self):
        return sorted(path.name for path in self._folder.iterdir())

    def spare(self):
        for path in self._folder.iterdir():
            path.unlink()

    def raise_the_dead(self):
        """Not before the brain that is left leads: it has seen what the dead one did not live to
        write down.
        """
        dead = [n for n in self._names if not self._installed.servers[n].running]
        heirs = [n for n in self._names if n.startswith("brain") and n not in dead]
        if not dead or (heirs and self._leader() not in heirs):
            return
        for name in dead:
            launch(self._installed, name, *self._flags, **self._how)

    def _leader(self):
        return self._installed.cluster.api.get(f"{LEASES}/{LEADER_LEASE}")["spec"].get(
            "holderIdentity"
        )

    def are_ready(self):
        return all(self._is_ready(name) for name in self._names)

    def _is_ready(self, name):
        listens = (self._installed.cluster.folder / f"{name}.ports").exists()
        return self._installed.servers[name].running and listens and self._installed.is_ready(name)

    def end(self):
        for name in self._names:
            self._installed.stop_server(name)
            start(self._installed, name)


def nothing_to_do(scene):
    """Who is to die at a write of one test should not die at one of another."""
    items = scene.cluster.api.items
    return not items(LEASES, labelSelector=keys.HOLD_LABEL) and not items(path_of("lws", ""))


def whole(scene, number):
    """Reached without a promise broken on the way."""

    def looked():
        assert scene.broken_promises() == []
        pods = scene.members()
        there = [p for p in pods if p["spec"].get("nodeName") and not goes(p)]
        return len(there) == len(pods) == number

    scene.wait(looked, f"{number} members are bound")
    scene.wait(lambda: states(scene) == ["active"], "one hold")


def goes(pod):
    return "deletionTimestamp" in pod["metadata"]


def states(scene):
    return [holder["state"] for hold in scene.holds() for holder in hold["holders"]]
