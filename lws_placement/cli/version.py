"""`lws-placement version`."""

import json
import platform
from importlib.metadata import version as installed

import click


@click.command()
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def version(output: str) -> None:
    """Print the version of this program, of Python, and of the kubernetes client."""
    found = {
        "lws-placement": installed("lws-placement"),
        "python": platform.python_version(),
        "kubernetes-client": installed("kubernetes"),
    }
    if output == "json":
        click.echo(json.dumps(found))
    else:
        click.echo("\n".join(f"{name} {value}" for name, value in found.items()))
