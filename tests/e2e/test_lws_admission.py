"""Defaults, validation and pod mutation as the API server lets users see them.

Ids are the cases of LeaderWorkerSet's own tests that a case stands for (`tests/lws_cases.md`).
Everything is a server-side dry run: the whole chain of admission answers, nothing is stored.
"""

import copy
import json

import pytest
from e2e.stack import LWS

ROLLING = {"maxUnavailable": 1, "maxSurge": 0, "partition": 0}


def rollout(**values):
    rolling = {**ROLLING, **values}
    return {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": rolling}}


def an_lws(name="llm", *, template=None, **spec):
    pods = {"spec": {"containers": [{"name": "c", "image": "x"}]}}
    parts = {"size": 4, "workerTemplate": pods, **(template or {})}
    parts = {k: v for k, v in parts.items() if v is not ...}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name},
        "spec": {"leaderWorkerTemplate": parts, **spec},
    }


def subgroups(size, **more):
    return {"template": {"subGroupPolicy": {"subGroupSize": size, **more}}}


def ask(scene, verb, obj):
    """The object as it would be stored, or the API server's refusal as text."""
    out = scene.kubectl(
        verb, "--dry-run=server", "-ojson", "-f", "-", stdin=json.dumps(obj), check=False
    )
    try:
        return json.loads(out)
    except ValueError:
        return out


def at(obj, path):
    for part in path.split("."):
        obj = obj[part]
    return obj


POLICY = "spec.leaderWorkerTemplate.restartPolicy"
STRATEGY = "spec.rolloutStrategy.rollingUpdateConfiguration"
SUBDOMAIN = "spec.networkConfig.subdomainPolicy"


@pytest.mark.parametrize(
    ("lws", "path", "value"),
    [
        pytest.param(an_lws(), "spec.replicas", 1, id="wh-lws-1"),
        pytest.param(
            an_lws(template={"size": ...}), "spec.leaderWorkerTemplate.size", 1, id="wh-lws-2"
        ),
        pytest.param(an_lws(replicas=7), "spec.replicas", 7, id="wh-lws-3"),
        pytest.param(an_lws(), POLICY, "RecreateGroupOnPodRestart", id="wh-lws-4"),
        pytest.param(
            an_lws(template={"restartPolicy": "RecreateGroupAfterStart"}),
            POLICY,
            "RecreateGroupAfterStart",
            id="wh-lws-5",
        ),
        pytest.param(an_lws(template={"restartPolicy": "Default"}), POLICY, "None", id="wh-lws-6"),
        pytest.param(an_lws(), "spec.startupPolicy", "LeaderCreated", id="wh-lws-7"),
        pytest.param(
            an_lws(startupPolicy="LeaderReady"), "spec.startupPolicy", "LeaderReady", id="wh-lws-8"
        ),
        pytest.param(an_lws(), SUBDOMAIN, "Shared", id="wh-lws-9"),
        pytest.param(
            an_lws(),
            "spec.rolloutStrategy",
            rollout()["rolloutStrategy"],
            id="wh-lws-10",
        ),
        pytest.param(
            an_lws(**rollout(maxUnavailable=3, maxSurge="20%")),
            STRATEGY,
            {"maxUnavailable": 3, "maxSurge": "20%", "partition": 0},
            id="wh-lws-11",
        ),
        pytest.param(an_lws(template={"restartPolicy": "None"}), POLICY, "None", id="wh-lws-35"),
        pytest.param(
            an_lws(replicas=2, **rollout(maxUnavailable=9)),
            f"{STRATEGY}.maxUnavailable",
            9,
            id="wh-lws-38",
        ),
        pytest.param(
            an_lws(replicas=2, **rollout(maxSurge=9)), f"{STRATEGY}.maxSurge", 9, id="wh-lws-41"
        ),
        pytest.param(
            an_lws(replicas=2, **rollout(maxUnavailable=0, maxSurge=1)),
            f"{STRATEGY}.maxUnavailable",
            0,
            id="wh-lws-45",
        ),
        pytest.param(
            an_lws(replicas=0, **rollout(maxUnavailable=0)), "spec.replicas", 0, id="wh-lws-46"
        ),
        pytest.param(
            an_lws(replicas=2, **rollout(partition=5)), f"{STRATEGY}.partition", 5, id="wh-lws-49"
        ),
        pytest.param(
            an_lws(replicas=2, **rollout(partition=2)), f"{STRATEGY}.partition", 2, id="wh-lws-50"
        ),
        pytest.param(an_lws(**rollout(partition=0)), f"{STRATEGY}.partition", 0, id="wh-lws-51"),
        pytest.param(
            an_lws(networkConfig={"subdomainPolicy": None}),
            SUBDOMAIN,
            "Shared",
            id="null is Shared",
        ),
    ],
)
def test_a_new_set_is_accepted_with_its_defaults(module_scene, lws, path, value):
    made = ask(module_scene, "create", lws)
    assert isinstance(made, dict), made
    assert at(made, path) == value


