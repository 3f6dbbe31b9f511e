"""kube-scheduler's configuration for one cluster: what is filled in, and how it is written."""

import copy

import pytest
import yaml

from certs.store import CLIENT_SECRET
from lws_placement.errors import SettingsError
from lws_placement.kube_scheduler.config import (
    CONFIGURATION,
    Place,
    as_files,
    fill,
    host_and_port,
    read_base,
    write_files,
)
from lws_placement.localcluster.binaries import KUBERNETES_VERSION
from lws_placement.localcluster.install import MANIFESTS

FILES = {"ca.crt": b"new ca", "client.key": b"new key", "scheduler-config.yaml": b"new config"}


def test_only_addresses_and_names_are_filled_in_and_the_base_stays_as_it_is():
    base = read_base()
    before = copy.deepcopy(base)
    filled = fill(base, Place("10.0.0.7:443", "lws-placement-system"))
    assert base == before
    prefixes = [extender.pop("urlPrefix") for extender in filled["extenders"]]
    assert prefixes == ["https://10.0.0.7:443/members", "https://10.0.0.7:443/guard"]
    for extender in before["extenders"]:
        del extender["urlPrefix"]
    assert filled == before


def test_files_credentials_and_server_name_follow_the_place():
    place = Place("10.0.0.7:443", "elsewhere", files_at="/srv/k8s/", kubeconfig="/srv/s.conf")
    filled = fill(read_base(), place)
    assert filled["clientConnection"]["kubeconfig"] == "/srv/s.conf"
    assert filled["clientConnection"]["qps"] == read_base()["clientConnection"]["qps"]
    assert [extender["tlsConfig"] for extender in filled["extenders"]] == 2 * [
        {
            "serverName": "lws-placement-extender.elsewhere.svc",
            "caFile": "/srv/k8s/ca.crt",
            "certFile": "/srv/k8s/client.crt",
            "keyFile": "/srv/k8s/client.key",
        }
    ]


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ("10.96.0.99", "10.96.0.99:443"),
        ("10.96.0.99:9444", "10.96.0.99:9444"),
        ("fd00::99", "[fd00::99]:443"),
        ("[fd00::99]", "[fd00::99]:443"),
        ("[fd00::99]:9444", "[fd00::99]:9444"),
    ],
)
def test_an_address_becomes_what_a_url_needs(given, want):
    assert host_and_port(given) == want


@pytest.mark.parametrize(
    "given",
    ["", "extender.svc", "10.96.0.99:", "10.96.0.99:0", "10.96.0.99:99999", "https://1.2.3.4"],
)
def test_a_wrong_address_is_refused_with_what_is_wanted(given):
    with pytest.raises(SettingsError, match=r"--address .* give an IP address, or IP:PORT"):
        host_and_port(given)


def test_the_files_replace_old_ones_and_only_their_owner_reads_them(tmp_path):
    folder = tmp_path / "new" / "folder"
    write_files(folder, dict.fromkeys(FILES, b"old"))
    write_files(folder, FILES)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_nothing_is_replaced_when_one_file_cannot_be_written(tmp_path):
    for name in FILES:
        (tmp_path / name).write_text("old")
    with pytest.raises(SettingsError, match=rf"--out {tmp_path}: cannot be written: File name"):
        write_files(tmp_path, FILES | {"x" * 300: b"a name that no file system takes"})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(FILES, "old")


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=rf"--out {tmp_path}/file: cannot be written: "):
        write_files(tmp_path / "file", FILES)


def test_the_configuration_comes_last_and_says_where_it_is_from():
    files = as_files({"kind": "x"}, ca=b"a", client_cert=b"b", client_key=b"c")
    assert list(files) == ["ca.crt", "client.crt", "client.key", "scheduler-config.yaml"]
    text = files["scheduler-config.yaml"].decode()
    assert text.startswith("# Made by `lws-placement scheduler-config`")
    assert yaml.safe_load(text) == {"kind": "x"}


def test_the_kind_node_has_the_files_where_both_configurations_look_for_them():
    kind = yaml.safe_load((MANIFESTS / "kind" / "kind.yaml").read_text())
    (node,) = [n for n in kind["nodes"] if n["role"] == "control-plane"]
    (mount,) = node["extraMounts"]
    seen_at = mount["containerPath"]
    tls = [extender["tlsConfig"] for extender in read_base()["extenders"]]
    assert {t[f].rpartition("/")[0] for t in tls for f in ("caFile", "certFile", "keyFile")} == {
        seen_at
    }
    patches = [yaml.safe_load(patch)["scheduler"] for patch in node["kubeadmConfigPatches"]]
    assert [_flags(patch["extraArgs"]) for patch in patches] == 2 * [
        {"config": f"{seen_at}/scheduler-config.yaml"}
    ]
    for patch in patches:
        (volume,) = patch["extraVolumes"]
        assert (volume["hostPath"], volume["mountPath"]) == (seen_at, seen_at)


def _flags(args):
    """kubeadm v1beta4 has a list of names and values, v1beta3 a mapping."""
    return {a["name"]: a["value"] for a in args} if isinstance(args, list) else args


def second_scheduler(name):
    return yaml.safe_load((MANIFESTS / "second-scheduler" / "component" / name).read_text())


def test_the_second_scheduler_has_the_same_entry_for_members_and_no_guard():
    config = yaml.safe_load(second_scheduler("scheduler-config.yaml")["data"][CONFIGURATION])
    base = read_base()
    assert config["extenders"] == [
        e for e in base["extenders"] if e["urlPrefix"].endswith("members")
    ]
    profile = config.pop("profiles")
    assert [p["schedulerName"] for p in profile] == ["lws-placement-scheduler"]
    lease = config["leaderElection"]
    assert (lease["resourceNamespace"], lease["resourceName"]) == (
        "lws-placement-system",
        "lws-placement-scheduler",
    )
    assert config.keys() == base.keys()
    rates = {"qps", "burst"}
    assert config["clientConnection"] == {k: base["clientConnection"][k] for k in rates}


def test_the_second_scheduler_finds_its_files_where_its_configuration_looks():
    pod = yaml.safe_load_all(
        (MANIFESTS / "second-scheduler" / "component" / "deployment.yaml").read_text()
    )
    spec = next(pod)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    mounts = {m["mountPath"]: m["name"] for m in container["volumeMounts"]}
    volumes = {v["name"]: v for v in spec["volumes"]}
    tls = read_base()["extenders"][0]["tlsConfig"]
    (folder,) = {tls[f].rpartition("/")[0] for f in ("caFile", "certFile", "keyFile")}
    assert volumes[mounts[folder]]["secret"]["secretName"] == CLIENT_SECRET
    (flag,) = [c for c in container["command"] if c.startswith("--config=")]
    folder, _, name = flag.removeprefix("--config=").rpartition("/")
    made = second_scheduler("scheduler-config.yaml")
    assert volumes[mounts[folder]]["configMap"]["name"] == made["metadata"]["name"]
    assert name in made["data"]


def test_the_second_scheduler_is_of_the_version_that_the_tests_run():
    (image,) = second_scheduler("kustomization.yaml")["images"]
    assert image["newTag"] == f"v{KUBERNETES_VERSION}"


def test_the_kind_bootstrap_differs_from_the_base_in_having_no_extenders():
    path = MANIFESTS / "kind" / "scheduler" / "scheduler-config.yaml"
    bootstrap = yaml.safe_load(path.read_text())
    base = read_base()
    del base["extenders"]
    del base["clientConnection"]["qps"], base["clientConnection"]["burst"]
    assert bootstrap == base
