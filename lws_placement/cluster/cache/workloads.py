"""The known LeaderWorkerSets, the templates of their revisions, and the owners of the StatefulSets
that carry their name label.
"""

from collections.abc import Mapping

from lws_placement.engine.base.nested import DictOfDicts
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.workload import LwsInfo, Templates

Name = tuple[str, str]
"""(namespace, LeaderWorkerSet's name)."""
Revision = tuple[str, str, str]
"""(namespace, LeaderWorkerSet's name, revision key)."""


class Workloads:
    """`ClusterCache` fills it and notifies listeners of changes."""

    def __init__(self) -> None:
        self.lws: dict[Name, LwsInfo] = {}
        self.stateful_sets: dict[str, Raw] = {}
        """By UID: name, UID and owners."""
        self._revisions = DictOfDicts[Name, str, Templates]()

    def lws_of(self, group: GroupId) -> LwsInfo | None:
        """The existing LeaderWorkerSet of the group, not a later one with the same name."""
        lws = self.lws.get((group.namespace, group.lws))
        return lws if lws is not None and lws.uid == group.lws_uid else None

    def templates(self, group: GroupId, revision: str) -> Templates | None:
        """The templates of a revision of the group's LeaderWorkerSet, else the live ones."""
        found = self._revisions_of(group).get(revision)
        if found is not None:
            return found
        lws = self.lws_of(group)
        return lws.templates if lws is not None else None

    def is_current(self, group: GroupId, revision: str) -> bool:
        """True if the revision is known and matches the group's LeaderWorkerSet now."""
        lws = self.lws_of(group)
        return lws is not None and self._revisions_of(group).get(revision) == lws.templates

    def only_revision(self, group: GroupId) -> str | None:
        """The only known revision of the group's LeaderWorkerSet, if it matches the set now."""
        known = [*self._revisions_of(group)]
        return known[0] if len(known) == 1 and self.is_current(group, known[0]) else None

    def put_revision(self, name: Revision, templates: Templates) -> bool:
        """True if the templates are new or changed."""
        return self._revisions.put(name[:2], name[2], templates) != templates

    def drop_revision(self, name: Revision) -> None:
        self._revisions.drop(name[:2], name[2])

    def put_stateful_set(self, raw: Raw) -> None:
        meta = raw["metadata"]
        kept = {"name": meta["name"], "uid": meta["uid"]}
        owners = meta.get("ownerReferences") or []
        self.stateful_sets[meta["uid"]] = {"metadata": {**kept, "ownerReferences": owners}}

    def _revisions_of(self, group: GroupId) -> Mapping[str, Templates]:
        return self._revisions[group.namespace, group.lws]
