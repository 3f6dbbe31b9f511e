"""What admitted pods show of how the API server makes pods (`cache/admission/admissions.py`)."""

from dataclasses import replace

from lws_placement.cluster.cache.admission.admissions import Admissions
from lws_placement.engine.base import keys
from lws_placement.engine.model.pods import Demand, Pod, Toleration

MEMBER = Toleration(keys.MEMBER_MARKER, "Exists", effect="NoSchedule")
GUEST = Toleration(keys.GUEST_MARKER, "Exists", effect="NoSchedule")


def a_pod(namespace="a", *, on=False, at_s=1.0, **fields):
    demand = Demand(resources=(("pods", 1),), tolerations=(MEMBER,) if on else ())
    pod = Pod(namespace, "p", f"{namespace}-{at_s}", "1", at_s, demand, marked=True)
    return replace(pod, **fields)


def shown(*pods, known=None):
    admissions = Admissions(adds_tolerations=known)
    for pod in pods:
        admissions.put(pod, None)
    return admissions.adds_tolerations()


def test_before_any_pod_was_seen_nothing_is_believed():
    assert shown() is False


def test_a_marked_pod_shows_that_the_plugin_is_on():
    assert shown(a_pod(on=True)) is True
    assert shown(a_pod(on=False)) is False


def test_a_guest_shows_it_as_well():
    demand = Demand(resources=(), tolerations=(GUEST,))
    assert shown(a_pod(marked=False, guest=True, demand=demand)) is True
    assert shown(a_pod(marked=False, guest=True)) is False


def test_a_pod_without_a_marker_shows_nothing():
    assert shown(a_pod(on=True, marked=False)) is False
    assert shown(a_pod(on=True), a_pod(at_s=2.0, marked=False)) is True


def test_the_newest_pod_is_believed_in_whatever_order_they_come():
    old, new = a_pod(on=False, at_s=1.0), a_pod(on=True, at_s=2.0)
    assert shown(old, new) is True
    assert shown(new, old) is True
    assert shown(a_pod(on=True, at_s=1.0), a_pod(on=False, at_s=2.0)) is False


def test_one_namespace_alone_deceives_nobody():
    liars = [a_pod("liar", on=True, at_s=float(at_s)) for at_s in range(10, 20)]
    assert shown(a_pod("b", on=False), *liars) is False


def test_namespaces_that_had_no_pod_for_long_are_not_asked():
    new = [a_pod(name, on=True, at_s=9.0) for name in ("b", "c", "d")]
    assert shown(a_pod("a", on=False), *new) is True


def test_a_groups_own_pods_are_believed_before_all_others():
    admissions = Admissions()
    admissions.put(a_pod("a", on=True), None)
    assert admissions.adds_tolerations([a_pod("b", on=False)]) is False
    assert admissions.adds_tolerations([a_pod("b", on=False), a_pod("b", on=True, at_s=2.0)])
    assert admissions.adds_tolerations([a_pod("b", marked=False)]) is True


def test_what_is_known_is_not_asked_of_pods():
    assert shown(a_pod(on=False), known=True) is True
    assert shown(a_pod(on=True), known=False) is False


def test_of_many_namespaces_only_so_many_are_remembered():
    pods = [a_pod(f"n{n}", on=True, at_s=float(n)) for n in range(1200)]
    assert shown(*pods, a_pod("late", on=False, at_s=1200.0)) is False
