"""Placeholder pods by the group that they stand for."""

from collections.abc import Mapping
from dataclasses import replace

from lws_placement.cluster.codec.placeholders import decode_placeholder
from lws_placement.engine.base import keys
from lws_placement.engine.base.nested import DictOfSets
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.scale_up import Placeholder


class PlaceholderIndex:
    """`namespace`: ours, whose pods alone are read: a tenant's label means nothing."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._of: dict[str, Placeholder] = {}
        self._of_group = DictOfSets[GroupId, str]()

    def put(self, raw: Raw) -> Placeholder | None:
        """What the pod stands for; None if it is no placeholder. What it was created for stays;
        the autoscaler's answer changes.
        """
        meta = raw["metadata"]
        known = self._of.get(meta["uid"])
        if meta["namespace"] != self._namespace or keys.SCALE_UP not in (meta.get("labels") or ()):
            return known
        found = decode_placeholder(raw)
        if known is not None:
            found = replace(known, answer=found.answer if found is not None else "")
        if found is not None:
            self._of[meta["uid"]] = found
            self._of_group.add(found.group, meta["uid"])
        return found

    def drop(self, uid: str) -> Placeholder | None:
        """What it stood for."""
        found = self._of.pop(uid, None)
        if found is not None:
            self._of_group.discard(found.group, uid)
        return found

    def get(self, uid: str) -> Placeholder | None:
        return self._of.get(uid)

    def of_group(self, group: GroupId) -> Mapping[str, Placeholder]:
        """By UID."""
        return {uid: self._of[uid] for uid in self._of_group[group]}

    def groups(self) -> list[GroupId]:
        return sorted(self._of_group)
