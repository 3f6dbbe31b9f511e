"""A user who creates one set after another while something is done to us, and counts refusals."""

import threading
from contextlib import suppress

from node.objects import a_fake_spec, an_lws

from lws_placement.errors import LocalClusterError

REFUSED = ("FailedCreate",)


class Creations:
    """From `with` on: `number` sets of one group of `size`, from a thread of their own."""

    def __init__(self, world, pool, *, number, size=2):
        self._world = world
        self._pool = pool
        self._number = number
        self._size = size
        self.made = 0
        self.refusals = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._create, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    @property
    def done(self):
        return not self._thread.is_alive()

    def _create(self):
        for n in range(self._number):
            if self._ended.is_set():
                return
            lws = an_lws(f"set-{n}", a_fake_spec(self._pool, {}), size=self._size)
            try:
                self._world.create_lws(lws)
            except LocalClusterError as e:
                self.refusals.append(str(e))
            self.made += 1


class Restarts:
    """Deletes one member of each running group, again and again, from a thread of its own."""

    def __init__(self, world, groups):
        self._world = world
        self._groups = groups
        self._ended = threading.Event()
        self.rounds = 0
        self._thread = threading.Thread(target=self._restart, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _restart(self):
        while not self._ended.is_set():
            for name in self._groups:
                with suppress(LocalClusterError):  # it is being made again
                    self._world.delete_pod(name)
                if self._ended.wait(0.1):
                    return
            self.rounds += 1


def complaints(world):
    """What users and groups suffered: events of pods that were not created or not scheduled for a
    reason of ours.
    """
    found = [e["message"] for e in world.events(reason="FailedCreate")]
    for event in world.events(reason="FailedScheduling"):
        if any(
            word in event["message"] for word in ("extender", "lws-placement", "connect", "EOF")
        ):
            found.append(event["message"])
    return found
