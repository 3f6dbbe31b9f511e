"""Fields that the built-in controller does not carry out are refused by name, never ignored."""

from collections.abc import Mapping

import pytest
import yaml

from lws_placement.engine.lws.unsupported_fields import (
    KNOWN,
    not_carried_out,
    why_nothing_is_made,
    without_effect,
)
from lws_placement.localcluster.install import MANIFESTS

CRD = MANIFESTS / "crd" / "crd.yaml"


def an_lws(spec=None, **template):
    return {
        "metadata": {"name": "llm"},
        "spec": {"leaderWorkerTemplate": {"workerTemplate": {}, **template}, **(spec or {})},
    }


def paths(lws, old=None):
    return {problem.path: str(problem) for problem in not_carried_out(lws, old)}


@pytest.mark.parametrize(
    ("lws", "path", "says"),
    [
        (an_lws({"groupIdentity": "Hash"}), "spec.groupIdentity", "say Ordinal"),
        (an_lws({"scheduling": {"x": 1}}), "spec.scheduling", "leave it out"),
        (an_lws({"groupReplacementPolicy": "X"}), "spec.groupReplacementPolicy", "leave it out"),
        (an_lws({"colour": "red"}), "spec.colour", "no field that is known here"),
        (an_lws(sizes=3), "spec.leaderWorkerTemplate.sizes", "no field that is known here"),
        (
            an_lws(maxGroupRestarts=3),
            "spec.leaderWorkerTemplate.maxGroupRestarts",
            "lws-placement.dev/restart-budget",
        ),
        (
            an_lws(placementPolicy={"type": "ExclusiveTopology"}),
            "spec.leaderWorkerTemplate.placementPolicy",
            "leaderworkerset.sigs.k8s.io/exclusive-topology",
        ),
        (
            an_lws(subGroupPolicy={"subGroupSize": 2, "placementPolicy": {}}),
            "spec.leaderWorkerTemplate.subGroupPolicy.placementPolicy",
            "subgroup-exclusive-topology",
        ),
        (
            an_lws({"rolloutStrategy": {"rollingUpdateConfiguration": {"pace": 1}}}),
            "spec.rolloutStrategy.rollingUpdateConfiguration.pace",
            "no field that is known here",
        ),
    ],
)
def test_a_field_that_is_not_carried_out_is_refused_with_what_to_do_instead(lws, path, says):
    found = paths(lws)
    assert list(found) == [path]
    assert says in found[path]
    assert without_effect(lws) == [path]


def test_what_is_carried_out_is_not_refused():
    full = {
        "replicas": 1,
        "groupIdentity": "Ordinal",
        "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": {"maxSurge": 1}},
        "networkConfig": {"subdomainPolicy": "Shared"},
        "startupPolicy": "LeaderReady",
    }
    assert paths(an_lws(full, size=4, subGroupPolicy={"subGroupSize": 2})) == {}


@pytest.mark.parametrize("spec", [None, [], "x", {"leaderWorkerTemplate": 3}])
def test_wrong_types_are_left_to_the_schema(spec):
    assert not_carried_out({"spec": spec}) == []
    assert why_nothing_is_made({"spec": spec}) is None


def test_what_was_stored_before_us_can_be_edited_but_not_changed_in_this():
    stored = an_lws({"scheduling": {"x": 1}})
    assert paths({**stored, "metadata": {"labels": {"a": "b"}}}, stored) == {}
    assert list(paths(an_lws({"scheduling": {"x": 2}}), stored)) == ["spec.scheduling"]
    assert paths(an_lws(), stored) == {}


def test_of_a_set_without_ordinals_nothing_is_made():
    assert why_nothing_is_made(an_lws({"groupIdentity": "Hash"})).path == "spec.groupIdentity"
    assert why_nothing_is_made(an_lws({"groupIdentity": "Ordinal"})) is None
    assert why_nothing_is_made(an_lws({"scheduling": {}})) is None


def test_the_fields_that_are_known_are_those_of_the_schema_which_keeps_all_others():
    crd = yaml.load(CRD.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (version,) = crd["spec"]["versions"]
    check(version["schema"]["openAPIV3Schema"]["properties"]["spec"], KNOWN)


def check(schema, known):
    assert schema["x-kubernetes-preserve-unknown-fields"] is True
    assert schema["properties"].keys() == known.keys()
    for name, below in known.items():
        assert isinstance(below, Mapping)
        if below:
            check(schema["properties"][name], below)
