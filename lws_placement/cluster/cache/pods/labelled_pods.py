"""Pods by the group that their labels name, placed or not; and which groups have a living leader.

In a set whose groups have no ordinal (each incarnation has a key of its own), a group ends with its
leader, whatever pods remain: its key never comes back.
"""

from collections.abc import Iterable

from lws_placement.engine.base.nested import DictOfDicts, DictOfSets
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod

Lws = tuple[str, str]
"""Namespace and name."""


class LabelledPods:
    """Puts and drops cost O(1)."""

    def __init__(self) -> None:
        self._of_lws = DictOfSets[Lws, str]()
        self._of_group = DictOfSets[tuple[Lws, str], str]()
        self._leaders = DictOfDicts[Lws, str, str]()
        """For keyed groups: UID of a living leader -> group key."""

    def put(self, pod: Pod, old: Pod | None) -> bool:
        """True if this ends a keyed group. `old`: the pod before, whose labels may have been
        others.
        """
        if old is not None and _said_by(old) != _said_by(pod):
            self.drop(old)
        if pod.member is None:
            return False
        lws = (pod.namespace, pod.member.lws)
        self._of_lws.add(lws, pod.uid)
        self._of_group.add((lws, pod.member.group_key), pod.uid)
        if not pod.member.keyed or pod.member.rank != 0:
            return False
        if not pod.living:
            return self._leaders.drop(lws, pod.uid) is not None
        self._leaders.put(lws, pod.uid, pod.member.group_key)
        return False

    def drop(self, pod: Pod) -> bool:
        """True if this ends a keyed group."""
        if pod.member is None:
            return False
        lws = (pod.namespace, pod.member.lws)
        self._of_lws.discard(lws, pod.uid)
        self._of_group.discard((lws, pod.member.group_key), pod.uid)
        return self._leaders.drop(lws, pod.uid) is not None

    def of_lws(self, lws: Lws) -> list[str]:
        """UIDs."""
        return list(self._of_lws[lws])

    def of_group(self, group: GroupId) -> Iterable[str]:
        """UIDs."""
        return self._of_group[(group.namespace, group.lws), group.group_key]

    def led_keys(self, lws: Lws) -> set[str]:
        """Group keys of keyed groups with a living leader."""
        return set(self._leaders[lws].values())


def _said_by(pod: Pod) -> tuple[str, str] | None:
    return (pod.member.lws, pod.member.group_key) if pod.member is not None else None
