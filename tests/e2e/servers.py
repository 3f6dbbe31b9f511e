"""Our processes, as the end-to-end tests run them."""

HASTY = (
    "--hold-seconds=5",
    "--move-seconds=5",
    "--refused-after-seconds=3",
    "--pass-over-seconds=10",
    "--quarantine-failures=2",
)
"""What takes minutes on a real cluster."""


def start(installed, name, *flags, **more):
    """Both gates answer API server and scheduler; of the brains one leads, one stands by."""
    launch(installed, name, *flags, **more)
    installed.wait_ready(name)


def brains_with(installed, *flags):
    """Both brains anew, with these flags."""
    for name in ("brain-a", "brain-b"):
        installed.stop_server(name)
        start(installed, name, *flags)


def launch(installed, name, *flags, **more):
    """Without waiting until it is ready. `brain-a` is as the Deployment's container `brain`."""
    roles = installed.roles[name.partition("-")[0]]
    installed.start_server(name, roles=roles, flags=[*HASTY, *flags], **more)
