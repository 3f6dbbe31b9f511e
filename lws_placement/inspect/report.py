"""Answers and outcomes as JSON: the facts, and the same sentences as the text."""

from dataclasses import asdict
from functools import partial

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.messages import domain_in_words, preemption_note
from lws_placement.engine.preemption.blockers import Blockers, Infeasible
from lws_placement.inspect.inquiry import Answer, Inquiry
from lws_placement.inspect.misses import Miss
from lws_placement.inspect.outcome import Outcome, SetOutcome
from lws_placement.inspect.text import request_in_words


def answer_json(answer: Answer, inquiry: Inquiry) -> Raw:
    found: Raw = {
        "group": answer.name,
        "standing": answer.standing.value,
        "message": answer.note,
        "size": answer.size,
        "priority": answer.priority,
        "pods": [{"name": p.name, "node": p.node} for p in answer.pods],
    }
    if answer.reservation is not None:
        found["domains"] = [
            {
                "topologyKey": h.domain.key,
                "name": h.domain.value,
                "nodes": {str(r): h.nodes[r] for r in sorted(h.nodes)},
            }
            for h in answer.reservation.holds
        ]
    if answer.place:
        found["queue"] = {"place": answer.place, "of": len(inquiry.queue)}
        found["misses"] = [_miss(miss, inquiry) for miss in answer.misses]
        found["moreMisses"] = answer.more
        found |= _blockers(answer.blockers, inquiry)
    if answer.nobody is not None:
        found["preemption"] = preemption_note(answer.nobody, inquiry.name_of)
    return found


def outcome_json(outcome: Outcome) -> Raw:
    found: Raw = {
        "topologyKeys": [
            {"key": key, "domains": domains, "nodes": nodes} for key, domains, nodes in outcome.keys
        ],
        "leaderWorkerSets": [_set(one, outcome.inquiry) for one in outcome.sets],
        "leftOut": dict(sorted(outcome.left_out.items())),
    }
    if outcome.growth:
        found["nodeGroups"] = [
            {"name": one.node_group, "most": one.most, "made": [asdict(it) for it in one.made]}
            for one in outcome.growth
        ]
    assumed: Raw = {}
    if outcome.adds_tolerations is not None:
        assumed["extendedResourceToleration"] = outcome.adds_tolerations
    if outcome.unknown:
        assumed["unknownClasses"] = list(outcome.unknown)
    if assumed:
        found["assumed"] = assumed
    return found


def _set(one: SetOutcome, inquiry: Inquiry) -> Raw:
    found: Raw = {"name": one.name}
    if one.refused:
        return {**found, "refused": one.refused}
    wants = request_in_words(one.request, groups=one.replicas)
    found |= {"replicas": one.replicas, "size": one.size, "wants": wants}
    found["groups"] = [answer_json(answer, inquiry) for answer in one.groups]
    if one.update is not None:
        words = partial(domain_in_words, name_of=inquiry.name_of)
        found["rollingUpdate"] = {
            "surge": [answer_json(answer, inquiry) for answer in one.update.surge],
            "maxUnavailable": one.update.unavailable,
            "leaving": [
                {"group": name, "domain": where, "why": words(why)}
                for name, where, why in one.update.moved
            ],
        }
    return found


def _miss(miss: Miss, inquiry: Inquiry) -> Raw:
    reason, lacks = miss.reason, miss.reason.shortfall
    found: Raw = {
        "name": miss.domain,
        "why": reason.why.name,
        "message": domain_in_words(reason, inquiry.name_of),
        "nodes": reason.nodes,
        "nodesThatFit": reason.fit,
    }
    if lacks is not None:
        found["member"] = lacks.rank
        if lacks.resource:
            found |= {
                "resource": lacks.resource,
                "asked": lacks.asked,
                "largestFree": lacks.largest_free,
            }
        else:
            found["rule"] = lacks.rule
    return found | _blockers(miss.blockers, inquiry)


def _blockers(blockers: Blockers | Infeasible | None, inquiry: Inquiry) -> Raw:
    match blockers:
        case Blockers(groups, pods):
            ending = {
                "groups": [inquiry.name_of(group) for group in groups],
                "pods": [inquiry.place_of(pod) for pod in pods],
            }
            return {"fitsOnceEnded": ending}
        case Infeasible():
            return {"fitsOnceEnded": "never"}
        case None:
            return {}
