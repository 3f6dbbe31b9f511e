"""What our Deployment promises about the processes in it."""

import pytest
import yaml

from lws_placement.http_server import DRAIN_S, SERVE_ON_DELAYS
from lws_placement.localcluster.install import MANIFESTS
from lws_placement.settings import Settings

RESERVE_S = 10
"""To give the Lease back, to close, to end."""


PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def objects(file):
    return [o for o in yaml.safe_load_all((MANIFESTS / "base" / file).read_text()) if o]


def the_deployment():
    return next(o for o in objects("deployment.yaml") if o["kind"] == "Deployment")["spec"]


def the_pod():
    return the_deployment()["template"]["spec"]


def ports():
    """By name, of both containers: a pod has one list of them."""
    found = [p for c in the_pod()["containers"] for p in c["ports"]]
    assert len({p["name"] for p in found}) == len(found)
    return {p["name"]: p["containerPort"] for p in found}


def test_the_grace_period_covers_all_that_is_done_after_sigterm():
    needed = SERVE_ON_DELAYS * Settings().shutdown_delay_seconds + DRAIN_S + RESERVE_S
    assert the_pod()["terminationGracePeriodSeconds"] >= needed


def test_an_update_needs_no_third_place():
    update = the_deployment()["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": 0, "maxUnavailable": 1}


def test_neither_user_nor_group_is_root():
    context = the_pod()["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["runAsGroup"] > 0


@pytest.mark.parametrize("number", [0, 1])
def test_each_process_is_asked_for_its_own_health(number):
    container = the_pod()["containers"][number]
    (flag,) = [a for a in container["args"] if a.startswith("--health-port=")]
    asked = {ports()[container[probe]["httpGet"]["port"]] for probe in PROBES}
    assert asked == {int(flag.partition("=")[2])}
    startup = container["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 60


def test_every_service_leads_to_a_port_of_the_pod():
    targets = {
        p["targetPort"]: s["metadata"]["name"]
        for s in objects("services.yaml")
        for p in s["spec"]["ports"]
    }
    defaults = Settings()
    assert targets.keys() == ports().keys()
    assert ports()["webhook"] == defaults.webhook_port
    assert ports()["extender"] == defaults.extender_port


def test_the_metrics_of_both_processes_have_names_to_be_scraped_by():
    (service,) = [o for o in objects("services.yaml") if "metrics" in o["metadata"]["name"]]
    named = {p["name"]: ports()[p["targetPort"]] for p in service["spec"]["ports"]}
    assert named == {"gate": 8080, "brain": 8081}
    assert service["metadata"]["labels"]["app.kubernetes.io/component"] == "metrics"
