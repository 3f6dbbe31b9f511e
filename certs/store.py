"""Stores the certificates in three Secrets, so that each process reads what it needs: the CA's key
(who renews), the servers' certificate (webhook and extender), and kube-scheduler's (what copies it
to the scheduler's machine). Where a process leads, it makes and renews them; each write is a
compare-and-swap.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from certs.authority import (
    Material,
    Names,
    check,
    check_authority,
    check_leaf,
    make,
    reissued,
    renewed,
)
from lws_placement.cluster.api.client import Api
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import InvalidObjectError, NotFoundError

CA_SECRET = "lws-placement-ca"
SECRET = "lws-placement-certs"
CLIENT_SECRET = "lws-placement-scheduler-client"

_FIELDS = {
    CA_SECRET: {"ca.crt": "ca", "ca.key": "ca_key"},
    SECRET: {"ca.crt": "ca", "tls.crt": "tls_cert", "tls.key": "tls_key"},
    CLIENT_SECRET: {"ca.crt": "ca", "client.crt": "client_cert", "client.key": "client_key"},
}
"""Name -> key in the Secret -> field of `Material`."""


@dataclass(frozen=True, slots=True)
class ServingMaterial:
    """The PEM texts that webhook and extender need."""

    ca: bytes
    tls_cert: bytes
    tls_key: bytes


@dataclass(frozen=True, slots=True)
class ClientMaterial:
    """The PEM texts that kube-scheduler needs to call the extender."""

    ca: bytes
    client_cert: bytes
    client_key: bytes


async def read_serving(api: Api, *, namespace: str) -> ServingMaterial:
    """Raises NotFoundError, or InvalidObjectError for a Secret that cannot be used."""
    raw = await api.get(f"/api/v1/namespaces/{namespace}/secrets/{SECRET}")
    texts = _decoded(raw, _FIELDS[SECRET])
    try:
        check_leaf(texts["ca"], texts["tls_cert"], texts["tls_key"])
    except ValueError as e:
        raise _unusable(raw, str(e)) from e
    return ServingMaterial(**texts)


async def read_client(api: Api, *, namespace: str) -> ClientMaterial:
    """Raises NotFoundError, or InvalidObjectError for a Secret that is not ours."""
    return client_material(await api.get(f"/api/v1/namespaces/{namespace}/secrets/{CLIENT_SECRET}"))


def client_material(secret: Raw) -> ClientMaterial:
    """Raises InvalidObjectError for a Secret that is not ours."""
    return ClientMaterial(**_decoded(secret, _FIELDS[CLIENT_SECRET]))


class CertStore:
    """The three Secrets, for who may read and write all of them: where certificates are renewed."""

    def __init__(self, api: Api, *, namespace: str, names: Names) -> None:
        self._api = api
        self._namespace = namespace
        self._names = names
        self._folder = f"/api/v1/namespaces/{namespace}/secrets"

    async def renew(self, *, now: datetime) -> Material:
        """Makes what is missing, renews what is due, and returns what the Secrets have then.

        Raises InvalidObjectError if the CA's Secret cannot be used, and ConflictError if somebody
        else writes at the same time: call it again.
        """
        ca, serving, client = [await self._read(name) for name in _FIELDS]
        if ca is None and serving is not None and "ca.key" in (serving.get("data") or {}):
            ca = serving  # of a version that had all in one Secret
        material = self._renewed(ca, serving, client, now=now)
        for name, there in zip(_FIELDS, (ca, serving, client), strict=True):
            await self._write(name, material, there)
        return material

    def _renewed(
        self, ca: Raw | None, serving: Raw | None, client: Raw | None, *, now: datetime
    ) -> Material:
        if ca is None:
            return make(self._names, now=now)
        authority = _decoded(ca, _FIELDS[CA_SECRET])
        try:
            check_authority(**authority)
            try:
                material = Material(
                    **authority,
                    **_own(serving, SECRET),
                    **_own(client, CLIENT_SECRET),
                )
                check(material)
            except (InvalidObjectError, ValueError):
                # What the CA has signed is made anew: the CA's Secret alone cannot be.
                material = reissued(**authority, names=self._names, now=now)
            return renewed(material, self._names, now=now)
        except ValueError as e:
            raise _unusable(ca, str(e)) from e

    async def _read(self, name: str) -> Raw | None:
        try:
            return await self._api.get(f"{self._folder}/{name}")
        except NotFoundError:
            return None

    async def _write(self, name: str, material: Material, there: Raw | None) -> None:
        wanted = self._secret(name, material)
        if there is None or there["metadata"]["name"] != name:
            await self._api.create(self._folder, wanted)
        elif there.get("data") != wanted["data"]:
            await self._replace(there, wanted)

    async def _replace(self, old: Raw, new: Raw) -> Raw:
        """Compare-and-swap on the resourceVersion of `old`."""
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        return await self._api.replace(f"{self._folder}/{new['metadata']['name']}", new)

    def _secret(self, name: str, material: Material) -> Raw:
        data = {
            key: base64.b64encode(getattr(material, field)).decode()
            for key, field in _FIELDS[name].items()
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {"name": name, "namespace": self._namespace},
            "data": data,
        }


def _own(secret: Raw | None, name: str) -> dict[str, bytes]:
    """Its texts without the CA's. Raises InvalidObjectError; a Secret that is missing is one that
    cannot be used.
    """
    if secret is None:
        raise InvalidObjectError(f"there is no Secret {name}")
    found = _decoded(secret, _FIELDS[name])
    found.pop("ca")
    return found


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
