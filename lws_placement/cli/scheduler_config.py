"""`lws-placement scheduler-config`: a folder that kube-scheduler can be pointed to.

Reads the Secret that `serve` has made and the Service's clusterIP, with the credentials of the
person who calls it; writes nothing to the cluster. With one of the flags for kubeadm it asks no
cluster: they are about the flag and the volume that let kube-scheduler see the folder.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click

from certs.store import CLIENT_SECRET, ClientMaterial, read_client
from lws_placement.cli.static_pod import write_manifest, write_patch
from lws_placement.cluster.client import Api, Raw, connect
from lws_placement.errors import NotFoundError, SettingsError
from lws_placement.kubeadm import FOLDER, PATCH_NAME
from lws_placement.scheduler_config import (
    CONFIGURATION,
    SERVICE,
    Place,
    as_files,
    fill,
    host_and_port,
    read_base,
    write_files,
)
from lws_placement.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class _Flags:
    """What the verb was called with."""

    out: Path | None
    address: str
    files_at: str
    scheduler_kubeconfig: str
    kubeadm: bool
    kubeadm_manifest: Path | None
    undo: bool
    kubeconfig: Path | None
    namespace: str | None


@click.command("scheduler-config")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write to; with a flag for kubeadm the file, default: standard output.",
)
@click.option(
    "--address",
    default="",
    metavar="IP[:PORT]",
    help="Where kube-scheduler reaches the extender; default: clusterIP and port of the Service.",
)
@click.option(
    "--files-at",
    default="",
    metavar="PATH",
    help=f"The folder as kube-scheduler sees it; default: {FOLDER}.",
)
@click.option(
    "--scheduler-kubeconfig",
    default="",
    metavar="PATH",
    help="kube-scheduler's own credentials; default: /etc/kubernetes/scheduler.conf.",
)
@click.option(
    "--kubeadm",
    is_flag=True,
    help=f"Print {PATCH_NAME} instead, for kubeadm's --patches: the flag and the volume that let "
    "kube-scheduler see the folder.",
)
@click.option(
    "--kubeadm-manifest",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Print this kube-scheduler.yaml of kubeadm's instead, with the same flag and volume in "
    "it. FILE stays as it is, unless --out names it.",
)
@click.option("--undo", is_flag=True, help="... with the flag and the volume taken out again.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("--namespace", help="Where lws-placement runs; default: lws-placement-system.")
def scheduler_config(**given: Any) -> None:
    """Write kube-scheduler's --config and the files that it names.

    The folder gets scheduler-config.yaml, ca.crt, client.crt and client.key, readable by its owner
    alone. Call it again when the client certificate has been renewed (it is valid for a year, and
    renewed in the Secret four months before its end).
    """
    flags = _Flags(**given)
    _refuse_what_does_not_go_together(flags)
    seen_at = flags.files_at or FOLDER
    if flags.kubeadm:
        write_patch(seen_at, out=flags.out)
    elif flags.kubeadm_manifest is not None:
        write_manifest(flags.kubeadm_manifest, seen_at, undo=flags.undo, out=flags.out)
    elif flags.out is not None:
        _write_folder(flags, flags.out)


def _refuse_what_does_not_go_together(flags: _Flags) -> None:
    for flag, path in (
        ("files-at", flags.files_at),
        ("scheduler-kubeconfig", flags.scheduler_kubeconfig),
    ):
        if path and not PurePosixPath(path).is_absolute():
            raise SettingsError(f"--{flag} {path}: must be absolute, as kube-scheduler sees it")
    for_kubeadm = flags.kubeadm or flags.kubeadm_manifest is not None
    if flags.kubeadm and flags.kubeadm_manifest is not None:
        raise click.UsageError("--kubeadm and --kubeadm-manifest are two forms of one change")
    if flags.undo and flags.kubeadm_manifest is None:
        raise click.UsageError("--undo goes with --kubeadm-manifest FILE")
    if flags.out is None and not for_kubeadm:
        raise click.UsageError("--out FOLDER is missing")
    if for_kubeadm and (flags.address or flags.scheduler_kubeconfig):
        raise click.UsageError(
            "--address and --scheduler-kubeconfig are for the folder, not for kubeadm's files"
        )


def _write_folder(flags: _Flags, out: Path) -> None:
    settings = load_settings({"kubeconfig": flags.kubeconfig, "namespace": flags.namespace})
    base = read_base()
    given = host_and_port(flags.address) if flags.address else ""
    material, address = asyncio.run(_fetch(settings, given))
    place = Place(
        address,
        settings.namespace,
        files_at=flags.files_at,
        kubeconfig=flags.scheduler_kubeconfig,
    )
    config = fill(base, place)
    files = as_files(
        config,
        ca=material.ca,
        client_cert=material.client_cert,
        client_key=material.client_key,
    )
    write_files(out, files)
    click.echo(f"wrote {', '.join(files)} to {out}")
    for extender in config["extenders"]:
        click.echo(f"  kube-scheduler will call {extender['urlPrefix']}")
    seen_at = Path(config["extenders"][0]["tlsConfig"]["caFile"]).parent
    click.echo(f"kube-scheduler has to see the folder as {seen_at}, and to be started anew with")
    click.echo(f"  --config={seen_at / CONFIGURATION}")


async def _fetch(settings: Settings, address: str) -> tuple[ClientMaterial, str]:
    """What the Secret holds, and the address: the given one, or the Service's."""
    api = await connect(str(settings.kubeconfig) if settings.kubeconfig else None)
    try:
        material = await _fetch_certificates(api, settings.namespace)
        return material, address or await _fetch_address(api, settings.namespace)
    finally:
        await api.close()


async def _fetch_certificates(api: Api, namespace: str) -> ClientMaterial:
    try:
        return await read_client(api, namespace=namespace)
    except NotFoundError as e:
        raise SettingsError(
            f"there is no Secret {namespace}/{CLIENT_SECRET} yet: lws-placement makes it when it "
            f"first starts. Apply the manifests, then wait for its pods: kubectl rollout status -n "
            f"{namespace} deployment/lws-placement"
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
