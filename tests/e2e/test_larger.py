"""Workers that the API server admits other than their template: by a LimitRange's default, by a
RuntimeClass's overhead, which are known before; or by a policy of somebody, which is not.
"""

import json

import pytest
from e2e.dry_runs import ask
from e2e.stack import CHIPS

from lws_placement.localcluster.binaries import wanted_version

with_policies = pytest.mark.skipif(
    wanted_version() < "1.36", reason="MutatingAdmissionPolicy is on by default from 1.36"
)
LEADER = {"cpu": "1", **CHIPS}
SMALL = {"cpu": "4", **CHIPS}


def with_a_default(scene, cpu):
    """Containers that ask for no cpu get so much."""
    limits = [{"type": "Container", "default": {"cpu": cpu}, "defaultRequest": {"cpu": cpu}}]
    meta = {"name": "default", "namespace": scene.namespace}
    limit = {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": limits}}
    scene.create(limit)
    return scene.lws(leader=LEADER, resources=CHIPS)


def with_an_overhead(scene, cpu):
    name = f"{scene.namespace}-sandbox"
    kind = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": "sandbox",
        "overhead": {"podFixed": {"cpu": cpu}},
    }
    scene.kubectl("apply", "-f", "-", stdin=json.dumps(kind))
    return scene.lws(leader=LEADER, resources=CHIPS, pod={"runtimeClassName": name})


def with_a_policy(scene, cpu):
    """A MutatingAdmissionPolicy that gives workers so much."""
    policy(scene, "/spec/containers/0/resources/requests/cpu", f'"{cpu}"')
    return scene.lws(leader=LEADER, resources=CHIPS)


def with_a_sidecar(scene, cpu):
    """One that gives them a container more."""
    with_a_sidecar_for(scene, IS_WORKER, cpu)
    return scene.lws(leader=LEADER, resources=CHIPS)


def with_a_sidecar_for(scene, which, cpu):
    resources = f'{{"requests": {{"cpu": "{cpu}"}}}}'
    container = f'{{"name": dyn("more"), "image": dyn("x"), "resources": dyn({resources})}}'
    policy(scene, "/spec/containers/-", container, which=which)


def with_a_selector(scene, value):
    """One that chooses their nodes."""
    policy(scene, "/spec/nodeSelector/disk", f'"{value}"')
    return scene.lws(leader=LEADER, resources=CHIPS)


IS_WORKER = (
    "object.metadata.labels[?'leaderworkerset.sigs.k8s.io/worker-index'] != optional.of('0')"
)
IS_LEADER = IS_WORKER.replace("!=", "==")
EVERY = "true"


def policy(scene, path, value, *, which=IS_WORKER):
    """Adds the value to pods: those of workers, if nothing else is said."""
    name = f"{scene.namespace}-policy"
    patch = f'[JSONPatch{{op: "add", path: "{path}", value: {value}}}]'
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}}
    spec = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        # Policies come before our webhook, which labels the workers.
        "matchConditions": [{"name": "worker", "expression": which}],
        "matchConstraints": {
            "namespaceSelector": here,
            "resourceRules": [{**pods, "operations": ["CREATE"]}],
        },
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    binding = {"policyName": name}
    for kind, body in (("Policy", spec), ("PolicyBinding", binding)):
        obj = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": f"MutatingAdmission{kind}",
            "metadata": {"name": name},
            "spec": body,
        }
        scene.kubectl("apply", "-f", "-", stdin=json.dumps(obj))
    rank = "0" if which == IS_LEADER else "1"
    scene.wait(lambda: is_changed(scene, rank), "the policy is in force")


