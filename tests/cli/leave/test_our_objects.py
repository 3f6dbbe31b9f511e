"""What `uninstall` takes away is what the manifests bring, by name."""

import pytest
import yaml

from lws_placement.cli.leave.our_objects import (
    CRD,
    FILES_NAMESPACE,
    NAMESPACE,
    WEBHOOKS,
    all_but_webhooks,
)
from lws_placement.localcluster.install import MANIFESTS

FOLDERS = (
    "base",
    "standalone",
    "beside-upstream",
    "second-scheduler/component",
    "scheduler-files",
    "network-policy",
    "tenants",
    "monitoring",
)
BY_SERVE = {
    ("secrets", "lws-placement-ca"),
    ("secrets", "lws-placement-certs"),
    ("secrets", "lws-placement-scheduler-client"),
    ("leases", "lws-placement-certificates"),
    ("leases", "lws-placement-leader"),
    ("leases", "lws-placement-scheduler"),
}


def plural(kind):
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"


def brought():
    """Path's end -> where it is, of all that is applied; from the chart what only it has."""
    found = {("servicemonitors", "lws-placement"): NAMESPACE}
    for folder in FOLDERS:
        resources = yaml.safe_load((MANIFESTS / folder / "kustomization.yaml").read_text())
        for name in resources["resources"]:
            path = MANIFESTS / folder / name
            if path.is_file():
                for obj in yaml.safe_load_all(path.read_text()):
                    meta = obj["metadata"]
                    found[plural(obj["kind"]), meta["name"]] = meta.get("namespace", "")
        for made in resources.get("configMapGenerator", ()):
            found["configmaps", made["name"]] = resources["namespace"]
    return found


def end_of(path):
    return tuple(path.split("/")[-2:])


def test_every_kustomization_is_looked_at():
    there = {p.parent.relative_to(MANIFESTS).as_posix() for p in MANIFESTS.rglob("kustomiz*.yaml")}
    of_others = {"kind", "second-scheduler/standalone", "second-scheduler/beside-upstream"}
    without_objects = {"webhook-client-ca"}
    assert there == {*FOLDERS, *of_others, *without_objects}, (
        "a folder that is new is in FOLDERS, or of others' parts"
    )


def test_nothing_that_is_brought_is_left_and_nothing_else_is_taken():
    ours = {end_of(path) for path in (*WEBHOOKS, *all_but_webhooks(NAMESPACE))}
    own_namespaces = {("namespaces", NAMESPACE), ("namespaces", FILES_NAMESPACE)}
    there = {key for key, namespace in brought().items() if namespace != FILES_NAMESPACE}
    assert there | BY_SERVE == ours | own_namespaces
    assert not ours & own_namespaces
    assert end_of(CRD) not in ours


@pytest.mark.parametrize("path", [*WEBHOOKS, *all_but_webhooks("elsewhere")])
def test_each_is_looked_for_where_it_is(path):
    namespace = brought().get(end_of(path), NAMESPACE)
    assert (f"/namespaces/{namespace.replace(NAMESPACE, 'elsewhere')}/" in path) == bool(namespace)
