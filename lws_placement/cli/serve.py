"""`lws-placement serve`: run the roles of one process (`process.py`) until SIGTERM."""

import uvloop

from lws_placement import log as logs
from lws_placement.cli.found import found_if_reached
from lws_placement.cli.options import settings_command
from lws_placement.garbage import collect_rarely
from lws_placement.process import run_process
from lws_placement.settings import Settings


def _run(settings: Settings) -> None:
    logs.set_up(level=settings.log_level, format=settings.log_format)
    collect_rarely()
    uvloop.run(run_process(settings))


serve = settings_command(
    "serve",
    run=_run,
    found=found_if_reached,
    help="Run the webhook, extender, planner and controller until SIGTERM.",
)
