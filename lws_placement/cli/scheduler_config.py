"""`lws-placement scheduler-config`: a folder that kube-scheduler can be pointed to.

Reads the Secret that `serve` has made and the Service's clusterIP, with the credentials of the
person who calls it; writes nothing to the cluster.
"""

import asyncio
from pathlib import Path, PurePosixPath

import click

from certs.authority import Material, Names
from certs.store import SECRET, CertStore
from lws_placement.cluster.client import Api, Raw, connect
from lws_placement.errors import NotFoundError, SettingsError
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


@click.command("scheduler-config")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
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
    help="The folder as kube-scheduler sees it; default: /etc/kubernetes/lws-placement.",
)
@click.option(
    "--scheduler-kubeconfig",
    default="",
    metavar="PATH",
    help="kube-scheduler's own credentials; default: /etc/kubernetes/scheduler.conf.",
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Your credentials.")
@click.option("--namespace", help="Where lws-placement runs; default: lws-placement-system.")
def scheduler_config(
    out: Path,
    address: str,
    files_at: str,
    scheduler_kubeconfig: str,
    kubeconfig: Path | None,
    namespace: str | None,
) -> None:
    """Write kube-scheduler's --config and the files that it names.

    The folder gets scheduler-config.yaml, ca.crt, client.crt and client.key, readable by its owner
    alone. Call it again when the client certificate has been renewed (it is valid for a year, and
    renewed in the Secret four months before its end).
    """
    for flag, path in (("files-at", files_at), ("scheduler-kubeconfig", scheduler_kubeconfig)):
        if path and not PurePosixPath(path).is_absolute():
            raise SettingsError(f"--{flag} {path}: must be absolute, as kube-scheduler sees it")
    settings = load_settings({"kubeconfig": kubeconfig, "namespace": namespace})
    base = read_base()
    given = host_and_port(address) if address else ""
    material, address = asyncio.run(_fetch(settings, given))
    place = Place(address, settings.namespace, files_at=files_at, kubeconfig=scheduler_kubeconfig)
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


async def _fetch(settings: Settings, address: str) -> tuple[Material, str]:
    """What the Secret holds, and the address: the given one, or the Service's."""
    api = await connect(str(settings.kubeconfig) if settings.kubeconfig else None)
    try:
        material = await _fetch_certificates(api, settings.namespace)
        return material, address or await _fetch_address(api, settings.namespace)
    finally:
        await api.close()


async def _fetch_certificates(api: Api, namespace: str) -> Material:
    try:
        return await CertStore(api, namespace=namespace, names=Names(())).read()
    except NotFoundError as e:
        raise SettingsError(
            f"there is no Secret {namespace}/{SECRET} yet: lws-placement makes it when it first "
            f"starts. Apply the manifests, then wait for its pods: kubectl rollout status -n "
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
