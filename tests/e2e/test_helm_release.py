"""A release of the chart lives its life on a real control plane, by the real Helm."""

import base64
import json
from datetime import UTC, datetime

import pytest
from helm.program import Helm, find_or_build_helm
from helm.release import CHART, CRD, NAMESPACE, Release, an_earlier_chart, by_name

from certs.authority import Names, make
from lws_placement.localcluster.install import MANIFESTS


@pytest.fixture(scope="module")
def program(say):
    return find_or_build_helm(say)


OURS = ("Namespace", "", NAMESPACE)
FIRST = ("CustomResourceDefinition", "", CRD)
BUDGET = ("PodDisruptionBudget", NAMESPACE, "lws-placement")
SECOND = ("Deployment", NAMESPACE, "lws-placement-scheduler")
MUTATING = ("MutatingWebhookConfiguration", "", "lws-placement-mutating")


@pytest.fixture
def release(program, bare, tmp_path):
    made = Release(Helm(program, tmp_path, kubeconfig=bare.kubeconfig), bare)
    yield made
    made.end()


def as_users_have_it():
    """A LeaderWorkerSet, its pod, a hold and the certificates: no part of any release."""
    container = {"name": "c", "image": "registry.example.com/model"}
    # On no node: one bound to a node that is not there is collected after 40 s.
    pod = {"containers": [container], "schedulerName": "nobody"}
    template = {"size": 2, "workerTemplate": {"spec": {"containers": [container]}}}
    meta, ours = {"namespace": "default", "name": "llm"}, {"namespace": NAMESPACE}
    label = {"labels": {"leaderworkerset.sigs.k8s.io/name": "llm"}}
    return by_name(
        {"apiVersion": api, "kind": kind, "metadata": at, **more}
        for api, kind, at, more in (
            (
                "leaderworkerset.x-k8s.io/v1",
                "LeaderWorkerSet",
                meta,
                {"spec": {"leaderWorkerTemplate": template}},
            ),
            ("v1", "Pod", meta | label, {"spec": pod}),
            ("coordination.k8s.io/v1", "Lease", ours | {"name": "hold-1"}, {}),
            ("v1", "Secret", ours | {"name": "lws-placement-certs"}, {}),
        )
    )


def uids(release, keys):
    return {key: release.there(key)["metadata"]["uid"] for key in keys}


def trust(cluster, release):
    """What `serve` does (certs/inject.py): the bundle in every webhook of ours."""
    bundle = base64.b64encode(make(Names(("x",)), now=datetime.now(UTC)).ca).decode()
    for number in range(len(release.there(MUTATING)["webhooks"])):
        at = f"/webhooks/{number}/clientConfig/caBundle"
        patch = json.dumps([{"op": "add", "path": at, "value": bundle}])
        how = ("--type=json", "--field-manager=lws-placement", f"--patch={patch}")
        cluster.kubectl("patch", MUTATING[0].lower(), MUTATING[2], *how)
    return {bundle}


def bundles(release):
    return {w["clientConfig"].get("caBundle") for w in release.there(MUTATING)["webhooks"]}


def test_a_first_release_brings_the_crd_and_leaves_it(bare, release):
    notes = release.install_as_readme_says()
    assert "Next: kube-scheduler has to call the extender" in notes
    assert "helm show crds" in notes
    for key in release.manifest():
        assert release.there(key) is not None, key
    bare.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
    made = uids(release, [FIRST, OURS])
    objects = release.manifest()
    release.uninstall()
    assert [key for key in objects if remains(release, key)] == []
    assert uids(release, [FIRST, OURS]) == made


def remains(release, key):
    found = release.there(key)
    return found is not None and "deletionTimestamp" not in found["metadata"]


def test_a_release_is_upgraded_and_taken_back_and_leaves_what_is_users(bare, release, tmp_path):
    bare.kubectl("apply", "--server-side", "-f", str(MANIFESTS / "crd" / "crd.yaml"))
    bare.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=60s")
    bare.kubectl("create", "namespace", NAMESPACE, check=False)
    users = as_users_have_it()
    for obj in users.values():
        bare.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(obj))
    before = uids(release, [*users, FIRST])

    release.install(an_earlier_chart(tmp_path), {"replicas": 1})
    assert release.container("gate")["image"].endswith(":0.0.9")
    assert release.there(BUDGET) is None
    trusted = trust(bare, release)
    deployment = release.deployment()["metadata"]["uid"]

    release.upgrade(CHART, {"settings.hold_seconds": 120})
    variable = {"name": "LWS_PLACEMENT_HOLD_SECONDS", "value": "120"}
    for name in ("gate", "brain"):
        assert release.container(name)["image"].endswith(":0.1.0")
        assert variable in release.container(name)["env"]
    assert release.deployment()["spec"]["replicas"] == 2
    assert release.there(BUDGET) is not None
    assert bundles(release) == trusted, "what serve has written stays"

    release.upgrade(CHART, {"secondScheduler.enabled": True})
    assert release.there(SECOND) is not None
    assert variable not in release.container("gate")["env"]

    release.rollback(1)
    assert release.container("gate")["image"].endswith(":0.0.9")
    assert release.deployment()["spec"]["replicas"] == 1
    assert [key for key in (BUDGET, SECOND) if remains(release, key)] == []
    assert release.deployment()["metadata"]["uid"] == deployment
    assert bundles(release) == trusted

    objects = release.manifest()
    release.uninstall()
    assert [key for key in objects if remains(release, key)] == []
    assert uids(release, [*users, FIRST]) == before
    assert not any("deletionTimestamp" in release.there(key)["metadata"] for key in before)


def test_a_release_takes_over_what_kubectl_has_applied(bare, release):
    bare.kubectl("apply", "--server-side", "-k", str(MANIFESTS / "standalone"))
    before = uids(release, release.would_be(CHART))
    release.install(CHART, {}, "--take-ownership", "--force-conflicts")
    assert uids(release, before) == before
    release.upgrade(CHART, {"replicas": 3}, "--force-conflicts")
    assert release.deployment()["spec"]["replicas"] == 3
    release.rollback(1, "--force-conflicts")
    assert release.deployment()["spec"]["replicas"] == 2
    assert uids(release, before) == before
