"""The program: `lws-placement <verb>`. A file per verb; this one only gathers them and turns errors
into exit codes.

Exit codes: 0 done, 1 failed (one line on stderr says what), 2 wrong usage, 130 interrupted.
"""

import sys

import click

from lws_placement.cli.demo import demo
from lws_placement.cli.explain import explain
from lws_placement.cli.release import release
from lws_placement.cli.rollout import rollout
from lws_placement.cli.scheduler_config import scheduler_config
from lws_placement.cli.serve import serve
from lws_placement.cli.simulate import simulate
from lws_placement.cli.status import status
from lws_placement.cli.version import version
from lws_placement.errors import LwsPlacementError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Whole LeaderWorkerSet groups, each alone, on one TPU slice or node pool, atomically."""


cli.add_command(serve)
cli.add_command(scheduler_config)
cli.add_command(release)
cli.add_command(explain)
cli.add_command(status)
cli.add_command(simulate)
cli.add_command(rollout)
cli.add_command(demo)
cli.add_command(version)


def main() -> None:
    try:
        cli()
    except LwsPlacementError as e:
        click.echo(f"lws-placement: {e}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
