"""`lws-placement demo`."""

import click


@click.command()
def demo() -> None:
    """See whole groups land."""
