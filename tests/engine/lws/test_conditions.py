"""Conditions that say what keeps a LeaderWorkerSet from being carried out."""

import pytest

from lws_placement.engine.lws.conditions import BLOCKED, Problem, why_blocked, with_condition

TOPOLOGY = "leaderworkerset.sigs.k8s.io/exclusive-topology"


def an_lws(name="llm", *, replicas=2, notes=None):
    meta = {"name": name, "annotations": notes or {}}
    return {"metadata": meta, "spec": {"replicas": replicas, "leaderWorkerTemplate": {"size": 4}}}


@pytest.mark.parametrize(
    ("lws", "known", "bound", "reason"),
    [
        (an_lws(), None, False, None),
        (an_lws("a" * 55), None, True, "NameTooLong"),
        (an_lws(notes={TOPOLOGY: "rack"}), False, False, "NoSuchTopologyKey"),
        pytest.param(an_lws(notes={TOPOLOGY: "rack"}), False, True, None, id="all run already"),
        pytest.param(an_lws(notes={TOPOLOGY: "rack"}), None, False, None, id="not known yet"),
        (an_lws(notes={TOPOLOGY: "rack"}), True, False, None),
    ],
)
def test_what_blocks_a_leader_worker_set(lws, known, bound, reason):
    problem = why_blocked(lws, key_known=known, all_leaders_bound=bound)
    assert (problem.reason if problem else None) == reason


def test_a_condition_appears_with_the_problem_and_stays_to_say_that_it_is_over():
    ready = {"type": "Available", "status": "True"}
    nothing = with_condition([ready], BLOCKED, None, generation=1, now="t1")
    assert nothing == [ready]
    problem = Problem("NameTooLong", "words")
    first = with_condition([ready], BLOCKED, problem, generation=1, now="t1")
    assert (first[1]["status"], first[1]["reason"]) == ("True", "NameTooLong")
    assert with_condition(first, BLOCKED, problem, generation=1, now="t2") == first
    last = with_condition(first, BLOCKED, None, generation=2, now="t3")
    assert (last[1]["status"], last[1]["lastTransitionTime"]) == ("False", "t3")
    assert last[1]["observedGeneration"] == 2
