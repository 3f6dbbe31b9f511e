"""What the controller asks about nodes and plans; answered from the cache that placement keeps
anyway.
"""

from typing import Protocol

from lws_placement.engine.model.groups import GroupId


class Nodes(Protocol):
    def label_of(self, node: str, key: str) -> str | None:
        """The node's value of the label; None if it is not known."""

    def topology_key_known(self, key: str) -> bool | None:
        """Does any node carry this label? None: not known."""

    def is_planned(self, group: GroupId, node: str) -> bool:
        """Does the group's reservation keep this node for one of its members?"""
