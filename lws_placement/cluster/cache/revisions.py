"""The templates of every revision of every LeaderWorkerSet that is known."""

from lws_placement.engine.model.workload import Templates

Revision = tuple[str, str, str]
"""(namespace, LeaderWorkerSet's name, revision key)."""


class RevisionIndex:
    def __init__(self) -> None:
        self._of: dict[tuple[str, str], dict[str, Templates]] = {}

    def put(self, name: Revision, templates: Templates) -> bool:
        """Is it news?"""
        known = self._of.setdefault(name[:2], {})
        if known.get(name[2]) == templates:
            return False
        known[name[2]] = templates
        return True

    def drop(self, name: Revision) -> None:
        known = self._of.get(name[:2], {})
        known.pop(name[2], None)
        if not known:
            self._of.pop(name[:2], None)

    def get(self, name: Revision) -> Templates | None:
        return self._of.get(name[:2], {}).get(name[2])

    def only_one_of(self, namespace: str, lws: str) -> tuple[str, Templates] | None:
        """Its key and templates, if there is just one."""
        known = self._of.get((namespace, lws), {})
        return next(iter(known.items())) if len(known) == 1 else None
