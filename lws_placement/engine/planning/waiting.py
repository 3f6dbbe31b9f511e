"""Groups that wait for a domain, by equivalence class, and which of them to plan again.

All groups of one shape get the same answer while nothing changes, and a change that brings no
domain into which the shape fits leaves all their answers as they are. So when room may have become
free, each shape is checked once, and only as many of its groups are planned again as domains would
take one, in order of priority and age. With a thousand waiting groups such an event costs one check
per shape, not a thousand plans. For a shape that asks for more than one domain the check is a plan,
and the number of its groups that fit is unknown.

What a group owns already (holds, Terminating pods) makes its question unique; such groups are not
kept here and are checked at every event.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from heapq import nsmallest

from lws_placement.engine.base.nested import DictOfDicts
from lws_placement.engine.model.exclusivity import Question, question_of
from lws_placement.engine.model.groups import Group, GroupId
from lws_placement.engine.model.queue_order import turn_of
from lws_placement.engine.model.snapshot import DomainSet
from lws_placement.engine.planning.single_domain import PlanMemo


class WaitingClasses:
    """`put` a group when its plan finds no room; `drop` it when that no longer holds."""

    def __init__(self) -> None:
        self._by_question = DictOfDicts[Question, GroupId, Group]()
        self._question_of: dict[GroupId, Question] = {}

    def put(self, group: Group) -> bool:
        """Returns whether the group is the first of its class. Groups of a class share what they
        ask for, which may be large.
        """
        question = question_of(group)
        if self._question_of.get(group.id) != question:
            self.drop(group.id)
        like = next(iter(self._by_question[question].values()), None)
        if like is not None:
            question, group = self._question_of[like.id], replace(group, members=like.members)
        self._question_of[group.id] = question
        self._by_question.put(question, group.id, group)
        return like is None

    def drop(self, group: GroupId) -> bool:
        """Returns whether the group was waiting."""
        question = self._question_of.pop(group, None)
        if question is None:
            return False
        self._by_question.drop(question, group)
        return True

    def __contains__(self, group: GroupId) -> bool:
        return group in self._question_of

    def __iter__(self) -> Iterator[GroupId]:
        return iter(list(self._question_of))

    def __len__(self) -> int:
        return len(self._question_of)

    def examples(self) -> tuple[Group, ...]:
        """The first group in order of each class."""
        return tuple(map(_first, self._by_question.values()))

    def questions(self, *, several: bool) -> list[Question]:
        """The classes that ask for more than one domain, or for one, in order of their first."""
        firsts = {
            question: turn_of(_first(asking))
            for question, asking in self._by_question.items()
            if next(iter(asking.values())).request.in_one_domain is not several
        }
        return sorted(firsts, key=lambda question: firsts[question])

    def worth_asking(
        self, question: Question, domains: Callable[[str], DomainSet], memo: PlanMemo
    ) -> set[GroupId]:
        """Groups of a single-domain class that may have a domain now, the first in order."""
        asking = self._by_question.get(question)
        if asking is None:
            return set()
        example = _first(asking)
        free = memo.free_domains(example, domains(example.topology_key), most=len(asking))
        return {g.id for g in nsmallest(free, asking.values(), key=turn_of)} if free else set()

    def multi_domain_question(self, group: GroupId) -> Question | None:
        """The group's question, if it waits for more than one domain."""
        return None if self.multi_domain_group(group) is None else self._question_of[group]

    def multi_domain_group(self, group: GroupId) -> Group | None:
        """The group, if it waits for more than one domain."""
        question = self._question_of.get(group)
        asked = None if question is None else self._by_question[question][group]
        return asked if asked is not None and not asked.request.in_one_domain else None

    def example(self, question: Question) -> Group | None:
        """The first group in order of the class; None if it has none any more."""
        asking = self._by_question.get(question)
        return None if asking is None else _first(asking)

    def first_like(self, example: Group, most: int) -> list[GroupId]:
        """The first `most` groups of the example's class, in order."""
        asking = self._by_question[question_of(example)]
        return [g.id for g in nsmallest(most, asking.values(), key=turn_of)]


def _first(asking: Mapping[GroupId, Group]) -> Group:
    return min(asking.values(), key=turn_of)
