"""`lws-placement scheduler-config`: writes a folder that kube-scheduler can be pointed to.

Reads the Secret that `serve` has made and the Service's clusterIP, with the caller's credentials,
and writes nothing to the cluster. The flags for kubeadm need no cluster: they are about the flag
and the volume that let kube-scheduler see the folder.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import click

from lws_placement.cli.scheduler.files import keep, write_once
from lws_placement.cli.scheduler.static_pod import write_manifest, write_patch
from lws_placement.errors import SettingsError
from lws_placement.kube_scheduler.config import Place, host_and_port
from lws_placement.kube_scheduler.kubeadm import FOLDER, PATCH_NAME
from lws_placement.settings import load_settings


@dataclass(frozen=True, slots=True)
class _Flags:
    """The flags of the verb."""

    out: Path | None
    address: str
    files_at: str
    scheduler_kubeconfig: str
    watch_every: float | None
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
    "--watch-every",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Go on until SIGTERM: look so often, and write what has changed.",
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
    renewed in the Secret four months before its end), or let it go on with --watch-every.
    kube-scheduler reads the client certificate for each new connection, all else when it starts.
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
    if for_kubeadm and (flags.address or flags.scheduler_kubeconfig or flags.watch_every):
        raise click.UsageError(
            "--address, --scheduler-kubeconfig and --watch-every are for the folder, not for "
            "kubeadm's files"
        )


def _write_folder(flags: _Flags, out: Path) -> None:
    settings = load_settings({"kubeconfig": flags.kubeconfig, "namespace": flags.namespace})
    address = host_and_port(flags.address) if flags.address else ""
    place = Place(address, settings.namespace, flags.files_at, flags.scheduler_kubeconfig)
    if flags.watch_every is None:
        asyncio.run(write_once(out, place, kubeconfig=settings.kubeconfig))
    else:
        every_s = flags.watch_every
        asyncio.run(keep(out, place, kubeconfig=settings.kubeconfig, every_s=every_s))