@pytest.mark.parametrize(
    ("lws", "says"),
    [
        pytest.param(an_lws("1-llm"), "a DNS-1035 label must consist of", id="wh-lws-12"),
        pytest.param(
            an_lws(replicas=100_000, template={"size": 100_000}),
            "the product of replicas and worker replicas must not exceed 2147483647",
            id="wh-lws-13",
        ),
        pytest.param(
            an_lws(template={"size": 0}), "size must be equal or greater than 1", id="wh-lws-14"
        ),
        pytest.param(an_lws(replicas=-1), "spec.replicas", id="wh-lws-15"),
        pytest.param(an_lws(replicas=1_000_001), "spec.replicas", id="wh-lws-16"),
        pytest.param(an_lws(startupPolicy="Later"), "spec.startupPolicy", id="wh-lws-17"),
        pytest.param(
            an_lws(**subgroups(-1)),
            "subGroupSize must be equal or greater than 1",
            id="wh-lws-18",
        ),
        pytest.param(
            an_lws(**subgroups(5)), "subGroupSize cannot be larger than size", id="wh-lws-19"
        ),
        pytest.param(
            an_lws(**subgroups(2, subGroupPolicyType="LeaderExcluded")),
            "size-1 must be divisible by subGroupSize when using LeaderExcluded",
            id="wh-lws-20",
        ),
        pytest.param(an_lws(template={"restartPolicy": "Never"}), POLICY, id="wh-lws-36"),
        pytest.param(
            an_lws(rolloutStrategy={"type": "Recreate"}),
            "spec.rolloutStrategy.type",
            id="wh-lws-37",
        ),
        pytest.param(
            an_lws(**rollout(maxUnavailable="101%")),
            "must not be greater than 100%",
            id="wh-lws-39",
        ),
        pytest.param(
            an_lws(**rollout(maxUnavailable=-1)),
            "must be greater than or equal to 0",
            id="wh-lws-40",
        ),
        pytest.param(
            an_lws(**rollout(maxSurge="101%")), "must not be greater than 100%", id="wh-lws-42"
        ),
        pytest.param(
            an_lws(**rollout(maxSurge=-1)), "must be greater than or equal to 0", id="wh-lws-43"
        ),
        pytest.param(
            an_lws(**rollout(maxUnavailable=0)),
            "must not be 0 when `maxSurge` is 0",
            id="wh-lws-44",
        ),
        pytest.param(
            an_lws(replicas=2, **rollout(maxUnavailable="25%")),
            "must not be 0 when `maxSurge` is 0",
            id="wh-lws-47",
        ),
        pytest.param(
            an_lws(**rollout(partition=-1)), "must be greater than or equal to 0", id="wh-lws-48"
        ),
    ],
)
def test_a_new_set_is_refused_in_upstreams_words(module_scene, lws, says):
    answer = ask(module_scene, "create", lws)
    assert isinstance(answer, str), answer
    assert says in answer


