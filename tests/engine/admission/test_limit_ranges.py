"""What LimitRanges refuse (`engine/admission/limit_ranges.py`)."""

import pytest
from support.limit_cases import CASES, CLAIMS, a_claim, a_pod, asking, bounds

from lws_placement.cluster.cache.admission.pod_defaults import PodDefaultsIndex
from lws_placement.engine.admission.limit_ranges import why_refused
from lws_placement.engine.admission.pod_defaults import admitted_spec


def judged(spec, *items, claims=()):
    index = PodDefaultsIndex()
    for number, item in enumerate(items):
        meta = {"name": f"range-{number}", "namespace": "ns"}
        index.put_limit_range({"metadata": meta, "spec": {"limits": [item]}})
    defaults = index.of("ns")
    return why_refused(admitted_spec(spec, defaults), defaults.limit_ranges, claims=claims)


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_in_the_words_of_the_api_server(name):
    item, spec, why = CASES[name]
    found = judged(spec, item)
    assert why in found
    assert bool(why) == bool(found)


def test_which_range_and_which_container_are_named():
    most = bounds(max={"cpu": "1"})
    spec = a_pod(asking(limits={"cpu": "1"}), asking(limits={"cpu": "2"}))
    assert judged(spec, bounds(max={"cpu": "4"}), most) == (
        "LimitRange range-1 refuses container c1: maximum cpu usage per Container is 1, but "
        "limit is 2"
    )


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_made_for_a_pod_are_refused_like_it(name):
    item, storage, why = CLAIMS[name]
    found = judged(a_pod(asking()), item, claims=[a_claim(storage)])
    assert found == (f"LimitRange range-0 refuses claim data: {why}" if why else "")
