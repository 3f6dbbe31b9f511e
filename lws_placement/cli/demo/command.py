"""`lws-placement demo`: a real control plane on loopback, our manifests on it, and a story.

No process is left behind, whatever happens: the kernel ends each child with us, and a normal end,
Ctrl-C included, stops all of them in order.
"""

import io
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from lws_placement.cli.demo.grow import tell_of_growth
from lws_placement.cli.demo.life import tell_a_life
from lws_placement.cli.demo.stage import Stage
from lws_placement.cli.demo.story import tell_the_trap
from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

_INTERRUPTED = 130
_STORIES = {"trap": tell_the_trap, "life": tell_a_life, "grow": tell_of_growth}


@click.command()
@click.option("--keep", is_flag=True, help="Leave the cluster running afterwards, until Ctrl-C.")
@click.option(
    "--story",
    type=click.Choice(list(_STORIES)),
    default="trap",
    show_default=True,
    help="trap: plain affinity and ours; life: the examples deployed, scaled, updated, deleted; "
    "grow: slices made by a cluster autoscaler, and given back.",
)
def demo(keep: bool, story: str) -> None:
    """See whole groups land on a real API server and scheduler, on this machine.

    Exit code 0 only if every promise held.

    The control plane's programs are looked for in $KUBEBUILDER_ASSETS, in the cache
    ($LWS_PLACEMENT_CACHE, else ~/.cache/lws-placement) and on PATH; what is not there in version
    $LWS_PLACEMENT_KUBERNETES_VERSION (default: the newest that is tested) is built into the cache,
    once, about 9 minutes on 2 cores. Programs of a version that is not tested have to be there.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # piped, too, one sees what happens
    console = Console(highlight=False)
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT may be ignored, as a shell's job
        signal.signal(number, signal.default_int_handler)
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="lws-placement-demo-"))
    code = 1
    try:
        binaries = find_or_build(console.print)
        with LocalCluster(folder / "cluster", binaries) as cluster:
            installation = Installation(cluster)
            try:
                took = time.monotonic() - started
                console.print(
                    f"etcd, kube-apiserver, kube-controller-manager, KWOK: up ({took:.1f} s)"
                )
                installation.apply("standalone")
                console.print(
                    "applied manifests/crd and manifests/standalone (RBAC, webhooks, Deployment)"
                )
                stage = Stage(cluster, installation, console)
                _STORIES[story](stage)
                code = 0 if stage.summary() else 1
                if keep:
                    _leave_running(cluster, console)
            finally:
                installation.stop()
    except KeyboardInterrupt:
        console.print("interrupted; everything is stopped")
        code = _INTERRUPTED
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def _leave_running(cluster: LocalCluster, console: Console) -> None:
    console.print("\nStill running. In another terminal:", style="bold")
    console.print(f"  export KUBECONFIG={cluster.kubeconfig}", soft_wrap=True)
    for line in (
        "kubectl get lws,pods -o wide",
        "kubectl get leases -n lws-placement-system   # the holds, one per domain",
        "kubectl delete pod trap-3-2                  # its whole group restarts, in its own slice",
        "kubectl scale lws trap --replicas=13         # two more groups than there is room for",
        "kubectl get events --field-selector reason=WaitingForDomain    # why they wait",
        "kubectl explain lws.spec.leaderWorkerTemplate",
    ):
        console.print(f"  {line}", soft_wrap=True)
    console.print("Ctrl-C ends it.")
    try:
        while True:
            cluster.check()
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("stopping")
