"""Cached facts for preemption: the priorities in use, and the holds that have victims."""

from collections.abc import Iterator

from lws_placement.engine.base.nested import Tally
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold
from lws_placement.engine.objects.nodes import DomainName


class Priorities:
    """Priorities of all existing pods."""

    def __init__(self) -> None:
        self._counts = Tally[int]()

    def replace(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None:
            self._counts.change(new.priority, 1)
        if old is not None:
            self._counts.change(old.priority, -1)

    def lowest(self) -> int | None:
        """None if there are no pods."""
        return min(self._counts, default=None)


class ComingHolds:
    """The COMING holds, few at a time, and the groups with LEAVING holds."""

    def __init__(self) -> None:
        self._holds: dict[tuple[DomainName, GroupId], Hold] = {}
        self._leaving: set[tuple[DomainName, GroupId]] = set()

    def replace(self, old: Hold | None, new: Hold | None) -> set[GroupId]:
        """Returns the victims that this change may affect."""
        victims: set[GroupId] = set()
        if old is not None and old.state is HoldState.COMING:
            del self._holds[old.domain, old.group]
            victims.update(old.evicts)
        if old is not None:
            self._leaving.discard((old.domain, old.group))
        if new is not None and new.state is HoldState.LEAVING:
            self._leaving.add((new.domain, new.group))
        if new is not None and new.state is HoldState.COMING:
            self._holds[new.domain, new.group] = new
            victims.update(new.evicts)
        return victims

    def going(self) -> set[GroupId]:
        """Groups that leave a domain, and all victims of COMING holds."""
        leaving = {group for _, group in self._leaving}
        return leaving.union(*(hold.evicts for hold in self._holds.values()))

    def for_which_goes(self, victim: GroupId) -> Iterator[Hold]:
        """Written holds that evict `victim`, with all of their plan written. Before that the
        planner may take the reservation back, or a kill may leave it incomplete.
        """
        for _, hold in sorted(self._holds.items(), key=lambda item: item[0]):
            if victim in hold.evicts and self._is_written(hold):
                yield hold

    def _is_written(self, hold: Hold) -> bool:
        theirs = [h for (_, g), h in self._holds.items() if (g, h.plan) == (hold.group, hold.plan)]
        return len(theirs) >= hold.parts and all(h.resource_version for h in theirs)

    def __bool__(self) -> bool:
        return bool(self._holds)
