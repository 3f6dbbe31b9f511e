"""Our own CA and the certificates that it signs. Time is an argument.

The cluster needs no certificate manager. A certificate is renewed when less than a third of its
life is left.

A renewed CA keeps its key, and the old CA certificate stays in the bundle until it expires: both
verify what the key signs. kube-scheduler reads its CA file only when it starts (client-go,
`TLSConfigFor`; it reads the client certificate for each handshake), so it has to restart once
within a third of ten years. To replace a key that may have leaked, delete the Secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH

_CA_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=365)
_SKEW = timedelta(minutes=5)  # tolerated between the clocks of API server and replicas


@dataclass(frozen=True, slots=True)
class Material:
    """The Secret's content, as PEM.

    `ca` is the bundle, newest first. `tls` is the certificate of webhook and extender, `client`
    that of kube-scheduler.
    """

    ca: bytes
    ca_key: bytes
    tls_cert: bytes
    tls_key: bytes
    client_cert: bytes
    client_key: bytes


@dataclass(frozen=True, slots=True)
class Names:
    """DNS names and IP addresses of a certificate."""

    dns: tuple[str, ...]
    ips: tuple[str, ...] = ()


def make(names: Names, *, now: datetime) -> Material:
    """A new CA with both certificates."""
    key = new_key()
    empty = Material(_new_ca(key, now), key_pem(key), b"", b"", b"", b"")
    return _with_leaves(empty, names, now=now)


def _new_ca(key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    name = x509_name("lws-placement-ca")
    return sign(name, key, issuer=name, issuer_key=key, now=now, life=_CA_LIFE)


def ends_of(material: Material) -> dict[str, datetime]:
    """Until when each certificate is valid: `ca`, `serving` and `client` (kube-scheduler's)."""
    texts = {"ca": material.ca, "serving": material.tls_cert, "client": material.client_cert}
    return {name: end_of(text) for name, text in texts.items()}


def end_of(certificates: bytes) -> datetime:
    """Until when the newest one is valid."""
    return x509.load_pem_x509_certificates(certificates)[0].not_valid_after_utc


def read_bundle(text: bytes) -> bytes:
    """`text`, if it is certificates as PEM. Raises ValueError."""
    x509.load_pem_x509_certificates(text)
    return text


def check(material: Material) -> None:
    """Raises ValueError if something does not belong together, as where it was written in part."""
    check_authority(material.ca, material.ca_key)
    check_leaf(material.ca, material.tls_cert, material.tls_key)
    check_leaf(material.ca, material.client_cert, material.client_key)


def check_authority(ca: bytes, ca_key: bytes) -> None:
    """Raises ValueError if a text is not PEM, or if the key is not that of the newest CA."""
    _check_key(ca, ca_key)


def check_leaf(ca: bytes, cert: bytes, key: bytes) -> None:
    """Raises ValueError if a text is not PEM, if the key is not that of the certificate, or if the
    newest CA has not signed it.
    """
    leaf = _check_key(cert, key)
    try:
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificates(ca)[0])
    except (TypeError, ValueError, InvalidSignature) as e:
        raise ValueError(f"ca.crt has not signed {leaf.subject.rfc4514_string()}") from e


def _check_key(certificates: bytes, key: bytes) -> x509.Certificate:
    """The newest certificate."""
    try:
        newest = x509.load_pem_x509_certificates(certificates)[0]
        public = serialization.load_pem_private_key(key, password=None).public_key()
    except (TypeError, UnsupportedAlgorithm) as e:
        raise ValueError(str(e)) from e
    if newest.public_key() != public:
        raise ValueError(f"a key is not that of the certificate {newest.subject.rfc4514_string()}")
    return newest


def reissued(ca: bytes, ca_key: bytes, *, names: Names, now: datetime) -> Material:
    """Both certificates anew, under this CA. Raises ValueError as `renewed`."""
    return _with_leaves(Material(ca, ca_key, b"", b"", b"", b""), names, now=now)


def renewed(material: Material, names: Names, *, now: datetime) -> Material:
    """`material` with everything renewed that is due; equal to `material` if nothing is.

    Raises ValueError if the CA's key is not an elliptic curve key.
    """
    bundle = x509.load_pem_x509_certificates(material.ca)
    if _due(bundle[0], now):
        old = b"".join(_pem(c) for c in bundle if c.not_valid_after_utc > now)
        fresh = replace(material, ca=_new_ca(_ca_key(material), now) + old)
        return _with_leaves(fresh, names, now=now)
    serving = x509.load_pem_x509_certificate(material.tls_cert)
    client = x509.load_pem_x509_certificate(material.client_cert)
    if _due(serving, now) or _due(client, now) or not _covers(serving, names):
        return _with_leaves(material, names, now=now)
    return material


def _with_leaves(material: Material, names: Names, *, now: datetime) -> Material:
    ca = x509.load_pem_x509_certificates(material.ca)[0]
    server_key, client_key = new_key(), new_key()
    issue = partial(sign, issuer=ca.subject, issuer_key=_ca_key(material), now=now, life=_LEAF_LIFE)
    server = issue(x509_name("lws-placement"), server_key, names=names, usages=[SERVER_AUTH])
    client = x509_name("kube-scheduler")
    return replace(
        material,
        tls_cert=server,
        tls_key=key_pem(server_key),
        client_cert=issue(
            client, client_key, names=Names(("kube-scheduler",)), usages=[CLIENT_AUTH]
        ),
        client_key=key_pem(client_key),
    )


def _ca_key(material: Material) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(material.ca_key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the CA's key is not an elliptic curve key")
    return key


def _due(certificate: x509.Certificate, now: datetime) -> bool:
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now < life / 3


def _covers(certificate: x509.Certificate, names: Names) -> bool:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    dns = set(san.get_values_for_type(x509.DNSName))
    ips = {str(ip) for ip in san.get_values_for_type(x509.IPAddress)}
    return set(names.dns) <= dns and set(names.ips) <= ips


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def x509_name(common: str, *, organization: str = "") -> x509.Name:
    parts = {NameOID.COMMON_NAME: common, NameOID.ORGANIZATION_NAME: organization}
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts.items() if text])


def sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    life: timedelta,
    names: Names | None = None,
    usages: Sequence[x509.ObjectIdentifier] = (),
) -> bytes:
    """Signs a certificate for `key`, as PEM; a CA certificate without `names`."""
    is_ca, public = names is None, key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(ca=is_ca), critical=True)
    )
    if names is not None:
        alternatives: list[x509.GeneralName] = [x509.DNSName(n) for n in names.dns]
        alternatives += [x509.IPAddress(ip_address(ip)) for ip in names.ips]
        builder = builder.add_extension(
            x509.SubjectAlternativeName(alternatives), critical=False
        ).add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return _pem(builder.sign(issuer_key, hashes.SHA256()))


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
