"""`lws-placement` that dies by kill -9 at its first write of one kind: `KIND before|after`."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # as `python -m` has it

from lws_placement import keys
from lws_placement.cli.main import main
from lws_placement.cluster.client import Api


def kind_of(method, path, body):
    """What a write of the planner is; empty for all other calls."""
    parts = path.split("/")
    if "leases" in parts and keys.HOLD in str(body):
        leaves = '"state":"leaving"' in body["metadata"]["annotations"][keys.HOLD]
        return {"POST": "create hold", "PUT": "leave hold" if leaves else "replace hold"}[method]
    if "leases" in parts and method == "DELETE":
        return "end hold"
    if "pods" in parts and method == "PATCH" and "spec" in body:
        return "pin pod"
    if "pods" in parts and method == "DELETE":
        whole = body.get("propagationPolicy") == "Foreground"
        return "restart group" if whole else "replace pod"
    return ""


def armed(real, kind, when):
    async def call(self, method, path, *, body=None, **more):
        hit = kind_of(method, path, body) == kind
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return await real(self, method, path, body=body, **more)
        finally:
            if hit:
                os.kill(os.getpid(), signal.SIGKILL)

    return call


if __name__ == "__main__":
    kind, when = sys.argv[1:3]
    del sys.argv[1:3]
    Api._call = armed(Api._call, kind, when)
    main()
