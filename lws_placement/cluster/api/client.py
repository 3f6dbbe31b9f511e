"""Our calls to the API server, in raw JSON; HTTP errors become our exceptions.

`kubernetes.aio` provides credentials and TLS (kubeconfig, in-cluster token with refresh). We skip
its typed models: decoding 60 000 pods into them costs minutes and gigabytes, and `objects.py` reads
the few fields that placement needs. We also skip its `request`, which costs a fifth of a call.
Writes are never retried here: the caller observes again.

Requests ask for uncompressed responses: compressing lists costs the API server more than sending
them. The proxy is read from the environment once; aiohttp would look it up in a separate thread on
every call.

No path leads elsewhere than its caller means: `object_path` takes names that somebody else wrote,
and nothing is sent to a path with other characters than names have.
"""

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from pydantic_core import from_json, to_json
from yarl import URL

from lws_placement import metrics
from lws_placement.engine.base.keys import FIELD_MANAGER
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.engine.base.whole_numbers import whole_number
from lws_placement.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ExpiredError,
    NotFoundError,
    SettingsError,
)

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_BUFFER_BYTES = 2**21
"""Bytes of a response read ahead; a watch event may exceed aiohttp's default."""
_PAGE = "500"
"""Objects of a list that are in memory as JSON at a time."""

_MOST_RETRY_AFTER_S = 60
"""As our own longest back-off of one object; who asks for more is asked again earlier."""

_NO_KUBECONFIG = (AttributeError, KeyError, TypeError, ValueError)
"""Exceptions of the library for files that are YAML but not a kubeconfig."""

_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:]{0,252}")
"""A name that an object of the API may have: one path segment (apimachinery,
`path.ValidatePathSegmentName` and the length of a DNS subdomain)."""
_PATH = re.compile(rf"(/{_NAME.pattern})+")

_ERRORS: Mapping[int, type[ApiError]] = {404: NotFoundError, 409: ConflictError, 410: ExpiredError}


class Api:
    """One connection pool to one API server. Paths are plain API paths, such as `/api/v1/nodes`."""

    def __init__(self, configuration: Configuration, *, timeout_s: float = 30.0) -> None:
        """Needs a running event loop."""
        self._configuration = configuration
        connector = aiohttp.TCPConnector(
            limit=configuration.connection_pool_maxsize,
            ssl=RESTClientObject(configuration).ssl_context,
        )
        self._reading = aiohttp.ClientSession(connector=connector, read_bufsize=_BUFFER_BYTES)
        self._writing = aiohttp.ClientSession(
            connector=connector, connector_owner=False, read_bufsize=_BUFFER_BYTES
        )
        # aiohttp sends a PUT or DELETE again if its connection ends without an answer.
        self._writing._retry_connection = False
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._may_write: Callable[[], float | None] = lambda: None

    def where(self, may_write: Callable[[], float | None]) -> "Api":
        """A copy on the same connections that calls `may_write` before every write; `may_write`
        raises if the write is not allowed (`Leadership.require`), and returns for how many seconds
        it is. A write that has no connection by then is not sent.
        """
        guarded = copy(self)
        guarded._may_write = may_write
        return guarded

    async def close(self) -> None:
        await self._writing.close()
        await self._reading.close()

    async def get(self, path: str, *, params: Mapping[str, str] | None = None) -> Raw:
        return await self._call("GET", path, params=params)

    async def list(self, path: str, **params: str) -> Raw:
        """One page or the whole list: a quorum read unless `resourceVersion` is given."""
        return await self._call("GET", path, params=params)

    async def list_all(self, path: str, **params: str) -> tuple[RawList, str]:
        """A whole quorum list: the objects and the list's resourceVersion."""
        pages = [page async for page in self.pages(path, **params)]
        return [raw for items, _ in pages for raw in items], pages[-1][1]

    async def pages(self, path: str, **params: str) -> AsyncIterator[tuple[RawList, str]]:
        """A quorum list page by page, each with the resourceVersion of the list.

        All pages show the state at that one version. Raises ExpiredError if the API server no
        longer has that version; the pages so far are then an incomplete list.
        """
        query = {"limit": _PAGE, **params}
        while True:
            page = await self._call("GET", path, params=query)
            meta = page.get("metadata") or {}
            yield page.get("items") or [], meta.get("resourceVersion", "")
            if not meta.get("continue"):
                return
            query["continue"] = meta["continue"]

    async def create(self, path: str, body: Raw, *, params: Mapping[str, str] | None = None) -> Raw:
        return await self._call("POST", path, body=body, params=_managed(params))

    async def replace(
        self, path: str, body: Raw, *, params: Mapping[str, str] | None = None
    ) -> Raw:
        """PUT; a `metadata.resourceVersion` in the body makes it a compare-and-swap."""
        return await self._call("PUT", path, body=body, params=_managed(params))

    async def patch(
        self,
        path: str,
        body: Raw | RawList,
        *,
        content_type: str = MERGE_PATCH,
        params: Mapping[str, str] | None = None,
    ) -> Raw:
        return await self._call(
            "PATCH", path, body=body, content_type=content_type, params=_managed(params)
        )

    async def delete(self, path: str, options: Raw | None = None) -> Raw:
        """`options`: DeleteOptions fields, such as preconditions and propagationPolicy."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None
        return await self._call("DELETE", path, body=body)

    async def watch(self, path: str, **params: str) -> AsyncIterator[Raw]:
        """The watch events of `path`, one JSON object each, until the server ends the stream."""
        query = {"watch": "1", "allowWatchBookmarks": "true", **params}
        # The server ends a watch after timeoutSeconds; the margin catches a connection that died
        # silently.
        timeout = aiohttp.ClientTimeout(total=float(params.get("timeoutSeconds", "300")) + 30)
        response = await self._send("GET", path, params=query, timeout=timeout)
        try:
            if response.status >= 400:
                raise _error("GET", path, response, await response.read())
            async for line in _lines(response):
                yield _decoded(line)
        except (aiohttp.ClientError, TimeoutError) as e:
            raise ApiError(f"watch {path}: {str(e) or type(e).__name__}") from e
        finally:
            response.close()

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Raw | RawList | None = None,
        content_type: str = "application/json",
    ) -> Raw:
        timeout = self._timeout
        if method != "GET" and (allowed_s := self._may_write()) is not None:
            timeout = aiohttp.ClientTimeout(total=timeout.total, connect=allowed_s)
        response = await self._send(
            method,
            path,
            params=params,
            body=body,
            content_type=content_type,
            timeout=timeout,
        )
        try:
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError) as e:
            metrics.count_api_error(0)
            raise ApiError(f"{method} {path}: {str(e) or type(e).__name__}") from e
        finally:
            response.release()
        if response.status >= 400:
            raise _error(method, path, response, data)
        return _decoded(data)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None,
        timeout: aiohttp.ClientTimeout,
        body: Raw | RawList | None = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        if not _PATH.fullmatch(path):
            raise NotFoundError(f"{method} {path[:300]!r}: nothing has such a path", status=404)
        metrics.REQUESTS.labels(method, resource_of(path)).inc()
        query = f"?{urlencode(params)}" if params else ""
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": content_type,
        }
        for setting in (await self._configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        try:
            session = self._reading if method == "GET" else self._writing
            return await session.request(
                method,
                URL(f"{self._configuration.host}{path}{query}", encoded=True),
                data=None if body is None else to_json(body),
                headers=headers,
                timeout=timeout,
                proxy=self._configuration.proxy,
                proxy_headers=self._configuration.proxy_headers,
                server_hostname=self._configuration.tls_server_name,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as e:
            metrics.count_api_error(0)
            raise ApiError(f"{method} {path}: {str(e) or type(e).__name__}") from e


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length; aiohttp's own readline refuses lines over its buffer limit."""
    rest = b""
    async for chunk in response.content.iter_any():
        parts = (rest + chunk).split(b"\n")
        rest = parts.pop()
        for part in parts:
            if part:
                yield part


