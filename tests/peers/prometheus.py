"""Prometheus and promtool of Debian's package, unpacked into the cache, and a Prometheus that
scrapes our processes with our rules.
"""

import json
import os
import tempfile
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.cluster import free_ports
from lws_placement.localcluster.go_build import cache_folder, only_one
from lws_placement.localcluster.install import MANIFESTS
from lws_placement.localcluster.process import Process, run_whole

_PACKAGE = "prometheus"


def find_or_fetch(progress):
    """The folder with both programs; raises LocalClusterError with apt's words."""
    folder = cache_folder() / "prometheus"
    programs = folder / "usr" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / ".lock", "Prometheus", progress):
        if not (programs / "promtool").exists():
            with tempfile.TemporaryDirectory(dir=folder) as where:
                _run(["apt-get", "download", _PACKAGE], cwd=where)
                (package,) = Path(where).glob("*.deb")
                _run(["dpkg-deb", "-x", str(package), str(folder)], cwd=where)
    return programs


def plain_rules(folder):
    """Our PrometheusRule as a file of Prometheus' own."""
    rule = yaml.safe_load((MANIFESTS / "monitoring" / "rules.yaml").read_text())
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))
    return path


def _run(command, *, cwd):
    done = run_whole(command, cwd=Path(cwd), env=os.environ)
    if done.returncode != 0:
        raise LocalClusterError(f"{' '.join(command)}: {done.stdout.strip()[-500:]}")


class Prometheus:
    """Scrapes `targets` (address:port) once a second, until `stop()`."""

    def __init__(self, programs, folder, targets):
        plain_rules(folder)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "ours", "static_configs": [{"targets": targets}]}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self._process = Process(
            [
                str(programs / "prometheus"),
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            log=folder / "prometheus.log",
        )

    def values(self, query):
        """What the query gives now: (labels, value); nothing while Prometheus does not answer."""
        self._process.check()
        found = self._get(f"query?{urlencode({'query': query})}")
        return [(s["metric"], float(s["value"][1])) for s in found.get("result", ())]

    def rules(self):
        """Alert -> its health and last error."""
        groups = self._get("rules").get("groups", ())
        return {
            r["name"]: (r["health"], r.get("lastError", "")) for g in groups for r in g["rules"]
        }

    def stop(self):
        self._process.stop()

    def _get(self, path):
        try:
            with build_opener(ProxyHandler({})).open(f"{self._url}/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except OSError:
            return {}
