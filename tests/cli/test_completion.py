"""Completion, as shells and kubectl ask for it."""

import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lws_placement.cli.completion import kubectl_complete
from lws_placement.cli.main import cli, main


def completed(monkeypatch, capsys, *args):
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-lws_placement", *args])
    kubectl_complete()
    *lines, directive = capsys.readouterr().out.splitlines()
    return [line.split("\t")[0] for line in lines], directive


@pytest.mark.parametrize(
    ("args", "found", "directive"),
    [
        (("st",), ["status"], ":4"),
        (("explain", "--names"), ["--namespace"], ":4"),
        (("simulate", "-f", ""), [], ":0"),
    ],
)
def test_kubectl_is_given_what_fits(args, found, directive, monkeypatch, capsys):
    assert completed(monkeypatch, capsys, *args) == (found, directive)


def test_kubectl_is_given_every_verb(monkeypatch, capsys):
    verbs, _ = completed(monkeypatch, capsys, "")
    assert {"status", "explain", "simulate", "completion"} <= set(verbs)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell):
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert "_LWS_PLACEMENT_COMPLETE" in done.output
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=done.output, text=True, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


def test_an_unknown_shell_is_refused_with_those_that_are_known():
    done = CliRunner().invoke(cli, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in done.output


def test_usage_names_the_plugin_where_kubectl_calls_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-lws_placement", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "Usage: kubectl lws-placement" in capsys.readouterr().out
