"""What users and programs see at the API: manifests, validation, kubectl, scale, RBAC."""

import json
import re
import ssl
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import pytest
import yaml
from e2e.stack import LWS
from support.manifest_scripts import load

from lws_placement.localcluster.binaries import KUBERNETES_VERSION, wanted_version
from lws_placement.localcluster.install import MANIFESTS, NAMESPACE


@pytest.mark.parametrize("overlay", ["base", "standalone", "beside-upstream", "kind"])
def test_every_overlay_is_accepted_by_the_api_server(scene, overlay):
    cluster = scene.cluster
    text = cluster.kubectl("kustomize", str(MANIFESTS / overlay))
    # In a namespace of its own, as a Service that is there already cannot get another address.
    text = text.replace("lws-placement-system", scene.namespace)
    out = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=text
    )
    assert "deployment.apps/lws-placement serverside-applied" in out


def test_what_deletes_an_overlay_deletes_no_leaderworkerset(installation):
    """With its CRD every object of a kind goes, and with each LeaderWorkerSet its pods."""
    overlays = {p.parent.relative_to(MANIFESTS) for p in MANIFESTS.rglob("kustomization.yaml")}
    overlays.remove(Path("second-scheduler/component"))
    assert Path("standalone") in overlays
    for overlay in overlays:
        text = installation.cluster.kubectl("kustomize", str(MANIFESTS / overlay))
        kinds = {o["kind"] for o in yaml.safe_load_all(text) if o}
        assert "CustomResourceDefinition" not in kinds, overlay


def test_the_crd_file_is_what_the_generator_makes(installation):
    made = yaml.safe_load(load("crd/make_crd.py").generate(installation.cluster))
    ours = yaml.safe_load((MANIFESTS / "crd" / "crd.yaml").read_text())
    if wanted_version() == KUBERNETES_VERSION:
        assert made == ours
    else:  # made of another version's schemas: a pod template may say all that this one knows
        assert set(fields(made)) <= set(fields(ours))


def fields(schema, at=""):
    """Paths of all that is said anywhere in a CRD about names and types."""
    if isinstance(schema, dict):
        for name, part in schema.items():
            if name not in ("description", "required"):
                yield from fields(part, f"{at}.{name}")
    elif not isinstance(schema, list):
        yield f"{at}: {schema}"


@pytest.mark.parametrize("name", ["tpu-v5e-16", "gpu-ray", "disaggregated", "trap"])
def test_examples_are_accepted(scene, name):
    path = str(MANIFESTS / "examples" / f"{name}.yaml")
    assert "serverside-applied" in scene.kubectl(
        "apply", "--server-side", "--dry-run=server", "-f", path
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 0}, "size must be equal or greater than 1"),
        ({"size": -3}, "size must be equal or greater than 1"),
        ({"replicas": -1}, "spec.replicas"),
        ({"topology": "not a key!"}, "metadata.annotations"),
        (
            {"misspelt": True},
            'unknown field "spec.leaderWorkerTemplate.workerTemplate.spec.contaners"',
        ),
    ],
)
def test_bad_input_is_refused_with_the_field_and_changes_nothing(scene, change, says):
    lws = scene.lws()
    if "size" in change:
        lws["spec"]["leaderWorkerTemplate"]["size"] = change["size"]
    if "replicas" in change:
        lws["spec"]["replicas"] = change["replicas"]
    if "topology" in change:
        lws["metadata"]["annotations"][f"{LWS}/exclusive-topology"] = change["topology"]
    if "misspelt" in change:
        lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["contaners"] = []
    text = scene.kubectl("create", "-f", "-", stdin=json.dumps(lws), check=False)
    assert says in text
    assert scene.get("lws") == []


def test_kubectl_explain_scale_and_short_name(scene):
    explain = ("explain", "lws.spec.leaderWorkerTemplate.size")
    # Discovery and OpenAPI of a new CRD are published with a delay.
    scene.wait(lambda: "Pods per group" in scene.kubectl(*explain, check=False), "it is explained")
    scene.pool(2)
    scene.create(scene.lws())
    scene.wait_bound(4)
    scene.kubectl("scale", "lws/llm", "--replicas=2")
    scene.wait_bound(8)
    path = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{scene.namespace}/leaderworkersets/llm"
    scale = json.loads(scene.kubectl("get", "--raw", f"{path}/scale"))
    assert scale["status"]["selector"] == f"{LWS}/name=llm,{LWS}/worker-index=0"
    scene.wait(lambda: scene.one("lws", "llm")["status"].get("readyReplicas") == 2, "both ready")
    conditions = {c["type"]: c["status"] for c in scene.one("lws", "llm")["status"]["conditions"]}
    assert conditions["Available"] == "True"
    assert conditions["Progressing"] == "False"


