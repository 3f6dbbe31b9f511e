"""The verbs of `lws-placement`, called as a user does."""

from click.testing import CliRunner

from lws_placement.cli.main import cli


def ask(kubeconfig, *args):
    done = CliRunner().invoke(cli, [*args, f"--kubeconfig={kubeconfig}"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout
