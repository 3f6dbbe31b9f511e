"""Who is told of changes in the cache: the planner, where it leads."""

from typing import Protocol

from lws_placement.engine.model.groups import GroupId


class Listener(Protocol):
    """Told what may have changed; called on the event loop, must not wait."""

    def group_changed(self, group: GroupId) -> None: ...

    def pod_waits(self, uid: str) -> None:
        """kube-scheduler has no room for a foreign pod."""

    def lws_changed(self, namespace: str, name: str) -> None:
        """The groups that it should have, or what they are made of."""

    def capacity_changed(self) -> None:
        """Room may have become free: waiting groups are worth another look."""

    def room_taken(self, node: str) -> None:
        """A pod was bound there, or takes more than before."""
