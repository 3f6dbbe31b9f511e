"""The kinds of writes that planner, controller and extender make, told apart by what each call
says.

Every test that kills at writes names them by this: in memory (`fakes.py`) and on the real API
server (`e2e/killable.py`). A write of no known kind is an error there, so that a new one cannot be
forgotten; and `test_write_kinds.py` asks of each kind that it is killed at on the real one.
"""

import json
from enum import StrEnum

from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.engine.base import keys


class Kind(StrEnum):
    CREATE_HOLD = "create hold"
    CREATE_PART = "create part of a promise"
    ANNOUNCE_HOLD = "announce hold"
    """Others are to be evicted for it."""
    REPLACE_HOLD = "replace hold"
    LEAVE_HOLD = "leave hold"
    END_HOLD = "end hold"
    REMEMBER_TROUBLES = "remember troubles"
    FORGET_TROUBLES = "forget troubles"
    PIN_POD = "pin pod"
    RELEASE_POD = "release pod"
    WAKE_POD = "wake pod"
    WRITE_CONDITION = "write condition"
    SAY_NO_ROOM = "say that there is no room"
    REPLACE_POD = "replace pod"
    RESTART_GROUP = "restart group"
    FORCE_DELETE = "force delete"
    EVICT_POD = "evict pod"
    BIND_POD = "bind pod"
    REQUEST_NODE = "request node"
    """A placeholder pod."""
    END_REQUEST = "end request"
    NOTE_ANSWER = "note answer"
    """Of a cluster autoscaler, on a placeholder."""
    CREATE_TEMPLATE = "create template"
    """Of the pods of a ProvisioningRequest."""
    CREATE_PROVISIONING = "create provisioning request"
    DELETE_TEMPLATE = "delete template"
    DELETE_PROVISIONING = "delete provisioning request"
    KEEP_NODE = "keep node"
    """From a cluster autoscaler."""
    LET_NODE_GO = "let node go"
    ANSWER_CHECK = "answer admission check"
    """Of a Workload of Kueue."""
    ACTIVATE_CHECK = "activate admission check"
    CREATE_REVISION = "create revision"
    SET_ASIDE = "set revision aside"
    DELETE_REVISION = "delete revision"
    TRIM_HISTORY = "trim history"
    APPLY_LEADER_SET = "apply leader set"
    NOTE_RESTART = "note restart"
    CREATE_WORKERS = "create workers"
    CREATE_SERVICE = "create service"
    WRITE_STATUS = "write status"
    TELL = "tell"
    """An Event."""


PLACEHOLDER = "scale-up-"
"""How their names begin."""


class UnknownWriteError(Exception):
    pass


def kind_of(method, path, body, *, params=None):
    """None for what is no write, and for those of other parts: who leads, certificates."""
    if method == "GET" or "dryRun" in (params or {}):
        return None
    parts = path.split("/")
    name = parts[-1]
    if name == LEADER_LEASE or "secrets" in parts:
        return None
    if path.startswith("/apis/admissionregistration.k8s.io/"):
        return None
    for resource, kind_of_it in _OF.items():
        if resource in parts:
            kind = kind_of_it(method, name, body or {})
            if kind is not None:
                return kind
    if _leads(body):
        return None
    raise UnknownWriteError(f"{method} {path} {json.dumps(body)[:500]}: of no kind")


def _leads(body):
    return (body or {}).get("metadata", {}).get("name") == LEADER_LEASE


def _of_lease(method, name, body):
    if method == "DELETE":
        return Kind.FORGET_TROUBLES if name.startswith("troubles-") else Kind.END_HOLD
    notes = body["metadata"].get("annotations", {})
    if keys.TROUBLES in notes:
        return Kind.REMEMBER_TROUBLES
    if keys.HOLD not in notes:
        return None
    holders = json.loads(notes[keys.HOLD])["holders"]
    states = {holder["state"] for holder in holders}
    if "leaving" in states:
        return Kind.LEAVE_HOLD
    if "coming" in states:
        return Kind.ANNOUNCE_HOLD
    if method == "PUT":
        return Kind.REPLACE_HOLD
    return Kind.CREATE_PART if holders[0]["parts"] > 1 else Kind.CREATE_HOLD


def _of_pod(method, name, body):
    if name == "eviction":
        return Kind.EVICT_POD
    if name == "binding":
        return Kind.BIND_POD
    if method == "POST":
        return Kind.REQUEST_NODE
    if method == "DELETE":
        if name.startswith(PLACEHOLDER):
            return Kind.END_REQUEST
        if body.get("gracePeriodSeconds") == 0:
            return Kind.FORCE_DELETE
        whole = body.get("propagationPolicy") == "Foreground"
        return Kind.RESTART_GROUP if whole else Kind.REPLACE_POD
    notes = body["metadata"].get("annotations", {})
    by_note = {
        keys.SCALE_UP_ANSWER: Kind.NOTE_ANSWER,
        keys.RELEASED: Kind.RELEASE_POD,
        keys.PINNED_NODE: Kind.PIN_POD,
        keys.WOKEN: Kind.WAKE_POD,
        keys.NO_ROOM: Kind.SAY_NO_ROOM,
        keys.CONDITION: Kind.WRITE_CONDITION,  # which the first two take away
    }
    return next((kind for note, kind in by_note.items() if note in notes), None)


def _of_template(method, name, body):
    return Kind.DELETE_TEMPLATE if method == "DELETE" else Kind.CREATE_TEMPLATE


def _of_provisioning(method, name, body):
    return Kind.DELETE_PROVISIONING if method == "DELETE" else Kind.CREATE_PROVISIONING


def _of_node(method, name, body):
    return Kind.KEEP_NODE if body["metadata"]["annotations"][keys.KEPT] else Kind.LET_NODE_GO


def _of_revision(method, name, body):
    if method == "DELETE":
        return Kind.TRIM_HISTORY if "-history-" in name else Kind.DELETE_REVISION
    aside = keys.HISTORY_OF in body["metadata"]["labels"]
    return Kind.SET_ASIDE if aside else Kind.CREATE_REVISION


def _of_set(method, name, body):
    if method == "POST":
        return Kind.CREATE_WORKERS
    return Kind.APPLY_LEADER_SET if "spec" in body else Kind.NOTE_RESTART


_OF = {
    "leases": _of_lease,
    "pods": _of_pod,
    "nodes": _of_node,
    "podtemplates": _of_template,
    "workloads": lambda method, name, body: Kind.ANSWER_CHECK,
    "admissionchecks": lambda method, name, body: Kind.ACTIVATE_CHECK,
    "provisioningrequests": _of_provisioning,
    "controllerrevisions": _of_revision,
    "statefulsets": _of_set,
    "services": lambda method, name, body: Kind.CREATE_SERVICE,
    "leaderworkersets": lambda method, name, body: Kind.WRITE_STATUS,
    "events": lambda method, name, body: Kind.TELL,
}
