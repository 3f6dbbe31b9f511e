"""Stores the certificates in a Secret: the first replica creates it, and renewals are
compare-and-swap.

Replicas that start at the same time all try to create the Secret. The API server lets one succeed,
and the others read it.

A second Secret contains a copy of kube-scheduler's part. An account that copies it to the
scheduler's machine needs no access to the keys of the CA and the servers.
"""

import base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from certs.authority import Material, Names, check, make, renewed
from lws_placement.cluster.api.client import Api
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import ConflictError, InvalidObjectError, NotFoundError

SECRET = "lws-placement-certs"
CLIENT_SECRET = "lws-placement-scheduler-client"

_FIELDS = {
    "ca.crt": "ca",
    "ca.key": "ca_key",
    "tls.crt": "tls_cert",
    "tls.key": "tls_key",
    "client.crt": "client_cert",
    "client.key": "client_key",
}
_CLIENT_FIELDS = {"ca.crt": "ca", "client.crt": "client_cert", "client.key": "client_key"}


@dataclass(frozen=True, slots=True)
class ClientMaterial:
    """The PEM texts that kube-scheduler needs to call the extender."""

    ca: bytes
    client_cert: bytes
    client_key: bytes


async def read_client(api: Api, *, namespace: str) -> ClientMaterial:
    """Raises NotFoundError, or InvalidObjectError for a Secret that is not ours."""
    return client_material(await api.get(f"/api/v1/namespaces/{namespace}/secrets/{CLIENT_SECRET}"))


def client_material(secret: Raw) -> ClientMaterial:
    """Raises InvalidObjectError for a Secret that is not ours."""
    return ClientMaterial(**_decoded(secret, _CLIENT_FIELDS))


class CertStore:
    def __init__(self, api: Api, *, namespace: str, names: Names) -> None:
        self._api = api
        self._namespace = namespace
        self._names = names
        self._folder = f"/api/v1/namespaces/{namespace}/secrets"

    async def read(self) -> Material:
        """Raises NotFoundError, or InvalidObjectError for a Secret that is not ours."""
        return _material(await self._api.get(f"{self._folder}/{SECRET}"))

    async def ensure(self, *, now: datetime) -> Material:
        """Returns the Secret's content. Creates both Secrets if there is none."""
        try:
            return await self.read()
        except NotFoundError:
            pass
        try:
            made = self._secret(SECRET, _FIELDS, make(self._names, now=now))
            material = _material(await self._api.create(self._folder, made))
        except ConflictError:
            return await self.read()
        await self._copy_for_client(material)
        return material

    async def renew(self, *, now: datetime) -> Material:
        """Renews what is due, updates kube-scheduler's copy, and returns the Secret's content.

        On a conflict another replica has renewed it; its certificates are returned.
        """
        await self.ensure(now=now)
        raw = await self._api.get(f"{self._folder}/{SECRET}")
        material = _material(raw)
        try:
            fresh = renewed(material, self._names, now=now)
        except ValueError as e:
            raise _unusable(raw, str(e)) from e
        if fresh != material:
            body = self._secret(SECRET, _FIELDS, fresh)
            try:
                material = _material(await self._replace(raw, body))
            except ConflictError:
                material = await self.read()
        await self._copy_for_client(material)
        return material

    async def _copy_for_client(self, material: Material) -> None:
        """On a concurrent change, the next call corrects the copy."""
        wanted = self._secret(CLIENT_SECRET, _CLIENT_FIELDS, material)
        try:
            raw = await self._api.get(f"{self._folder}/{CLIENT_SECRET}")
            if raw.get("data") != wanted["data"]:
                await self._replace(raw, wanted)
        except NotFoundError:
            with suppress(ConflictError):
                await self._api.create(self._folder, wanted)
        except ConflictError:
            pass

    async def _replace(self, old: Raw, new: Raw) -> Raw:
        """Compare-and-swap on the resourceVersion of `old`."""
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return await self._api.replace(f"{self._folder}/{new['metadata']['name']}", new)

    def _secret(self, name: str, fields: Mapping[str, str], material: Material) -> Raw:
        data = {
            key: base64.b64encode(getattr(material, field)).decode()
            for key, field in fields.items()
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": name, "namespace": self._namespace},
            "data": data,
        }


def _material(raw: Raw) -> Material:
    material = Material(**_decoded(raw, _FIELDS))
    try:
        check(material)
    except ValueError as e:
        raise _unusable(raw, str(e)) from e
    return material


def _decoded(raw: Raw, fields: Mapping[str, str]) -> dict[str, bytes]:
    data = raw.get("data") or {}
    missing = sorted(fields.keys() - data.keys())
    if missing:
        raise _unusable(raw, f"data.{missing[0]} is missing")
    try:
        return {field: base64.b64decode(data[key]) for key, field in fields.items()}
    except ValueError as e:
        raise _unusable(raw, str(e)) from e


def _unusable(raw: Raw, why: str) -> InvalidObjectError:
    meta = raw["metadata"]
    return InvalidObjectError(
        f"secret {meta.get('namespace')}/{meta.get('name')}: {why}; "
        "delete the Secret to have new certificates made"
    )
