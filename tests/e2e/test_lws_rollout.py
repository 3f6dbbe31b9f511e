"""Rolling updates of whole groups against the real StatefulSet controller, scheduler and garbage
collector. Names in brackets are the cases of LeaderWorkerSet's own tests that a test stands for.
"""

import subprocess
import sys

import pytest
from e2e.rollouts import (
    LIGHT,
    UNIQUE,
    condition,
    images,
    patch,
    plain,
    revisions,
    rollout,
    set_image,
    uids,
    wait_done,
)
from e2e.stack import LWS


def test_rolls_to_a_new_image_group_by_group_and_back(scene, history):
    """[e2e-4, ctl-27]"""
    plain(scene, replicas=3)
    seen = history()
    set_image(scene, "model:2")
    scene.wait(lambda: condition(scene, "UpdateInProgress") == "True", "the update is seen")
    wait_done(scene, 3)
    assert images(scene) == {g: ["model:2"] for g in range(3)}
    scene.wait(lambda: seen.partitions[-4:] == [3, 2, 1, 0], "the partition has fallen to 0")
    assert min(seen.ready) == 2, "one group at a time"
    assert set(seen.replicas) == {3}
    assert condition(scene, "UpdateInProgress") == "False"
    updated = {"Updating replica 2", "Updating replica 1", "Updating replica 0"}
    scene.wait(lambda: updated <= set(scene.notes("GroupsUpdating")), "each group is told of")
    set_image(scene, "registry.example.com/model")
    wait_done(scene, 3)
    assert images(scene) == {g: ["registry.example.com/model"] for g in range(3)}
    scene.wait(lambda: len(revisions(scene)) == 1, "old revisions are set aside")
    history_of = scene.get("controllerrevisions", labels="lws-placement.dev/history-of=llm")
    assert [r["revision"] for r in history_of] == [2]


def test_surge_group_is_there_for_the_update_and_no_longer(scene, history):
    """[e2e-6, ctl-33]"""
    plain(scene, unavailable=0, surge=1)
    seen = history()
    set_image(scene, "model:2")
    wait_done(scene, 4)
    assert images(scene) == {g: ["model:2"] for g in range(4)}
    scene.wait(lambda: seen.replicas == [4, 5, 4], "it passed through 5")
    assert seen.partitions[-5:] == [4, 3, 2, 1, 0]
    assert min(seen.ready) == 4


def test_as_many_surge_groups_as_groups(scene, history):
    """[e2e-5, e2e-14, ctl-38]: 7, as one may be unavailable; a Service for each."""
    scene.pool(1)
    lws = scene.lws(replicas=4, size=2, exclusive=False, resources=LIGHT, **rollout(surge=9))
    scene.create(lws | {"spec": {**lws["spec"], **UNIQUE}})
    wait_done(scene, 4)
    seen = history()
    set_image(scene, "model:2")
    services = lambda: len(scene.get("services", labels=f"{LWS}/name=llm"))  # noqa: E731
    scene.wait(lambda: services() == 7, "7 Services")
    wait_done(scene, 4)
    scene.wait(lambda: seen.replicas[-1] == 4, "back to 4")
    assert seen.replicas[:2] == [4, 7]
    scene.wait(lambda: services() == 4, "4 Services")
    told = scene.wait_told("GroupsProgressing", "deleting surge replica")
    assert any(note.startswith("deleting surge replica") for note in told)


def test_size_1_with_a_surge_group(scene, history):
    """[e2e-2]"""
    plain(scene, size=1, surge=1)
    seen = history()
    set_image(scene, "model:2")
    wait_done(scene, 4)
    assert 5 in seen.replicas
    assert [s["metadata"]["name"] for s in scene.get("sts")] == ["llm"]


def test_groups_that_never_became_ready_are_updated(scene):
    """[e2e-7, ctl-24, ctl-48]"""
    scene.pool(1)
    lws = scene.lws(replicas=4, size=2, exclusive=False, resources=LIGHT, **rollout())
    template = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    template["metadata"] = {"annotations": {"simulate.lws-placement.dev/never-ready": "yes"}}
    scene.create(lws)
    scene.wait_bound(8)
    assert condition(scene, "UpdateInProgress") == "Unknown"
    path = "/spec/leaderWorkerTemplate/workerTemplate/metadata/annotations"
    scene.kubectl(
        "patch", "lws", "llm", "--type=json", f'-p=[{{"op": "remove", "path": "{path}"}}]'
    )
    wait_done(scene, 4)