PLAIN = an_lws("plain", replicas=0)
GROUPED = an_lws("grouped", replicas=0, **subgroups(2))
UNIQUE = an_lws("unique", replicas=0, networkConfig={"subdomainPolicy": "UniquePerReplica"})


@pytest.fixture(scope="module")
def stored(module_scene):
    module_scene.create(PLAIN, GROUPED, UNIQUE)
    return module_scene


def changed(lws, *, template=None, **spec):
    made = copy.deepcopy(lws)
    made["spec"]["leaderWorkerTemplate"] |= template or {}
    if (template or {}).get("subGroupPolicy") is ...:
        del made["spec"]["leaderWorkerTemplate"]["subGroupPolicy"]
    made["spec"] |= spec
    return made


OTHER_PODS = {"workerTemplate": {"spec": {"containers": [{"name": "c", "image": "y"}]}}}


@pytest.mark.parametrize(
    ("lws", "path", "value"),
    [
        pytest.param(
            changed(PLAIN, template={"size": 2}),
            "spec.leaderWorkerTemplate.size",
            2,
            id="wh-lws-21",
        ),
        pytest.param(changed(PLAIN, replicas=3), "spec.replicas", 3, id="wh-lws-28"),
        pytest.param(
            changed(PLAIN, template=OTHER_PODS),
            "spec.leaderWorkerTemplate.workerTemplate.spec",
            OTHER_PODS["workerTemplate"]["spec"],
            id="wh-lws-30",
        ),
        pytest.param(
            changed(UNIQUE, networkConfig={"subdomainPolicy": "Shared"}),
            SUBDOMAIN,
            "Shared",
            id="wh-lws-31",
        ),
        pytest.param(
            changed(PLAIN, networkConfig={"subdomainPolicy": "UniquePerReplica"}),
            SUBDOMAIN,
            "UniquePerReplica",
            id="wh-lws-32 wh-lws-33",
        ),
        pytest.param(
            changed(UNIQUE, networkConfig={"subdomainPolicy": None}),
            SUBDOMAIN,
            "Shared",
            id="wh-lws-34",
        ),
        pytest.param(
            changed(PLAIN, replicas=2, **rollout(partition=1)),
            f"{STRATEGY}.partition",
            1,
            id="wh-lws-52",
        ),
        pytest.param(
            changed(PLAIN, replicas=2, **rollout(partition=9)),
            f"{STRATEGY}.partition",
            9,
            id="wh-lws-54",
        ),
        pytest.param(
            changed(PLAIN, replicas=2, **rollout(partition=2)),
            f"{STRATEGY}.partition",
            2,
            id="wh-lws-55",
        ),
        pytest.param(
            changed(PLAIN, replicas=2, **rollout(partition=0)),
            f"{STRATEGY}.partition",
            0,
            id="wh-lws-56",
        ),
    ],
)
def test_an_update_is_accepted(stored, lws, path, value):
    made = ask(stored, "replace", lws)
    assert isinstance(made, dict), made
    assert at(made, path) == value


@pytest.mark.parametrize(
    ("lws", "says"),
    [
        pytest.param(
            changed(PLAIN, replicas=100_000, template={"size": 100_000}),
            "the product of replicas and worker replicas must not exceed 2147483647",
            id="wh-lws-22",
        ),
        pytest.param(changed(PLAIN, replicas=-1), "spec.replicas", id="wh-lws-23"),
        pytest.param(changed(PLAIN, startupPolicy="Later"), "spec.startupPolicy", id="wh-lws-24"),
        pytest.param(changed(GROUPED, **subgroups(4)), "field is immutable", id="wh-lws-25"),
        pytest.param(
            changed(PLAIN, **subgroups(2)),
            "cannot enable subGroupSize after the lws is already created",
            id="wh-lws-26",
        ),
        pytest.param(
            changed(GROUPED, template={"subGroupPolicy": ...}),
            "cannot remove subGroupSize after enabled",
            id="wh-lws-27",
        ),
        pytest.param(changed(PLAIN, replicas=1_000_001), "spec.replicas", id="wh-lws-29"),
        pytest.param(
            changed(PLAIN, **rollout(partition=-1)),
            "must be greater than or equal to 0",
            id="wh-lws-53",
        ),
    ],
)
def test_an_update_is_refused_in_upstreams_words(stored, lws, says):
    answer = ask(stored, "replace", lws)
    assert isinstance(answer, str), answer
    assert says in answer


