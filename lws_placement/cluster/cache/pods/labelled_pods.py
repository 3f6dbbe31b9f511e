"""Pods by the group that their labels name, placed or not; and which groups have a living leader.

In a set whose groups have no ordinal (each incarnation has a key of its own), a group ends with its
leader, whatever pods remain: its key never comes back.
"""

from collections.abc import Iterator

from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod

Lws = tuple[str, str]
"""Namespace and name."""


class LabelledPods:
    """Puts and drops cost O(1)."""

    def __init__(self) -> None:
        self._uids: dict[Lws, dict[str, set[str]]] = {}
        self._leaders: dict[Lws, dict[str, str]] = {}
        """For keyed groups: UID of a living leader -> group key."""

    def put(self, pod: Pod) -> bool:
        """True if this ends a keyed group."""
        if pod.member is None:
            return False
        lws = (pod.namespace, pod.member.lws)
        self._uids.setdefault(lws, {}).setdefault(pod.member.group_key, set()).add(pod.uid)
        if not pod.member.keyed or pod.member.rank != 0:
            return False
        if not pod.living:
            return self._drop_leader(lws, pod.uid)
        self._leaders.setdefault(lws, {})[pod.uid] = pod.member.group_key
        return False

    def drop(self, pod: Pod) -> bool:
        """True if this ends a keyed group."""
        if pod.member is None:
            return False
        lws, key = (pod.namespace, pod.member.lws), pod.member.group_key
        of_lws = self._uids.get(lws, {})
        of_lws.get(key, set()).discard(pod.uid)
        if not of_lws.get(key):
            of_lws.pop(key, None)
        if not of_lws:
            self._uids.pop(lws, None)
        return self._drop_leader(lws, pod.uid)

    def of_lws(self, lws: Lws) -> list[str]:
        """UIDs."""
        return [uid for uids in self._uids.get(lws, {}).values() for uid in uids]

    def of_group(self, group: GroupId) -> Iterator[str]:
        """UIDs."""
        yield from self._uids.get((group.namespace, group.lws), {}).get(group.group_key, ())

    def led_keys(self, lws: Lws) -> set[str]:
        """Group keys of keyed groups with a living leader."""
        return set(self._leaders.get(lws, {}).values())

    def _drop_leader(self, lws: Lws, uid: str) -> bool:
        of_lws = self._leaders.get(lws, {})
        was_there = of_lws.pop(uid, None) is not None
        if not of_lws:
            self._leaders.pop(lws, None)
        return was_there
