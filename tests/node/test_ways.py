"""The other ways in, on the real node: files that follow their Secret, a second kube-scheduler in
pods of its own, and a release of Helm.
"""

import base64
import json
import re
import shutil

import pytest
from helm.program import Helm, find_or_build_helm
from helm.release import CHART, NAMESPACE, Release, an_earlier_chart
from node.cluster import PRODUCT, REPOSITORY
from node.install import FILES, PODS
from node.objects import a_fake_spec, a_foreign_pod, an_lws
from node.world import is_ready

from lws_placement.localcluster.binaries import wanted_version

FILLER = "lws-placement-scheduler-files"
SECOND = "lws-placement-scheduler"
EXTENDER = "lws-placement-extender"


def address(node):
    """Of the extender's Service."""
    return node.api.get(f"/api/v1/namespaces/{NAMESPACE}/services/{EXTENDER}")["spec"]["clusterIP"]


# -- scheduler-files ------------------------------------------------------------------------------


@pytest.fixture
def scheduler_files(node, installed):
    """Started on a control-plane node where somebody has removed the files."""
    node.machine.run("sh", "-c", f"rm -f {FILES}/*")
    overlay = installed.root / "manifests" / "scheduler-files"
    installed.apply(overlay)
    installed.wait_rolled_out(f"daemonset/{FILLER}", namespace=FILLER)
    yield
    node.kubectl("delete", "-k", str(overlay))


def test_the_daemon_set_fills_the_folder_and_puts_back_what_is_changed(
    node, installed, scheduler_files
):
    secret = node.api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/lws-placement-scheduler-client")
    kept = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    for name, text in kept.items():
        assert node.machine.run("cat", f"{FILES}/{name}").stdout == text
    said = node.machine.run("stat", "-c", "%a %u %g", f"{FILES}/client.key").stdout
    assert said.split() == ["600", "0", "0"]
    config = node.machine.run("cat", f"{FILES}/scheduler-config.yaml").stdout
    assert f"https://{address(node)}:443/members" in config
    node.machine.run("sh", "-c", f"echo old > {FILES}/client.crt")
    node.wait(
        lambda: node.machine.run("cat", f"{FILES}/client.crt").stdout == kept["client.crt"],
        "the certificate is put back",
    )


# -- a second scheduler ---------------------------------------------------------------------------


@pytest.fixture
def second_scheduler(node, installed, tmp_path):
    """The overlay with the cluster's version in it, as the README says, on a node that has
    kube-scheduler's image under its own name. There is no DNS of the cluster here, so its pods find
    the Service's name in their hosts file.
    """
    manifests, image = tmp_path / "manifests", f"kube-scheduler:v{wanted_version()}"
    shutil.copytree(installed.root / "manifests", manifests)
    component = manifests / "second-scheduler" / "component"
    file = component / "kustomization.yaml"
    tag = f"newTag: {image.partition(':')[2]}"
    file.write_text(re.sub(r"newTag: v[0-9.]+", tag, file.read_text()))
    installed.tag_image(f"{REPOSITORY}/{image}", f"registry.k8s.io/{image}")
    installed.apply(manifests / "second-scheduler" / "standalone")
    alias = {"ip": address(node), "hostnames": [f"{EXTENDER}.{NAMESPACE}.svc"]}
    patch = {"spec": {"template": {"spec": {"hostAliases": [alias]}}}}
    node.kubectl("patch", "-n", NAMESPACE, f"deployment/{SECOND}", f"--patch={json.dumps(patch)}")
    installed.wait_rolled_out(f"deployment/{SECOND}")
    installed.wait_ours_rolled_out()
    yield
    installed.install()  # members are left to the first scheduler again
    for name in ("deployment.yaml", "rbac.yaml", "scheduler-config.yaml"):
        node.kubectl("delete", "-f", str(component / name))


def test_members_are_bound_by_the_second_scheduler_in_its_pods(node, second_scheduler, world):
    pool = world.add_pool("second", slices=4)
    for broken in ("00", "02"):
        world.create_pod(a_foreign_pod(f"foreign-{broken}", f"{pool}-{broken}-0"))
    world.create_lws(an_lws("trap", a_fake_spec(pool), replicas=2))
    node.wait(lambda: world.whole(2, 4), "both groups are whole")
    for pod in world.pods(labelSelector="leaderworkerset.sigs.k8s.io/name"):
        assert pod["spec"]["schedulerName"] == SECOND
    path = f"/apis/events.k8s.io/v1/namespaces/{world.namespace}/events"
    events = [e for e in node.api.items(path) if e["reason"] == "Scheduled"]
    assert {e["reportingController"] for e in events} == {SECOND}


# -- Helm -----------------------------------------------------------------------------------------


@pytest.fixture
def release(node, installed, say, tmp_path):
    """In place of what kubectl has applied, which comes back in the end."""
    program = find_or_build_helm(say)
    made = Release(Helm(program, tmp_path, kubeconfig=node.kubeconfig), node)
    yield made
    made.end()
    installed.install()
    installed.tell_scheduler_of_new_address()


def images(node):
    """Of our pods that are there."""
    return {
        container["image"]
        for pod in node.api.items(PODS)
        for container in pod["spec"]["containers"]
    }


def test_groups_live_through_a_releases_life(node, installed, release, world, tmp_path):
    """Taken over, upgraded to another version, taken back, removed, installed anew."""
    pool = world.add_pool("helm", slices=3)
    world.create_lws(an_lws("llm", a_fake_spec(pool), replicas=2))
    node.wait(lambda: world.whole(2, 4), "both groups are whole")
    before = world.uids()

    values = {"extender.clusterIP": address(node)}  # kube-scheduler calls it there
    flags = ("--force-conflicts", "--wait", "--timeout=10m")
    release.install(CHART, values, "--take-ownership", *flags)
    assert images(node) == {PRODUCT}
    another = installed.another_version("0.0.9")
    release.upgrade(an_earlier_chart(tmp_path), values, *flags)
    node.wait(lambda: images(node) == {another}, "all pods are of the other version")
    release.rollback(1, *flags)
    node.wait(lambda: images(node) == {PRODUCT}, "all pods are of the first version again")

    release.uninstall()
    node.wait(lambda: not node.api.items(PODS), "our pods are gone")
    assert world.uids() == before
    assert all(map(is_ready, world.pods()))

    release.install(CHART, values, *flags)
    # Helm does not wait for kube-proxy, which refuses connections to a Service until it follows.
    node.wait(lambda: world.create_lws(an_lws("more", a_fake_spec(pool))), "it is admitted")
    node.wait(lambda: world.whole(3, 4), "one more group is whole, beside those of before")
    assert before < world.uids()
