"""Certificates: made, judged and renewed at a given time; safe when several start at once."""

import base64
from contextlib import suppress
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
from certs.store import (
    CA_SECRET,
    CLIENT_SECRET,
    SECRET,
    CertStore,
    ClientMaterial,
    ServingMaterial,
    read_client,
    read_serving,
)
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


async def test_renewal_writes_each_secret_once():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    await store.renew(now=NOW)
    await store.renew(now=NOW + timedelta(days=1))
    assert api.version == 3
    await store.renew(now=NOW + timedelta(days=300))
    assert api.version == 5, "the CA stays"


HAVE = {
    CA_SECRET: ["ca.crt", "ca.key"],
    SECRET: ["ca.crt", "tls.crt", "tls.key"],
    CLIENT_SECRET: ["ca.crt", "client.crt", "client.key"],
}


async def test_each_secret_has_what_its_reader_needs_and_nothing_else():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    for now in (NOW, NOW + timedelta(days=300), NOW + timedelta(days=3000)):
        material = await store.renew(now=now)
        assert {name: sorted(secret["data"]) for name, secret in api.by_name.items()} == HAVE
        found = await read_client(api, namespace="ns")
        assert found == ClientMaterial(material.ca, material.client_cert, material.client_key)
        found = await read_serving(api, namespace="ns")
        assert found == ServingMaterial(material.ca, material.tls_cert, material.tls_key)


async def test_the_one_secret_of_an_earlier_version_is_taken_over():
    """In whatever order the writes end."""
    material = make(NAMES, now=NOW)
    fields = {k: f for name in HAVE for k, f in store_fields(name).items()}
    data = {k: base64.b64encode(getattr(material, f)).decode() for k, f in fields.items()}
    for writes in range(4):
        api = Secrets()
        meta = {"name": SECRET, "namespace": "ns"}
        await api.create("secrets", {"metadata": meta, "data": dict(data)})
        api.writes_left = writes
        store = CertStore(api, namespace="ns", names=NAMES)
        with suppress(ConflictError):
            await store.renew(now=NOW)
        api.writes_left = None
        after = await store.renew(now=NOW)
        assert (after.ca, after.ca_key) == (material.ca, material.ca_key)
        assert {name: sorted(secret["data"]) for name, secret in api.by_name.items()} == HAVE


def store_fields(name):
    return {k: k.replace(".", "_").replace("crt", "cert") for k in HAVE[name]} | {"ca.crt": "ca"}


@pytest.mark.parametrize("secret", [SECRET, CLIENT_SECRET])
@pytest.mark.parametrize("left", [None, {}, {"client.crt": "b2xk", "tls.crt": "b2xk"}])
async def test_what_the_ca_has_signed_is_made_anew_whatever_became_of_it(secret, left):
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    before = await store.renew(now=NOW)
    if left is None:
        del api.by_name[secret]
    else:
        api.by_name[secret]["data"] = left
    material = await store.renew(now=NOW)
    assert (material.ca, material.ca_key) == (before.ca, before.ca_key)
    assert (await read_client(api, namespace="ns")).client_cert == material.client_cert
    assert (await read_serving(api, namespace="ns")).tls_cert == material.tls_cert


async def test_without_the_cas_secret_everything_is_made_anew():
    """What to do when a key may have leaked."""
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    before = await store.renew(now=NOW)
    del api.by_name[CA_SECRET]
    after = await store.renew(now=NOW)
    assert after.ca != before.ca
    assert (await read_serving(api, namespace="ns")).ca == after.ca
    assert (await read_client(api, namespace="ns")).ca == after.ca


async def renew(api):
    return await CertStore(api, namespace="ns", names=NAMES).renew(now=NOW + timedelta(days=300))


async def serve(api):
    return await read_serving(api, namespace="ns")


@pytest.mark.parametrize(
    ("secret", "key", "value"),
    [
        pytest.param(SECRET, "tls.key", None, id="missing"),
        pytest.param(SECRET, "tls.crt", "bm90aGluZw==", id="no certificate"),
        pytest.param(SECRET, "tls.key", "bm90aGluZw==", id="no key"),
        pytest.param(SECRET, "tls.key", "another", id="the key of another certificate"),
        pytest.param(SECRET, "tls.key", "locked", id="a key with a password"),
        pytest.param(SECRET, "ca.crt", "", id="empty"),
        pytest.param(SECRET, "ca.crt", "other ca", id="another CA, written in part"),
        pytest.param(CA_SECRET, "ca.crt", None, id="the CA's missing"),
        pytest.param(CA_SECRET, "ca.key", "a", id="the CA's not base64"),
        pytest.param(CA_SECRET, "ca.crt", "other ca", id="the CA of another key"),
    ],
)
async def test_a_secret_that_somebody_has_edited_says_what_to_do(secret, key, value):
    """For who reads it; the CA's for who renews."""
    api = Secrets()
    material = await CertStore(api, namespace="ns", names=NAMES).renew(now=NOW)
    others = {
        "another": material.ca_key,
        "locked": locked(material.tls_key),
        "other ca": make(NAMES, now=NOW).ca,
    }
    if value in others:
        value = base64.b64encode(others[value]).decode()
    if value is None:
        del api.by_name[secret]["data"][key]
    else:
        api.by_name[secret]["data"][key] = value
    with pytest.raises(InvalidObjectError, match=rf"secret ns/{secret}: .*; delete the Secret"):
        await (renew if secret == CA_SECRET else serve)(api)


async def test_kube_schedulers_secret_that_is_not_ours_says_what_to_do():
    api = Secrets()
    meta = {"namespace": "ns", "name": CLIENT_SECRET, "resourceVersion": "1"}
    api.by_name[CLIENT_SECRET] = {"metadata": meta, "data": {"ca.crt": ""}}
    words = rf"secret ns/{CLIENT_SECRET}: data\.client\.crt is missing; delete the Secret"
    with pytest.raises(InvalidObjectError, match=words):
        await read_client(api, namespace="ns")


async def test_a_ca_key_of_another_kind_is_said_when_it_is_needed():
    api = Secrets()
    store = CertStore(api, namespace="ns", names=NAMES)
    await store.renew(now=NOW)
    texts = a_ca_with_an_rsa_key()
    for name, keys in HAVE.items():
        api.by_name[name]["data"] = {key: texts[key] for key in keys}
    before = api.version
    await store.renew(now=NOW)
    assert api.version == before
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
