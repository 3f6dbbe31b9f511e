"""The chart, on the real Helm: it renders what kustomize does, and wrong values are refused."""

import os
import subprocess

import pytest
import yaml
from click.testing import CliRunner
from helm.program import Helm, find_or_build_helm
from helm.release import CHART, CRD, NAMESPACE, as_set, by_name

from lws_placement.cli.main import cli
from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.binaries import wanted_version
from lws_placement.localcluster.install import BRAIN, GATE, MANIFESTS

OURS = ("Namespace", "", NAMESPACE)


@pytest.fixture(scope="module")
def program(say):
    return find_or_build_helm(say)


@pytest.fixture(scope="module")
def helm(program, tmp_path_factory):
    """Without a cluster."""
    return Helm(program, tmp_path_factory.mktemp("home"))


# -- what it renders ------------------------------------------------------------------------------


@pytest.fixture
def rendered(helm):
    def render(values=(), *, namespace=NAMESPACE):
        flags = [f"--namespace={namespace}", f"--kube-version={wanted_version()}"]
        text = helm("template", "lws-placement", str(CHART), *flags, *as_set(dict(values)))
        return by_name(o for o in yaml.safe_load_all(text) if o)

    return render


@pytest.fixture(scope="module")
def kustomized(binaries):
    def build(overlay):
        command = [binaries["kubectl"], "kustomize", str(MANIFESTS / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = by_name(o for o in yaml.safe_load_all(done.stdout) if o)
        return {key: obj for key, obj in found.items() if key != OURS}

    return build


@pytest.fixture
def overlaid(binaries, tmp_path):
    """What an overlay of a user's renders, the namespace included."""

    def build(overlay, *, namespace=None, components=()):
        at = os.path.relpath(MANIFESTS, tmp_path)
        own = {"namespace": namespace} if namespace else {}
        own["resources"] = [f"{at}/{overlay}"]
        own["components"] = [f"{at}/{name}" for name in components]
        (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
        command = [binaries["kubectl"], "kustomize", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return by_name(o for o in yaml.safe_load_all(done.stdout) if o)

    return build


def without_order(obj):
    """Variables of a container are a set; nothing else is."""
    if isinstance(obj, dict):
        return {
            k: sorted(v, key=lambda e: e["name"]) if k == "env" else without_order(v)
            for k, v in obj.items()
        }
    return [without_order(item) for item in obj] if isinstance(obj, list) else obj


@pytest.mark.parametrize(
    ("values", "overlays"),
    [
        pytest.param({}, ["standalone"], id="as it comes"),
        pytest.param({"controller.enabled": False}, ["beside-upstream"], id="beside upstream"),
        pytest.param(
            {"secondScheduler.enabled": True}, ["second-scheduler/standalone"], id="second"
        ),
        pytest.param(
            {"secondScheduler.enabled": True, "controller.enabled": False},
            ["second-scheduler/beside-upstream"],
            id="second beside upstream",
        ),
        pytest.param(
            {"schedulerFiles.enabled": True}, ["standalone", "scheduler-files"], id="files"
        ),
        pytest.param({"extender.clusterIP": "10.96.0.99"}, ["kind"], id="kind"),
    ],
)
def test_it_renders_what_kustomize_does(rendered, kustomized, values, overlays):
    wanted = {key: obj for overlay in overlays for key, obj in kustomized(overlay).items()}
    if values.get("secondScheduler.enabled"):
        (container,) = wanted["Deployment", NAMESPACE, "lws-placement-scheduler"]["spec"][
            "template"
        ]["spec"]["containers"]
        container["image"] = f"registry.k8s.io/kube-scheduler:v{wanted_version()}"
    made = rendered(values)
    assert made.keys() == wanted.keys()
    for key, obj in wanted.items():
        assert without_order(made[key]) == without_order(obj), key


POLICY = "ValidatingAdmissionPolicy"


def at(objects):
    """(kind, name) -> namespace."""
    return {(kind, name): namespace for kind, namespace, name in objects}


CA = "lws-placement-webhook-client-ca"


def test_the_ca_of_webhook_clients_is_mounted_as_the_component_does(rendered, overlaid):
    made = rendered({"webhook.clientCA.configMap": CA})
    wanted = overlaid("standalone", components=["webhook-client-ca"])
    assert made.keys() == wanted.keys() - {OURS}
    for key, obj in made.items():
        assert without_order(obj) == without_order(wanted[key]), key


def test_the_ca_of_webhook_clients_may_be_in_a_secret_under_another_key(rendered):
    values = {"webhook.clientCA.secret": "clients", "webhook.clientCA.key": "apiserver.pem"}
    made = rendered(values)
    spec = made["Deployment", NAMESPACE, GATE]["spec"]["template"]["spec"]
    items = [{"key": "apiserver.pem", "path": "apiserver.pem"}]
    source = {"secretName": "clients", "items": items}
    assert {"name": "webhook-client-ca", "secret": source} in spec["volumes"]
    (gate,) = spec["containers"]
    (mount,) = [m for m in gate["volumeMounts"] if m["name"] == "webhook-client-ca"]
    file = f"{mount['mountPath']}/apiserver.pem"
    assert {"name": "LWS_PLACEMENT_WEBHOOK_CLIENT_CA", "value": file} in gate["env"]
    brain = made["Deployment", NAMESPACE, BRAIN]
    assert "client-ca" not in yaml.safe_dump(brain), "it serves no webhook"


@pytest.mark.parametrize("overlay", ["standalone", "beside-upstream"])
def test_an_overlay_in_another_namespace_needs_no_patch(overlaid, overlay):
    made = overlaid(overlay, namespace="elsewhere")
    assert NAMESPACE not in yaml.safe_dump_all(made.values())
    # kustomize gives these a namespace, too, which the API server drops.
    policies = {key: ns for key, ns in at(made).items() if key[0].startswith(POLICY)}
    assert set(policies.values()) == {"elsewhere"}
    here = at(overlaid(overlay)) | policies
    here = {key: ns.replace(NAMESPACE, "elsewhere") for key, ns in here.items()}
    assert at(made) | {OURS[::2]: ""} == here | {("Namespace", "elsewhere"): ""}
    for name in (GATE, BRAIN):
        (container,) = made["Deployment", "elsewhere", name]["spec"]["template"]["spec"][
            "containers"
        ]
        told = {"fieldRef": {"fieldPath": "metadata.namespace"}}
        assert {"name": "LWS_PLACEMENT_NAMESPACE", "valueFrom": told} in container["env"]


def test_another_namespace_is_the_only_one_that_is_named(rendered):
    values = {"schedulerFiles.enabled": True}
    made = rendered(values, namespace="elsewhere")
    text = yaml.safe_dump_all(made.values())
    assert NAMESPACE not in text
    here = rendered(values)
    assert {(k, ns.replace("elsewhere", NAMESPACE), n) for k, ns, n in made} == here.keys()
    by_itself = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    files = "lws-placement-scheduler-files"
    for key, told in (
        (("Deployment", "elsewhere", GATE), by_itself),
        (("Deployment", "elsewhere", BRAIN), by_itself),
        (("DaemonSet", files, files), {"value": "elsewhere"}),
    ):
        for container in made[key]["spec"]["template"]["spec"]["containers"]:
            assert {"name": "LWS_PLACEMENT_NAMESPACE", **told} in container["env"]


def test_the_second_scheduler_in_another_namespace_is_told_of_it(rendered):
    made = rendered({"secondScheduler.enabled": True}, namespace="elsewhere")
    text = made["ConfigMap", "elsewhere", "lws-placement-scheduler"]["data"][
        "scheduler-config.yaml"
    ]
    config = yaml.safe_load(text)
    assert config["leaderElection"]["resourceNamespace"] == "elsewhere"
    (extender,) = config["extenders"]
    assert extender["urlPrefix"] == "https://lws-placement-extender.elsewhere.svc/members"
    assert extender["tlsConfig"]["serverName"] == "lws-placement-extender.elsewhere.svc"


SETTINGS = {
    "hold_seconds": 120.5,
    "max_group_size": 16384,
    "quarantine_seconds": 1000000,
    "placing": False,
    "guarded_resources": ["google.com/tpu", "example.com/npu"],
    "affinity": "never",
    "headroom": {"cpu": "500m", "memory": "1Gi"},
    "log_format": "json",
    "force_delete_after": 60,
}


def test_settings_reach_both_processes_as_the_program_reads_them(rendered, monkeypatch):
    made = rendered({"settings": SETTINGS, "extender.configured": False})
    for name in (GATE, BRAIN):
        (container,) = made["Deployment", NAMESPACE, name]["spec"]["template"]["spec"]["containers"]
        values = {e["name"]: e["value"] for e in container["env"] if "value" in e}
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(cli, [*container["args"], "--print-config"])
        assert done.exit_code == 0, done.output
        shown = yaml.safe_load(done.stdout)
        assert {name: shown[name] for name in SETTINGS} == SETTINGS
        assert shown["extender_configured"] is False


def test_values_go_where_they_belong(rendered):
    values = {
        "replicas": 3,
        "image": {
            "repository": "registry.example.com/mirror/ours",
            "tag": "1.2.3",
            "pullPolicy": "Always",
            "pullSecrets": [{"name": "secret"}],
        },
        "gate.resources": {"requests": {"cpu": "1"}},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"a": "1"},
        "priorityClassName": "mine",
        "secondScheduler": {
            "enabled": True,
            "image": {"repository": "mirror/ks", "tag": "v1.35.0"},
        },
        "monitoring.serviceMonitor": {"enabled": True, "labels": {"team": "ml"}, "interval": "15s"},
    }
    made = rendered(values)
    for name in (GATE, BRAIN):
        deployment = made["Deployment", NAMESPACE, name]["spec"]
        assert deployment["replicas"] == 3
        assert deployment["template"]["metadata"]["annotations"] == {"a": "1"}
    for name in (GATE, BRAIN, "lws-placement-scheduler"):
        spec = made["Deployment", NAMESPACE, name]["spec"]["template"]["spec"]
        for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
            assert spec[key] == values[key]
        assert spec["imagePullSecrets"] == [{"name": "secret"}]
    gate, brain = (
        made["Deployment", NAMESPACE, name]["spec"]["template"]["spec"]["containers"][0]
        for name in (GATE, BRAIN)
    )
    assert {gate["image"], brain["image"]} == {"registry.example.com/mirror/ours:1.2.3"}
    assert {gate["imagePullPolicy"], brain["imagePullPolicy"]} == {"Always"}
    assert gate["resources"]["requests"]["cpu"] == "1"
    assert brain["resources"]["requests"]["cpu"] == "200m"
    assert spec["containers"][0]["image"] == "mirror/ks:v1.35.0"
    monitor = made["ServiceMonitor", NAMESPACE, "lws-placement"]
    assert monitor["metadata"]["labels"] == {"team": "ml"}
    service = made["Service", NAMESPACE, "lws-placement-metrics"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert [key for key, o in made.items() if labels(o) >= wanted and key[0] == "Service"] == [
        ("Service", NAMESPACE, "lws-placement-metrics")
    ]
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {e["port"] for e in monitor["spec"]["endpoints"]} == ports


def labels(obj):
    return (obj["metadata"].get("labels") or {}).items()


@pytest.mark.parametrize(
    ("version", "tag"),
    [("1.35.4", "v1.35.4"), ("v1.34.1-gke.1234000", "v1.34.1"), ("1.36.0+k3s1", "v1.36.0")],
)
def test_the_second_scheduler_is_of_the_clusters_version(helm, version, tag):
    flags = [f"--kube-version={version}", "--set=secondScheduler.enabled=true"]
    assert f"kube-scheduler:{tag}\n" in helm("template", "x", str(CHART), *flags)


def test_an_older_cluster_is_refused(helm):
    with pytest.raises(LocalClusterError, match=r"incompatible with Kubernetes v1\.33"):
        helm("template", "x", str(CHART), "--kube-version=1.33.0")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 0}, "replicas.*minimum"),
        ({"replicas": "two"}, "replicas.*got string, want integer"),
        ({"replica": 2}, "replica.*not allowed"),
        ({"image.pullPolicy": "Sometimes"}, "pullPolicy.*must be one of"),
        ({"settings.hold_second": 3}, "settings.*hold_second.*not allowed"),
        ({"settings.hold_seconds": -1}, "hold_seconds.*minimum"),
        ({"settings.hold_seconds": "1 minute"}, "hold_seconds.*want number"),
        ({"settings.affinity": "perhaps"}, "affinity.*must be one of"),
        ({"settings.roles": "gate"}, "settings.*roles.*not allowed"),
        ({"settings.webhook_client_ca": "/f"}, "webhook_client_ca.*not allowed"),
        ({"webhook.clientCA.secret": "A"}, "secret.*does not match"),
        ({"webhook.clientCA.key": "../x y"}, "key.*does not match"),
        (
            {"webhook.clientCA.secret": "a", "webhook.clientCA.configMap": "b"},
            "secret and configMap are both set",
        ),
        ({"gate.resources.request": {}}, "resources.*request.*not allowed"),
        ({"extender.clusterIP": "extender.svc"}, "clusterIP.*does not match"),
        ({"monitoring.serviceMonitor.interval": "soon"}, "interval.*does not match"),
        (
            {"secondScheduler.enabled": True, "extender.configured": False},
            "extender.configured must be true",
        ),
        (
            {"secondScheduler.enabled": True, "schedulerFiles.enabled": True},
            "the second one needs none",
        ),
    ],
)
def test_wrong_values_are_refused_with_words(helm, values, words):
    with pytest.raises(LocalClusterError, match=f"(?s){words}"):
        helm("template", "lws-placement", str(CHART), *as_set(values))


def test_lint_finds_nothing(helm):
    said = helm("lint", str(CHART), "--strict", check=False)
    assert "1 chart(s) linted, 0 chart(s) failed" in said
    assert "[ERROR]" not in said
    assert "[WARNING]" not in said


def test_a_packaged_chart_has_the_crd_in_it(helm, tmp_path):
    helm("package", str(CHART), f"--destination={tmp_path}")
    (package,) = tmp_path.iterdir()
    crd = yaml.safe_load(helm("show", "crds", str(package)))
    assert crd["metadata"]["name"] == CRD
    assert crd == yaml.safe_load((MANIFESTS / "crd" / "crd.yaml").read_text())