def test_resize(scene):
    """[e2e-12, ctl-49]"""
    plain(scene, replicas=2)
    before = uids(scene)
    patch(scene, {"leaderWorkerTemplate": {"size": 3}})
    wait_done(scene, 2)
    assert len(scene.members()) == 6
    assert {p["metadata"]["annotations"][f"{LWS}/size"] for p in scene.members()} == {"3"}
    assert not set(before.values()) & set(uids(scene).values())


def test_scaled_up_in_the_middle(scene, history):
    """[ctl-31]"""
    plain(scene, replicas=4)
    seen = history()
    set_image(scene, "model:2")
    scene.wait(lambda: 2 in seen.partitions, "half way")
    scene.kubectl("scale", "lws/llm", "--replicas=6")
    wait_done(scene, 6)
    assert images(scene) == {g: ["model:2"] for g in range(6)}
    assert seen.partitions[-3:] == [2, 1, 0]


def test_scaled_down_in_the_middle_with_surge(scene, history):
    """[ctl-32, ctl-37, ctl-39]"""
    plain(scene, replicas=4, unavailable=0, surge=1)
    seen = history()
    set_image(scene, "model:2")
    scene.wait(lambda: 3 in seen.partitions, "under way")
    scene.kubectl("scale", "lws/llm", "--replicas=2")
    wait_done(scene, 2)
    assert images(scene) == {g: ["model:2"] for g in range(2)}
    assert max(seen.replicas) == 5


def test_template_and_replicas_together(scene):
    """[ctl-30, ctl-36]"""
    plain(scene, replicas=2, unavailable=0, surge=1)

    def both(lws):
        lws["spec"]["replicas"] = 3
        container = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]
        container["image"] = "model:2"

    scene.replace("lws", "llm", both)
    wait_done(scene, 3)
    assert images(scene) == {g: ["model:2"] for g in range(3)}


def test_a_second_update_and_back_to_the_first_in_the_middle(scene, history):
    """[ctl-40]: untouched groups keep their pods."""
    plain(scene, replicas=4)
    before = uids(scene)
    seen = history()
    set_image(scene, "model:2")
    scene.wait(lambda: 2 in seen.partitions, "half way")
    set_image(scene, "model:3")
    scene.wait(lambda: "model:3" in images(scene).get(3, ()), "the second one is under way")
    assert len(revisions(scene)) == 3
    set_image(scene, "registry.example.com/model")
    wait_done(scene, 4)
    assert images(scene) == {g: ["registry.example.com/model"] for g in range(4)}
    assert uids(scene)["llm-0"] == before["llm-0"]
    assert uids(scene)["llm-0-1"] == before["llm-0-1"]
    scene.wait(lambda: len(revisions(scene)) == 1, "old revisions are set aside")


def test_partition_holds_groups_back_and_lets_them_go(scene):
    """[ctl-50, ctl-51]"""
    plain(scene, replicas=4, partition=2, unavailable=0, surge=1)
    set_image(scene, "model:2")
    old, new = ["registry.example.com/model"], ["model:2"]
    scene.wait(
        lambda: (
            images(scene) == {0: old, 1: old, 2: new, 3: new, 4: new}
            and condition(scene, "Available") == "True"
        ),
        "it stops at the partition",
    )
    assert len(revisions(scene)) == 2
    config = {"rollingUpdateConfiguration": {"partition": 0}}
    patch(scene, {"rolloutStrategy": config})
    wait_done(scene, 4)
    assert images(scene) == dict.fromkeys(range(4), new)


