"""The control plane of a soak: ours reach its API server through `BadApi`, one for each role."""

import json
import random
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import urllib3
from e2e.servers import start
from e2e.service import Service
from e2e.stack import CHIPS
from soak.bad_api import BadApi
from soak.facts import KEY, node_name
from soak.programs import ETCD, GATES, OURS, Programs
from support.simulated_nodes import a_simulated_node

from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import BRAIN, GATE, NAMESPACE, Installation

DOMAINS, NODES_EACH = 8, 4
_CLOCK = Path(__file__).with_name("shifted_clock.py")


@dataclass(frozen=True)
class How:
    """One of ours is started so."""

    program: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass
class Stage:
    cluster: LocalCluster
    installed: Installation
    programs: Programs
    apis: list[BadApi]
    nodes: list[str]
    clocks: dict[str, Path] = field(default_factory=dict)

    def shift_clock(self, name, seconds):
        self.clocks[name].write_text(str(seconds))

    def compact(self):
        """Of etcd, up to its latest revision, by its JSON gateway. Raises HTTPError, ValueError."""
        etcd = self._etcd_url()
        status = _post(f"{etcd}/v3/maintenance/status", {})
        revision = status["header"]["revision"]
        _post(f"{etcd}/v3/kv/compaction", {"revision": revision})

    def _etcd_url(self):
        flag = "--listen-client-urls="
        flags = self.programs.process(ETCD).command
        return next(f.removeprefix(flag) for f in flags if f.startswith(flag))

    def heal(self):
        for api in self.apis:
            api.heal()
        for name in OURS:
            self.shift_clock(name, 0)
        self.programs.heal()


@contextmanager
def staged(folder, binaries, seed, figures):
    with ExitStack() as stack:
        cluster = stack.enter_context(LocalCluster(folder, binaries))
        installed = Installation(cluster)
        stack.callback(installed.stop)
        installed.apply("standalone")
        apis, kubeconfigs = {}, {}
        for account in (GATE, BRAIN):
            apis[account] = BadApi(cluster, random.Random(f"{seed} {account}"), figures)
            stack.callback(apis[account].close)
            kubeconfigs[account] = _kubeconfig(cluster, apis[account].url, account)
        files = [folder / f"{name}.ports" for name in GATES]
        for port, name in (
            (installed.webhook_port, "webhook"),
            (installed.extender_port, "extender"),
        ):
            stack.callback(Service(port, name, files).close)
        clocks = {name: folder / f"{name}.clock" for name in OURS}
        how = {name: _how(name, clocks, kubeconfigs) for name in OURS}
        for name in reversed(OURS):  # a brain writes the CA bundle
            start(installed, name, *how[name].flags, program=how[name].program)
        installed.start_scheduler()
        nodes = _nodes(cluster)
        programs = Programs(installed, how, figures)
        yield Stage(cluster, installed, programs, list(apis.values()), nodes, clocks)


def _how(name, clocks, kubeconfigs):
    account = GATE if name in GATES else BRAIN
    program = (str(_CLOCK), str(clocks[name]))
    return How(program, (f"--kubeconfig={kubeconfigs[account]}",))


def _kubeconfig(cluster, url, account):
    """The ServiceAccount's, to another server."""
    ours = cluster.service_account_kubeconfig(NAMESPACE, account)
    config = json.loads(ours.read_text())
    config["clusters"][0]["cluster"] = {"server": url}
    path = cluster.folder / f"{account}-through-bad-api.kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    return path


def _nodes(cluster):
    names = [node_name(d, n) for d in range(DOMAINS) for n in range(NODES_EACH)]
    for name in names:
        labels = {KEY: name.rsplit("-", 1)[0], "pool": "soak"}
        cluster.api.create("/api/v1/nodes", a_simulated_node(name, labels=labels, capacity=CHIPS))

    def ready():
        found = cluster.api.items("/api/v1/nodes")
        return sum(_is_ready(node) for node in found) == len(names)

    cluster.wait_for(ready)
    return names


def _post(url, body):
    answer = urllib3.request("POST", url, json=body, timeout=2, retries=False)
    return json.loads(answer.data)


def _is_ready(node):
    conditions = node.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
