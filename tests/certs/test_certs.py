"""Certificates: made, judged and renewed at a given time; safe when several start at once."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from support.secrets_api import Secrets

from certs.authority import (
    SERVER_AUTH,
    Names,
    ends_of,
    key_pem,
    make,
    new_key,
    read_bundle,
    renewed,
    sign,
    x509_name,
)
from certs.expiry import ENDS_LEASE, ends_line, write_ends
from certs.inject import inject, not_injected
from certs.store import CLIENT_SECRET, SECRET, CertStore, ClientMaterial, read_client
from lws_placement.errors import ConflictError, InvalidObjectError, NotFoundError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = Names(("a.ns.svc",), ("127.0.0.1",))


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


def test_what_a_new_ca_signs_is_trusted_by_those_who_know_the_old_one_alone():
    """kube-scheduler reads its CA file only when it starts."""
    old = make(NAMES, now=NOW)
    late = NOW + timedelta(days=3000)
    new = renewed(old, NAMES, now=late)
    assert new.ca != old.ca
    assert new.tls_cert != old.tls_cert
    newest = x509.load_pem_x509_certificates(new.ca)[0].public_bytes(Encoding.PEM)
    assert trusts(old.ca, new.tls_cert, at=late)
    assert trusts(newest, new.tls_cert, at=late)
    assert trusts(old.ca, new.tls_cert, at=late + timedelta(days=300))
    assert not trusts(make(NAMES, now=NOW).ca, new.tls_cert, at=late), "it is the key that counts"


def trusts(bundle, certificate, *, at):
    store = verification.Store(x509.load_pem_x509_certificates(bundle))
    verifier = verification.PolicyBuilder().store(store).time(at)
    try:
        verifier.build_server_verifier(x509.DNSName(NAMES.dns[0])).verify(
            x509.load_pem_x509_certificate(certificate), []
        )
    except verification.VerificationError:
        return False
    return True


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
            return await api.get(path)

        async def create(self, path, body):
            raise ConflictError("exists", status=409)

    assert await CertStore(Blind(), namespace="ns", names=NAMES).ensure(now=NOW) == first


async def test_renewal_writes_each_secret_once():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    await store.renew(now=NOW)
    await store.renew(now=NOW + timedelta(days=1))
    assert api.version == 2
    await store.renew(now=NOW + timedelta(days=300))
    assert api.version == 4


async def test_kube_schedulers_secret_has_its_part_and_nothing_else():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    for now in (NOW, NOW + timedelta(days=300)):
        material = await store.renew(now=now)
        assert sorted(api.by_name[CLIENT_SECRET]["data"]) == ["ca.crt", "client.crt", "client.key"]
        found = await read_client(api, namespace="ns")
        assert found == ClientMaterial(material.ca, material.client_cert, material.client_key)


@pytest.mark.parametrize("start", [CertStore.ensure, CertStore.renew])
async def test_kube_schedulers_secret_is_there_as_soon_as_the_first_one_is(start):
    api = Secrets()
    await start(CertStore(api, namespace="ns", names=NAMES), now=NOW)
    assert sorted(api.by_name) == sorted([SECRET, CLIENT_SECRET])


@pytest.mark.parametrize("left", [None, {}, {"client.crt": "b2xk"}])
async def test_kube_schedulers_secret_is_put_right_whatever_became_of_it(left):
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    await store.ensure(now=NOW)
    if left is None:
        del api.by_name[CLIENT_SECRET]
    else:
        api.by_name[CLIENT_SECRET]["data"] = left
    material = await store.renew(now=NOW)
    assert (await read_client(api, namespace="ns")).client_cert == material.client_cert


async def test_a_lost_race_for_kube_schedulers_secret_is_no_failure():
    class Contended(Secrets):
        """Somebody else is always a little faster with one of the two."""

        async def create(self, path, body):
            if body["metadata"]["name"] == CLIENT_SECRET:
                raise ConflictError("exists", status=409)
            return await super().create(path, body)

    api = Contended()
    material = await CertStore(api, namespace="ns", names=NAMES).renew(now=NOW)
    assert material == await CertStore(api, namespace="ns", names=NAMES).read()


async def read_all(api):
    return await CertStore(api, namespace="ns", names=NAMES).read()


async def read_kube_schedulers(api):
    return await read_client(api, namespace="ns")


@pytest.mark.parametrize(
    ("name", "read"), [(SECRET, read_all), (CLIENT_SECRET, read_kube_schedulers)]
)
async def test_a_secret_that_is_not_ours_says_what_to_do(name, read):
    api = Secrets()
    meta = {"namespace": "ns", "name": name, "resourceVersion": "1"}
    api.by_name[name] = {"metadata": meta, "data": {"ca.crt": ""}}
    words = rf"secret ns/{name}: data\.c\w+\.\w+ is missing; delete the Secret"
    with pytest.raises(InvalidObjectError, match=words):
        await read(api)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("tls.crt", "bm90aGluZw==", id="no certificate"),
        pytest.param("client.key", "bm90aGluZw==", id="no key"),
        pytest.param("ca.crt", "", id="empty"),
        pytest.param("ca.key", "a", id="not base64"),
        pytest.param("tls.key", "another", id="the key of another certificate"),
        pytest.param("tls.key", "locked", id="a key with a password"),
        pytest.param("ca.crt", "other ca", id="another CA that has the key, written in part"),
    ],
)
async def test_a_secret_that_somebody_has_edited_says_what_to_do(key, value):
    """In every replica, and for the one that renews: neither may end of it."""
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    material = await store.ensure(now=NOW)
    others = {"another": material.ca_key, "locked": locked(material.tls_key)}
    if value == "other ca":
        other = make(NAMES, now=NOW)
        api.by_name[SECRET]["data"]["ca.key"] = base64.b64encode(other.ca_key).decode()
        others[value] = other.ca
    if value in others:
        value = base64.b64encode(others[value]).decode()
    api.by_name[SECRET]["data"][key] = value
    for use in (store.ensure, store.renew):
        with pytest.raises(InvalidObjectError, match=r"secret ns/.*; delete the Secret"):
            await use(now=NOW + timedelta(days=300))


async def test_a_ca_key_of_another_kind_is_said_when_it_is_needed():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    await store.ensure(now=NOW)
    api.by_name[SECRET]["data"] |= a_ca_with_an_rsa_key()
    assert await store.renew(now=NOW) == await store.read()
    with pytest.raises(InvalidObjectError, match="not an elliptic curve key; delete the Secret"):
        await store.renew(now=NOW + timedelta(days=300))


def locked(key):
    return serialization.load_pem_private_key(key, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def a_ca_with_an_rsa_key():
    key, name = rsa.generate_private_key(65537, 2048), x509_name("corporate")
    signed = partial(sign, issuer=name, issuer_key=key, now=NOW, life=timedelta(days=365))
    data = {"ca.crt": signed(name, key, life=timedelta(days=3650)), "ca.key": key_pem(key)}
    for leaf in ("tls", "client"):
        own = new_key()
        data |= {
            f"{leaf}.crt": signed(x509_name(leaf), own, names=NAMES, usages=[SERVER_AUTH]),
            f"{leaf}.key": key_pem(own),
        }
    return {name: base64.b64encode(text).decode() for name, text in data.items()}


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
    assert await not_injected(api, ["a/b", "a/missing"], ca=b"pem") == ["a/b"]
    assert await inject(api, ["a/b", "a/missing"], ca=b"pem") == 1
    assert [o["op"] for o in api.patches[0]] == ["test", "add"]
    same = Configurations(base64.b64encode(b"pem").decode())
    assert await inject(same, ["a/b"], ca=b"pem") == 0
    assert await not_injected(same, ["a/b"], ca=b"pem") == []


async def test_people_who_may_not_read_secrets_see_until_when_certificates_are_valid():
    api, ends = Secrets(), ends_of(make(NAMES, now=NOW))
    look = partial(ends_line, api, namespace="ns")
    assert await look(now=NOW) == ""
    for _ in range(2):
        await write_ends(api, ends, namespace="ns")
    assert api.version == 1
    said = "certificates: CA until 2035-12-30, servers until 2027-01-01, kube-scheduler until"
    assert await look(now=NOW) == f"{said} 2027-01-01"
    late = NOW + timedelta(days=400)
    assert "kube-scheduler ENDED 2027-01-01" in await look(now=late)
    await write_ends(api, ends_of(make(NAMES, now=late)), namespace="ns")
    assert "ENDED" not in await look(now=late)
    for garbled in ("", "{", "[]", '{"x": "2027-01-01"}', '{"ca": 1}', '{"ca": "2027-01-01"}'):
        (annotation,) = api.by_name[ENDS_LEASE]["metadata"]["annotations"]
        api.by_name[ENDS_LEASE]["metadata"]["annotations"][annotation] = garbled
        assert await look(now=NOW) == ""


def test_a_bundle_is_certificates():
    ca = make(NAMES, now=NOW).ca
    assert read_bundle(ca) == ca
    for text in (b"", b"nothing", ca[:-40]):
        with pytest.raises(ValueError, match=r".+"):
            read_bundle(text)
