"""The API of a local control plane, as its administrator, over connections that are kept.

For callers that poll: kubectl costs a process and a TLS handshake each time, which on a small
machine is more than the request.
"""

import json
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import LocalClusterError

_TIMEOUT_S = 60.0
_TIMEOUT_READY_S = 2.0
_THREADS = 4


class AdminApi:
    """Raises LocalClusterError unless the answer is a success. For several threads."""

    def __init__(self, server: str, *, ca: Path, cert: Path, key: Path) -> None:
        self._connections = urllib3.connection_from_url(
            server,
            ca_certs=str(ca),
            cert_file=str(cert),
            key_file=str(key),
            timeout=_TIMEOUT_S,
            maxsize=_THREADS,
            retries=False,
        )

    def items(self, path: str, **params: str) -> list[Raw]:
        found: list[Raw] = self.get(path, **params)["items"]
        return found

    def get(self, path: str, **params: str) -> Raw:
        """As kubectl shows it: items of a list with their kind, without managed fields."""
        found = self._call("GET", path, params)
        kind = found.get("kind", "")
        items = found.get("items")
        for obj in [found] if items is None else items:
            obj["metadata"].pop("managedFields", None)
            obj.setdefault("kind", kind.removesuffix("List"))
            obj.setdefault("apiVersion", found.get("apiVersion"))
        return found

    def create(self, path: str, body: Raw) -> Raw:
        """With strict field validation, as kubectl does."""
        return self._call("POST", path, {"fieldValidation": "Strict"}, body)

    def delete(self, path: str, **params: str) -> Raw:
        """Deletes an object, or a collection, with background propagation."""
        return self._call("DELETE", path, {"propagationPolicy": "Background"} | params)

    def ready(self) -> bool:
        """True if /readyz succeeds. The API server may be starting, or gone."""
        try:
            answer = self._connections.request("GET", "/readyz", timeout=_TIMEOUT_READY_S)
        except HTTPError:
            return False
        return answer.status == 200

    def close(self) -> None:
        self._connections.close()

    def _call(self, method: str, path: str, params: dict[str, str], body: Raw | None = None) -> Raw:
        target = f"{path}?{urlencode(params)}" if params else path
        try:
            response = self._connections.request(method, target, json=body)
        except HTTPError as e:
            raise LocalClusterError(f"{method} {path}: {e!r}") from e
        text = response.data
        answer: Raw = json.loads(text) if text.startswith(b"{") else {"message": text.decode()}
        if response.status >= 300:
            raise LocalClusterError(f"{method} {path}: {response.status} {answer.get('message')}")
        return answer