def test_a_group_that_fails_in_the_middle_is_rebuilt_as_it_was_and_holds_the_update_back(
    scene, history
):
    """[ctl-41, ctl-42, ctl-43, ctl-47]"""
    plain(scene, replicas=3, partition=2)
    seen = history()
    patch(scene, {"leaderWorkerTemplate": {"size": 3}})
    scene.wait(lambda: len(scene.members()) == 7, "group 2 is updated")
    scene.wait(lambda: condition(scene, "Available") == "True", "it stops at the partition")
    leader = uids(scene)["llm-0"]
    scene.kubectl("delete", "pod", "llm-0-1", "--wait=false")
    scene.wait(lambda: uids(scene).get("llm-0", leader) != leader, "group 0 is recreated")
    scene.wait(lambda: "llm-0-1" in uids(scene), "with its worker")
    assert scene.one("sts", "llm-0")["spec"]["replicas"] == 1
    config = {"rollingUpdateConfiguration": {"partition": 0}}
    patch(scene, {"rolloutStrategy": config})
    wait_done(scene, 3)
    assert len(scene.members()) == 9
    assert min(seen.ready) >= 1


@pytest.mark.parametrize(
    ("strategy", "passes", "most"),
    [
        pytest.param({"unavailable": 2}, 2, 4, id="ctl-28"),
        pytest.param({"unavailable": 9}, 0, 4, id="ctl-29"),
        pytest.param({"unavailable": 1, "surge": 1}, 3, 5, id="ctl-34"),
        pytest.param({"unavailable": 2, "surge": 2}, 2, 6, id="ctl-35"),
    ],
)
def test_the_partition_falls_to_0_and_surge_groups_go(scene, history, strategy, passes, most):
    plain(scene, replicas=4, **strategy)
    seen = history()
    set_image(scene, "model:2")
    wait_done(scene, 4)
    scene.wait(lambda: seen.partitions[-1] == 0 and seen.replicas[-1] == 4, "it has ended")
    falling = seen.partitions[1:]
    assert falling == sorted(falling, reverse=True)
    assert passes in falling
    assert max(seen.replicas) == most
    assert images(scene) == {g: ["model:2"] for g in range(4)}


def test_groups_with_subgroups_are_updated_with_surge_groups(scene, history):
    """[e2e-9]"""
    scene.pool(1)
    lws = scene.lws(replicas=4, size=4, exclusive=False, resources=LIGHT, **rollout(surge=4))
    lws["spec"]["leaderWorkerTemplate"]["subGroupPolicy"] = {"subGroupSize": 2}
    scene.create(lws)
    wait_done(scene, 4)
    seen = history()
    set_image(scene, "model:2")
    wait_done(scene, 4)
    scene.wait(lambda: seen.replicas[-1] == 4, "back to 4")
    assert max(seen.replicas) == 7
    indexes = {p["metadata"]["labels"][f"{LWS}/subgroup-index"] for p in scene.members()}
    assert indexes == {"0", "1"}


def test_the_command_line_follows_lists_and_takes_back(scene):
    plain(scene, replicas=2)
    set_image(scene, "model:2")
    done = rollout_cli(scene, "status", "lws/llm", "--timeout=90")
    assert done.returncode == 0
    assert '"llm" is rolled out: 2 groups updated and ready' in done.stdout
    listed = rollout_cli(scene, "history", "llm").stdout.splitlines()
    assert [line.split()[-1] for line in listed[1:]] == ["registry.example.com/model", "model:2"]
    assert listed[2].startswith("*")
    assert "model:2" in rollout_cli(scene, "history", "llm", "--revision=2").stdout
    assert "goes back to revision 1" in rollout_cli(scene, "undo", "llm", "--dry-run").stdout
    assert "goes back to revision 1" in rollout_cli(scene, "undo", "llm").stdout
    wait_done(scene, 2)
    assert images(scene) == {g: ["registry.example.com/model"] for g in range(2)}
    scene.create(scene.lws("stuck", size=1, exclusive=False, resources={"cpu": "9999"}))
    short = rollout_cli(scene, "status", "stuck", "--timeout=0.5")
    assert short.returncode == 1
    assert "not done after 0.5 s" in short.stderr
    missing = rollout_cli(scene, "undo", "nobody")
    assert missing.returncode == 1
    assert 'there is no LeaderWorkerSet "nobody"' in missing.stderr


def rollout_cli(scene, verb, *args):
    command = [sys.executable, "-m", "lws_placement.cli.main", "rollout", verb, *args]
    access = [f"--namespace={scene.namespace}", f"--kubeconfig={scene.cluster.kubeconfig}"]
    return subprocess.run([*command, *access], capture_output=True, text=True, check=False)
