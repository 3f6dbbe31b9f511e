"""A metrics API as a HorizontalPodAutoscaler reads it: memory of the pods that a test says."""

import json
import re
import ssl
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from certs.authority import Names, make

_LIST = re.compile(r"/apis/metrics.k8s.io/v1beta1/namespaces/([^/]+)/pods")
_GROUP = {"apiVersion": "metrics.k8s.io/v1beta1"}
_DISCOVERY = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "metrics.k8s.io/v1beta1",
    "resources": [
        {
            "name": "pods",
            "singularName": "",
            "namespaced": True,
            "kind": "PodMetrics",
            "verbs": ["get", "list"],
        }
    ],
}


class MetricsApi:
    """Behind the aggregation layer: an ExternalName Service that leads to loopback."""

    def __init__(self, scene, *, memory_of):
        """`memory_of()`: pod name -> memory in use."""
        self._scene = scene
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(memory_of))
        material = make(Names(dns=("localhost",), ips=()), now=datetime.now(UTC))
        folder = scene.cluster.folder
        cert, key = folder / "metrics.crt", folder / "metrics.key"
        cert.write_bytes(material.tls_cert)
        key.write_bytes(material.tls_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        scene.create(*self._objects())

    def close(self):
        self._scene.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io", check=False)
        self._server.shutdown()
        self._server.server_close()

    def _objects(self):
        port = self._server.server_address[1]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "metrics", "namespace": self._scene.namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        api = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": True,
                "service": {
                    "name": "metrics",
                    "namespace": self._scene.namespace,
                    "port": port,
                },
            },
        }
        return service, api


def _handler(memory_of):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            listed = _LIST.match(self.path)
            body = _pod_metrics(listed.group(1), memory_of()) if listed else _DISCOVERY
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    return Handler


def _pod_metrics(namespace, memory):
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    items = [
        {
            "metadata": {"name": name, "namespace": namespace},
            "timestamp": now,
            "window": "10s",
            "containers": [{"name": "model", "usage": {"cpu": "1", "memory": amount}}],
        }
        for name, amount in memory.items()
    ]
    return {"kind": "PodMetricsList", **_GROUP, "metadata": {}, "items": items}
