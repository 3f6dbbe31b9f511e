"""Conditions and counts of a LeaderWorkerSet."""

from support.lws_objects import an_lws

from lws_placement.engine.lws.status import GroupStatus, new_status


def a_group(index, *, ready=True, revision="r"):
    return GroupStatus(index, ready, revision, True, ready, revision)


def test_status_goes_from_progressing_to_available_and_keeps_old_words():
    lws = an_lws(replicas=2)
    first = new_status(
        lws, leader_replicas=2, groups=[a_group(0), a_group(1, ready=False)], revision="r", now="t1"
    )
    assert [(c["type"], c["status"]) for c in first["conditions"]] == [("Progressing", "True")]
    lws["status"] = first
    groups = [a_group(0), a_group(1)]
    second = new_status(lws, leader_replicas=2, groups=groups, revision="r", now="t2")
    by_type = {c["type"]: c for c in second["conditions"]}
    assert by_type["Available"]["message"] == "All replicas are ready"
    assert by_type["Progressing"]["status"] == "False"
    assert by_type["Progressing"]["message"] == "Replicas are progressing"
    lws["status"] = second
    again = new_status(lws, leader_replicas=2, groups=groups, revision="r", now="t3")
    assert again == second


def test_groups_at_an_old_revision_mean_an_update():
    lws = an_lws(replicas=1)
    old = [a_group(0, revision="old")]
    made = new_status(lws, leader_replicas=1, groups=old, revision="r", now="t")
    assert {c["type"] for c in made["conditions"]} == {"UpdateInProgress", "Progressing"}
    assert (made["readyReplicas"], made["updatedReplicas"]) == (1, 0)
