"""Writes the folder of `lws-placement scheduler-config` from the Secret that `serve` keeps for
kube-scheduler and the Service's clusterIP: once, or whenever they change.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

import click
import yaml

from certs.store import CLIENT_SECRET, ClientMaterial, read_client
from lws_placement.cluster.api.client import Api, connected
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import LwsPlacementError, NotFoundError, SettingsError
from lws_placement.kube_scheduler.config import (
    CONFIGURATION,
    READ_AT_START,
    SERVICE,
    Place,
    as_files,
    fill,
    host_and_port,
    read_base,
    write_files,
)
from lws_placement.stopping import asked_to_stop, unless


async def write_once(out: Path, place: Place, *, kubeconfig: Path | None) -> None:
    """`place.address` empty: that of the Service. Raises ApiError, or SettingsError that says what
    is missing.
    """
    async with connected(kubeconfig) as api:
        files = await _make(api, place)
    write_files(out, files)
    click.echo(f"wrote {', '.join(files)} to {out}")
    config = yaml.safe_load(files[CONFIGURATION])
    for extender in config["extenders"]:
        click.echo(f"  kube-scheduler will call {extender['urlPrefix']}")
    seen_at = PurePosixPath(config["extenders"][0]["tlsConfig"]["caFile"]).parent
    click.echo(f"kube-scheduler has to see the folder as {seen_at}, and to be started anew with")
    click.echo(f"  --config={seen_at / CONFIGURATION}")


async def keep(out: Path, place: Place, *, kubeconfig: Path | None, every_s: float) -> None:
    """As `write_once`, repeatedly until SIGTERM. Prints each error once: the Secret may not exist
    yet, the API server may be away. The files that are there stay.
    """
    stop = asked_to_stop()
    async with connected(kubeconfig) as api:
        await unless(stop, _look_again_and_again(api, out, place, every_s=every_s))


async def _look_again_and_again(api: Api, out: Path, place: Place, *, every_s: float) -> None:
    said = ""
    while True:
        try:
            files = await _make(api, place)
            changed = _differing(out, files)
            if changed:
                write_files(out, files)
                click.echo(f"wrote {', '.join(changed)} to {out}: {_what_then(changed)}")
            said = ""
        except LwsPlacementError as e:
            if str(e) != said:
                click.echo(f"will try again: {e}", err=True)
            said = str(e)
        await asyncio.sleep(every_s)


def _differing(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """The files whose content is not the wanted one."""

    def content(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except OSError:
            return None

    return [name for name, wanted in files.items() if content(name) != wanted]


def _what_then(changed: list[str]) -> str:
    at_start = [name for name in changed if name in READ_AT_START]
    if at_start:
        return f"kube-scheduler reads {' and '.join(at_start)} when it starts"
    return "a running kube-scheduler takes them with its next connection"


async def _make(api: Api, place: Place) -> dict[str, bytes]:
    """File name -> content."""
    material = await _fetch_certificates(api, place.namespace)
    address = place.address or await _fetch_address(api, place.namespace)
    config = fill(read_base(), replace(place, address=address))
    return as_files(config, **asdict(material))


async def _fetch_certificates(api: Api, namespace: str) -> ClientMaterial:
    try:
        return await read_client(api, namespace=namespace)
    except NotFoundError as e:
        raise SettingsError(
            f"there is no Secret {namespace}/{CLIENT_SECRET} yet: lws-placement makes it when it "
            f"first starts. Apply the manifests, then wait for its pods: kubectl rollout status -n "
            f"{namespace} deployment/lws-placement-brain"
        ) from e


async def _fetch_address(api: Api, namespace: str) -> str:
    try:
        service = await api.get(f"/api/v1/namespaces/{namespace}/services/{SERVICE}")
    except NotFoundError as e:
        raise SettingsError(
            f"there is no Service {namespace}/{SERVICE}: apply the manifests, or say with "
            "--address where kube-scheduler reaches the extender"
        ) from e
    return _address_of(service)


def _address_of(service: Raw) -> str:
    spec = service["spec"]
    ip = spec.get("clusterIP", "")
    if ip in ("", "None"):
        raise SettingsError(
            f"Service {service['metadata']['namespace']}/{SERVICE} has no clusterIP: say with "
            "--address where kube-scheduler reaches the extender"
        )
    return host_and_port(ip, port=spec["ports"][0]["port"])
