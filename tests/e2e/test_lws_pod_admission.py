"""What becomes of the pods of a LeaderWorkerSet on admission: labels, variables, terms.

Ids are the cases of LeaderWorkerSet's own tests that a case stands for (`tests/lws_cases.md`).
Everything is a server-side dry run: the whole chain of admission answers, nothing is stored.
"""

import pytest
from e2e.dry_runs import ask
from e2e.stack import LWS


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


@pytest.mark.parametrize("size", ["5000000", "9" * 5000])
def test_a_group_of_more_pods_than_may_be_is_refused_with_its_field(module_scene, size):
    for rank in (0, 1):
        refused = ask(module_scene, "create", a_pod(rank, size=size))
        assert f"metadata.annotations[{LWS}/size]" in refused
    assert isinstance(ask(module_scene, "create", a_pod(size=4096)), dict)


def test_a_pod_that_says_its_group_is_of_a_thousand_million_is_refused(module_scene):
    pod = a_foreign_pod()
    pod["metadata"]["labels"]["lws-placement.dev/group"] = "train"
    pod["metadata"]["annotations"] = {
        "lws-placement.dev/group-size": "1000000000",
        "lws-placement.dev/topology": "rack",
    }
    refused = ask(module_scene, "create", pod)
    assert "metadata.annotations[lws-placement.dev/group-size]" in refused
    assert "1 to 4096" in refused
