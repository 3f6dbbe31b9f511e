"""`lws-placement serve`: runs the roles of one process (`process.py`) until SIGTERM.

Its options are generated from `Settings`, so that each setting is described once: every field is a
flag `--name-with-dashes`, an environment variable `LWS_PLACEMENT_NAME` and a key `name` of the YAML
file.
"""

import asyncio
import resource
from pathlib import Path
from typing import Any

import click
import uvloop
import yaml

from lws_placement import log as logs
from lws_placement.cluster.api.client import connected
from lws_placement.cluster.api.discovery import look_around
from lws_placement.errors import ApiError, SettingsError
from lws_placement.garbage import collect_rarely
from lws_placement.inspect.found import found_lines
from lws_placement.process import run_process
from lws_placement.settings import ENV_PREFIX, Role, Settings, load_settings

_ANSWER_S = 5.0


def _serve(config: Path | None, print_config: bool, **flags: Any) -> None:
    for name in ("headroom", "domains_per_namespace", "waiting_places_per_namespace"):
        if flags[name] is not None:
            flags[name] = _amounts(name, flags[name])
    settings = load_settings(flags, file=config)
    if print_config:
        click.echo(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), nl=False)
        for line in asyncio.run(_found(settings)):
            click.echo(f"# found: {' '.join(line.split())}")
        return
    logs.set_up(level=settings.log_level, format=settings.log_format)
    collect_rarely()
    _may_open_all_files()
    uvloop.run(run_process(settings))


def _may_open_all_files() -> None:
    """Container engines may set the soft limit to 1 024, as for programs that use select(2): fewer
    than the connections that strangers may open to us, so that none would be left for our own.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _found(settings: Settings) -> list[str]:
    """`found_lines`, or why there are none. Never fails, as printing settings needs no cluster."""
    try:
        async with asyncio.timeout(_ANSWER_S), connected(settings.kubeconfig) as api:
            return found_lines(await look_around(api))
    except SettingsError as e:
        return [f"nothing, without a cluster to ask: {e}"]
    except ApiError as e:
        return [f"nothing, no API server reached: {e}"]
    except TimeoutError:
        return [f"nothing, no API server reached within {_ANSWER_S:.0f} s"]


def _amounts(name: str, text: str) -> object:
    """JSON or YAML; a quantity may be written as a number."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as e:
        flag = name.replace("_", "-")
        raise SettingsError(f"--{flag} {text}: is neither JSON nor YAML") from e
    if not isinstance(found, dict):
        return found
    return {name: str(quantity) for name, quantity in found.items()}


def _options() -> list[click.Parameter]:
    options: list[click.Parameter] = [
        click.Option(
            ["--config"], type=click.Path(path_type=Path), help="YAML file with the same knobs."
        ),
        click.Option(
            ["--print-config"],
            is_flag=True,
            help="Print the settings in force as YAML, then what is found on the cluster, "
            "and stop.",
        ),
    ]
    for field, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True)
        shown = f"{info.description}  [{ENV_PREFIX}{field.upper()}; default: {_show(default)}]"
        metavar = "VALUE" if isinstance(default, int | float) else "TEXT"
        flag = f"--{field.replace('_', '-')}"
        options.append(click.Option([flag, field], metavar=metavar, help=shown))
    return options


def _show(default: object) -> str:
    if isinstance(default, tuple):
        return "all" if set(default) == set(Role) else ",".join(map(str, default))
    return "none" if default in (None, "", {}) else str(default)


serve = click.Command(
    "serve",
    params=_options(),
    callback=_serve,
    help="Run the webhook, extender, planner and controller until SIGTERM.",
)