# -- pods ------------------------------------------------------------------------------------------


def a_pod(rank=0, *, size=4, tpus=1, notes=None, labels=None, plain=0, **spec):
    """As its StatefulSet makes it; `tpus` containers ask for TPUs, `plain` before them do not."""
    own = {f"{LWS}/name": "llm", f"{LWS}/template-revision-hash": "r"}
    if rank:
        own |= {f"{LWS}/group-index": "0", f"{LWS}/group-key": "of-the-group"}
    else:
        own |= {f"{LWS}/worker-index": "0"}
    containers = [{"name": f"p{i}", "image": "x"} for i in range(plain)]
    chips = {"limits": {"google.com/tpu": "4"}}
    containers += [{"name": f"t{i}", "image": "x", "resources": chips} for i in range(tpus)]
    containers = containers or [{"name": "c", "image": "x"}]
    name = f"llm-0-{rank}" if rank else "llm-0"
    annotations = {f"{LWS}/size": str(size)}
    annotations |= {f"{LWS}/{k}": v for k, v in (notes or {}).items()}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": own | (labels or {}), "annotations": annotations},
        "spec": {"hostname": name, "subdomain": "llm", "containers": containers, **spec},
    }


def admitted(scene, pod):
    made = ask(scene, "create", pod)
    assert isinstance(made, dict), made
    return made


def label(pod, key):
    return pod["metadata"]["labels"].get(f"{LWS}/{key}")


def environment(pod, container=0):
    return {e["name"]: e.get("value") for e in pod["spec"]["containers"][container].get("env", ())}


def hosts(*ranks, subdomain="llm"):
    return ",".join(f"{'llm-0' if r == 0 else f'llm-0-{r}'}.{subdomain}" for r in ranks)


def a_foreign_pod(**resources):
    container = {"name": "c", "image": "x", "resources": {"limits": resources}}
    meta = {"name": "foreign", "labels": {"app": "web"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [container]},
    }


def test_a_pod_of_nobody_is_untouched(module_scene):
    """[wh-pod-1, wh-pod-7]"""
    pod = admitted(module_scene, a_foreign_pod(**{"google.com/tpu": "4"}))
    assert pod["metadata"]["labels"] == {"app": "web"}
    assert "env" not in pod["spec"]["containers"][0]


def test_a_pod_of_nobody_is_created_and_updated(module_scene):
    """[wh-pod-27]"""
    module_scene.create(a_foreign_pod())
    module_scene.kubectl("label", "pod", "foreign", "seen=yes")
    assert module_scene.one("pod", "foreign")["metadata"]["labels"]["seen"] == "yes"


def test_a_worker_has_the_index_of_its_name(module_scene):
    """[wh-pod-2]"""
    assert label(admitted(module_scene, a_pod(3)), "worker-index") == "3"


def test_a_leader_has_its_group_and_key(module_scene):
    """[wh-pod-3]"""
    pod = admitted(module_scene, a_pod())
    assert label(pod, "group-index") == "0"
    assert len(label(pod, "group-key")) == 40


