"""The API of a local control plane, as its administrator, over one connection that is kept.

For those who look again and again: kubectl costs a process and a TLS handshake each time, which on
a small machine is more than all that is looked at.
"""

import http.client
import json
import select
import ssl
import threading
from typing import Any
from urllib.parse import urlencode, urlsplit

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.pki import Pki

Raw = dict[str, Any]

_TIMEOUT_S = 60.0
_TIMEOUT_READY_S = 2.0


class AdminApi:
    """Raises LocalClusterError for whatever is not answered with success. For several threads."""

    def __init__(self, server: str, pki: Pki) -> None:
        self._address = urlsplit(server).netloc
        self._context = ssl.create_default_context(cafile=str(pki.ca))
        self._context.load_cert_chain(pki.admin_cert, pki.admin_key)
        self._connection: http.client.HTTPSConnection | None = None
        self._lock = threading.Lock()

    def items(self, path: str, **params: str) -> list[Raw]:
        found: list[Raw] = self.get(path, **params)["items"]
        return found

    def get(self, path: str, **params: str) -> Raw:
        """As kubectl shows it: each item of a list with its kind, nothing with managed fields."""
        found = self._call("GET", path, params)
        kind = found.get("kind", "")
        items = found.get("items")
        for obj in [found] if items is None else items:
            obj["metadata"].pop("managedFields", None)
            obj.setdefault("kind", kind.removesuffix("List"))
            obj.setdefault("apiVersion", found.get("apiVersion"))
        return found

    def create(self, path: str, body: Raw) -> Raw:
        """Strict about fields that do not exist, as kubectl is."""
        return self._call("POST", path, {"fieldValidation": "Strict"}, body)

    def delete(self, path: str, **params: str) -> Raw:
        """In the background; a collection as well as one object."""
        return self._call("DELETE", path, {"propagationPolicy": "Background"} | params)

    def ready(self) -> bool:
        """Does the API server say that it is? It may be starting, or gone."""
        with self._lock:
            try:
                self._open(_TIMEOUT_READY_S)
                status, _ = self._ask("GET", "/readyz", None)
            except (OSError, http.client.HTTPException):
                status = 0
            self.close()
        return status == 200

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _call(self, method: str, path: str, params: dict[str, str], body: Raw | None = None) -> Raw:
        target = f"{path}?{urlencode(params)}" if params else path
        data = None if body is None else json.dumps(body)
        with self._lock:
            try:
                status, text = self._ask(method, target, data)
            except (OSError, http.client.HTTPException) as e:
                self.close()
                raise LocalClusterError(f"{method} {path}: {e!r}") from e
        answer: Raw = json.loads(text) if text.startswith(b"{") else {"message": text.decode()}
        if status >= 300:
            raise LocalClusterError(f"{method} {path}: {status} {answer.get('message')}")
        return answer

    def _ask(self, method: str, target: str, data: str | None) -> tuple[int, bytes]:
        connection = self._open()
        headers = {} if data is None else {"Content-Type": "application/json"}
        connection.request(method, target, body=data, headers=headers)
        with connection.getresponse() as answer:
            return answer.status, answer.read()

    def _open(self, timeout_s: float = _TIMEOUT_S) -> http.client.HTTPSConnection:
        """The connection there is, unless the other side has ended it meanwhile."""
        if self._connection is not None and _has_news(self._connection):
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._address, timeout=timeout_s, context=self._context
            )
        return self._connection


def _has_news(connection: http.client.HTTPSConnection) -> bool:
    """Nobody was asked anything, so all that can have come is the end."""
    if connection.sock is None:
        return False
    readable, _, _ = select.select([connection.sock], [], [], 0)
    return bool(readable)
