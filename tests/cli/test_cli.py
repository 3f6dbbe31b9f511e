"""The command line: help, settings from flags, environment and file, clear errors."""

import pytest
import yaml
from click.testing import CliRunner

from lws_placement.cli.main import cli
from lws_placement.cli.main import main as run_main


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


@pytest.mark.parametrize("text", ['{"cpu": 4}', '{"cpu": "4"}', "{cpu: 4}"])
def test_headroom_takes_quantities_as_text_and_as_numbers(text):
    done = CliRunner().invoke(cli, ["serve", f"--headroom={text}", "--print-config"])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.output)["headroom"] == {"cpu": "4"}


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
