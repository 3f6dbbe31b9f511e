"""What LimitRanges refuse (`engine/admission/limit_ranges.py`)."""

import pytest
from lws_placement.cluster.cache.pod_defaults import PodDefaultsIndex
from support.limit_cases import CASES, a_pod, asking, bounds

from lws_placement.engine.admission.limit_ranges import why_refused
from lws_placement.engine.admission.pod_defaults import admitted_spec


def judged(spec, *items):
    index = PodDefaultsIndex()
    for number, item in enumerate(items):
        meta = {"name": f"range-{number}", "namespace": "ns"}
        index.put_limit_range({"metadata": meta, "spec": {"limits": [item]}})
    defaults = index.of("ns")
    return why_refused(admitted_spec(spec, defaults), defaults.limit_ranges)


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
