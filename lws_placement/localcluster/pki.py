"""Keys and certificates of one local control plane, in its folder, valid for a day."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from certs.authority import CLIENT_AUTH, SERVER_AUTH, Names, key_pem, new_key, sign, x509_name

_LIFE = timedelta(days=1)
_NAMES = Names(dns=("localhost", "kubernetes.default.svc"), ips=("127.0.0.1",))


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
    ca_name, ca_key, server_key, admin_key = x509_name("local-ca"), new_key(), new_key(), new_key()
    issue = partial(sign, issuer=ca_name, issuer_key=ca_key, now=datetime.now(UTC), life=_LIFE)
    leaf = partial(issue, names=_NAMES, usages=[SERVER_AUTH, CLIENT_AUTH])
    admin = x509_name("admin", organization="system:masters")
    token_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Pki(
        ca=_write(folder / "ca.crt", issue(ca_name, ca_key)),
        server_cert=_write(folder / "apiserver.crt", leaf(x509_name("kube-apiserver"), server_key)),
        server_key=_write(folder / "apiserver.key", key_pem(server_key)),
        admin_cert=_write(folder / "admin.crt", leaf(admin, admin_key)),
        admin_key=_write(folder / "admin.key", key_pem(admin_key)),
        service_account_key=_write(folder / "service-account.key", key_pem(token_key)),
    )


def _write(path: Path, data: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path
