"""The certificates in a Secret: made once, whoever starts first, and renewed with compare-and-swap.

Replicas that start at once all try to create the Secret; the API server lets one win and the others
read it.
"""

import base64
from datetime import datetime
from typing import Any, Protocol

from certs.authority import Material, Names, make, renewed
from lws_placement.errors import ConflictError, InvalidObjectError, NotFoundError

Raw = dict[str, Any]

SECRET = "lws-placement-certs"

_FIELDS = {
    "ca.crt": "ca",
    "ca.key": "ca_key",
    "tls.crt": "tls_cert",
    "tls.key": "tls_key",
    "client.crt": "client_cert",
    "client.key": "client_key",
}


class SecretApi(Protocol):
    async def get(self, path: str) -> Raw: ...
    async def create(self, path: str, body: Raw) -> Raw: ...
    async def replace(self, path: str, body: Raw) -> Raw: ...


class CertStore:
    def __init__(self, api: SecretApi, *, namespace: str, names: Names) -> None:
        self._api = api
        self._namespace = namespace
        self._names = names
        self._folder = f"/api/v1/namespaces/{namespace}/secrets"

    async def read(self) -> Material:
        """Raises NotFoundError, or InvalidObjectError for a Secret that is not ours."""
        return self._decode(await self._api.get(f"{self._folder}/{SECRET}"))

    async def ensure(self, *, now: datetime) -> Material:
        """What the Secret holds; made if there is none."""
        try:
            return await self.read()
        except NotFoundError:
            pass
        try:
            return self._decode(
                await self._api.create(self._folder, self._encode(make(self._names, now=now)))
            )
        except ConflictError:
            return await self.read()

    async def renew(self, *, now: datetime) -> Material:
        """What the Secret holds, after renewing what is due. A lost race means that another one
        renewed it.
        """
        await self.ensure(now=now)
        raw = await self._api.get(f"{self._folder}/{SECRET}")
        material = self._decode(raw)
        fresh = renewed(material, self._names, now=now)
        if fresh == material:
            return material
        body = self._encode(fresh)
        body["metadata"]["resourceVersion"] = raw["metadata"]["resourceVersion"]
        try:
            return self._decode(await self._api.replace(f"{self._folder}/{SECRET}", body))
        except ConflictError:
            return await self.read()

    def _encode(self, material: Material) -> Raw:
        data = {
            key: base64.b64encode(getattr(material, field)).decode()
            for key, field in _FIELDS.items()
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": SECRET, "namespace": self._namespace},
            "data": data,
        }

    def _decode(self, raw: Raw) -> Material:
        data = raw.get("data") or {}
        missing = sorted(_FIELDS.keys() - data.keys())
        if missing:
            raise InvalidObjectError(
                f"secret {self._namespace}/{SECRET}: data.{missing[0]} is missing; "
                "delete the Secret to have new certificates made"
            )
        return Material(**{f: base64.b64decode(data[key]) for key, f in _FIELDS.items()})
