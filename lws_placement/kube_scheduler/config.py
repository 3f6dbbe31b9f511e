"""kube-scheduler's configuration with our extender, filled in for one cluster.

The one source is `scheduler-config.yaml` beside this file. The verb `scheduler-config` and the
local control plane call the same function, so every end-to-end test runs the real kube-scheduler
with the configuration that users get.

A running kube-scheduler may be reading the folder. So each file is replaced as a whole, and the
configuration last: it never names a missing file.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import yaml

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import SettingsError

BASE = Path(__file__).with_name("scheduler-config.yaml")
SERVICE = "lws-placement-extender"
CONFIGURATION = "scheduler-config.yaml"
READ_AT_START = ("ca.crt", CONFIGURATION)
"""Files that kube-scheduler reads only when it starts. It reads the client's certificate and key
again for each handshake (client-go, `TLSConfigFor`)."""

_TLS_FILES = {"caFile": "ca.crt", "certFile": "client.crt", "keyFile": "client.key"}
_HTTPS_PORT = 443
_WITH_PORT = re.compile(r"(\[(?P<v6>[^]]+)\]|(?P<v4>[^:]+))(:(?P<port>\d{1,5}))?")
_HEADER = "# Made by `lws-placement scheduler-config`: make it anew, do not edit it.\n"


@dataclass(frozen=True, slots=True)
class Place:
    """The values that differ between clusters. Empty: as in the base file."""

    address: str
    namespace: str
    files_at: str = ""
    kubeconfig: str = ""


def read_base() -> Raw:
    config: Raw = yaml.safe_load(BASE.read_text())
    return config


def fill(base: Raw, place: Place) -> Raw:
    """The base with the addresses, file names and credentials of one cluster."""
    server_name = f"{SERVICE}.{place.namespace}.svc"
    filled = dict(base)
    if place.kubeconfig:
        filled["clientConnection"] = base["clientConnection"] | {"kubeconfig": place.kubeconfig}
    filled["extenders"] = [
        extender
        | {
            "urlPrefix": f"https://{place.address}{urlsplit(extender['urlPrefix']).path}",
            "tlsConfig": _tls(extender["tlsConfig"], place.files_at, server_name),
        }
        for extender in base["extenders"]
    ]
    return filled


def _tls(base: Raw, files_at: str, server_name: str) -> Raw:
    paths = {
        field: str(PurePosixPath(files_at) / name) if files_at else base[field]
        for field, name in _TLS_FILES.items()
    }
    return base | paths | {"serverName": server_name}


def host_and_port(address: str, *, port: int = _HTTPS_PORT) -> str:
    """`IP`, `IP:PORT` or `[IPv6]:PORT` in the form of a URL. Raises SettingsError."""
    try:
        ip, number = _parse(address, port)
        if not 0 < number < 65536:
            raise ValueError(f"port {number}")
    except ValueError as e:
        raise SettingsError(
            f"--address {address!r}: give an IP address, or IP:PORT ([IP]:PORT for IPv6)"
        ) from e
    return f"[{ip}]:{number}" if ip.version == 6 else f"{ip}:{number}"


def _parse(address: str, port: int) -> tuple[IPv4Address | IPv6Address, int]:
    with suppress(ValueError):  # an IPv6 address without brackets contains colons
        return ip_address(address), port
    match = _WITH_PORT.fullmatch(address)
    if match is None:
        raise ValueError(address)
    return ip_address(match["v6"] or match["v4"]), int(match["port"] or port)


def as_files(config: Raw, *, ca: bytes, client_cert: bytes, client_key: bytes) -> dict[str, bytes]:
    """File name -> content, in write order."""
    text = _HEADER + yaml.safe_dump(config, sort_keys=False)
    return {
        "ca.crt": ca,
        "client.crt": client_cert,
        "client.key": client_key,
        CONFIGURATION: text.encode(),
    }


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes all files under temporary names, then renames them. Raises SettingsError with the
    reason if that fails; no file is half-written.
    """
    drafts = {folder / f".{name}.{os.getpid()}": folder / name for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for draft, content in zip(drafts, files.values(), strict=True):
            draft.touch(mode=0o600)
            draft.write_bytes(content)
        for draft, target in drafts.items():
            draft.rename(target)
    except OSError as e:
        raise SettingsError(f"--out {folder}: cannot be written: {e.strerror}") from e
    finally:
        for draft in drafts:
            with suppress(OSError):
                draft.unlink()
