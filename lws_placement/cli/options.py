"""Command-line options made from the settings, so that a knob is described in one place.

Every field of `Settings` is a flag `--name-with-dashes`, an environment variable
`LWS_PLACEMENT_NAME` and a key `name` of the YAML file.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from lws_placement.errors import SettingsError
from lws_placement.settings import ENV_PREFIX, Role, Settings, load_settings

_CONFIG = click.Option(
    ["--config"], type=click.Path(path_type=Path), help="YAML file with the same knobs."
)
_PRINT = click.Option(
    ["--print-config"],
    is_flag=True,
    help="Print the settings in force as YAML, then what is found on the cluster, and stop.",
)


def settings_command(
    name: str,
    *,
    run: Callable[[Settings], None],
    found: Callable[[Settings], Sequence[str]],
    help: str,
) -> click.Command:
    """A verb whose options are the settings. `found`: what is said of the cluster, in lines, which
    become comments of the YAML.
    """

    def callback(config: Path | None, print_config: bool, **flags: Any) -> None:
        settings = load_settings(_given(flags), file=config)
        if print_config:
            click.echo(as_yaml(settings), nl=False)
            for line in found(settings):
                click.echo(f"# found: {line}")
            return
        run(settings)

    params: list[click.Parameter] = [_CONFIG, _PRINT]
    for field, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=True)
        shown = _show(default)
        params.append(
            click.Option(
                [f"--{field.replace('_', '-')}", field],
                metavar="TEXT" if not isinstance(default, int | float) else "VALUE",
                help=f"{info.description}  [{ENV_PREFIX}{field.upper()}; default: {shown}]",
            )
        )
    return click.Command(name, params=params, callback=callback, help=help)


def as_yaml(settings: Settings) -> str:
    """The settings as the YAML file that would give them."""
    return str(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False))


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in flags.items() if value is not None}
    if "headroom" in given:
        given["headroom"] = _amounts(given["headroom"])
    return given


def _amounts(text: str) -> object:
    """JSON or YAML; a quantity may be written as a number."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise SettingsError(f"--headroom {text}: is neither JSON nor YAML") from e
    if not isinstance(found, dict):
        return found
    return {name: str(quantity) for name, quantity in found.items()}


def _show(default: object) -> str:
    if isinstance(default, tuple):
        if set(default) == set(Role):
            return "all"
        return ",".join(str(part) for part in default)
    if default in (None, "", {}):
        return "none"
    return str(default)
