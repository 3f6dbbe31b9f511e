"""The alerts and the dashboard: what they ask for exists, and a person finds what to do."""

import json
import re

import pytest
import yaml
from support.manifest_scripts import load
from support.scrape import scrape

from lws_placement.engine.fit.fragmentation import DomainState
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.localcluster.install import MANIFESTS
from lws_placement.metrics import HoldCounts, figures_reported

MONITORING = MANIFESTS / "monitoring"
SELECTORS = re.compile(r"(lws_placement_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=(~?)"([^"]*)"')
CHOSEN_BY_USERS = {"topology_key"}
LATER = {
    "lws_placement_api_requests_total": set(),
    "lws_placement_certificate_expiration_timestamp_seconds": {"client", "presented"},
}
"""Metrics whose series begin with the first request or certificate -> label values."""


@pytest.fixture(scope="module")
def make_dashboard():
    return load("monitoring/make_dashboard.py")


def alerts():
    (group,) = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"]
    return group["rules"]


def queries():
    """Alert or panel -> its PromQL."""
    found = [(rule["alert"], rule["expr"]) for rule in alerts()]
    board = json.loads((MONITORING / "dashboard.json").read_text())
    for panel in board["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", ())]
    return found


async def every_series():
    """(sample name, label values) of a process that has done nothing yet, and leads."""
    holds = dict.fromkeys(HoldState, 0)
    domains = {("example.com/slice", state): 0 for state in DomainState}
    with figures_reported(lambda: HoldCounts(holds, domains)):
        return set(await scrape())


async def test_every_metric_and_label_value_that_is_asked_for_exists():
    series = await every_series()
    asked = set()
    for who, query in queries():
        for name, matchers in SELECTORS.findall(query):
            asked.add(name)
            there = {value for found in series if found[0] == name for value in found[1:]}
            values = there | LATER.get(name, set())
            known = name in LATER or any(found[0] == name for found in series)
            assert known, f"{who}: no metric {name}"
            for label, is_regex, wanted in MATCHER.findall(matchers):
                if label in CHOSEN_BY_USERS:
                    continue
                several = set(wanted.split("|")) if is_regex else {wanted}
                assert several <= values, f"{who}: {name} has no {several - values}"
    assert len(asked) > 15


def test_the_dashboard_is_up_to_date(make_dashboard):
    assert (MONITORING / "dashboard.json").read_text() == make_dashboard.made()


def test_panels_do_not_overlap(make_dashboard):
    taken = set()
    for panel in make_dashboard.dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_each_alert_has_a_section_that_says_what_to_do():
    papers = (MANIFESTS / "README.md").read_text()
    sections = re.findall(r"^### (LwsPlacement\w+)$", papers, re.MULTILINE)
    assert sections == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        notes = rule["annotations"]
        assert notes["runbook"] == f"manifests/README.md#{rule['alert'].lower()}"
        assert notes["summary"].endswith(".")
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_what_is_applied_is_there():
    asked = yaml.safe_load((MONITORING / "kustomization.yaml").read_text())
    files = asked["resources"] + asked["configMapGenerator"][0]["files"]
    assert all((MONITORING / name).exists() for name in files)
    (monitor,) = yaml.safe_load_all((MONITORING / "pod_monitor.yaml").read_text())
    ports = {e["port"] for e in monitor["spec"]["podMetricsEndpoints"]}
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    deployments = [
        d
        for d in yaml.safe_load_all((MANIFESTS / "base" / "deployment.yaml").read_text())
        if d["kind"] == "Deployment"
    ]
    for deployment in deployments:
        template = deployment["spec"]["template"]
        assert wanted <= template["metadata"]["labels"].items()
        (container,) = template["spec"]["containers"]
        assert len(ports & {p["name"] for p in container["ports"]}) == 1
