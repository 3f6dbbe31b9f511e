"""The alerts and the dashboard on a real Prometheus that scrapes running processes of ours."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from peers import prometheus

from lws_placement.localcluster.install import MANIFESTS

pytestmark = pytest.mark.peers

CASES = Path(prometheus.__file__).parent / "alerts.yaml"
PROCESSES = ("brain-a", "brain-b", "gate-a", "gate-b")


@pytest.fixture(scope="module")
def programs(say):
    return prometheus.find_or_fetch(say)


@pytest.fixture
def scraping(programs, scene, tmp_path):
    folder = scene.cluster.folder
    ports = [json.loads((folder / f"{name}.ports").read_text())["health"] for name in PROCESSES]
    made = prometheus.Prometheus(programs, tmp_path, [f"127.0.0.1:{port}" for port in ports])
    yield made
    made.stop()


def test_each_alert_fires_on_its_sign_and_not_without_it(programs, tmp_path):
    rules = prometheus.plain_rules(tmp_path)
    shutil.copy(CASES, tmp_path)
    for command in (["check", "rules", str(rules)], ["test", "rules", str(tmp_path / CASES.name)]):
        done = subprocess.run(
            [programs / "promtool", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_running_installation_answers_every_query_and_alerts_of_nothing(scene, scraping):
    scene.wait(lambda: len(scraping.values("up == 1")) == len(PROCESSES), "all are scraped")
    scene.pool(1)
    scene.create(scene.lws())
    scene.wait_bound(4)
    query = 'sum(lws_placement_binds_total{outcome="bound"}) >= 4'
    scene.wait(lambda: scraping.values(query), "Prometheus sees the binds")
    board = json.loads((MANIFESTS / "monitoring" / "dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            query = _with_values(target["expr"])
            scene.wait(lambda q=query: scraping.values(q), f"{panel['title']}: {query}")
    scene.wait(lambda: set(_health(scraping)) == {"ok"}, "each rule was evaluated")
    firing = scraping.values('ALERTS{alertstate="firing"}')
    assert firing == []


def _health(scraping):
    return [health for health, _ in scraping.rules().values()]


def _with_values(query):
    """As Grafana fills it in."""
    query = query.replace("$__rate_interval", "1m").replace("$__interval", "1m")
    return query.replace("$topology_key", ".*")
