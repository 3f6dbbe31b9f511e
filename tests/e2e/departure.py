"""lws-placement leaves a local control plane: its processes end when their pod is deleted, and what
is left of it is looked for.
"""

import json
import threading

from click.testing import CliRunner

from lws_placement.cli.leave.our_objects import NAMESPACE, OUR_PODS, WEBHOOKS, all_but_webhooks
from lws_placement.cli.main import cli
from lws_placement.engine.base import keys
from lws_placement.errors import LocalClusterError, LwsPlacementError

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
_BY_HAND = {"simulate.lws-placement.dev/dead-node": "true"}


def verb(cluster, *args):
    """(exit code, what it says), as a shell has it."""
    done = CliRunner().invoke(cli, [*args, f"--kubeconfig={cluster.kubeconfig}"])
    if isinstance(done.exception, LwsPlacementError):
        return 1, f"{done.output}{done.exception}"
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def gated(cluster):
    """Names of the pods that wait for us."""
    return sorted(
        pod["metadata"]["name"]
        for pod in cluster.api.items("/api/v1/pods")
        if any(gate["name"] == keys.GATE for gate in pod["spec"].get("schedulingGates") or ())
    )


def left(cluster, namespace=NAMESPACE):
    """Paths of what is still there of ours, beside the namespace."""
    return [p for p in (*WEBHOOKS, *all_but_webhooks(namespace)) if is_there(cluster, p)]


def is_there(cluster, path):
    try:
        cluster.api.get(path)
    except LocalClusterError as e:
        if ": 404 " in str(e):
            return False
        raise
    return True


class OwnPod:
    """The Deployment's one pod, which stands for a `serve` process beside the cluster: told to end,
    it ends the process, and is gone after it.
    """

    def __init__(self, installed, server):
        self._installed, self._server = installed, server
        self._api = installed.cluster.api
        self._over = threading.Event()
        template = {"metadata": {"annotations": _BY_HAND}}
        patch = json.dumps({"spec": {"replicas": 1, "template": template}})
        installed.cluster.kubectl(
            "patch", "-n", NAMESPACE, "deployment/lws-placement", f"--patch={patch}"
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def is_bound(self):
        return any(pod["spec"].get("nodeName") for pod in self._pods())

    def end(self):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(0.1):
            for pod in self._pods():
                if "deletionTimestamp" in pod["metadata"]:
                    self._installed.stop_server(self._server)
                    path = f"{PODS}/{pod['metadata']['name']}"
                    self._api.delete(path, gracePeriodSeconds="0")
                    return

    def _pods(self):
        return self._api.items(PODS, labelSelector=OUR_PODS)