def test_a_group_without_the_annotation_is_left_alone(scene):
    scene.pool(1)
    scene.create(scene.lws(exclusive=False))
    scene.wait_bound(4)
    pod = scene.members()[0]
    assert "schedulingGates" not in pod["spec"]
    assert scene.holds() == []


def test_members_reach_the_scheduler_with_marker_and_name_pin(scene):
    """A marker of quantity 0 is enough to be asked, and the pin lets one node be looked at."""
    scene.pool(3)
    scene.create(scene.lws())
    scene.wait_bound(4)
    for pod in scene.members():
        resources = pod["spec"]["containers"][0]["resources"]
        assert resources["requests"]["lws-placement.dev/member"] == "0"
        terms = pod["spec"]["affinity"]["nodeAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]["nodeSelectorTerms"]
        assert terms == [
            {
                "matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": [pod["spec"]["nodeName"]]}
                ]
            }
        ]
    admitted = {p["metadata"]["annotations"]["lws-placement.dev/admitted"] for p in scene.members()}
    assert "pinned" in admitted, "workers have a hold when they come, if the leader had none"


def test_the_scheduler_looks_at_one_node_for_a_pinned_member_however_many_there_are(scene):
    """What makes in-tree cost independent of the cluster's size; a plain pod is the comparison."""
    scene.pool(10)
    scene.create(scene.lws(replicas=2))
    plain = scene.filler("", {"cpu": "1"}, name="plain")
    del plain["spec"]["nodeName"]
    scene.create(plain)
    scene.wait_bound(8)
    names = [p["metadata"]["name"] for p in scene.members()]
    looks = scene.wait(lambda: _all_of(_nodes_looked_at(scene), [*names, "plain"]), "all logged")
    assert {looks[name] for name in names} == {1}
    assert looks["plain"] >= 40


def _nodes_looked_at(scene):
    """Pod -> nodes that kube-scheduler evaluated for it, as it logs when it has bound one."""
    line = re.compile(
        rf'"Successfully bound pod to node" pod="{scene.namespace}/([^"]+)".* evaluatedNodes=(\d+)'
    )
    text = scene.cluster.scheduler.log.read_text()
    return {pod: int(number) for pod, number in line.findall(text)}


def _all_of(found, names):
    return found if set(names) <= set(found) else None


def test_a_marked_pod_of_no_group_is_bound_as_a_foreign_pod_is(scene):
    """The members entry is asked for every marked pod, whoever marked it, where no policy refuses
    that: the marker alone makes no member, and keeps nobody waiting.
    """
    scene.pool(1)
    pod = scene.filler("", name="stray")
    del pod["spec"]["nodeName"]
    limits = {"lws-placement.dev/member": "0"}
    pod["spec"]["containers"][0]["resources"] = {"limits": limits}
    pod["spec"]["nodeSelector"] = {"pool": scene.namespace}
    scene.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    scene.wait(lambda: scene.one("pod", "stray")["spec"].get("nodeName"), "it is bound")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1", b'{"kind":"AdmissionReview"}', b"x" * 2**20])
def test_a_malformed_review_is_400_and_the_server_stays_up(installation, body):
    assert post(installation, "/mutate-pods", body) == 400
    assert post(installation, "/validate-lws", b"{}") == 400


def test_a_body_of_ten_megabytes_is_refused(installation):
    assert post(installation, "/mutate-pods", b"[" + b"1," * (5 * 2**20)) in (400, 413)


def post(installation, path, body):
    url = f"https://127.0.0.1:{installation.webhook_port}{path}"
    ca = str(installation.cluster.folder / "extender-client" / "ca.crt")
    context = ssl.create_default_context(cafile=ca)
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    request = Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status
    except HTTPError as e:
        return e.code


def test_the_extender_wants_a_client_certificate(installation):
    ca = str(installation.cluster.folder / "extender-client" / "ca.crt")
    context = ssl.create_default_context(cafile=ca)
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    url = f"https://127.0.0.1:{installation.extender_port}/members/bind"
    with pytest.raises(OSError, match=r"certificate required|reset|EOF|Broken pipe|closed"):
        opener.open(Request(url, data=b"{}"), timeout=5).read()


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("get", "secrets"), ("create", "pods"), ("delete", "nodes"), ("update", "deployments")],
)
def test_the_service_account_has_no_more_rights_than_it_needs(installation, verb, resource):
    who = f"--as=system:serviceaccount:{NAMESPACE}:lws-placement"
    out = installation.cluster.kubectl("auth", "can-i", verb, resource, who, check=False)
    assert out.strip().startswith("no")


def test_no_call_of_ours_was_forbidden(installation):
    ending = "because it is being terminated"  # a namespace of the tests
    for server in installation.servers.values():
        lines = server.log.read_text().splitlines()
        assert [x for x in lines if ": 403 " in x and ending not in x] == []
