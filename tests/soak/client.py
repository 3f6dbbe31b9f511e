"""The API as a tenant or the administrator asks it, while the API server may die at any time."""

import json
import ssl
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

_TIMEOUT_S = 10.0


class UnreachableError(Exception):
    """There was no answer."""


class ExpiredError(Exception):
    """The version is gone."""


class Client:
    """`user`: who asks; the administrator if it is empty. For one thread."""

    def __init__(self, cluster, user=""):
        pki = cluster.folder / "pki"
        self._server = cluster.server
        self._headers = {"Impersonate-User": user} if user else {}
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))
        self._connections = urllib3.PoolManager(ssl_context=context, retries=False)

    def ask(self, method, path, body=None, *, kind="application/json", **params):
        """Status and body. Raises UnreachableError."""
        answer = self._request(method, path, body, kind, params, timeout=_TIMEOUT_S)
        text = answer.data
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {"message": text.decode(errors="replace")}

    def items(self, path, **params):
        """Raises UnreachableError unless there is a list."""
        return self.list(path, **params)["items"]

    def list(self, path, **params):
        status, found = self.ask("GET", path, **params)
        if status != 200:
            raise UnreachableError(f"GET {path}: {status}")
        return found

    def lines(self, path, **params):
        """The lines of a watch, until it ends. Raises UnreachableError, and ExpiredError if it
        cannot begin at its version any more.
        """
        timeout = urllib3.Timeout(connect=_TIMEOUT_S, read=60)
        answer = self._request("GET", path, None, "", params, timeout=timeout, stream=True)
        if answer.status == 410:
            raise ExpiredError
        try:
            if answer.status != 200:
                raise UnreachableError(f"GET {path}: {answer.status}")
            rest = b""
            for chunk in answer.stream(65536):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        except HTTPError as e:
            raise UnreachableError(str(e)) from e
        finally:
            answer.close()

    def _request(self, method, path, body, kind, params, *, timeout, stream=False):
        url = f"{self._server}{path}"
        if params:
            url = f"{url}?{urlencode(params)}"
        headers = self._headers | ({"Content-Type": kind} if body is not None else {})
        data = json.dumps(body) if body is not None else None
        try:
            return self._connections.request(
                method, url, body=data, headers=headers, timeout=timeout, preload_content=not stream
            )
        except (HTTPError, OSError) as e:
            raise UnreachableError(f"{method} {path}: {e!r}") from e

    def close(self):
        self._connections.clear()
