"""An API server in memory, for tests of our own logic, with real semantics where they matter.

resourceVersions grow by one with every write; a write that carries an old one, or another UID, is
refused with 409; a bound pod is deleted gracefully, so it stays Terminating until `kubelet` is
told to finish it; a foreground deletion waits for the dependents; a watch tells every change after
its resourceVersion, in order, and loses none. Nothing happens by itself: controllers, scheduler,
kubelet and garbage collector are stepped by the test (`fake_cluster.py`).
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from lws_placement.engine.base.json_copy import json_copy
from lws_placement.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    NotFoundError,
)

FOREGROUND = "foregroundDeletion"
STARTED = "2026-01-01T00:00:00Z"

_WITH_GENERATION = ("leaderworkersets", "statefulsets")

_ERRORS = {404: NotFoundError, 409: ConflictError, 410: ExpiredError}


def refused(status, message, *, retry_after_s=0.0):
    kind = _ERRORS.get(status, ApiError)
    return kind(f"{status} {message}", status=status, retry_after_s=retry_after_s)


@dataclass
class Change:
    version: int
    kind: str
    obj: dict
    before: dict | None

    @cached_property
    def told(self):
        """What watches are told: a copy that they share, since nobody may change what he saw."""
        return json_copy(self.obj)


class Stream:
    """The changes of one resource, and what whoever has read them all waits for."""

    def __init__(self):
        self.changes = []
        self.more = asyncio.Event()

    def add(self, change):
        self.changes.append(change)
        self.more.set()
        self.more = asyncio.Event()


class FakeServer:
    """The objects, by resource and (namespace, name), and the streams that watches read."""

    def __init__(self):
        self.objects = {}
        self.version = 100
        self.compacted = 0
        self.streams = defaultdict(Stream)
        self.after_write = []
        self.end_of = lambda grace_s: STARTED
        """When the grace of a deletion that begins now ends."""
        self.knows_max_unavailable = True
        """Of StatefulSets: the feature gate, which is off before Kubernetes 1.37."""
        self._uids = 0

    # -- reading, for tests ----------------------------------------------------------------------

    def all(self, resource, *, labels=None):
        """The living objects, by name; not copies, so change them through `put` alone."""
        found = self.objects.get(resource, {})
        return [o for _, o in sorted(found.items()) if matches(o, labels)]

    def find(self, resource, name, namespace="ns"):
        return self.objects.get(resource, {}).get((namespace, name))

    # -- writing ---------------------------------------------------------------------------------

    def create(self, resource, obj, *, namespace=""):
        meta = {**obj["metadata"]}
        if namespace:
            meta["namespace"] = namespace
        key = (meta.get("namespace", ""), meta["name"])
        if key in self.objects.get(resource, {}):
            raise AlreadyExistsError(f"{resource} {key} already exists", status=409)
        if meta.get("resourceVersion"):
            raise refused(400, "resourceVersion should not be set on objects to be created")
        self._uids += 1
        meta |= {"uid": f"uid-{self._uids}", "creationTimestamp": STARTED}
        if resource in _WITH_GENERATION:
            meta["generation"] = 1
        return self._store(resource, key, {**obj, "metadata": meta}, "ADDED")

    def put(self, resource, obj):
        """What is stored from now on; the object's own resourceVersion, if any, must be current."""
        meta = {**obj["metadata"]}
        obj = {**obj, "metadata": meta}
        key = (meta.get("namespace", ""), meta["name"])
        old = self._known(resource, key)
        self._check(old, meta)
        for name in ("uid", "creationTimestamp", "deletionTimestamp", "generation"):
            if name in old["metadata"]:
                meta[name] = old["metadata"][name]
        if obj.get("spec") != old.get("spec") and "generation" in meta:
            meta["generation"] += 1
        if meta.get("deletionTimestamp") and not _must_stay(resource, obj):
            return self._remove(resource, key)
        if {**obj, "metadata": {**meta, "resourceVersion": ""}} == {
            **old,
            "metadata": {**old["metadata"], "resourceVersion": ""},
        }:
            return old
        return self._store(resource, key, obj, "MODIFIED")

    def delete(self, resource, key, *, options=None):
        options = options or {}
        obj = self._known(resource, key)
        self._check(obj, options.get("preconditions") or {})
        meta = {**obj["metadata"]}
        obj = {**obj, "metadata": meta}
        if options.get("propagationPolicy") == "Foreground":
            meta["finalizers"] = sorted({*meta.get("finalizers", ()), FOREGROUND})
        grace = options.get("gracePeriodSeconds", 30)
        if resource == "pods" and not obj["spec"].get("nodeName"):
            grace = 0  # nobody runs it
        first = "deletionTimestamp" not in meta
        if first:
            meta["deletionTimestamp"] = self.end_of(grace)
        if resource == "pods" and (first or grace == 0):
            meta["deletionGracePeriodSeconds"] = grace
        if not _must_stay(resource, obj):
            return self._remove(resource, key)
        return self._store(resource, key, obj, "MODIFIED") if first or grace == 0 else obj

    def compact(self):
        """Watches can no longer be resumed from before now."""
        self.compacted = self.version

    def _known(self, resource, key):
        found = self.objects.get(resource, {}).get(key)
        if found is None:
            raise refused(404, f"{resource} {key} not found")
        return found

    def _check(self, old, wanted):
        for field in ("uid", "resourceVersion"):
            has, asked = old["metadata"].get(field), wanted.get(field)
            if asked and asked != has:
                raise refused(409, f"{field} is {has}, not {asked}")

    def _store(self, resource, key, obj, kind):
        self.version += 1
        obj = json_copy(obj)
        if resource == "statefulsets" and not self.knows_max_unavailable:
            rolling = obj["spec"].get("updateStrategy", {}).get("rollingUpdate", {})
            rolling.pop("maxUnavailable", None)
        obj["metadata"]["resourceVersion"] = str(self.version)
        old = self.objects.setdefault(resource, {}).get(key)
        self.objects[resource][key] = obj
        self._tell(resource, kind, obj, old)
        return obj

    def _remove(self, resource, key):
        obj = self.objects[resource].pop(key)
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        self._tell(resource, "DELETED", obj, obj)
        return obj

    def _tell(self, resource, kind, obj, old):
        self.streams[resource].add(Change(self.version, kind, obj, old))
        for look in self.after_write:
            look()


def matches(obj, selector):
    """Selectors of the forms `key`, `key=value` and several of them with commas."""
    labels = obj["metadata"].get("labels") or {}
    for part in (selector or "").split(","):
        key, equals, value = part.partition("=")
        if key and (key not in labels or (equals and labels[key] != value)):
            return False
    return True


def _must_stay(resource, obj):
    """Is something still to be done before a deleted object may go?"""
    meta = obj["metadata"]
    return bool(meta.get("finalizers")) or (
        resource == "pods" and meta.get("deletionGracePeriodSeconds", 0) > 0
    )
