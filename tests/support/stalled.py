"""A main loop that a test blocks: not by time, but until the test lets it go on."""

import asyncio
import threading
import time
from contextlib import contextmanager

WAIT_S = 60


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, call):
        """The result of a coroutine that runs there."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(WAIT_S)

    @contextmanager
    def blocked(self):
        """Nothing else runs there meanwhile."""
        begun, ended = threading.Event(), threading.Event()

        def block():
            begun.set()
            assert ended.wait(WAIT_S)

        self._loop.call_soon_threadsafe(block)
        assert begun.wait(WAIT_S)
        try:
            yield
        finally:
            ended.set()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def until(condition):
    """Waits for what another thread does."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
