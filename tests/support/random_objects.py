"""Objects of the types that a real API server has (`api_types.py`), as unfriendly as it accepts
them or worse, from a seed.

Names, keys and UIDs come from small pools, so that objects refer to each other: pods are members,
nodes are in domains, volumes are claimed. Everything else is drawn from what has ever been trouble
somewhere: numbers at the edges of their types, quantities of any size, text of any script, lists of
a thousand.
"""

import json
import random
import re

from support.api_types import FILE

from lws_placement.engine.base import keys

KEYS = ("rack", "zone", "kubernetes.io/hostname", "never.example.com/seen")
NODES = tuple(f"n{i}" for i in range(8))
SETS = ("llm", "m", "a-b")
NAMESPACES = ("ns", "default")
_CHIP = "google.com/tpu"

_TEXTS = (
    "",
    " ",
    "0",
    "1",
    "-1",
    "true",
    "null",
    "١٢",
    "9" * 400,
    "a" * 2000,
    "\x00\x1b[2J\n",
    "\ud7ff\U0001f4a9\u202e",
    "../../x?watch=1#",
    "%2e%2e%2f",
    "{}",
    '{"a":',
    "1e999999",
    "NaN",
    "x/y/z",
    "a=b,c!=d",
    "2026-13-45T99:00:00Z",
)
_NUMBERS = (0, 1, 2, 3, 4, 8, -1, 100, 65535, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
_QUANTITIES = (
    "0", "1", "2", "4", "500m", "1Gi", "1.5", "-1", "1e3", "100E", "1e-9", "0.0000000001", "1n",
    "9223372036854775807", "99999999999999999999999999", "1e999", "1e9999999", "12e200000", "-0",
    "8Ei", ".5", "+1", "5u", "0.1Ki",
)  # fmt: skip
_TIMES = ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")

_POOLS = {
    "name": (*NODES, *SETS, "llm-0", "llm-0-1", "m-1", "c", "v", _CHIP, keys.GATE),
    "namespace": NAMESPACES,
    "nodeName": NODES,
    "topologyKey": KEYS,
    "topologyKeys": KEYS,
    "key": (*KEYS, "app", keys.LWS_NAME, "metadata.name", "node.kubernetes.io/unschedulable"),
    "operator": ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Equal"),
    "values": (*NODES, *SETS, "r0", "r1"),
    "effect": ("NoSchedule", "NoExecute", "PreferNoSchedule"),
    "type": ("Ready", "PodScheduled", "PodReadyToStartContainers", "Pod", "Container"),
    "status": ("True", "False", "Unknown"),
    "reason": ("Unschedulable", "SchedulingGated"),
    "phase": ("Pending", "Running", "Succeeded", "Failed", "Bound"),
    "kind": ("StatefulSet", "Pod", "ReplicaSet", "Job", "DaemonSet", "LeaderWorkerSet", "Node"),
    "apiVersion": ("apps/v1", "v1", "leaderworkerset.x-k8s.io/v1", "batch/v1"),
    "schedulerName": ("default-scheduler", "", "other", keys.SECOND_SCHEDULER),
    "runtimeClassName": SETS,
    "storageClassName": SETS,
    "volumeName": SETS,
    "claimName": SETS,
    "driver": ("csi.example.com", "ebs.csi.aws.com"),
    "whenUnsatisfiable": ("DoNotSchedule", "ScheduleAnyway"),
    "preemptionPolicy": ("Never", "PreemptLowerPriority"),
    "restartPolicy": ("Always", "Never", "OnFailure"),
}  # fmt: skip
_SMALL = {"size": 5, "replicas": 4, "subGroupSize": 4, "maxSkew": 3, "minDomains": 3}
_LABELS = {
    keys.LWS_NAME: SETS,
    keys.LWS_REVISION: ("r", "s"),
    keys.LWS_WORKER_INDEX: ("0", "1", "2", "3", "-1", "007", "9" * 60, "x"),
    keys.LWS_GROUP_INDEX: ("0", "1", "2", "00", "9" * 60, "hash"),
    keys.LWS_GROUP_KEY: ("k0", "k1", "k2"),
    keys.LWS_SUBGROUP_INDEX: ("0", "1", "x"),
    keys.LWS_SUBGROUP_KEY: ("s0", "s1"),
    keys.GROUP: SETS,
    keys.HOLD_LABEL: ("hold", "troubles"),
    keys.HISTORY_OF: SETS,
    "app": SETS,
    "rack": ("r0", "r1", "r2"),
    "zone": ("z0", "z1"),
    "kubernetes.io/hostname": NODES,
}
_ANNOTATIONS = {
    **dict.fromkeys(
        (
            keys.LWS_EXCLUSIVE_TOPOLOGY,
            keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY,
            keys.WITHIN_TOPOLOGY,
            keys.PREFER_TOPOLOGY,
            keys.GROUP_TOPOLOGY,
        ),
        KEYS,
    ),
    **dict.fromkeys(
        (keys.LWS_SIZE, keys.GROUP_SIZE, keys.LWS_SUBGROUP_SIZE, keys.LWS_REPLICAS, keys.SLOT),
        ("1", "2", "3", "4", "64", "2000000000"),
    ),
    keys.LWS_LEADER_NAME: ("llm-0", "m-1"),
    keys.LWS_LEADER_ADDRESS: ("a.b.c",),
    keys.LWS_SUBGROUP_POLICY_TYPE: ("LeaderWorker", "LeaderExcluded"),
    keys.LWS_SUBDOMAIN_POLICY: ("UniquePerReplica", "Shared"),
    keys.LWS_LEADER_REQUESTS_TPUS: ("true",),
    keys.LWS_RECREATE_AFTER_START: ("",),
    keys.SCOPE: ("Cluster", "Namespace", "LeaderWorkerSet"),
    keys.GANG: ("true", "false"),
    keys.MANAGED: ("true", "false"),
    keys.ADMITTED: ("gated", "pinned", "foreign"),
    keys.LWS_UID: ("uid-1",),
    keys.OWNER_UID: ("uid-1",),
    keys.PINNED_NODE: NODES,
    keys.PLAN: ("p",),
    keys.RELEASED: ("true",),
    keys.NO_ROOM: ("waits",),
    keys.CONDITION: ('{"reason":"WaitingForDomain"}',),
    keys.RESTART_BUDGET: ("0", "3", "1e9"),
    keys.RESTART_BACKOFF_SECONDS: ("0", "10", "1e308"),
    keys.RESTARTS: ("{}", '{"0": {"times": 1}}', "[]"),
    keys.HOLD: ("{}", '{"version": 1, "holders": [{}]}', '{"version": 99}'),
    keys.TROUBLES: ("{}", '{"version": 1, "failures": []}'),
}
_RESOURCES = ("cpu", "memory", "pods", "ephemeral-storage", "hugepages-2Mi", keys.MEMBER_MARKER)
_POD_NAME = re.compile(r"(.+)-(\d)(?:-(\d))?")
_MOST_VALUES = 250
"""Of one object, after which only what is required follows."""


class RandomObjects:
    """`uids`: those that owners are referred to by; give it the list of what exists."""

    def __init__(self, rng, *, uids=("uid-1",)):
        self.rng = rng
        self.uids = uids
        self._types = json.loads(FILE.read_text())
        self._left = 0

    def make(self, kind, name, *, namespace=""):
        """An object of a kind, as the API server would have it named."""
        self._left = _MOST_VALUES
        obj = self._object(kind, 0)
        spec = self._types[kind].get("spec")
        if spec and "spec" not in obj:
            obj["spec"] = self._object(spec, 1)
        meta = obj.setdefault("metadata", {})
        for given in ("resourceVersion", "uid", "generateName", "deletionTimestamp", "selfLink"):
            meta.pop(given, None)
        meta |= {"name": name} | ({"namespace": namespace} if namespace else {})
        if not namespace:
            meta.pop("namespace", None)
        return obj

    def tame(self, kind, obj):
        """`obj` with the parts that placement reads as a well-meaning user has them, so that
        something is placed.
        """
        meta, spec, rng = obj["metadata"], obj.setdefault("spec", {}), self.rng
        container = {"name": "c", "image": "x", "resources": {"limits": {_CHIP: "4"}}}
        labels = meta.setdefault("labels", {})
        match kind:
            case "Node":
                meta["labels"] = {"rack": rng.choice(("r0", "r1")), "zone": "z0"}
                ready = [{"type": "Ready", "status": "True"}]
                room = {"cpu": "64", "pods": "110", _CHIP: "4"}
                obj |= {"spec": {}, "status": {"allocatable": room, "conditions": ready}}
            case "LeaderWorkerSet":
                meta["annotations"] = {keys.LWS_EXCLUSIVE_TOPOLOGY: "rack"}
                template = {"size": 2, "workerTemplate": {"spec": {"containers": [container]}}}
                obj["spec"] = {**spec, "replicas": 1, "leaderWorkerTemplate": template}
                obj["spec"].pop("rolloutStrategy", None)
            case "Pod":
                for part in ("affinity", "nodeSelector", "topologySpreadConstraints", "volumes"):
                    spec.pop(part, None)
                for part in ("overhead", "resources", "initContainers", "nodeName"):
                    spec.pop(part, None)
                spec |= {"containers": [container], "schedulingGates": [{"name": keys.GATE}]}
                lws, group, rank = _POD_NAME.fullmatch(meta["name"]).groups("0")
                labels |= {keys.LWS_NAME: lws, keys.LWS_REVISION: "r", keys.LWS_WORKER_INDEX: rank}
                labels |= {keys.LWS_GROUP_INDEX: group, keys.LWS_GROUP_KEY: f"{lws}-{group}"}
                labels.pop(keys.GROUP, None)
                notes = {keys.LWS_SIZE: "2", keys.LWS_EXCLUSIVE_TOPOLOGY: "rack"}
                meta |= {"labels": labels, "annotations": notes}
        return obj

    # -- inside ----------------------------------------------------------------------------------

    def _object(self, type_, depth):
        fields, made = self._types[type_], {}
        ease = 0.9 if depth < 2 else 0.5 if depth < 4 else 0.25
        for field, inner in self.rng.sample(sorted(fields.items()), len(fields)):
            required = field.endswith("!")
            if required or (self._left > 0 and self.rng.random() < ease):
                name = field.rstrip("!")
                made[name] = self._value(inner, name, depth + 1)
        return made

    def _value(self, type_, field, depth):
        self._left -= 1
        rng = self.rng
        if type_.startswith("["):
            return self._list(type_[1:-1], field, depth)
        if type_.startswith("{"):
            return self._map(type_[1:-1], field, depth)
        if type_ in self._types:
            return self._object(type_, depth) if depth < 12 else {}
        if "|" in type_:
            return rng.choice(type_.split("|"))
        match type_:
            case "string" | "bytes":
                return self._text(field)
            case "integer":
                most = _SMALL.get(field)
                if most and rng.random() < 0.7:
                    return rng.randrange(1, most)
                return rng.choice(_NUMBERS)
            case "number":
                return rng.choice((0.0, 1.5, -1e308, 1e308))
            case "boolean":
                return rng.random() < 0.5
            case "date-time":
                return rng.choice(_TIMES)
            case "quantity":
                return rng.choice(_QUANTITIES)
            case "int-or-string":
                return rng.choice((*_NUMBERS, "50%", "-5%", "1000%", *_QUANTITIES, *_TEXTS))
            case "any":
                return self._anything(3)
        return type_  # an enumeration of one

    def _text(self, field):
        if field == "uid":
            return self.rng.choice(self.uids or ("uid-1",))
        pool = _POOLS.get(field)
        if pool and self.rng.random() < 0.85:
            return self.rng.choice(pool)
        return self.rng.choice(_TEXTS)

    def _list(self, type_, field, depth):
        number = self.rng.choice((0, 1, 1, 1, 2, 3)) if self._left > 0 else 0
        if field in ("containers", "webhooks"):
            number = max(number, 1)
        made = [self._value(type_, field, depth) for _ in range(number)]
        if made and self.rng.random() < 0.0005:
            return made * (1000 // len(made))
        return made

    def _map(self, type_, field, depth):
        match field:
            case "labels" | "matchLabels" | "nodeSelector":
                return self._some(_LABELS, hostile=0.0)
            case "annotations":
                return self._some(_ANNOTATIONS, hostile=0.3)
            case "requests" | "limits" | "allocatable" | "capacity" | "overhead" | "podFixed":
                names = self.rng.sample((_CHIP, *_RESOURCES), self.rng.randrange(5))
                return {name: self.rng.choice(_QUANTITIES) for name in names}
        number = self.rng.randrange(3)
        return {self._text("key"): self._value(type_, field, depth) for _ in range(number)}

    def _some(self, pools, *, hostile):
        rng = self.rng
        chosen = rng.sample(sorted(pools), rng.randrange(1 + len(pools) // 2))
        return {key: rng.choice(_TEXTS if rng.random() < hostile else pools[key]) for key in chosen}

    def _anything(self, depth):
        rng = self.rng
        match rng.randrange(6 if depth else 4):
            case 0:
                return rng.choice(_TEXTS)
            case 1:
                return rng.choice((*_NUMBERS, 1.5, 2**70))
            case 2:
                return rng.choice((None, True, False))
            case 3:
                return rng.choice(SETS)
            case 4:
                return [self._anything(depth - 1) for _ in range(rng.randrange(3))]
        return {self._text("key"): self._anything(depth - 1) for _ in range(rng.randrange(3))}

    def spoilt(self, value):
        """`value` with one thing in it that has another type, or is gone."""
        at = value
        while True:
            inner = list(at) if isinstance(at, dict) else range(len(at))
            if not inner:
                return value
            key = self.rng.choice(inner)
            if isinstance(at[key], dict | list) and at[key] and self.rng.random() < 0.8:
                at = at[key]
            elif isinstance(at, dict) and self.rng.random() < 0.3:
                del at[key]
                return value
            else:
                at[key] = self._anything(2)
                return value


def seeded(seed, **more):
    return RandomObjects(random.Random(seed), **more)
