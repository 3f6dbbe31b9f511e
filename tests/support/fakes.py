"""One process's client of the API server in memory (`fake_server.py`).

It can be made to stop at its n-th write, as a process does that is killed there: before the write
took effect or after it, and it never gets an answer. It can also be answered with an error, lose an
answer, or have its watches stand still. Every write must be of a kind that is known
(`write_kinds.py`).
"""

import asyncio
from contextlib import suppress

from support.fake_server import matches, refused
from support.write_kinds import kind_of

from lws_placement.cluster.api.client import APPLY_PATCH, MERGE_PATCH
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.errors import ApiError


class FakeApi:
    """One process's client: the interface of `cluster.api.client.Api`."""

    def __init__(self, server):
        self.server = server
        self.writes = []
        self.kinds = set()
        self.lists = []
        self.dead = asyncio.Event()
        self.watching = asyncio.Event()
        self.watching.set()
        self._at = {}

    # -- what tests ask for ----------------------------------------------------------------------

    def stop_at(self, number, *, took_effect):
        """As if killed at the `number`-th write (from 0): nothing it asks is answered any more."""
        self._at[number] = (None, took_effect)

    def answer_at(self, number, status, *, took_effect=False):
        """Answer the `number`-th write with this error; status 0: there is no answer."""
        self._at[number] = (status, took_effect)

    # -- Api -------------------------------------------------------------------------------------

    async def get(self, path, *, params=None):
        await self._alive()
        resource, key, _ = parse(path)
        return json_copy(self.server._known(resource, key))

    async def list(self, path, **params):
        await self._alive()
        resource, (namespace, _), _ = parse(path)
        self.lists.append((resource, params))
        items = [
            json_copy(o)
            for o in self.server.all(resource, labels=params.get("labelSelector"))
            if not namespace or o["metadata"].get("namespace") == namespace
            if has_field(o, params.get("fieldSelector"))
        ]
        return {"items": items, "metadata": {"resourceVersion": str(self.server.version)}}

    async def pages(self, path, **params):
        page = await self.list(path, **params)
        yield page["items"], page["metadata"]["resourceVersion"]

    async def list_all(self, path, **params):
        (page,) = [page async for page in self.pages(path, **params)]
        return page

    async def create(self, path, body, *, params=None):
        self._note("POST", path, body, params=params)
        resource, key, sub = parse(path)
        if sub == "binding":
            return await self._write("bind", resource, lambda: self._bind(key, body))
        if sub == "eviction":
            if (params or {}).get("dryRun"):
                await self._alive()
                return self._evict(key, body, dry_run=True)
            return await self._write("evict", resource, lambda: self._evict(key, body))
        return await self._write(
            "create", resource, lambda: self.server.create(resource, body, namespace=key[0])
        )

    async def replace(self, path, body, *, params=None):
        self._note("PUT", path, body, params=params)
        resource, key, sub = parse(path)
        if (params or {}).get("dryRun"):
            return body
        if sub == "status":
            return await self._write(
                "replace status", resource, lambda: self._put_status(resource, key, body)
            )
        return await self._write("replace", resource, lambda: self.server.put(resource, body))

    async def patch(self, path, body, *, content_type=MERGE_PATCH, params=None):
        assert content_type in (MERGE_PATCH, APPLY_PATCH), f"{content_type} is not simulated"
        self._note("PATCH", path, body, params=params)
        resource, key, _ = parse(path)
        if content_type == APPLY_PATCH:
            return await self._write("apply", resource, lambda: self._apply(resource, key, body))
        return await self._write("patch", resource, lambda: self._patch(resource, key, body))

    async def delete(self, path, options=None):
        self._note("DELETE", path, options)
        resource, key, _ = parse(path)
        return await self._write(
            "delete", resource, lambda: self.server.delete(resource, key, options=options)
        )

    async def watch(self, path, **params):
        await self._alive()
        resource, (namespace, _), _ = parse(path)
        selector, since = params.get("labelSelector"), int(params["resourceVersion"])
        if since < self.server.compacted:
            raise refused(410, "too old resource version")
        stream = self.server.streams[resource]
        place = 0
        while True:
            await self.watching.wait()
            await self._alive()
            more = stream.more
            while place < len(stream.changes):
                change = stream.changes[place]
                place += 1
                if change.version <= since:
                    continue
                if namespace and change.obj["metadata"].get("namespace") != namespace:
                    continue
                seen = _as_selected(change, selector)
                if seen is not None:
                    yield {"type": seen, "object": change.told}
            await more.wait()

    # -- inside ----------------------------------------------------------------------------------

    def _note(self, method, path, body, *, params=None):
        kind = kind_of(method, path, body, params=params)
        if kind is not None:
            self.kinds.add(kind)

    async def _alive(self):
        await asyncio.sleep(0)
        if self.dead.is_set():
            await asyncio.Event().wait()

    async def _write(self, verb, resource, effect):
        await self._alive()
        if resource == "events":
            return json_copy(effect())  # not ours to remember
        number = len(self.writes)
        self.writes.append((verb, resource))
        if number not in self._at:
            return json_copy(effect())
        status, took_effect = self._at[number]
        if took_effect:
            with suppress(ApiError):
                effect()
        if status is None:
            self.dead.set()
            await self._alive()
        raise refused(status, "as the test wants it")

    def _bind(self, key, body):
        pod = json_copy(self.server._known("pods", key))
        self.server._check(pod, {"uid": body["metadata"].get("uid")})
        if pod["metadata"].get("deletionTimestamp") or pod["spec"].get("nodeName"):
            raise refused(409, f"pod {key} is being deleted or is assigned already")
        if pod["spec"].get("schedulingGates"):
            raise refused(409, f"pod {key} has scheduling gates")
        pod["spec"]["nodeName"] = body["target"]["name"]
        pod["status"] = {"phase": "Pending", "conditions": []}
        return self.server.put("pods", pod)

    def _evict(self, key, body, *, dry_run=False):
        """Budgets select by matchLabels here, and count a disruption for every running pod."""
        pod = self.server._known("pods", key)
        self.server._check(pod, body["deleteOptions"].get("preconditions") or {})
        going = pod["metadata"].get("deletionTimestamp")
        covering = [] if going or pod["status"].get("phase") != "Running" else self._budgets(pod)
        if len(covering) > 1:
            raise refused(500, "This pod has more than one PodDisruptionBudget")
        for budget in covering:
            if budget["status"]["disruptionsAllowed"] < 1:
                raise refused(429, "Cannot evict pod as it would violate its disruption budget")
            if not dry_run:
                left = budget["status"]["disruptionsAllowed"] - 1
                status = {**budget["status"], "disruptionsAllowed": left}
                self.server.put("poddisruptionbudgets", {**budget, "status": status})
        if not dry_run:
            self.server.delete("pods", key, options=body["deleteOptions"])
        return {}

    def _budgets(self, pod):
        labels = pod["metadata"].get("labels") or {}
        return [
            b
            for b in self.server.all("poddisruptionbudgets")
            if b["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and b["spec"]["selector"]["matchLabels"].items() <= labels.items()
        ]

    def _put_status(self, resource, key, body):
        old = self.server._known(resource, key)
        self.server._check(old, body["metadata"])
        return self.server.put(resource, {**old, "status": body["status"]})

    def _apply(self, resource, key, body):
        """Server-side apply by the one who owns all of metadata's maps and of the spec."""
        old = self.server.objects.get(resource, {}).get(key)
        if old is None:
            return self.server.create(resource, body, namespace=key[0])
        self.server._check(old, body["metadata"])
        version = old["metadata"]["resourceVersion"]
        meta = {**old["metadata"], **body["metadata"], "resourceVersion": version}
        return self.server.put(resource, {**old, **body, "metadata": meta})

    def _patch(self, resource, key, body):
        old = self.server._known(resource, key)
        new = merged(old, body)
        self.server._check(old, body.get("metadata") or {})
        if resource == "pods":
            _check_pod_update(old["spec"], new["spec"])
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return self.server.put(resource, new)


def parse(path):
    """`/apis/apps/v1/namespaces/ns/statefulsets/x` -> (resource, (namespace, name), subresource)"""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    name, sub = [*parts[1:], "", ""][:2]
    return parts[0], (namespace, name), sub


def has_field(obj, selector):
    """A selector of the form `field.of.it=value,another=value`."""
    return all(_is_at(obj, term) for term in (selector or "").split(",") if term)


def _is_at(obj, term):
    path, _, value = term.partition("=")
    for name in path.split("."):
        obj = obj.get(name, {})
    return obj == value


def merged(old, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return json_copy(patch)
    result = json_copy(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def _as_selected(change, selector):
    """How a watch with a selector sees the change; None if not at all."""
    if not selector:
        return change.kind
    kind, old = change.kind, change.before
    before, after = old is not None and matches(old, selector), matches(change.obj, selector)
    if kind == "DELETED":
        return kind if after else None
    if after:
        return kind if before or kind == "ADDED" else "ADDED"
    return "DELETED" if before else None


def _check_pod_update(old, new):
    """What the API server lets one change of a pod's spec (KEP-3838)."""
    before = {g["name"] for g in old.get("schedulingGates") or ()}
    after = {g["name"] for g in new.get("schedulingGates") or ()}
    if not after <= before:
        raise refused(422, "spec.schedulingGates: only deletion is allowed")
    if not before and old.get("affinity") != new.get("affinity"):
        raise refused(422, "spec.affinity: may not be changed once the last gate is gone")
