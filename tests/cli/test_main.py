"""The command line: help, settings from flags, environment and file, clear errors."""

import pytest
import yaml
from click.testing import CliRunner

from lws_placement.cli.main import cli
from lws_placement.cli.main import main as run_main
from lws_placement.localcluster.cluster import free_ports
from lws_placement.localcluster.install import MANIFESTS
from lws_placement.settings import Settings

BASE = MANIFESTS / "base"


def test_help_lists_the_verbs_and_every_knob_has_a_flag():
    assert {"serve", "demo", "version"} <= set(CliRunner().invoke(cli, ["--help"]).output.split())
    text = CliRunner().invoke(cli, ["serve", "--help"]).output
    assert "--hold-seconds" in text
    assert "LWS_PLACEMENT_HOLD_SECONDS" in text


def test_flags_win_over_environment_over_file(tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    file.write_text("hold_seconds: 1\nlease_seconds: 2\nlog_level: debug\n")
    monkeypatch.setenv("LWS_PLACEMENT_HOLD_SECONDS", "3")
    monkeypatch.setenv("LWS_PLACEMENT_LEASE_SECONDS", "4")
    args = ["serve", f"--config={file}", "--lease-seconds=5", "--roles=gate", "--print-config"]
    done = CliRunner().invoke(cli, args)
    assert done.exit_code == 0, done.output
    shown = yaml.safe_load(done.output)
    assert (shown["hold_seconds"], shown["lease_seconds"], shown["log_level"]) == (3, 5, "DEBUG")
    assert shown["roles"] == ["webhook", "extender"]


KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: there
clusters: [{name: there, cluster: {server: "http://127.0.0.1:PORT"}}]
users: [{name: me, user: {token: t}}]
contexts: [{name: there, context: {cluster: there, user: me}}]
"""


@pytest.mark.parametrize(
    ("kubeconfig", "says"),
    [
        pytest.param(None, "nothing, without a cluster to ask: no usable credentials", id="none"),
        pytest.param("", "nothing, without a cluster to ask: no usable credentials", id="empty"),
        pytest.param(KUBECONFIG, "nothing, no API server reached: GET /version: ", id="nobody"),
    ],
)
def test_print_config_needs_no_cluster_and_says_so(kubeconfig, says, tmp_path):
    path = tmp_path / "kubeconfig"
    if kubeconfig is not None:
        (port,) = free_ports(1)
        path.write_text(kubeconfig.replace("PORT", str(port)))
    done = CliRunner().invoke(cli, ["serve", f"--kubeconfig={path}", "--print-config"])
    assert done.exit_code == 0, done.output
    *settings, last = done.stdout.splitlines()
    assert last.startswith(f"# found: {says}")
    assert set(yaml.safe_load("\n".join(settings))) == set(Settings.model_fields)
    assert yaml.safe_load(done.stdout)["kubeconfig"] == str(path)


def service_links(name, *, ports, protocol="TCP"):
    """What kubelet sets for a Service (pkg/kubelet/envvars `FromServices`)."""
    prefix, host = name.upper().replace("-", "_"), "10.96.0.7"
    first, scheme = ports[0]["port"], protocol.lower()
    links = {f"{prefix}_SERVICE_HOST": host, f"{prefix}_SERVICE_PORT": str(first)}
    links[f"{prefix}_PORT"] = f"{scheme}://{host}:{first}"
    for port in ports:
        links[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        each = f"{prefix}_PORT_{port['port']}_{protocol}"
        links |= {each: f"{scheme}://{host}:{port['port']}", f"{each}_PROTO": scheme}
        links |= {f"{each}_PORT": str(port["port"]), f"{each}_ADDR": host}
    return links


def test_service_links_of_our_own_services_are_nobodys_settings(monkeypatch):
    services = list(yaml.safe_load_all((BASE / "services.yaml").read_text()))
    assert len(services) == 3
    for service in services:
        links = service_links(service["metadata"]["name"], ports=service["spec"]["ports"])
        for variable, value in links.items():
            monkeypatch.setenv(variable, value)
    done = CliRunner().invoke(cli, ["serve", "--print-config"])
    assert done.exit_code == 0, done.output
    shown = yaml.safe_load(done.output)
    assert (shown["webhook_port"], shown["extender_port"], shown["health_port"]) == (
        9443,
        9444,
        8080,
    )


@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
def test_a_service_link_counts_as_absent_for_every_knob(scheme, monkeypatch, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("webhook_port: 7\n")
    for field in Settings.model_fields:
        monkeypatch.setenv(f"LWS_PLACEMENT_{field.upper()}", f"{scheme}://10.96.0.7:443")
    done = CliRunner().invoke(cli, ["serve", f"--config={file}", "--print-config"])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.output) == {
        **Settings.model_construct().model_dump(mode="json"),
        "webhook_port": 7,
    }


def test_our_pods_ask_kubelet_for_no_service_links():
    objects = yaml.safe_load_all((BASE / "deployment.yaml").read_text())
    specs = [o["spec"]["template"]["spec"] for o in objects if o["kind"] == "Deployment"]
    assert [spec["enableServiceLinks"] for spec in specs] == [False, False]


@pytest.mark.parametrize("text", ['{"cpu": 4}', '{"cpu": "4"}', "{cpu: 4}"])
def test_headroom_takes_quantities_as_text_and_as_numbers(text):
    done = CliRunner().invoke(cli, ["serve", f"--headroom={text}", "--print-config"])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.output)["headroom"] == {"cpu": "4"}


@pytest.mark.parametrize(
    "text", ["", "[]", "words", "a: [", "clusters: 1\ncurrent-context: a", "\x00"]
)
def test_a_file_that_is_no_kubeconfig_is_one_line_and_exit_code_1(
    text, tmp_path, monkeypatch, capsys
):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    monkeypatch.setattr("sys.argv", ["lws-placement", "status", f"--kubeconfig={path}"])
    with pytest.raises(SystemExit) as exit_:
        run_main()
    assert exit_.value.code == 1
    assert "no usable credentials for the API server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["serve", "--roles=cook"], "roles"),
        (["serve", "--lease-seconds=0"], "lease_seconds"),
        (["serve", "--headroom={cpu: much}"], "headroom"),
        (["serve", "--headroom={cpu"], "neither JSON nor YAML"),
        (["serve", "--headroom=4"], "headroom"),
        (["serve", "--config=/no/such.yaml"], "there is no such file"),
        (["serve", "--kubeconfig=/no/such"], "credentials"),
        (["scheduler-config", "--out=x", "--address=extender.svc"], "give an IP address"),
        (["scheduler-config", "--out=x", "--files-at=here"], "--files-at here: must be absolute"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_1(args, says, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["lws-placement", *args])
    with pytest.raises(SystemExit) as exit_:
        run_main()
    assert exit_.value.code == 1
    words = capsys.readouterr().err
    assert says in words
    assert "Traceback" not in words
