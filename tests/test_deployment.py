"""What our Deployment promises about the processes in it."""

import pytest
import yaml

from lws_placement.http_server.server import DRAIN_S, SERVE_ON_DELAYS
from lws_placement.localcluster.install import MANIFESTS
from lws_placement.settings import Settings

RESERVE_S = 10
"""To give the Lease back, to close, to end."""


NAMES = ("lws-placement", "lws-placement-brain")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def objects(file):
    return [o for o in yaml.safe_load_all((MANIFESTS / "base" / file).read_text()) if o]


def deployments():
    found = [o for o in objects("deployment.yaml") if o["kind"] == "Deployment"]
    return {o["metadata"]["name"]: o["spec"] for o in found}


def pods():
    return {name: spec["template"]["spec"] for name, spec in deployments().items()}


def ports():
    """By name, of both Deployments: the metrics Service tells them apart by it."""
    found = [p for pod in pods().values() for c in pod["containers"] for p in c["ports"]]
    assert len({p["name"] for p in found}) == len(found)
    return {p["name"]: p["containerPort"] for p in found}


@pytest.fixture(params=NAMES)
def pod(request):
    return pods()[request.param]


def test_there_are_two_and_each_has_an_account_of_its_own():
    assert {name: pod["serviceAccountName"] for name, pod in pods().items()} == {
        n: n for n in NAMES
    }


def test_the_grace_period_covers_all_that_is_done_after_sigterm(pod):
    needed = SERVE_ON_DELAYS * Settings().shutdown_delay_seconds + DRAIN_S + RESERVE_S
    assert pod["terminationGracePeriodSeconds"] >= needed


@pytest.mark.parametrize("name", NAMES)
def test_an_update_needs_no_third_place(name):
    update = deployments()[name]["strategy"]["rollingUpdate"]
    assert update == {"maxSurge": 0, "maxUnavailable": 1}


def test_neither_user_nor_group_is_root(pod):
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["runAsGroup"] > 0


def test_each_process_is_asked_for_its_own_health(pod):
    (container,) = pod["containers"]
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


def test_the_services_that_others_call_select_the_gates_alone():
    """The gate kept name and labels of the Deployment that had both processes: an upgrade changes
    no Service, and replaces one replica after the other.
    """
    labels = {n: d["template"]["metadata"]["labels"].items() for n, d in deployments().items()}
    for service in objects("services.yaml"):
        chosen = service["spec"]["selector"].items()
        selected = [name for name in NAMES if chosen <= labels[name]]
        both = service["metadata"]["name"] == "lws-placement-metrics"
        assert selected == list(NAMES if both else NAMES[:1])


def test_the_metrics_of_both_processes_have_names_to_be_scraped_by():
    (service,) = [o for o in objects("services.yaml") if "metrics" in o["metadata"]["name"]]
    named = {p["name"]: ports()[p["targetPort"]] for p in service["spec"]["ports"]}
    assert named == {"gate": 8080, "brain": 8081}
    assert service["metadata"]["labels"]["app.kubernetes.io/component"] == "metrics"
