"""Listeners for changes in the cache: the leading planner, and coroutines that wait for a group or
a pod.
"""

import asyncio
from typing import Generic, Protocol, TypeVar

from lws_placement.engine.base.nested import DictOfSets
from lws_placement.engine.model.groups import GroupId

K = TypeVar("K")


class Listener(Protocol):
    """Gets notices of possible changes, on the event loop, and must not wait. A subclass overrides
    the methods that concern it.
    """

    def group_changed(self, group: GroupId) -> None: ...

    def pod_waits(self, uid: str) -> None:
        """kube-scheduler has no room for a foreign pod."""
        return

    def lws_changed(self, namespace: str, name: str) -> None:
        """The set's groups or their templates may have changed."""
        return

    def capacity_changed(self) -> None:
        """Room may have become free: waiting groups are worth a retry."""
        return

    def room_taken(self, node: str) -> None:
        """A pod was bound to the node, or takes more than before."""
        return


class News(Generic[K]):
    """Lets coroutines wait for the next news of a key."""

    def __init__(self) -> None:
        self._waiting = DictOfSets[K, asyncio.Future[None]]()

    async def next_of(self, key: K) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(key, future)
        try:
            await future
        finally:
            self._waiting.discard(key, future)

    def tell(self, key: K) -> None:
        for future in self._waiting[key]:
            if not future.done():
                future.set_result(None)


class GroupChanges(News[GroupId], Listener):
    """News of groups: their changes."""

    def group_changed(self, group: GroupId) -> None:
        self.tell(group)
