"""What annotations ask of placement, and which of them cannot be meant so."""

import pytest

from lws_placement.engine.objects.placement_request import (
    PlacementRequest,
    Scope,
    TopologyRequest,
    placement_request_of,
    problems_of_request,
)

LWS, OURS = "leaderworkerset.sigs.k8s.io", "lws-placement.dev"
EXCLUSIVE = {f"{LWS}/exclusive-topology": "rack"}
SUBGROUPS = {f"{LWS}/subgroup-exclusive-topology": "slice", f"{LWS}/subgroup-size": "2"}
EXCLUDED = {f"{LWS}/subgroup-policy-type": "LeaderExcluded"}


@pytest.mark.parametrize(
    ("notes", "size", "wanted"),
    [
        pytest.param(
            EXCLUSIVE, 4, TopologyRequest("rack"), id="one domain for all is the plain case"
        ),
        pytest.param(
            SUBGROUPS,
            4,
            TopologyRequest(inner="slice", subgroups=((0, 1), (2, 3))),
            id="leader in first",
        ),
        pytest.param(
            SUBGROUPS,
            5,
            TopologyRequest(inner="slice", subgroups=((0, 1, 2), (3, 4))),
            id="size - 1 divisible: the leader comes on top",
        ),
        pytest.param(
            SUBGROUPS | EXCLUDED,
            5,
            TopologyRequest(inner="slice", subgroups=((1, 2), (3, 4))),
            id="a leader outside of them may be anywhere",
        ),
        pytest.param(
            EXCLUSIVE | SUBGROUPS,
            4,
            TopologyRequest(outer="rack", inner="slice", subgroups=((0, 1), (2, 3))),
            id="subgroups inside the group's own domain",
        ),
        pytest.param({f"{OURS}/gang": "true"}, 4, TopologyRequest(), id="a gang takes no domain"),
        pytest.param(
            EXCLUSIVE | {f"{OURS}/within-topology": "zone"},
            2,
            TopologyRequest(outer="rack", required_topology="zone"),
            id="a domain cut off at a region's border",
        ),
    ],
)
def test_the_layout_of_a_group_follows_from_its_annotations(notes, size, wanted):
    ask = placement_request_of(notes)
    assert ask.places
    assert ask.of_size(size) == wanted
    assert wanted.in_one_domain is (wanted == TopologyRequest("rack"))


def test_a_group_that_asks_for_nothing_or_is_not_managed_is_not_placed():
    assert not placement_request_of({}).places
    assert not placement_request_of(EXCLUSIVE | {f"{OURS}/managed": "false"}).places


def test_only_exclusive_groups_claim_anything():
    assert placement_request_of(EXCLUSIVE).claims is Scope.CLUSTER
    assert (
        placement_request_of(EXCLUSIVE | {f"{OURS}/scope": "Namespace"}).claims is Scope.NAMESPACE
    )
    assert placement_request_of({f"{OURS}/gang": "true"}).claims is Scope.NOBODY


def test_what_slipped_past_admission_counts_as_absent():
    odd = {f"{OURS}/scope": "Galaxy", f"{LWS}/subgroup-size": "many", f"{OURS}/gang": "yes"}
    assert placement_request_of(EXCLUSIVE | odd) == PlacementRequest(topology="rack")


@pytest.mark.parametrize(
    ("notes", "about", "why"),
    [
        ({f"{OURS}/scope": "Galaxy"} | EXCLUSIVE, "scope", "is none of Cluster, Namespace"),
        ({f"{OURS}/scope": "Cluster"}, "scope", "needs an exclusive topology"),
        ({f"{OURS}/gang": "true"} | EXCLUSIVE, "gang", "not together with an exclusive topology"),
        ({f"{OURS}/gang": "1"}, "gang", "is none of true, false"),
        ({f"{OURS}/managed": "no"}, "managed", "is none of true, false"),
        ({f"{OURS}/within-topology": "a b"} | EXCLUSIVE, "within-topology", "key of a node label"),
        ({f"{OURS}/within-topology": "rack"} | EXCLUSIVE, "within-topology", "larger level"),
        ({f"{OURS}/prefer-topology": "zone"}, "prefer-topology", "needs an exclusive topology or"),
        ({f"{OURS}/topology": "rack"} | EXCLUSIVE, "topology", "keep one"),
    ],
)
def test_what_cannot_be_meant_so_is_named_with_what_to_do(notes, about, why):
    ((key, text),) = problems_of_request(notes)
    assert key == f"{OURS}/{about}"
    assert why in text


def test_what_makes_sense_has_no_problems():
    for notes in (
        {},
        EXCLUSIVE | SUBGROUPS,
        EXCLUSIVE | {f"{OURS}/scope": "LeaderWorkerSet", f"{OURS}/prefer-topology": "zone"},
        {f"{OURS}/gang": "true", f"{OURS}/within-topology": "zone"},
        {f"{OURS}/managed": "false"},
    ):
        assert problems_of_request(notes) == []
