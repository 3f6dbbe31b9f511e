"""Raw objects of a large cluster, as the API server would show them: nodes in domains of four, and
pods that look like real ones."""

KEY = "topology.example.com/slice"
CHIPS = "google.com/tpu"
PER_DOMAIN = 4
NAMESPACE = "default"


def node_name(i):
    return f"gke-cluster-a-tpu-pool-{i // PER_DOMAIN:05}-{i:05}"


def domain_value(i):
    return f"slice-{i // PER_DOMAIN:05}"


def a_node(i):
    room = {
        "cpu": "64",
        "memory": "263170900Ki",
        "pods": "110",
        "ephemeral-storage": "104857600Ki",
        CHIPS: "4",
    }
    name = node_name(i)
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "ct5lp-hightpu-4t",
        "topology.kubernetes.io/region": "europe-west4",
        "topology.kubernetes.io/zone": "europe-west4-b",
        KEY: domain_value(i),
    }
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {"capacity": room, "allocatable": room, "conditions": [condition]},
    }


def a_filler(i, node):
    """A pod of somebody else, bound where it was created; two containers, as is usual."""
    app = f"app-{i % 400:03}"
    env = [{"name": f"SETTING_{n}", "value": f"value-{n}-of-{app}"} for n in range(12)]
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{app}-{i:06}",
            "namespace": NAMESPACE,
            "labels": {"app": app, "team": f"team-{i % 40:02}", "bench": "filler"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        },
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"key": CHIPS, "operator": "Exists", "effect": "NoSchedule"}],
            "containers": [
                {
                    "name": "main",
                    "image": f"registry.example.com/{app}:1.2.3",
                    "env": env,
                    "ports": [{"containerPort": 8080}],
                    "readinessProbe": probe,
                    "livenessProbe": probe,
                    "resources": {"requests": {"cpu": f"{100 + i % 7 * 50}m", "memory": "128Mi"}},
                },
                {
                    "name": "proxy",
                    "image": "registry.example.com/proxy:4.5.6",
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
                },
            ],
        },
    }


ASKS = {"leaderworkerset.sigs.k8s.io/exclusive-topology": KEY}
SEVERAL = {
    "gangs": {"lws-placement.dev/gang": "true"},
    "groups of a region": ASKS
    | {"lws-placement.dev/within-topology": "topology.kubernetes.io/zone"},
    "groups of two subgroups": {
        "leaderworkerset.sigs.k8s.io/subgroup-exclusive-topology": KEY,
        "leaderworkerset.sigs.k8s.io/subgroup-size": "2",
    },
}
"""Annotations of groups that are not asked about domain by domain."""


_OF_BENCH = {"labelSelector": {"matchLabels": {"app": "bench"}}}
APART = {
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            **_OF_BENCH,
        }
    ],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", **_OF_BENCH}
            ]
        }
    },
}
"""Rules of members about each other and about the members of all other groups."""


def domains_of(asks):
    """How many domains such a group has."""
    return 2 if asks is SEVERAL["groups of two subgroups"] else 1


def a_member(group, rank, *, size=PER_DOMAIN, uid="", gated=True, version=1, asks=ASKS, rules=None):
    """A pod of a group of LeaderWorkerSet `bench`, as it is after admission."""
    leader = f"bench-{group}"
    name = leader if rank == 0 else f"{leader}-{rank}"
    marked = {CHIPS: "4", "cpu": "40", "lws-placement.dev/member": "0"}
    spec = {"containers": [{"name": "c", "image": "x", "resources": {"requests": marked}}]}
    spec |= rules or {}
    if gated:
        spec["schedulingGates"] = [{"name": "lws-placement.dev/unplanned"}]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": "bench" if rank == 0 else leader,
        "uid": "sts-bench" if rank == 0 else f"sts-{leader}",
        "controller": True,
    }
    return {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "app": "bench",
                "leaderworkerset.sigs.k8s.io/name": "bench",
                "leaderworkerset.sigs.k8s.io/group-key": f"key-{group}",
                "leaderworkerset.sigs.k8s.io/group-index": str(group),
                "leaderworkerset.sigs.k8s.io/worker-index": str(rank),
                "leaderworkerset.sigs.k8s.io/template-revision-hash": "r1",
            },
            "annotations": {
                "leaderworkerset.sigs.k8s.io/size": str(size),
                "lws-placement.dev/lws-uid": "lws-bench",
                **asks,
            },
            "ownerReferences": [owner],
        },
        "spec": spec,
        "status": {"phase": "Pending"},
    }
