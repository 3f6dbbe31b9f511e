"""For tests that need no second thread: the side loop is the main loop."""

from lws_placement.loops import Heartbeat


class SameLoop:
    def __init__(self):
        self.heartbeat = Heartbeat(stall_s=1e9)

    async def run(self, call):
        return await call
