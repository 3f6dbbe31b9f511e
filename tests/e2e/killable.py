"""`lws-placement` that dies by kill -9 at writes of some kinds: `FOLDER`.

FOLDER has a file for each kind (`write_kinds.py`) that somebody is still to die at: `before KIND`,
or `after KIND`, when the write took effect. Who makes the first such write takes the file away and
dies there.

Writes that are on their way meanwhile are waited for, and it dies after these, too: some kinds have
no second write to die at.

A dying process asks nothing more of the API server, except that it gives the leader Lease back:
nobody learns more by waiting until that has run out, which `test_failures.py` does.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest has it
sys.path.insert(0, str(Path(__file__).parents[2]))  # as `python -m` has it

from support.write_kinds import kind_of

from lws_placement.cli.main import main
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.leader_election import LEADER_LEASE

_LEASE = f"/apis/coordination.k8s.io/v1/namespaces/lws-placement-system/leases/{LEADER_LEASE}"


class Mortal:
    def __init__(self, real, folder):
        self._real = real
        self._folder = folder
        self._dying = False
        self._on_their_way = 0
        self._none_on_its_way = asyncio.Event()

    def call(self):
        """What to put in place of `Api._call`."""

        async def call(api, method, path, *, body=None, params=None, **more):
            kind = kind_of(method, path, body, params=params)
            if self._is_time("before", kind):
                await self._die(api)
            await self._if_alive()
            self._on_their_way += kind is not None
            try:
                answer = await self._real(api, method, path, body=body, params=params, **more)
            finally:
                self._arrived(kind)
            if self._is_time("after", kind):
                await self._die(api)
            await self._if_alive()
            return answer

        return call

    def _is_time(self, when, kind):
        """Also once it is dying, if a write has just taken effect, but nobody dies twice."""
        if kind is None or (self._dying and when == "before"):
            return False
        try:
            (self._folder / f"{when} {kind}").unlink()
        except FileNotFoundError:
            return False
        return not self._dying

    async def _if_alive(self):
        if self._dying:
            await asyncio.Event().wait()

    def _arrived(self, kind):
        self._on_their_way -= kind is not None
        if self._on_their_way == 0:
            self._none_on_its_way.set()

    async def _die(self, api):
        self._dying = True
        try:
            if self._on_their_way:
                self._none_on_its_way.clear()
                await self._none_on_its_way.wait()
            lease = await self._real(api, "GET", _LEASE)
            if f"--identity={lease['spec']['holderIdentity']}" in sys.argv:
                lease["spec"]["holderIdentity"] = ""
                await self._real(api, "PUT", _LEASE, body=lease)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Api._call = Mortal(Api._call, Path(sys.argv.pop(1))).call()
    main()
