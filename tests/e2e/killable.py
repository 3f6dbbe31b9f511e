"""`lws-placement` that dies by kill -9 at its first write of one kind: `KIND before|after`."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # as `python -m` has it

from lws_placement import keys
from lws_placement.cli.main import main
from lws_placement.cluster.client import Api


def kind_of(method, path, body, *, params=None):
    """What a write of the planner is; empty for all other calls."""
    if method == "GET" or (params and "dryRun" in params):
        return ""
    parts = path.split("/")
    if "leases" in parts:
        return kind_of_lease_write(method, parts[-1], body)
    if parts[-1] == "eviction":
        return "evict pod"
    if "pods" in parts and method == "PATCH":
        notes = body["metadata"].get("annotations", {})
        return "pin pod" if "spec" in body else "wake pod" if keys.WOKEN in notes else ""
    if "pods" in parts and method == "DELETE":
        if body.get("gracePeriodSeconds") == 0:
            return "force delete"
        whole = body.get("propagationPolicy") == "Foreground"
        return "restart group" if whole else "replace pod"
    return ""


def kind_of_lease_write(method, name, body):
    if name.startswith("troubles-") or keys.TROUBLES in str(body):
        return "remember troubles"
    if method == "DELETE":
        return "end hold"
    if keys.HOLD not in str(body):
        return ""
    leaves = '"state":"leaving"' in body["metadata"]["annotations"][keys.HOLD]
    return {"POST": "create hold", "PUT": "leave hold" if leaves else "replace hold"}[method]


def armed(real, kind, when):
    async def call(self, method, path, *, body=None, params=None, **more):
        hit = kind_of(method, path, body, params=params) == kind
        if hit and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return await real(self, method, path, body=body, params=params, **more)
        finally:
            if hit:
                os.kill(os.getpid(), signal.SIGKILL)

    return call


if __name__ == "__main__":
    kind, when = sys.argv[1:3]
    del sys.argv[1:3]
    Api._call = armed(Api._call, kind, when)
    main()