def is_changed(scene, rank):
    labels = {"leaderworkerset.sigs.k8s.io/worker-index": rank}
    container = {"name": "c", "image": "x", "resources": {"requests": {"memory": "1"}}}
    meta = {"name": "probe", "namespace": scene.namespace, "labels": labels}
    spec = {"containers": [container], "nodeSelector": {"pool": scene.namespace}}
    made = ask(scene, "create", {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    if not isinstance(made, dict):
        return False
    containers, selector = made["spec"]["containers"], made["spec"]["nodeSelector"]
    cpu = [c["resources"]["requests"].get("cpu") for c in containers]
    return cpu != [None] or selector != spec["nodeSelector"]


def repairs(scene, *reasons):
    """Of the group whole, or, where its leader was not bound yet, of the leader."""
    events = [e for reason in (*reasons, "Repairing") for e in scene.events(reason)]
    return [e["message"] for e in events if e["involvedObject"]["kind"] == "LeaderWorkerSet"]


def is_running(scene):
    return len(scene.get("pods", ready=True)) == 4


def run_all(scene, lws, *, leaders):
    """Until all four run. `leaders`: how many it takes, by what kube-controller-manager says: one
    that is replaced before it is bound may be gone before anybody looks.
    """
    scene.create(lws)
    scene.wait(lambda: is_running(scene), "all four run", timeout_s=120)
    scene.wait(lambda: leaders_made(scene) == leaders, f"{leaders} leaders were made")


def leaders_made(scene):
    said = "create Pod llm-0 in StatefulSet llm successful"
    made = [e for e in scene.events("SuccessfulCreate") if e["message"].lower() == said.lower()]
    return sum(e["count"] for e in made)


@pytest.mark.parametrize("enlarged", [with_a_default, with_an_overhead])
def test_what_the_api_server_will_add_is_planned_with_it(scene, enlarged):
    scene.pool(1, capacity=SMALL, prefix="a")
    scene.pool(1, prefix="b")
    lws = enlarged(scene, "8")
    run_all(scene, lws, leaders=1)
    assert set().union(*scene.places().values()) == {"b00"}
    assert repairs(scene, "Moving") == []
    assert scene.notes("LargerThanTemplate") == []


@with_policies
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ((with_a_policy, "8"), "worker 1 for 8 cpu instead of 0 cpu"),
        ((with_a_sidecar, "8"), "worker 1 for 8 cpu instead of 0 cpu"),
        ((with_a_selector, "ssd"), "workers for nodes with disk=ssd"),
    ],
)
def test_the_group_ends_whole_where_its_workers_fit_after_one_restart(scene, changed, words):
    scene.pool(1, capacity=SMALL, prefix="a")
    scene.pool(2, prefix="b")
    scene.kubectl("label", "nodes", "-l", f"{scene.key} in (b00, b01)", "disk=ssd")
    by, value = changed
    # The first leader came before its workers, which did not fit.
    run_all(scene, by(scene, value), leaders=2)
    (domain,) = set().union(*scene.places().values())
    assert domain != "a00"
    # If the leader was bound meanwhile, its restart is for the move, and that says why.
    told = f"pods ask for more than their template: {words}"
    assert any(told in why for why in repairs(scene, "Moving"))
    assert [h["domain"] for h in scene.holds()] == [domain]
    before = repairs(scene, "Moving")
    scene.kubectl("scale", "lws/llm", "--replicas=2")
    scene.wait_bound(8)
    assert repairs(scene, "Moving") == before, "the next group is planned with what was learned"
    assert scene.broken_promises() == []


@with_policies
@pytest.mark.upstream_too
def test_what_every_pod_gets_is_planned_for_workers_when_their_leader_shows_it(scene):
    room_for_a_large_leader(scene)
    scene.pool(1, prefix="b")
    with_a_sidecar_for(scene, EVERY, "8")
    lws = scene.lws(leader=LEADER, resources=CHIPS)
    run_all(scene, lws, leaders=1)
    assert set().union(*scene.places().values()) == {"b00"}
    assert repairs(scene) == []


@with_policies
@pytest.mark.upstream_too
def test_what_leaders_alone_get_keeps_no_group_from_its_place(scene):
    room_for_a_large_leader(scene)
    with_a_sidecar_for(scene, IS_LEADER, "8")
    run_all(scene, scene.lws(leader=LEADER, resources=CHIPS), leaders=1)
    assert repairs(scene) == []


def room_for_a_large_leader(scene):
    """One node has cpu for it and a sidecar; three have it for workers without."""
    first, *_ = scene.pool(1, prefix="a", capacity={**CHIPS, "cpu": "5"})
    more = {"status": {part: {"cpu": "16"} for part in ("capacity", "allocatable")}}
    scene.kubectl("patch", "node", first, "--subresource=status", "-p", json.dumps(more))


@with_policies
def test_where_its_domain_has_the_room_nobody_is_restarted(scene):
    scene.pool(1, capacity=SMALL)
    scene.create(with_a_policy(scene, "2"))
    scene.wait(lambda: is_running(scene), "all four run")
    assert repairs(scene) == []
    scene.wait_told("LargerThanTemplate", "pods ask for more than their template")


@with_policies
def test_where_no_domain_has_the_room_it_waits_and_says_why(scene):
    scene.pool(1, capacity=SMALL)
    scene.create(with_a_policy(scene, "8"))
    told = "pods ask for more than their template: workers for 8 cpu instead of 0 cpu"
    scene.wait(lambda: told in " ".join(scene.notes("WaitingForDomain")), "it says why it waits")
    scene.wait(lambda: not scene.bound() and scene.gated("llm-0"), "its leader is back, gated")
    before = repairs(scene)
    scene.pool(1, prefix="z")
    scene.wait(lambda: is_running(scene), "all four run")
    assert repairs(scene) == before
