"""An event loop whose clock jumps to the next timer: hours pass in milliseconds, in fixed order.

For code that only ever waits for timers and for each other; a loop on which nothing can happen any
more says so instead of hanging.
"""

import asyncio
import selectors


class _Jumping(selectors.DefaultSelector):
    loop = None

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everything waits and no timer is set: nothing can happen any more")
        if timeout > 0:
            self.loop.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and stands still while anything is ready to run."""

    def __init__(self):
        selector = _Jumping()
        super().__init__(selector)
        selector.loop = self
        self.now = 0.0

    def time(self):
        return self.now


def run(coroutine):
    """To its end, on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
