"""Our installation on a control plane, for the tests of a session or of one module."""

from contextlib import contextmanager

from e2e.servers import start
from e2e.service import Service

from lws_placement.localcluster.install import Installation


@contextmanager
def installed_on(cluster, overlay):
    """Everything as users install it: two replicas of two processes, Services before the gates."""
    installed = Installation(cluster)
    services = []
    try:
        installed.apply(overlay)
        ports_files = [cluster.folder / f"{name}.ports" for name in ("gate-a", "gate-b")]
        services.append(Service(installed.webhook_port, "webhook", ports_files))
        services.append(Service(installed.extender_port, "extender", ports_files))
        for name in ("brain-a", "brain-b", "gate-a", "gate-b"):  # a brain writes the CA bundle
            start(installed, name)
        installed.start_scheduler()
        yield installed
    finally:
        for service in services:
            service.close()
        installed.stop()
