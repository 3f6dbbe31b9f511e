"""When the faults stop: what can be whole becomes whole, and what is deleted leaves nothing."""

import time

from e2e.resources import path_of
from e2e.stack import LWS
from soak.client import Client, UnreachableError
from soak.facts import FORGED
from soak.stage import DOMAINS

from lws_placement.localcluster.install import NAMESPACE

_PATIENCE_S = 300.0
"""Far more than it takes, on a machine that does other work, too."""
_PATCH = "application/merge-patch+json"


class Calm:
    def __init__(self, stage, tenants, figures):
        self._client = Client(stage.cluster)
        self._honest = [t.namespace for t in tenants if not t.hostile]
        self._hostile = [t.namespace for t in tenants if t.hostile]
        self._figures = figures

    def become_whole(self, meanwhile):
        """The tenants are silent, and no program is hurt. Raises AssertionError."""
        begun = time.monotonic()
        for namespace in self._hostile:
            self._delete("lws", namespace)
        self._delete_foreign()
        sets = self._insist(self._fitting_sets)
        self._wait(lambda: self._lacking(sets), meanwhile)
        self._figures.took("until all groups that fit were whole", time.monotonic() - begun)
        self._figures.count("times that all was whole")
        self._figures.count("groups whole", sum(replicas for replicas, _ in sets.values()))

    def become_empty(self, meanwhile):
        """Raises AssertionError."""
        for namespace in (*self._honest, *self._hostile):
            self._delete("lws", namespace)
        self._delete_foreign()
        self._wait(self._left_over, meanwhile)

    # -- inside ----------------------------------------------------------------------------------

    def _fitting_sets(self):
        """(namespace, name) -> (groups, members of each); as many groups as there are domains."""
        found = [lws for n in self._honest for lws in self._client.items(path_of("lws", n))]
        room, sets = DOMAINS, {}
        for number, lws in enumerate(found, start=1):
            namespace, name = lws["metadata"]["namespace"], lws["metadata"]["name"]
            wanted = lws["spec"]["replicas"] if number < len(found) else room
            kept = min(wanted, room)
            room -= kept
            self._patch(path_of("lws", namespace, name), {"spec": {"replicas": kept}})
            sets[namespace, name] = kept, lws["spec"]["leaderWorkerTemplate"]["size"]
        return sets

    def _lacking(self, sets):
        """What is not as it should be, in words."""
        pods = [p for n in self._honest for p in self._client.items(path_of("pods", n))]
        there = {}
        for pod in pods:
            meta, labels = pod["metadata"], pod["metadata"].get("labels") or {}
            settled = bool(pod["spec"].get("nodeName")) and "deletionTimestamp" not in meta
            key = meta["namespace"], labels.get(f"{LWS}/name")
            there.setdefault(key, []).append(settled)
        lacking = [
            f"{key}: {sum(there.get(key, []))} of {len(there.get(key, []))} pods are bound, "
            f"{replicas * size} are wanted"
            for key, (replicas, size) in sets.items()
            if there.get(key, []) != [True] * (replicas * size)
        ]
        lacking += [f"{key} should be gone" for key in there if key not in sets]
        strangers = [p for n in self._hostile for p in self._client.items(path_of("pods", n))]
        for pod in strangers:
            if not pod["metadata"].get("ownerReferences"):  # relabelled: its owner let it go
                self._delete("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        lacking += [f"{p['metadata']['name']} should be gone" for p in strangers]
        held, groups = len(self._holds()), sum(replicas for replicas, _ in sets.values())
        return lacking + ([f"{held} holds of {groups} groups"] if held != groups else [])

    def _left_over(self):
        namespaces = (*self._honest, *self._hostile)
        pods = [p for n in namespaces for p in self._client.items(path_of("pods", n))]
        return [o["metadata"]["name"] for o in (*pods, *self._holds())]

    def _holds(self):
        path = path_of("leases", NAMESPACE)
        return self._client.items(path, labelSelector="lws-placement.dev/kind=hold")

    def _delete(self, kind, namespace, name="", **params):
        path = path_of(kind, namespace, name)
        params["propagationPolicy"] = "Background"
        self._insist(lambda: self._client.ask("DELETE", path, **params))

    def _delete_foreign(self):
        for namespace in (*self._honest, *self._hostile):
            self._delete("pods", namespace, labelSelector=f"!{LWS}/name", gracePeriodSeconds=0)
            self._delete("pods", namespace, labelSelector=FORGED, gracePeriodSeconds=0)

    def _patch(self, path, body):
        status, found = self._client.ask("PATCH", path, body, kind=_PATCH)
        if status >= 500:
            raise UnreachableError(found)
        assert status == 200, found

    def _insist(self, ask):
        """The API server may be busy with what was broken off."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return ask()
            except UnreachableError:
                if time.monotonic() > until:
                    raise

    def _wait(self, lacks, meanwhile):
        until = time.monotonic() + _PATIENCE_S
        while lacking := self._insist(lacks):
            meanwhile()
            assert time.monotonic() < until, "\n".join(lacking)
            time.sleep(0.2)
