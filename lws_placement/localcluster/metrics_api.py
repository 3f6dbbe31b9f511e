"""Pod metrics for a local control plane, whose simulated pods use no CPU.

It stands in for metrics-server, registered with the API server as in clusters (an APIService of
`metrics.k8s.io/v1beta1`), so that a real HorizontalPodAutoscaler reads it through the real
aggregation layer. Every container uses `millicores`, which its owner may change at any time.
"""

import json
import ssl
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlparse

from lws_placement.engine.base.raw import Raw
from lws_placement.localcluster.cluster import LocalCluster

_GROUP = "metrics.k8s.io/v1beta1"
_API_SERVICE = "v1beta1.metrics.k8s.io"
_REGISTRATION = Path(__file__).with_name("metrics-api.yaml")
_RESOURCES = [{"name": "pods", "kind": "PodMetrics", "namespaced": True, "verbs": ["get", "list"]}]


class MetricsApi:
    """Serves until `close()`."""

    def __init__(self, cluster: LocalCluster, *, millicores: int) -> None:
        self.millicores = millicores
        self._cluster = cluster
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        pki: Path = cluster.folder / "pki"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, daemon=True).start()
        port = self._server.server_address[1]
        self._registration = _REGISTRATION.read_text().replace("PORT", str(port))
        cluster.kubectl("create", "-f", "-", stdin=self._registration)
        available = ("--for=condition=Available", "--timeout=30s")
        cluster.kubectl("wait", *available, f"apiservice/{_API_SERVICE}")

    def close(self) -> None:
        """Without an answer the APIService would keep every namespace from being deleted."""
        self._cluster.kubectl("delete", "-f", "-", stdin=self._registration)
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answer(self.path)
                data = json.dumps(found).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _answer(self, target: str) -> Raw | None:
        """None: 404."""
        url = urlparse(target)
        parts = url.path.strip("/").split("/")
        if parts == ["apis", *_GROUP.split("/")]:
            return {"kind": "APIResourceList", "groupVersion": _GROUP, "resources": _RESOURCES}
        if len(parts) == 6 and parts[3] == "namespaces" and parts[5] == "pods":
            selector = parse_qs(url.query).get("labelSelector", [""])[0]
            items = [self._metrics_of(pod) for pod in self._pods(parts[4], selector)]
            return {"kind": "PodMetricsList", "apiVersion": _GROUP, "metadata": {}, "items": items}
        return None

    def _pods(self, namespace: str, selector: str) -> list[Raw]:
        path = f"/api/v1/namespaces/{namespace}/pods"
        return self._cluster.api.items(path, labelSelector=selector)

    def _metrics_of(self, pod: Raw) -> Raw:
        meta = pod["metadata"]
        usage = {"cpu": f"{self.millicores}m", "memory": "1Mi"}
        return {
            "metadata": {k: meta[k] for k in ("name", "namespace", "labels")},
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "window": "10s",
            "containers": [{"name": c["name"], "usage": usage} for c in pod["spec"]["containers"]],
        }
