"""Many groups: they come, change and go, and cost the API server few requests each."""

import json
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

GROUPS, SIZE = 200, 4
WORKER_SETS = ("POST", "statefulsets")


def requests(scene):
    """(method, resource) -> requests that our brains have made."""
    made = {}
    for name in ("brain-a", "brain-b"):
        ports = json.loads((scene.cluster.folder / f"{name}.ports").read_text())
        url = f"http://127.0.0.1:{ports['health']}/metrics"
        with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        for sample in (s for f in families for s in f.samples):
            if sample.name == "lws_placement_api_requests_total":
                key = (sample.labels["method"], sample.labels["resource"])
                made[key] = made.get(key, 0) + sample.value
    return made


def since(before, now):
    """Without the leader Lease, which is renewed however many groups there are."""
    return {
        key: value - before.get(key, 0)
        for key, value in sorted(now.items())
        if value > before.get(key, 0) and key[1] not in ("leases", "secrets") and key[0] != "GET"
    }


def test_two_hundred_groups_of_four_come_change_and_go(scene):
    scene.pool(2, 6)
    strategy = {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxUnavailable": "25%"}}
    lws = scene.lws(
        replicas=GROUPS,
        size=SIZE,
        exclusive=False,
        resources={"cpu": "10m"},
        rolloutStrategy=strategy,
    )
    start = requests(scene)
    scene.create(lws)
    scene.wait(lambda: _ready(scene) == GROUPS, "all groups are ready", 240)
    made = since(start, requests(scene))
    print(f"created: {sum(made.values()) / GROUPS:.2f} requests per group: {made}")
    # A StatefulSet and its event for each group, and status writes that tell of several at once;
    # a little more when the other replica takes over in the middle.
    assert made[WORKER_SETS] < 1.5 * GROUPS
    assert sum(made.values()) / GROUPS < 4
    patch = {"spec": {"leaderWorkerTemplate": {"restartPolicy": "None"}}}
    before = requests(scene)
    scene.kubectl("patch", "lws", "llm", "--type=merge", f"-p={json.dumps(patch)}")
    scene.wait(lambda: _updated(scene), "all groups are updated", 480)
    made = since(before, requests(scene))
    print(f"updated: {sum(made.values()) / GROUPS:.2f} requests per group: {made}")
    assert sum(made.values()) / GROUPS < 8
    before = requests(scene)
    scene.kubectl("delete", "lws", "llm", "--wait=false")
    scene.wait(lambda: not scene.get("statefulsets"), "all are gone", 240)
    made = since(before, requests(scene))
    print(f"deleted: {sum(made.values()) / GROUPS:.2f} requests per group: {made}")


def _ready(scene):
    return scene.one("lws", "llm").get("status", {}).get("readyReplicas")


def _updated(scene):
    obj = scene.one("lws", "llm")
    status, meta = obj["status"], obj["metadata"]
    conditions = {c["type"]: c["status"] for c in status["conditions"]}
    return (
        status["observedGeneration"] == meta["generation"]
        and status["updatedReplicas"] == status["readyReplicas"] == GROUPS
        and conditions["Available"] == "True"
    )
