"""The program `lws-placement <verb>`: a module per verb. This one finds them and turns errors into
exit codes.

Exit codes: 0 done, 1 failed (one line on stderr says what), 2 wrong usage, 130 interrupted, 143
ended by SIGTERM.
"""

import signal
import sys
from importlib import import_module
from pathlib import Path

import click

from lws_placement.errors import LwsPlacementError

_VERBS = {
    "completion": "completion",
    "demo": "demo.command",
    "explain": "explain",
    "release": "leave.release",
    "rollout": "rollout",
    "scheduler-config": "scheduler.config",
    "serve": "serve",
    "simulate": "simulate",
    "status": "status",
    "uninstall": "leave.uninstall",
    "version": "version",
}
"""Verb -> its module, which has a command of the verb's name."""


class Verbs(click.Group):
    """Imports only the module of the verb that is called: each needs much that others do not."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = import_module(f"lws_placement.cli.{_VERBS[cmd_name]}")
        verb: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return verb


@click.group(
    cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
def cli() -> None:
    """Whole LeaderWorkerSet groups, each alone, on one TPU slice or node pool, atomically."""


def main() -> None:
    # While a verb is loaded, too: without a handler the first process of a container ignores it.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    by_kubectl = Path(sys.argv[0]).name == "kubectl-lws_placement"
    try:
        cli(prog_name="kubectl lws-placement" if by_kubectl else None)
    except LwsPlacementError as e:
        click.echo(f"lws-placement: {e}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