@pytest.mark.parametrize(
    ("pod", "index"),
    [
        pytest.param(a_pod(0, size=5, notes={"subgroup-size": "4"}), "0", id="wh-pod-4"),
        pytest.param(
            a_pod(3, size=4, notes={"subgroup-size": "2", "leader-requests-tpus": "true"}),
            "1",
            id="wh-pod-5",
        ),
        pytest.param(a_pod(3, size=5, notes={"subgroup-size": "2"}), "1", id="wh-pod-6"),
        pytest.param(
            a_pod(
                0,
                size=5,
                notes={"subgroup-size": "2", "subgroup-policy-type": "LeaderExcluded"},
            ),
            None,
            id="a leader that is excluded",
        ),
    ],
)
def test_the_subgroup_of_a_pod(module_scene, pod, index):
    made = admitted(module_scene, pod)
    assert label(made, "subgroup-index") == index
    assert (label(made, "subgroup-key") is None) == (index is None)


@pytest.mark.parametrize(
    "pod",
    [pytest.param(a_pod(0, tpus=0), id="wh-pod-8"), pytest.param(a_pod(1, tpus=0), id="wh-pod-9")],
)
def test_no_tpu_asked_no_tpu_variables(module_scene, pod):
    names = environment(admitted(module_scene, pod))
    assert not [name for name in names if name.startswith("TPU_")]


LEADER_TOO = {"leader-requests-tpus": "true"}


@pytest.mark.parametrize(
    ("pod", "names", "worker_id"),
    [
        pytest.param(a_pod(0, size=5), hosts(0, 1, 2, 3, 4), "0", id="wh-pod-10"),
        pytest.param(
            a_pod(0, size=2, notes={"subdomainPolicy": "UniquePerReplica"}),
            hosts(0, 1, subdomain="llm-0"),
            "0",
            id="wh-pod-11",
        ),
        pytest.param(
            a_pod(0, size=10, notes={"subgroup-size": "5"}),
            hosts(0, 1, 2, 3, 4),
            "0",
            id="wh-pod-12",
        ),
        pytest.param(a_pod(3, size=4, notes=LEADER_TOO), hosts(0, 1, 2, 3), "3", id="wh-pod-13"),
        pytest.param(
            a_pod(7, size=10, notes={"subgroup-size": "5", **LEADER_TOO}),
            hosts(5, 6, 7, 8, 9),
            "2",
            id="wh-pod-14",
        ),
        pytest.param(
            a_pod(2, size=10, notes={"subgroup-size": "5", **LEADER_TOO}),
            hosts(0, 1, 2, 3, 4),
            "2",
            id="the leader's own subgroup",
        ),
        pytest.param(a_pod(3, size=4), hosts(1, 2, 3), "2", id="wh-pod-15"),
        pytest.param(
            a_pod(7, size=11, notes={"subgroup-size": "5"}),
            hosts(6, 7, 8, 9, 10),
            "1",
            id="wh-pod-16",
        ),
        pytest.param(a_pod(1, size=2, notes=LEADER_TOO), hosts(0, 1), "1", id="wh-pod-17"),
        pytest.param(a_pod(0, size=1), hosts(0), "0", id="wh-pod-18"),
    ],
)
def test_tpu_hosts_and_id(module_scene, pod, names, worker_id):
    env = environment(admitted(module_scene, pod))
    assert env["TPU_WORKER_HOSTNAMES"] == names
    assert env["TPU_WORKER_ID"] == worker_id
    assert env["TPU_NAME"] == "llm-0"
    assert env["TPU_PROCESS_PORT"] == "8476"
    addresses = ",".join(f"{host}:8476" for host in names.split(","))
    assert env["TPU_PROCESS_ADDRESSES"] == addresses


def test_only_the_container_that_asks_gets_tpu_variables(module_scene):
    """[wh-pod-19]"""
    pod = admitted(module_scene, a_pod(plain=1))
    assert "TPU_WORKER_ID" not in environment(pod, 0)
    assert environment(pod, 1)["TPU_WORKER_ID"] == "0"


def test_two_tpu_containers_are_two_hosts(module_scene):
    pod = admitted(module_scene, a_pod(1, size=2, tpus=2, notes=LEADER_TOO))
    first, second = environment(pod, 0), environment(pod, 1)
    assert first["TPU_WORKER_HOSTNAMES"] == hosts(0, 0, 1, 1)
    assert (first["TPU_WORKER_ID"], second["TPU_WORKER_ID"]) == ("2", "3")
    assert (first["TPU_PROCESS_PORT"], second["TPU_PROCESS_PORT"]) == ("8476", "8477")
    assert first["TPU_PROCESS_ADDRESSES"] == (
        "llm-0.llm:8476,llm-0.llm:8477,llm-0-1.llm:8476,llm-0-1.llm:8477"
    )


def test_tpu_variables_of_the_user_stay(module_scene):
    pod = a_pod(0, size=2)
    pod["spec"]["containers"][0]["env"] = [{"name": "TPU_WORKER_ID", "value": "9"}]
    env = environment(admitted(module_scene, pod))
    assert env["TPU_WORKER_ID"] == "9"
    assert "TPU_WORKER_HOSTNAMES" not in env


def terms(pod, kind):
    affinity = pod["spec"].get("affinity", {})
    return affinity.get(kind, {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])


def keys_of(pod):
    """(label key, topology key) of all required terms between pods."""
    return sorted(
        (t["labelSelector"]["matchExpressions"][0]["key"], t["topologyKey"])
        for kind in ("podAffinity", "podAntiAffinity")
        for t in terms(pod, kind)
    )


GROUP, SUBGROUP = (f"{LWS}/group-key", "slice"), (f"{LWS}/subgroup-key", "rack")
EXCLUSIVE = {"exclusive-topology": "slice"}
BOTH = {**EXCLUSIVE, "subgroup-exclusive-topology": "rack", "subgroup-size": "2"}


@pytest.mark.parametrize(
    ("pod", "wanted"),
    [
        pytest.param(a_pod(0, notes=EXCLUSIVE), [GROUP, GROUP], id="wh-pod-20"),
        pytest.param(a_pod(0, notes=BOTH), [GROUP, GROUP, SUBGROUP, SUBGROUP], id="wh-pod-21"),
        pytest.param(a_pod(1, notes=BOTH), [SUBGROUP, SUBGROUP], id="wh-pod-22"),
        pytest.param(a_pod(0), [], id="wh-pod-23"),
    ],
)
def test_exclusive_terms(module_scene, pod, wanted):
    assert keys_of(admitted(module_scene, pod)) == wanted


def test_exclusive_terms_are_not_added_twice(module_scene):
    """[wh-pod-24]"""
    once = admitted(module_scene, a_pod(0, notes=EXCLUSIVE))
    again = a_pod(0, notes=EXCLUSIVE, affinity=once["spec"]["affinity"])
    assert keys_of(admitted(module_scene, again)) == [GROUP, GROUP]


def test_terms_of_the_user_are_kept(module_scene):
    """[wh-pod-25]"""
    expression = {"key": "app", "operator": "In", "values": ["db"]}
    own = {"labelSelector": {"matchExpressions": [expression]}, "topologyKey": "zone"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}}
    pod = admitted(module_scene, a_pod(0, notes=EXCLUSIVE, affinity=affinity))
    assert keys_of(pod) == [("app", "zone"), GROUP, GROUP]


def test_the_leader_address_comes_first(module_scene):
    """[wh-pod-26]"""
    pod = a_pod(2, tpus=0)
    pod["spec"]["containers"][0]["env"] = [{"name": "A", "value": "$(LWS_LEADER_ADDRESS)"}]
    env = admitted(module_scene, pod)["spec"]["containers"][0]["env"]
    assert [(e["name"], e["value"]) for e in env] == [
        ("LWS_LEADER_ADDRESS", f"llm-0.llm.{module_scene.namespace}"),
        ("LWS_GROUP_SIZE", "4"),
        ("LWS_WORKER_INDEX", "2"),
        ("A", "$(LWS_LEADER_ADDRESS)"),
    ]
