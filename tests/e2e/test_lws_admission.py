"""Defaults and validation as the API server lets users see them.

Ids are the cases of LeaderWorkerSet's own tests that a case stands for (`tests/lws_cases.md`).
Everything is a server-side dry run: the whole chain of admission answers, nothing is stored.
"""

import copy
import json

import pytest
from e2e.dry_runs import ask

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
            an_lws(template={"size": 2_000_000_000}),
            "spec.leaderWorkerTemplate.size: Invalid value: 2000000000: size must be equal or less "
            "than 4096",
            id="more pods than a group may have",
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


@pytest.mark.parametrize("validate", ["strict", "warn", "ignore"])
@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.groupIdentity", "Hash", "groups have ordinals here"),
        ("spec.scheduling", {"policy": {"gang": {}}}, "leave it out"),
        ("spec.colour", "red", "is no field that is known here"),
        ("spec.leaderWorkerTemplate.placementPolicy", {"type": "None"}, "use the annotation"),
        ("spec.leaderWorkerTemplate.maxGroupRestarts", 3, "restart-budget instead"),
        ("spec.rolloutStrategy.pace", 1, "is no field that is known here"),
    ],
)
def test_what_is_not_carried_out_is_refused_however_a_client_asks(
    module_scene, path, value, says, validate
):
    """Nothing is taken away without a word, not even where strict validation is not asked for."""
    lws = an_lws(rolloutStrategy={"type": "RollingUpdate"})
    *parents, name = path.split(".")
    at(lws, ".".join(parents))[name] = value
    how = ("--dry-run=server", f"--validate={validate}", "-f", "-")
    said = module_scene.kubectl("create", *how, stdin=json.dumps(lws), check=False)
    assert f"{path}: Invalid value" in said
    assert says in said
