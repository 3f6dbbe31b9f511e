"""Keeps the servers' certificates in step with the Secret; where this process leads, renews them.

A Secret that cannot be used (half-written, garbled by hand) changes nothing: the servers go on with
what they have, and the log and an Event on the Secret say so until it is mended. How long each
certificate is valid is a metric everywhere; the leader also writes it into a Lease for `status`,
whose users may not read Secrets. The extender sees besides which certificate kube-scheduler really
uses: an Event says if that is near its end, as its files do not follow the Secret then.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from certs.authority import Material, Names, end_of, ends_of, read_bundle
from certs.expiry import write_ends
from certs.inject import CONFIGURATIONS, inject, not_injected
from certs.store import (
    CA_SECRET,
    CLIENT_SECRET,
    SECRET,
    CertStore,
    ServingMaterial,
    read_serving,
)
from lws_placement import metrics
from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.events import Event, EventRecorder
from lws_placement.errors import InvalidObjectError
from lws_placement.http_server.server import Server
from lws_placement.retried import retried
from lws_placement.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

_EVERY_S = 20.0
_TRUST_EVERY_S = 1.0
_OVERDUE = timedelta(days=60)
"""The Secret's certificates are renewed when four months are left."""


class Certificates:
    """Of one process. `servers` by name: `webhook`, `extender`; empty where none serves."""

    def __init__(
        self,
        api: Api,
        settings: Settings,
        *,
        servers: Mapping[str, Server],
        recorder: EventRecorder,
    ) -> None:
        self._api = api
        self._settings = settings
        self._servers = servers
        self._recorder = recorder
        names = Names(
            dns=tuple(f"{name}.{settings.namespace}.svc" for name in settings.service_names),
            ips=settings.extra_addresses,
        )
        self._store = CertStore(api, namespace=settings.namespace, names=names)
        self._loaded: ServingMaterial | None = None
        self._webhook_clients = b""

    async def load_first(self, *, told: Callable[[str], None]) -> None:
        """Returns once the servers can serve. `told`: what it waits for."""
        await retried(self._load, told=told)

    async def follow(self) -> None:
        """Loads what changes, for ever."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await retried(lambda: self._or_say(SECRET, self._load()))
            await self._check_scheduler()

    async def keep(self) -> None:
        """Where this process leads: renews what is due, for ever."""
        while True:
            material = await retried(lambda: self._or_say(CA_SECRET, self._renew()))
            await retried(partial(inject, self._api, CONFIGURATIONS, ca=material.ca))
            await asyncio.sleep(_EVERY_S)

    async def wait_for_trust(self, *, told: Callable[[str], None]) -> None:
        """Returns once the leader has written the CA into our webhook configurations. That may take
        until an earlier leader's Lease has expired.
        """
        while lacking := await retried(self._not_injected, told=told):
            told(f"{lacking[0]} does not carry our CA yet")
            await asyncio.sleep(_TRUST_EVERY_S)

    async def _not_injected(self) -> list[str]:
        serving = await self._read()
        return await not_injected(self._api, CONFIGURATIONS, ca=serving.ca)

    async def _read(self) -> ServingMaterial:
        return await read_serving(self._api, namespace=self._settings.namespace)

    async def _renew(self) -> Material:
        material = await self._store.renew(now=datetime.now(UTC))
        ends = ends_of(material)
        _count(ends)
        await write_ends(self._api, ends, namespace=self._settings.namespace)
        return material

    async def _load(self) -> None:
        """Raises InvalidObjectError, ApiError."""
        material = await self._read()
        clients = self._read_webhook_clients()
        if (material, clients) == (self._loaded, self._webhook_clients):
            return
        cas = {"webhook": clients, "extender": material.ca}
        for name, server in self._servers.items():
            server.load(cert=material.tls_cert, key=material.tls_key, client_ca=cas[name])
        self._loaded, self._webhook_clients = material, clients
        _count({"ca": end_of(material.ca), "serving": end_of(material.tls_cert)})
        log.info("certificates loaded")

    def _read_webhook_clients(self) -> bytes:
        """The earlier one, if there is one and the file is not usable."""
        path = self._settings.webhook_client_ca
        try:
            return _read(path) if path is not None else b""
        except InvalidObjectError as e:
            if not self._webhook_clients:
                raise
            log.warning("the earlier client CA stays in use", extra={"error": str(e)})
            return self._webhook_clients

    async def _or_say(self, secret: str, work: Awaitable[T]) -> T:
        """Says in an Event that the Secret cannot be used, and raises the error again."""
        try:
            return await work
        except InvalidObjectError as e:
            note = f"{e}. Until then the earlier certificates stay in use"
            await self._say(secret, "CertificatesUnusable", note)
            raise

    async def _check_scheduler(self) -> None:
        extender = self._servers.get("extender")
        ends = extender.client_certificate_ends if extender is not None else math.inf
        if math.isinf(ends):
            return
        metrics.CERTIFICATE_ENDS.labels("presented").set(ends)
        end = datetime.fromtimestamp(ends, UTC)
        if end - datetime.now(UTC) < _OVERDUE:
            note = (
                f"kube-scheduler calls with a client certificate that ends on {end:%Y-%m-%d}, "
                "though a newer one is in this Secret: write its files again (scheduler-config)"
            )
            await self._say(CLIENT_SECRET, "CertificateEnds", note)

    async def _say(self, secret: str, reason: str, note: str) -> None:
        meta = {"name": secret, "namespace": self._settings.namespace}
        about = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
        event = Event(reason=reason, note=note, action="Serving", type="Warning", topic=secret)
        await self._recorder.emit(about, event)


def _read(path: Path) -> bytes:
    try:
        return read_bundle(path.read_bytes())
    except (OSError, ValueError) as e:
        raise InvalidObjectError(f"--webhook-client-ca {path}: {e}") from e


def _count(ends: Mapping[str, datetime]) -> None:
    for name, end in ends.items():
        metrics.CERTIFICATE_ENDS.labels(name).set(end.timestamp())