def _decoded(data: bytes) -> Raw:
    """pydantic's parser takes two thirds of the standard library's time."""
    try:
        result: Raw = from_json(data, cache_strings="keys")
    except ValueError as e:
        raise ApiError(f"the answer is not JSON: {e}") from e
    return result


def pod_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def object_path(folder: str, name: str) -> str:
    """The path of an object of that name, which may be any text. Raises NotFoundError if no object
    can have it: a quoted slash would not do, as the API server takes quotes off before it splits
    the path.
    """
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"{folder}: nothing has the name {name[:100]!r}", status=404)
    return f"{folder}/{name}"


def resource_of(path: str) -> str:
    """The resource of a path without names: `pods`, `leaderworkersets/status`."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    return "/".join(parts[::2]) or "other"


def _managed(params: Mapping[str, str] | None) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, **(params or {})}


def _error(method: str, path: str, response: aiohttp.ClientResponse, data: bytes) -> ApiError:
    status = response.status
    try:
        body = json.loads(data)
        message, reason = str(body.get("message", "")), str(body.get("reason", ""))
    except (ValueError, AttributeError):
        message, reason = data[:200].decode(errors="replace"), ""
    metrics.count_api_error(status)
    kind = _ERRORS.get(status, ApiError)
    if kind is ConflictError and reason == "AlreadyExists":
        kind = AlreadyExistsError
    return kind(
        f"{method} {path}: {status} {message}",
        status=status,
        reason=reason,
        retry_after_s=_retry_after_s(response.headers.get("Retry-After", "")),
    )


def _retry_after_s(text: str) -> float:
    """Seconds; kube-apiserver and its proxies send whole ones, no dates."""
    seconds = whole_number(text.strip())
    return float(min(seconds or 0, _MOST_RETRY_AFTER_S))


async def get_if_allowed(api: Api, path: str, **params: str) -> Raw:
    """Empty if the object does not exist or may not be read."""
    try:
        return await api.get(path, params=params)
    except ApiError as e:
        if isinstance(e, NotFoundError) or e.status in (401, 403):
            return {}
        raise


@asynccontextmanager
async def connected(kubeconfig: Path | None) -> AsyncIterator[Api]:
    """Connects, and closes the connection at the end."""
    api = await connect(kubeconfig)
    try:
        yield api
    finally:
        await api.close()


async def connect(kubeconfig: Path | str | None = None, *, timeout_s: float = 30.0) -> Api:
    """Credentials from `kubeconfig`, else the pod's ServiceAccount, else the user's default
    kubeconfig. Raises SettingsError if they are unusable.
    """
    configuration = Configuration()
    configuration.connection_pool_maxsize = 64
    try:
        if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration)
        else:
            await load_kube_config(
                config_file=str(kubeconfig) if kubeconfig is not None else None,
                client_configuration=configuration,
                persist_config=False,
            )
    except (ConfigException, OSError, yaml.YAMLError, *_NO_KUBECONFIG) as e:
        raise SettingsError(f"no usable credentials for the API server: {e}") from e
    configuration.proxy = configuration.proxy or _proxy_to(configuration.host)
    return Api(configuration, timeout_s=timeout_s)


def _proxy_to(server: str) -> str | None:
    """The proxy for `server` by HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""
    url = urlsplit(server)
    if proxy_bypass(url.hostname or ""):
        return None
    return getproxies().get(url.scheme)
