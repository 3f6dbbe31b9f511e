"""Keys and certificates of one local control plane, in its own folder, for a day."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = timedelta(days=1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pki:
    """Paths of PEM files."""

    ca: Path
    server_cert: Path
    server_key: Path
    admin_cert: Path
    admin_key: Path
    service_account_key: Path


def make_pki(folder: Path) -> Pki:
    """A CA, the API server's certificate, an administrator's, and the key that signs tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("local-ca")
    ca = _sign(ca_name, ca_key, issuer=ca_name, issuer_key=ca_key, ca=True)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _sign(_name("kube-apiserver"), server_key, issuer=ca_name, issuer_key=ca_key)
    admin_key = ec.generate_private_key(ec.SECP256R1())
    admin = _sign(
        _name("admin", organization="system:masters"),
        admin_key,
        issuer=ca_name,
        issuer_key=ca_key,
    )
    token_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Pki(
        ca=_write(folder / "ca.crt", _pem(ca)),
        server_cert=_write(folder / "apiserver.crt", _pem(server)),
        server_key=_write(folder / "apiserver.key", _key_pem(server_key)),
        admin_cert=_write(folder / "admin.crt", _pem(admin)),
        admin_key=_write(folder / "admin.key", _key_pem(admin_key)),
        service_account_key=_write(folder / "service-account.key", _key_pem(token_key)),
    )


def _name(common: str, *, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _sign(
    subject: x509.Name,
    key: PrivateKey,
    *,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    ca: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .add_extension(_usage(ca=ca), critical=True)
    )
    if not ca:
        names = [x509.DNSName("localhost"), x509.DNSName("kubernetes.default.svc")]
        addresses = [x509.IPAddress(IPv4Address("127.0.0.1"))]
        builder = builder.add_extension(
            x509.SubjectAlternativeName([*names, *addresses]), critical=False
        ).add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=not ca,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as f:
        f.write(data)
    return path
