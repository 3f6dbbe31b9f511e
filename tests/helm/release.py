"""The chart as users handle it: one release on a cluster, and what is seen there.

A cluster is what has `kubectl(*args, stdin=...)`: the local control plane or a real node.
"""

import json
import shutil

import yaml

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.install import BRAIN, GATE, MANIFESTS

CHART = MANIFESTS / "helm" / "lws-placement"
NAME = "lws-placement"
NAMESPACE = "lws-placement-system"
CRD = "leaderworkersets.leaderworkerset.x-k8s.io"


def as_set(values):
    """`{"a.b": 1}` as Helm's flags."""
    return [f"--set-json={key}={json.dumps(value)}" for key, value in values.items()]


def an_earlier_chart(folder):
    """What somebody has installed some time ago: a lower version, and an object fewer."""
    earlier = folder / "earlier"
    shutil.copytree(CHART, earlier)
    path = earlier / "Chart.yaml"
    chart = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(chart | {"version": "0.0.9", "appVersion": "0.0.9"}))
    path = earlier / "templates" / "base-deployment.yaml"
    deployment, _, _ = path.read_text().partition("---\n")  # no PodDisruptionBudget
    path.write_text(deployment)
    return earlier


def by_name(objects):
    """(kind, namespace, name) -> object."""
    return {
        (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in objects
    }


class Release:
    def __init__(self, helm, cluster, *, namespace=NAMESPACE):
        self._helm = helm
        self._cluster = cluster
        self.namespace = namespace

    def install(self, chart, values=(), *flags):
        """What Helm says, its notes included."""
        more = [*as_set(dict(values)), *flags]
        return self._helm("install", NAME, str(chart), "--create-namespace", *self._at(), *more)

    def install_as_readme_says(self):
        """By its one command, to the letter."""
        lines = (MANIFESTS / "README.md").read_text().splitlines()
        (command,) = [line.split() for line in lines if line.strip().startswith("helm install ")]
        return self._helm(*command[1:])

    def upgrade(self, chart, values=(), *flags):
        return self._helm("upgrade", NAME, str(chart), *self._at(), *as_set(dict(values)), *flags)

    def rollback(self, revision, *flags):
        self._helm("rollback", NAME, str(revision), *self._at(), *flags)

    def uninstall(self):
        return self._helm("uninstall", NAME, *self._at())

    def manifest(self):
        """The objects of the revision in force."""
        text = self._helm("get", "manifest", NAME, *self._at())
        return by_name(o for o in yaml.safe_load_all(text) if o)

    def would_be(self, chart):
        """The objects that it would have, by name."""
        text = self._helm("template", NAME, str(chart), *self._at())
        return by_name(o for o in yaml.safe_load_all(text) if o)

    def end(self):
        """Whatever became of it."""
        if NAME in self._helm("list", "--short", *self._at()).split():
            self.uninstall()

    def there(self, key):
        """The object on the cluster; None if there is none."""
        kind, namespace, name = key
        at = ["-n", namespace] if namespace else []
        try:
            return json.loads(self._cluster.kubectl("get", kind, name, *at, "-ojson"))
        except LocalClusterError as e:
            if "NotFound" in str(e) or "doesn't have a resource type" in str(e):
                return None
            raise

    def deployment(self, name="lws-placement"):
        return self.there(("Deployment", self.namespace, name))

    def container(self, name):
        """`gate` or `brain`."""
        deployment = self.deployment({"gate": GATE, "brain": BRAIN}[name])
        (found,) = deployment["spec"]["template"]["spec"]["containers"]
        assert found["name"] == name
        return found

    def _at(self):
        return [f"--namespace={self.namespace}"]
