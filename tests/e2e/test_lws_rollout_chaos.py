"""Rolling updates while our processes and the API server die."""

from e2e.leaders import leader_of
from e2e.rollouts import (
    History,
    condition,
    images,
    is_done,
    plain,
    revisions,
    set_image,
    uids,
    wait_done,
)
from e2e.servers import start


def kill_who_leads(scene):
    name = leader_of(scene)
    scene.installation.kill_server(name)
    start(scene.installation, name)


def test_the_controller_is_killed_at_every_kind_of_write(scene):
    plain(scene, replicas=3)
    before = uids(scene)
    history = History(scene)

    def wait(written, what):
        """On a busy machine the whole update may be over before anybody looks."""
        scene.wait(lambda: written() or is_done(scene, 3), what)

    try:
        set_image(scene, "model:2")
        wait(lambda: len(revisions(scene)) == 2, "the revision is written")
        kill_who_leads(scene)
        wait(lambda: condition(scene, "UpdateInProgress") == "True", "the status is written")
        kill_who_leads(scene)
        wait(lambda: 2 in history.partitions, "the partition is written")
        kill_who_leads(scene)
        wait(lambda: _made_anew(scene, "llm-1-1", before), "a worker set is written")
        kill_who_leads(scene)
        wait_done(scene, 3)
        scene.wait(lambda: len(revisions(scene)) == 1, "the old revision is set aside")
    finally:
        history.close()
    assert images(scene) == {g: ["model:2"] for g in range(3)}
    assert history.partitions == [0, 3, 2, 1, 0]
    assert min(history.ready) == 2


def test_the_api_server_crashes_in_the_middle(scene):
    plain(scene, replicas=3)
    set_image(scene, "model:2")
    scene.wait(lambda: "model:2" in images(scene).get(2, ()), "it is under way")
    # kube-scheduler ends itself when a pod that it assumed comes back otherwise; the kubelet would
    # start it again.
    scene.cluster.stop_scheduler()
    try:
        crash_apiserver(scene.cluster)
    finally:
        scene.installation.start_scheduler()
    wait_done(scene, 3, timeout_s=180)
    assert images(scene) == {g: ["model:2"] for g in range(3)}
    scene.wait(lambda: len(revisions(scene)) == 1, "the old revision is set aside")


def crash_apiserver(cluster):
    """Killed without warning, and started again as it was; everybody's watches end.

    KWOK with it: a delete that it could not bring through it repeats afterwards, by name alone (a
    kubelet names the UID), and by then the name may be the successor's. A StatefulSet whose pod
    comes and goes before kube-controller-manager's watch is back makes no other one.
    """
    cluster.apiserver.kill()
    cluster.end(cluster.kwok)
    cluster.apiserver.start()
    cluster.wait_for(cluster.api.ready)
    cluster.start_kwok()


def _made_anew(scene, pod, before):
    return uids(scene).get(pod, before[pod]) != before[pod]
