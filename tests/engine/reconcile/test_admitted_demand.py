"""What is expected of members whose like came out larger than their template
(`engine/reconcile/admitted_demand.py`, `cluster/cache/admission/admitted_requests.py`).
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decisions import (
    GROUP,
    KEY,
    WHOLE_NODE,
    a_hold,
    a_member,
    a_seen,
    a_slice,
    an_index,
    bind,
    decide,
    held,
)
from support.decisions import kinds as kinds_of

from lws_placement.cluster.cache.admission.admitted_requests import AdmittedRequests
from lws_placement.engine.admission.namespace_selector import node_selector_of
from lws_placement.engine.base.keys import HOSTNAME, MEMBER_MARKER, NAMESPACE_NODE_SELECTOR
from lws_placement.engine.model.pods import Demand, HostPort, Toleration
from lws_placement.engine.model.reservation import reservations_of
from lws_placement.engine.model.workload import Templates
from lws_placement.engine.objects.nodes import NodeTerm, Operator, Requirement
from lws_placement.engine.reconcile.actions import DeletePod, Pin, Tell, Topic, WriteHold
from lws_placement.engine.reconcile.admitted_demand import Admitted, as_admitted, at_least

PORT = HostPort("0.0.0.0", "TCP", 80)


def a_demand(cpu=0, *, tpu=4, ports=(), selector=()):
    found = {"cpu": cpu, "google.com/tpu": tpu, "pods": 1}
    resources = tuple(sorted((name, amount) for name, amount in found.items() if amount))
    return Demand(resources, host_ports=ports, selector=selector)


TEMPLATES = Templates(size=3, leader=a_demand(1000), worker=a_demand(2000))


def test_templates_that_nobody_exceeds_stay_what_they_are():
    admitted = Admitted((a_demand(1000),), (a_demand(500), a_demand(2000)))
    assert as_admitted(TEMPLATES, admitted) is TEMPLATES


def test_each_role_is_expected_as_it_came_out():
    found = as_admitted(TEMPLATES, Admitted((), (a_demand(3000), a_demand(2000, ports=(PORT,)))))
    assert found.leader is TEMPLATES.leader
    assert found.worker == a_demand(3000, ports=(PORT,))
    assert found.larger == (
        "pods ask for more than their template: workers for 3 cpu instead of 2 cpu and host port 80"
    )


def test_templates_that_somebody_raises_do_not_tell_what_is_refused():
    small = replace(TEMPLATES, worker_forbidden="LimitRange r refuses them")
    assert as_admitted(small, Admitted((), (a_demand(2000),))).worker_forbidden
    chosen = a_demand(2000, selector=(("disk", "ssd"),))
    assert as_admitted(small, Admitted((), (chosen,))).worker_forbidden
    assert not as_admitted(small, Admitted((), (a_demand(3000),))).worker_forbidden


SSD = NodeTerm((Requirement("disk", Operator.IN, ("ssd",)),))
TOLERATION = Toleration("pool", "Exists", effect="NoSchedule")


def test_the_nodes_that_all_admitted_members_ask_for_are_chosen():
    one = replace(
        a_demand(2000, selector=(("disk", "ssd"), ("zone", "z"))),
        required=(SSD,),
        tolerations=(TOLERATION, Toleration("mine", "Exists")),
    )
    other = replace(one, selector=(("disk", "ssd"), ("zone", "y")), tolerations=(TOLERATION,))
    found = as_admitted(TEMPLATES, Admitted((), (one, other)))
    assert found.leader is TEMPLATES.leader
    agreed = a_demand(2000, selector=(("disk", "ssd"),))
    assert found.worker == replace(agreed, required=(SSD,), tolerations=(TOLERATION,))
    assert found.larger == (
        "pods ask for more than their template: workers for nodes with disk=ssd and another node "
        "affinity"
    )


def test_nodes_on_which_they_differ_are_not_chosen():
    one, other = a_demand(2000), replace(a_demand(2000), required=(SSD,))
    assert as_admitted(TEMPLATES, Admitted((), (one, other))) is TEMPLATES


def test_tolerations_are_nothing_that_they_ask_for():
    found = as_admitted(TEMPLATES, Admitted((replace(a_demand(1000), tolerations=(TOLERATION,)),)))
    assert found.leader.tolerations == (TOLERATION,)
    assert found.larger == ""


def test_until_a_worker_is_known_it_is_expected_to_tolerate_what_leaders_do():
    leaders = (replace(a_demand(1000), tolerations=(TOLERATION,)),)
    assert as_admitted(TEMPLATES, Admitted(leaders)).worker.tolerations == (TOLERATION,)
    found = as_admitted(TEMPLATES, Admitted(leaders, (a_demand(2000),)))
    assert found.worker is TEMPLATES.worker


@pytest.mark.parametrize("key", ["google.com/tpu", MEMBER_MARKER])
def test_what_a_leader_tolerates_for_its_own_resources_is_not_expected_of_workers(key):
    templates = replace(TEMPLATES, leader_extended=("google.com/tpu",))
    own = Toleration(key, "Exists", effect="NoSchedule")
    leader = replace(a_demand(1000), tolerations=(own, TOLERATION))
    assert as_admitted(templates, Admitted((leader,))).worker.tolerations == (TOLERATION,)


OF_NAMESPACE = (("disk", "ssd"), ("team", "a"))
WITH_ALL = a_demand(1000, selector=(*OF_NAMESPACE, ("zone", "z")))


def with_namespace(leader, *, templates=TEMPLATES, workers=()):
    return as_admitted(templates, Admitted((leader,), workers), OF_NAMESPACE).worker


def test_until_a_worker_is_known_the_namespaces_node_selector_is_expected_where_leaders_got_it():
    assert with_namespace(WITH_ALL) == replace(TEMPLATES.worker, selector=OF_NAMESPACE)
    assert as_admitted(TEMPLATES, Admitted((WITH_ALL,))).worker is TEMPLATES.worker
    assert with_namespace(WITH_ALL, workers=(a_demand(2000),)) is TEMPLATES.worker


@pytest.mark.parametrize("selector", [(), (("team", "a"),), (("disk", "hdd"), ("team", "a"))])
def test_leaders_without_all_of_it_show_that_nothing_adds_it(selector):
    assert with_namespace(a_demand(1000, selector=selector)) is TEMPLATES.worker


def test_a_template_that_says_it_itself_shows_nothing():
    templates = replace(TEMPLATES, leader=a_demand(1000, selector=OF_NAMESPACE))
    assert with_namespace(WITH_ALL, templates=templates) is TEMPLATES.worker


def test_a_worker_that_contradicts_it_is_planned_as_it_says():
    templates = replace(TEMPLATES, worker=a_demand(2000, selector=(("disk", "hdd"),)))
    assert with_namespace(WITH_ALL, templates=templates) is templates.worker


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("team=a,disk = ssd ", OF_NAMESPACE),
        ("team=", (("team", ""),)),
        ("", ()),
        ("team", ()),
        ("team==a", ()),
        ("team=a,", ()),
        ("team=a" * 1000, ()),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_namespaces_annotation_is_read_as_the_plugin_does(text, labels):
    assert node_selector_of({NAMESPACE_NODE_SELECTOR: text}) == labels


DEMANDS = st.builds(
    a_demand,
    st.integers(0, 5),
    tpu=st.integers(0, 4),
    ports=st.sampled_from([(), (PORT,)]),
)


@given(DEMANDS, st.lists(DEMANDS, max_size=4))
def test_what_is_reserved_covers_all_that_was_admitted_and_the_template(template, admitted):
    demand = at_least(template, admitted)
    hold = a_hold(demands={0: demand})
    assert all(hold.covers(0, one) for one in [template, *admitted])
    assert at_least(demand, admitted) is demand
    for name, amount in demand.resources:
        assert any(dict(one.resources).get(name) == amount for one in [template, *admitted])


# -- what is remembered ----------------------------------------------------------------------------


def a_worker(cpu, *, rank=1, at_s=1.0, **fields):
    return a_member(rank, demand=a_demand(cpu), size=8, created_s=at_s, **fields)


def remembered(*pods, group=GROUP, revision="r1"):
    asked = AdmittedRequests()
    for pod in pods:
        asked.put(group, pod)
    return asked.of(group, revision)


def test_leaders_and_workers_are_remembered_apart():
    leader = a_member(0, demand=a_demand(7000))
    assert remembered(leader, a_worker(2000)) == Admitted((a_demand(7000),), (a_demand(2000),))


def test_of_one_rank_the_newest_counts_in_whatever_order_they_come():
    old, new = a_worker(8000, at_s=1.0), a_worker(2000, at_s=2.0)
    assert remembered(old, new).workers == (a_demand(2000),)
    assert remembered(new, old).workers == (a_demand(2000),)


def test_members_of_a_group_that_differ_all_count():
    assert remembered(a_worker(8000), a_worker(2000, rank=2)).workers == (
        a_demand(8000),
        a_demand(2000),
    )


def test_of_several_groups_the_one_counts_that_had_a_pod_last():
    asked = AdmittedRequests()
    other = replace(GROUP, group_key="key-1")
    asked.put(GROUP, a_worker(8000, at_s=2.0))
    asked.put(other, a_worker(2000, at_s=1.0))
    assert asked.of(other, "r1").workers == (a_demand(8000),)
    asked.put(other, a_worker(2000, at_s=3.0))
    assert asked.of(GROUP, "r1").workers == (a_demand(2000),)


@pytest.mark.parametrize(
    "other",
    [
        replace(GROUP, namespace="elsewhere"),
        replace(GROUP, lws="other"),
        replace(GROUP, lws_uid="made-again"),
    ],
)
def test_other_sets_learn_nothing(other):
    asked = AdmittedRequests()
    asked.put(GROUP, a_worker(8000))
    assert asked.of(other, "r1") == Admitted()
    assert asked.of(GROUP, "r2") == Admitted()


def test_it_is_forgotten_with_the_revision_and_with_the_set():
    asked = AdmittedRequests()
    for revision in ("r1", "r2"):
        asked.put(GROUP, a_worker(8000, revision=revision))
    asked.forget("ns", "llm", "r1")
    assert asked.of(GROUP, "r1") == Admitted()
    assert asked.of(GROUP, "r2").workers == (a_demand(8000),)
    asked.forget("ns", "llm")
    assert asked.of(GROUP, "r2") == Admitted()


def test_memory_is_bounded():
    asked = AdmittedRequests()
    for number in range(40):
        asked.put(GROUP, a_worker(8000, revision=f"r{number}"))
    known = [n for n in range(40) if asked.of(GROUP, f"r{n}") != Admitted()]
    assert known == list(range(24, 40))
    for number in range(10_050):
        asked.put(replace(GROUP, lws=f"set-{number}"), a_worker(8000))
    assert asked.of(GROUP, "r39") == Admitted()
    for rank in range(5000):
        asked.put(GROUP, a_worker(rank, rank=rank + 1))
    assert len(asked.of(GROUP, "r1").workers) <= 4096


def test_where_a_member_was_is_not_remembered():
    places = ((HOSTNAME, "a-1"), (KEY, "a"))
    demand = a_demand(2000, selector=(*places, ("disk", "ssd")))
    assert remembered(a_worker(0, rank=1), a_member(1, demand=demand, size=8, created_s=2.0)) == (
        Admitted((), (a_demand(2000, selector=(("disk", "ssd"),)),))
    )


# -- what is done ----------------------------------------------------------------------------------


def a_running_leader(index):
    leader = a_member(0, node="a-0", gated=False, pinned="a-0")
    bind(index, leader)
    return leader


def larger(cpu):
    return replace(WHOLE_NODE, resources=(("cpu", cpu), *WHOLE_NODE.resources))


def test_a_larger_worker_is_reserved_for_where_it_is_and_that_is_told():
    index = an_index("a")
    worker = a_member(1, demand=larger(4000))
    seen = a_seen(a_running_leader(index), worker, holds=held(index, a_hold()))
    write, pin, tell = decide(seen, index)
    assert isinstance(write, WriteHold)
    assert write.hold.covers(1, worker.demand)
    assert isinstance(pin, Pin)
    assert tell == Tell(
        Topic.LARGER,
        "pods ask for more than their template: worker 1 for 4 cpu instead of 0 cpu",
    )


def test_one_for_which_there_is_no_room_restarts_the_group_with_the_reason():
    index = an_index("a")
    worker = a_member(1, demand=larger(9000))
    seen = a_seen(a_running_leader(index), worker, holds=held(index, a_hold()))
    actions = decide(seen, index)
    assert kinds_of(actions) == ["LeaveHold", "DeletePod"]
    assert isinstance(actions[1], DeletePod)
    assert actions[1].why.startswith("pods ask for more than their template: worker 1 for 9 cpu")


def grown(seen, cpu):
    templates = as_admitted(seen.templates["r1"], Admitted((), (larger(cpu),)))
    return replace(seen, templates={"r1": templates})


def test_what_workers_will_ask_for_is_reserved_before_their_leader_is_bound():
    index = an_index("a", "b")
    seen = grown(a_seen(a_member(0), holds=held(index, a_hold())), 4000)
    write, pin, _ = decide(seen, index)
    assert isinstance(write, WriteHold)
    assert isinstance(pin, Pin)
    (reservation,) = reservations_of([write.hold])
    assert reservation.covers(1, larger(4000))


def test_a_leader_that_runs_is_not_restarted_for_workers_that_may_come_larger():
    index = an_index("a")
    seen = a_seen(a_running_leader(index), holds=held(index, a_hold()))
    assert decide(grown(seen, 9000), index) == []


# -- what leaders got, while no worker is known ----------------------------------------------------


@pytest.mark.parametrize(
    ("leader", "workers", "surplus"),
    [
        (a_demand(3000), (), {"cpu": 2000}),
        (a_demand(1000), (), {}),
        (a_demand(500), (), {}),
        (a_demand(3000), (a_demand(2000),), {}),
        (a_demand(1000, tpu=8), (), {}),
    ],
    ids=["more", "the same", "less", "a worker is known", "extended"],
)
def test_the_surplus_of_leaders_is_known_until_a_worker_is(leader, workers, surplus):
    found = as_admitted(TEMPLATES, Admitted((leader,), workers))
    assert found.surplus == surplus
    more = surplus.get("cpu", 0)
    assert found.with_surplus().worker == a_demand(2000 + more)


def with_larger_leaders(seen, cpu):
    templates = as_admitted(seen.templates["r1"], Admitted((larger(cpu),)))
    return replace(seen, templates={"r1": templates})


def two_slices(cpu):
    """The first one has less cpu on the node that is left for the worker."""
    index = an_index("b")
    a_slice(index, "a", nodes=1, cpu=8000)
    index.put_node(replace(index.node_view("a-0").node, name="a-1", allocatable=cpu_and_more(cpu)))
    return index


def cpu_and_more(cpu):
    return {"google.com/tpu": 4, "cpu": cpu, "pods": 110}


def test_a_group_is_planned_where_its_workers_get_what_its_leader_got():
    index = two_slices(1000)
    seen = with_larger_leaders(a_seen(a_member(0, demand=larger(4000))), 4000)
    write, pin = decide(seen, index)
    assert isinstance(write, WriteHold)
    assert write.hold.domain.value == "b"
    assert write.hold.covers(1, larger(4000))
    assert isinstance(pin, Pin)


def test_where_only_the_leaders_surplus_fits_it_is_planned_without_a_guess_and_stays():
    index = two_slices(1000)
    index.drop_node("b-0")
    leader = a_member(0, demand=larger(4000))
    seen = with_larger_leaders(a_seen(leader), 4000)
    write, pin = decide(seen, index)
    assert isinstance(write, WriteHold)
    assert write.hold.domain.value == "a"
    assert isinstance(pin, Pin)
    hold = replace(write.hold, resource_version="7", uid="lease-uid")
    again = replace(seen, holds=held(index, hold), plan_id="plan-3")
    assert kinds_of(decide(again, index)) == ["Pin"]


def test_a_group_that_is_held_for_less_than_its_leader_got_leaves_for_where_all_fit():
    index = two_slices(1000)
    leader = a_member(0, demand=larger(4000))
    held_for_less = a_hold("a", demands={0: WHOLE_NODE, 1: WHOLE_NODE})
    seen = with_larger_leaders(a_seen(leader, holds=held(index, held_for_less)), 4000)
    assert kinds_of(decide(seen, index)) == ["LeaveHold"]
