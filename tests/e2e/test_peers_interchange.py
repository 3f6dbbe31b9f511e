"""The built-in controller is swapped for LeaderWorkerSet's own, and back: no pod is restarted."""

import pytest
from e2e.clusters import installed_on
from e2e.groups import LIGHT, TPUS, UNIQUE
from e2e.rollouts import images, is_done, rollout, set_image, wait_done
from e2e.servers import start
from e2e.stack import LWS, Scene
from peers.managers import Manager

from lws_placement.localcluster.cluster import LocalCluster

pytestmark = pytest.mark.peers

BRAINS = ("brain-a", "brain-b")
TEAM = {"team": "a"}
WEBHOOKS = ("mutating", "validating")


class Interchange:
    """A cluster on which either controller may be at work."""

    def __init__(self, installed, upstream):
        self.installed = installed
        self.upstream = upstream
        self._kubectl = installed.cluster.kubectl

    def to_upstream(self):
        for name in BRAINS:
            self.installed.stop_server(name)
        self.installed.apply("beside-upstream")
        for kind in WEBHOOKS:
            self._kubectl("delete", f"{kind}webhookconfiguration", "lws-placement-lws")
        self.upstream.run()
        for name in BRAINS:
            start(self.installed, name)

    def to_built_in(self):
        self.upstream.stop()
        for kind in WEBHOOKS:
            name = f"lws-{kind}-webhook-configuration"
            self._kubectl("delete", f"{kind}webhookconfiguration", name)
        for name in BRAINS:
            self.installed.stop_server(name)
        self.installed.apply("standalone")
        for name in BRAINS:
            start(self.installed, name)

    def has_looked_at(self, scene, lws):
        """Our controller gives the leaders' StatefulSet the labels of the LeaderWorkerSet, which
        upstream's of this version does not, so that they go when it applies its own.
        """
        labels = scene.one("sts", lws)["metadata"]["labels"]
        return (TEAM.items() <= labels.items()) != self.upstream.running


@pytest.fixture(scope="module")
def cluster(binaries, tmp_path_factory):
    with LocalCluster(tmp_path_factory.mktemp("interchange") / "i", binaries) as made:
        yield made


@pytest.fixture
def interchange(cluster, peer):
    with installed_on(cluster, "standalone") as installed:
        yield Interchange(installed, Manager(cluster, peer("lws")))


def sets_of_all_shapes(scene):
    light = {"replicas": 2, "exclusive": False, "resources": LIGHT}
    annotations = {f"{LWS}/subgroup-exclusive-topology": scene.key}
    sets = [
        scene.lws("plain", size=3, **light),
        scene.lws("surge", size=2, **light, **rollout(surge=1)),
        scene.lws("own-services", leader=LIGHT, size=2, **light, **UNIQUE),
        scene.lws("alone", restart="None", size=1, **light),
        scene.lws("tpus", size=2, **(light | {"resources": TPUS})),
        scene.lws("placed", replicas=2, size=2),
        with_subgroups(scene.lws("subgroups", size=4, exclusive=False, annotations=annotations)),
    ]
    for lws in sets:
        lws["metadata"]["labels"] = TEAM
    return sets


def with_subgroups(lws):
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {"subGroupSize": 2}
    return lws


def what_is_there(scene):
    """All that must not change: pods, and what a controller asks for. But for the one number in
    which versions of LeaderWorkerSet differ: `maxUnavailable` of leaders, where there is a surge.
    """
    kinds = ("pods", "statefulsets", "services", "controllerrevisions", "lws")
    found = {
        (o["kind"], o["metadata"]["name"]): (o["metadata"]["uid"], o["metadata"].get("generation"))
        for kind in kinds
        for o in scene.get(kind)
    }
    surge = ("StatefulSet", "surge")
    return found | {surge: found[surge][0]}


def goes_on(scene, name, *, groups, image):
    """A group more, then a new image, then a group less."""
    pods = scene.uids(name)
    scene.kubectl("scale", "lws", name, f"--replicas={groups + 1}")
    wait_done(scene, groups + 1, name)
    assert pods < scene.uids(name), "a group more, and none anew"
    set_image(scene, image, name)
    wait_done(scene, groups + 1, name)
    assert not pods & scene.uids(name)
    assert images(scene, name) == {group: [image] for group in range(groups + 1)}
    scene.kubectl("scale", "lws", name, f"--replicas={groups}")
    wait_done(scene, groups, name)


def test_either_controller_takes_over_what_the_other_left(interchange):
    scene = Scene(interchange.installed.cluster, interchange.installed, "default")
    scene.wait(lambda: scene.get("serviceaccounts"), "the namespace has its ServiceAccount")
    scene.pool(10, nodes_each=2)
    sets = sets_of_all_shapes(scene)
    scene.create(*sets)
    groups = {lws["metadata"]["name"]: lws["spec"]["replicas"] for lws in sets}

    def all_is_well():
        return all(
            interchange.has_looked_at(scene, name) and is_done(scene, number, name)
            for name, number in groups.items()
        )

    scene.wait(all_is_well, "all are available", 90)
    there = what_is_there(scene)
    swaps = (interchange.to_upstream, interchange.to_built_in, interchange.to_upstream)
    for number, swap in enumerate(swaps):
        swap()
        scene.wait(all_is_well, "it has looked at all", 90)
        assert what_is_there(scene) == there
        for name in ("plain", "placed"):
            goes_on(scene, name, groups=groups[name], image=f"model:{number}")
        assert all(len(domains) == 1 for domains in scene.places("placed").values())
        there = what_is_there(scene)
