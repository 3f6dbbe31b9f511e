"""What a tenant can write with all rights in its own namespace: odd sets, and pods that pass for
members.
"""

from e2e.stack import LWS
from soak.facts import DIRECT, FORGED, HOSTNAME, KEY, OURS

HUGE = (2**31 - 1, 2**31, 2**63 - 1, 10**9, 100_000, -1, 0)
QUANTITIES = (
    "9999999999999999999Ei",
    "1e30",
    "0.000000001n",
    "1e-30",
    "-4",
    "+4",
    "4.",
    ".5",
    "4000000m",
    "12345678901234567890123456789",
    "1E5",
    "4Ki",
)
_TEXTS = ("", "x", "true", "null", "-1", "1" * 400, "ß" * 50, "{", "a/b/c", "٣", "1e9", "0x10")
_SCOPES = ("Cluster", "Namespace", "LeaderWorkerSet", "Everybody")


def odd_set(rng, lws):
    """The same set with one to three oddities; the API server accepts some of them."""
    lws["metadata"].setdefault("labels", {})[FORGED] = "true"
    for oddity in rng.sample(_ODDITIES, rng.randrange(1, 4)):
        oddity(rng, lws)
    return lws


def _size(rng, lws):
    lws["spec"]["leaderWorkerTemplate"]["size"] = rng.choice(HUGE)


def _replicas(rng, lws):
    """None so large that it is accepted and fills the API server: that is for quotas."""
    lws["spec"]["replicas"] = rng.choice((-1, 0, 12, 2**31, 2**63 - 1, 10**30))


def _quantity(rng, lws):
    pod = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    name = rng.choice(("cpu", "memory", "google.com/tpu", "example.com/odd"))
    asked = rng.choice(QUANTITIES)
    limits = {name: asked} if "/" in name else {}
    pod["containers"][0]["resources"] = {"requests": {name: asked}, "limits": limits}


def _annotation(rng, lws):
    name = rng.choice(
        (
            f"{OURS}/restart-budget",
            f"{OURS}/restart-backoff-seconds",
            f"{OURS}/admitted",
            f"{OURS}/pinned-node",
            f"{OURS}/released",
            f"{OURS}/gang",
            f"{OURS}/within-topology",
            f"{OURS}/hold",
            f"{LWS}/size",
            f"{LWS}/subgroup-size",
        )
    )
    lws["metadata"]["annotations"][name] = rng.choice(_TEXTS)


def _topology(rng, lws):
    lws["metadata"]["annotations"][f"{LWS}/exclusive-topology"] = rng.choice(
        (HOSTNAME, "pool", "no.such/label", "not a label", "x" * 300)
    )


def _scope(rng, lws):
    lws["metadata"]["annotations"][f"{OURS}/scope"] = rng.choice(_SCOPES)


def _subgroups(rng, lws):
    template = lws["spec"]["leaderWorkerTemplate"]
    template["subGroupPolicy"] = {"subGroupSize": rng.choice((1, 2, *HUGE))}
    lws["metadata"]["annotations"][f"{LWS}/subgroup-exclusive-topology"] = KEY


def _gang(rng, lws):
    lws["metadata"]["annotations"].pop(f"{LWS}/exclusive-topology", None)
    lws["metadata"]["annotations"][f"{OURS}/gang"] = "true"


def _affinity(rng, lws):
    selector = {"matchLabels": {f"{LWS}/name": rng.choice(("m0", "odd0"))}}
    terms = [{"topologyKey": rng.choice((KEY, HOSTNAME)), "labelSelector": selector}]
    pod = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    kind = "requiredDuringSchedulingIgnoredDuringExecution"
    pod["affinity"] = {rng.choice(("podAffinity", "podAntiAffinity")): {kind: terms}}


def _many_terms(rng, lws):
    pod = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    pod["tolerations"] = [{"key": f"k{n}", "operator": "Exists"} for n in range(2000)]


_ODDITIES = (
    _size,
    _replicas,
    _quantity,
    _annotation,
    _topology,
    _scope,
    _subgroups,
    _gang,
    _affinity,
    _many_terms,
)


def forged_pod(rng, name, victim, nodes):
    """A pod with labels and annotations of a member: of `victim`, a real pod of this namespace or
    None, or of nobody.
    """
    meta = (victim or {}).get("metadata", {})
    labels = dict(meta.get("labels") or {}) or {
        f"{LWS}/name": "nobody",
        f"{LWS}/group-index": "0",
        f"{LWS}/worker-index": rng.choice(_TEXTS[1:5]),
        f"{LWS}/group-key": "0" * 40,
    }
    notes = {f"{LWS}/exclusive-topology": KEY, f"{LWS}/size": rng.choice(("2", "4", *_TEXTS))}
    for key in ("admitted", "pinned-node", "lws-uid", "plan", "released", "scope"):
        if rng.random() < 0.4:
            values = ("gated", "pinned", "true", rng.choice(nodes), rng.choice(_TEXTS))
            notes[f"{OURS}/{key}"] = rng.choice(values)
    if rng.random() < 0.3:
        labels = {}  # the webhook does not see it; the policy does
    pod = _pod(name, rng.choice((1, 4)), labels=labels, notes=notes)
    if meta.get("ownerReferences") and rng.random() < 0.3:
        pod["metadata"]["ownerReferences"] = meta["ownerReferences"]
    if rng.random() < 0.3:
        pod["spec"]["nodeName"] = rng.choice(nodes)
        pod["metadata"]["labels"][DIRECT] = "true"
    if rng.random() < 0.3:
        pod["spec"]["schedulingGates"] = [{"name": f"{OURS}/unplanned"}]
    return pod


def group_pod(rng, name):
    """A member of a group that is no LeaderWorkerSet's."""
    notes = {
        f"{OURS}/group-size": rng.choice(("1", "2", "3", *_TEXTS)),
        f"{OURS}/topology": rng.choice((KEY, HOSTNAME, "x")),
    }
    return _pod(name, 1, labels={f"{OURS}/group": rng.choice(("g", "h"))}, notes=notes)


def direct_pod(rng, name, nodes):
    pod = _pod(name, rng.choice((0, 1, 4)), labels={DIRECT: "true"}, notes={})
    pod["spec"]["nodeName"] = rng.choice((*nodes, "no-such-node"))
    return pod


def odd_pod(rng, name):
    pod = _pod(name, 1, labels={}, notes={})
    asked = {rng.choice(("cpu", "google.com/tpu", "example.com/odd")): rng.choice(QUANTITIES)}
    limits = {k: v for k, v in asked.items() if "/" in k}
    pod["spec"]["containers"][0]["resources"] = {"requests": asked, "limits": limits}
    return pod


def _pod(name, chips, *, labels, notes):
    pod = plain_pod(name, chips)
    pod["metadata"] |= {"labels": {**labels, FORGED: "true"}, "annotations": notes}
    return pod


def plain_pod(name, chips):
    asked = {"cpu": "100m"} | ({"google.com/tpu": str(chips)} if chips else {})
    limits = {k: v for k, v in asked.items() if "/" in k}
    container = {"name": "c", "image": "x", "resources": {"requests": asked, "limits": limits}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
