"""What our Deployment promises about the processes in it."""

import yaml

from lws_placement.localcluster.install import MANIFESTS
from lws_placement.serve import DRAIN_S
from lws_placement.settings import Settings

RESERVE_S = 10
"""To give the Lease back, to close, to end."""


def the_pod():
    text = (MANIFESTS / "base" / "deployment.yaml").read_text()
    deployment = next(o for o in yaml.safe_load_all(text) if o["kind"] == "Deployment")
    return deployment["spec"]["template"]["spec"]


def test_the_grace_period_covers_all_that_is_done_after_sigterm():
    needed = Settings().shutdown_delay_seconds + DRAIN_S + RESERVE_S
    assert the_pod()["terminationGracePeriodSeconds"] >= needed
