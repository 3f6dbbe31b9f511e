"""Kueue's Workloads, as they are read and kept by group."""

import pytest
from support.kueue import ASKED, GROUP, TPU, a_check, a_flavor, a_workload

from lws_placement.cluster.cache.quotas import QuotaIndex
from lws_placement.cluster.codec.kueue import CheckState, decode_workload, encode_answer
from lws_placement.cluster.codec.objects import UNREADABLE
from lws_placement.engine.model.pods import Demand, Toleration
from lws_placement.engine.reconcile.quota import Flavor, Quota, QuotaState


def an_index():
    index = QuotaIndex()
    index.put_check(a_check())
    index.put_flavor(a_flavor())
    return index


@pytest.mark.parametrize(
    ("true", "state"),
    [
        ((), QuotaState.LACKING),
        (("QuotaReserved",), QuotaState.GRANTED),
        (("QuotaReserved", "Admitted"), QuotaState.GRANTED),
        (("QuotaReserved", "Admitted", "Evicted"), QuotaState.LACKING),
    ],
)
def test_quota_counts_from_its_reservation_until_an_eviction(true, state):
    index = an_index()
    assert index.put_workload(a_workload(*true)) == [GROUP]
    assert index.of(GROUP) == Quota(state)
    assert index.asked() == []


def test_we_are_asked_between_reservation_and_admission_if_a_check_is_ours():
    index = an_index()
    assert index.put_workload(ASKED) == [GROUP]
    assert index.of(GROUP) == Quota(QuotaState.CHECKING, TPU, TPU)
    (workload,) = index.asked()
    assert index.ours(workload) == [CheckState("room", "Pending")]
    ready = {"checks": [("room", "Ready")], "flavors": {"main": "tpu"}}
    assert index.put_workload(a_workload("QuotaReserved", "Admitted", **ready)) == [GROUP]
    assert index.of(GROUP) == Quota(QuotaState.GRANTED, TPU, TPU)


def test_where_kueue_chooses_the_nodes_we_are_asked_and_plan_nothing():
    index, raw = an_index(), a_workload("QuotaReserved", checks=[("room", "Pending")])
    raw["status"]["admission"]["podSetAssignments"] = [
        {"name": "main", "topologyAssignment": {"levels": []}}
    ]
    index.put_workload(raw)
    assert index.of(GROUP) == Quota(QuotaState.GRANTED)
    (workload,) = index.asked()
    assert workload.has_topology


def test_checks_of_others_are_not_ours():
    index = an_index()
    index.put_check(a_check("theirs", "example.com/other"))
    index.put_workload(a_workload("QuotaReserved", checks=[("theirs", "Pending")]))
    assert index.of(GROUP) == Quota(QuotaState.GRANTED)


def test_a_check_and_a_flavor_that_come_later_count():
    index = QuotaIndex()
    index.put_workload(ASKED)
    assert index.of(GROUP) == Quota(QuotaState.GRANTED)
    assert index.put_flavor(a_flavor("another")) == []
    assert index.put_check(a_check()) == [GROUP]
    assert index.of(GROUP) == Quota(QuotaState.CHECKING)
    assert index.put_flavor(a_flavor()) == [GROUP]
    assert index.of(GROUP) == Quota(QuotaState.CHECKING, TPU, TPU)
    assert index.put_flavor(a_flavor()) == []
    assert index.drop_check(a_check()) == [GROUP]
    assert index.of(GROUP) == Quota(QuotaState.GRANTED, TPU, TPU)


def test_leader_and_workers_have_flavors_of_their_own():
    index = an_index()
    flavors = {"leader": "cpu-only", "worker": "tpu"}
    index.put_workload(a_workload("QuotaReserved", checks=[("room", "Pending")], flavors=flavors))
    assert index.of(GROUP) == Quota(QuotaState.CHECKING, Flavor(), TPU)


def test_of_two_workloads_of_a_group_the_newer_one_counts():
    index = an_index()
    index.put_workload(a_workload("QuotaReserved", uid="old"))
    index.put_workload(a_workload(uid="new"))
    assert index.drop_workload(a_workload(uid="old")) == []
    assert index.of(GROUP) == Quota(QuotaState.LACKING)
    assert index.drop_workload(a_workload(uid="new")) == [GROUP]
    assert index.of(GROUP) is None


def test_a_check_is_not_active_before_it_says_so():
    index = an_index()
    assert index.not_active() == ["room"]
    condition = {"type": "Active", "status": "True"}
    index.put_check(a_check(status={"conditions": [condition]}))
    assert index.not_active() == []


@pytest.mark.parametrize(
    "raw", [a_workload(index="-1"), a_workload(index="1e9"), a_workload(owner="Job")]
)
def test_a_workload_of_no_group_means_nothing(raw):
    assert decode_workload(raw) is None


def test_one_that_breaks_the_schema_is_unreadable():
    raw = a_workload("QuotaReserved")
    raw["status"]["conditions"] = [7]
    with pytest.raises(UNREADABLE):
        decode_workload(raw)


def test_a_flavor_adds_what_a_demand_lacks():
    demand = Demand((("cpu", 1),), selector=(("zone", "a"),), tolerations=(Toleration("x"),))
    assert TPU.added_to(demand) == Demand(
        (("cpu", 1),),
        selector=(("pool", "tpu"), ("zone", "a")),
        tolerations=(Toleration("tpu", "Exists"), Toleration("x")),
    )
    assert Flavor().added_to(demand) is demand


def test_an_answer_names_the_version_that_it_is_for():
    workload = decode_workload(ASKED)
    body = encode_answer(workload, CheckState("room", "Retry", "no room"))
    assert body["metadata"]["resourceVersion"] == "7"
    (entry,) = body["status"]["admissionChecks"]
    assert (entry["name"], entry["state"], entry["message"]) == ("room", "Retry", "no room")
