"""`lws-placement completion bash|zsh|fish` prints a script that completes verbs and options;
`kubectl_complete-lws_placement` is what kubectl calls to complete `kubectl lws-placement`.
"""

import sys

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from lws_placement.cli.main import cli
from lws_placement.errors import LwsPlacementError

_PROGRAM = "lws-placement"
_VARIABLE = "_LWS_PLACEMENT_COMPLETE"
_NO_FILES, _FILES = ":4", ":0"
"""ShellCompDirectiveNoFileComp and ShellCompDirectiveDefault of cobra, which kubectl reads."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes this program's verbs and options in SHELL.

    \b
    bash:  source <(lws-placement completion bash)
    zsh:   source <(lws-placement completion zsh)
    fish:  lws-placement completion fish | source

    `kubectl lws-placement` is completed wherever kubectl is (kubectl completion --help).
    """
    made = get_completion_class(shell)
    if made is None:
        raise LwsPlacementError(f"completion: click does not know {shell}")
    click.echo(made(cli, {}, _PROGRAM, _VARIABLE).source())


def kubectl_complete() -> None:
    """Prints a completion a line for the arguments so far, the last one incomplete; then a
    directive (kubectl 1.26 and later, `kubectl plugin --help`).
    """
    *args, incomplete = sys.argv[1:] or [""]
    found = ShellComplete(cli, {}, _PROGRAM, _VARIABLE).get_completions(args, incomplete)
    for item in found:
        if item.type == "plain":
            click.echo(_line(item))
    click.echo(_FILES if any(item.type in ("file", "dir") for item in found) else _NO_FILES)


def _line(item: CompletionItem) -> str:
    return f"{item.value}\t{item.help}" if item.help else str(item.value)
