"""What users and controllers do while something is done to us, and what they suffer by it."""

import threading
from contextlib import suppress

from node.objects import a_fake_spec, an_lws

from lws_placement.errors import LocalClusterError

_OURS = ("extender", "lws-placement", "connect", "EOF")


class _Meanwhile:
    """`_work()` in a thread of its own, from `with` on until it has ended or `with` does."""

    def __init__(self):
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    @property
    def done(self):
        return not self._thread.is_alive()

    def _work(self):
        raise NotImplementedError


class Creations(_Meanwhile):
    """A user who creates `number` sets of one group of two pods, and notes each refusal."""

    def __init__(self, world, pool, *, number):
        super().__init__()
        self._world = world
        self._pool = pool
        self._number = number
        self.made = 0
        self.refusals = []

    def _work(self):
        for n in range(self._number):
            if self._ended.is_set():
                return
            lws = an_lws(f"set-{n}", a_fake_spec(self._pool, {}), size=2)
            try:
                self._world.create_lws(lws)
            except LocalClusterError as e:
                self.refusals.append(str(e))
            self.made += 1


class Restarts(_Meanwhile):
    """Deletes each of `pods` again and again, so that their groups restart."""

    def __init__(self, world, pods):
        super().__init__()
        self._world = world
        self._pods = pods
        self.rounds = 0

    def _work(self):
        while not self._ended.is_set():
            for name in self._pods:
                with suppress(LocalClusterError):  # it is being made again
                    self._world.delete_pod(name)
                if self._ended.wait(0.1):
                    return
            self.rounds += 1


def complaints(world):
    """Of pods that were not created, or not scheduled for a reason of ours: what Events say."""
    refused = [e["message"] for e in world.events(reason="FailedCreate")]
    unscheduled = [e["message"] for e in world.events(reason="FailedScheduling")]
    return refused + [m for m in unscheduled if any(word in m for word in _OURS)]
