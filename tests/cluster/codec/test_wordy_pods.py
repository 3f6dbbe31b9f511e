"""Pods that say very much about nodes and other pods, and what is kept of demands."""

import gc
import weakref

from support.valid_objects import a_pod

from lws_placement.cluster.codec.objects import decode_pod

HOST = "kubernetes.io/hostname"


def with_affinity(kind, terms, *, wrap=lambda terms: terms):
    raw = a_pod("wordy")
    required = {"requiredDuringSchedulingIgnoredDuringExecution": wrap(terms)}
    raw["spec"]["affinity"] = {kind: required}
    return raw


def node_terms(count):
    expression = {"key": "z", "operator": "In", "values": ["1"]}
    return [{"matchExpressions": [expression]} for _ in range(count)]


def test_a_pod_that_says_too_much_about_nodes_fits_nowhere_and_still_counts():
    few = decode_pod(with_affinity("nodeAffinity", {"nodeSelectorTerms": node_terms(9)}))
    assert len(few.demand.required) == 9
    assert 1 < few.demand.weight < 10
    raw = with_affinity("nodeAffinity", {"nodeSelectorTerms": node_terms(20_000)})
    wordy = decode_pod(raw)
    assert wordy.demand.required == (), "which no node meets"
    assert dict(wordy.demand.resources)["google.com/tpu"] == 4
    assert wordy.node == "n0"
    assert wordy.member is not None
    raw = a_pod()
    raw["spec"]["nodeSelector"] = {f"k{n}": "v" for n in range(2000)}
    assert decode_pod(raw).demand.required == ()


def test_a_pod_with_thousands_of_terms_keeps_others_off_by_one_term_a_key():
    terms = [
        {"topologyKey": HOST, "labelSelector": {"matchLabels": {"a": f"{n}"}}}
        for n in range(20_000)
    ]
    rules = decode_pod(with_affinity("podAntiAffinity", terms)).demand.rules
    assert [(t.topology_key, t.selector) for t in rules.anti_affinity] == [(HOST, ())]
    assert rules.anti_affinity[0].namespace_selector == ()
    rules = decode_pod(with_affinity("podAntiAffinity", terms[:9])).demand.rules
    assert len(rules.anti_affinity) == 9


def test_equal_demands_are_one_object_that_goes_with_its_last_pod():
    one, other = decode_pod(a_pod("a")), decode_pod(a_pod("b"))
    assert one.demand is other.demand
    wordy = a_pod("c")
    requests = wordy["spec"]["containers"][0]["resources"]["requests"]
    requests |= {f"example.com/r{n}": "1" for n in range(1000)}
    pod = decode_pod(wordy)
    gone = weakref.ref(pod.demand)
    assert decode_pod(wordy).demand is pod.demand
    del pod
    gc.collect()
    assert gone() is None
