"""Certificates: made, judged and renewed at a given time; safe when several start at once."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from certs.authority import Names, make, renewed
from certs.inject import inject
from certs.store import CertStore
from lws_placement.errors import ConflictError, InvalidObjectError, NotFoundError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = Names(("a.ns.svc",), ("127.0.0.1",))


class Secrets:
    """One Secret, with compare-and-swap."""

    def __init__(self):
        self.secret = None
        self.version = 0

    async def get(self, path):
        if self.secret is None:
            raise NotFoundError("no", status=404)
        return self.secret

    async def create(self, path, body):
        if self.secret is not None:
            raise ConflictError("exists", status=409)
        return self._keep(body)

    async def replace(self, path, body):
        if body["metadata"]["resourceVersion"] != self.secret["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        return self._keep(body)

    def _keep(self, body):
        self.version += 1
        meta = body["metadata"] | {"resourceVersion": str(self.version)}
        self.secret = body | {"metadata": meta}
        return self.secret


def test_nothing_is_renewed_while_more_than_a_third_of_its_life_is_left():
    material = make(NAMES, now=NOW)
    assert renewed(material, NAMES, now=NOW + timedelta(days=200)) == material


def test_leaves_are_renewed_ahead_of_expiry_under_the_same_ca():
    material = make(NAMES, now=NOW)
    fresh = renewed(material, NAMES, now=NOW + timedelta(days=300))
    assert fresh.ca == material.ca
    assert fresh.tls_cert != material.tls_cert
    assert fresh.client_cert != material.client_cert


def test_a_new_name_makes_a_new_serving_certificate():
    material = make(NAMES, now=NOW)
    fresh = renewed(material, replace(NAMES, ips=("10.0.0.9",)), now=NOW)
    names = x509.load_pem_x509_certificate(fresh.tls_cert).extensions
    assert "10.0.0.9" in str(names.get_extension_for_class(x509.SubjectAlternativeName).value)


def test_a_new_ca_keeps_the_old_one_in_the_bundle_until_it_expires():
    material = make(NAMES, now=NOW)
    late = NOW + timedelta(days=3000)
    fresh = renewed(material, NAMES, now=late)
    assert fresh.ca.endswith(material.ca)
    assert len(x509.load_pem_x509_certificates(fresh.ca)) == 2
    later = renewed(fresh, NAMES, now=late + timedelta(days=3000))
    assert len(x509.load_pem_x509_certificates(later.ca)) == 2


async def test_replicas_that_start_at_once_end_up_with_the_same():
    api = Secrets()
    first = await CertStore(api, namespace="ns", names=NAMES).ensure(now=NOW)

    class Blind(Secrets):
        """Sees no Secret at first, then loses the race to create it."""

        def __init__(self):
            super().__init__()
            self.looked = False

        async def get(self, path):
            if not self.looked:
                self.looked = True
                raise NotFoundError("no", status=404)
            return api.secret

        async def create(self, path, body):
            raise ConflictError("exists", status=409)

    assert await CertStore(Blind(), namespace="ns", names=NAMES).ensure(now=NOW) == first


async def test_renewal_writes_once():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    await store.renew(now=NOW)
    await store.renew(now=NOW + timedelta(days=1))
    assert api.version == 1
    await store.renew(now=NOW + timedelta(days=300))
    assert api.version == 2


async def test_a_secret_that_is_not_ours_says_what_to_do():
    api = Secrets()
    api.secret = {"metadata": {"resourceVersion": "1"}, "data": {"ca.crt": ""}}
    with pytest.raises(InvalidObjectError, match=r"ca\.key is missing; delete the Secret"):
        await CertStore(api, namespace="ns", names=NAMES).ensure(now=NOW)


class Configurations:
    def __init__(self, bundle=None):
        client = {"url": "https://x"} | ({"caBundle": bundle} if bundle else {})
        self.object = {"webhooks": [{"name": "w", "clientConfig": client}]}
        self.patches = []

    async def get(self, path):
        if "missing" in path:
            raise NotFoundError("no", status=404)
        return self.object

    async def patch(self, path, body, *, content_type):
        self.patches.append(body)
        return self.object


async def test_the_bundle_is_written_where_it_differs_and_nothing_else_is():
    api = Configurations()
    assert await inject(api, ["a/b", "a/missing"], ca=b"pem") == 1
    assert [o["op"] for o in api.patches[0]] == ["test", "add"]
    same = Configurations(base64.b64encode(b"pem").decode())
    assert await inject(same, ["a/b"], ca=b"pem") == 0
