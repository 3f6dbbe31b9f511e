"""The state that the controller's reconcilers read and write. Questions about nodes and plans go to
the cache that placement keeps anyway.
"""

from dataclasses import dataclass
from typing import Protocol

from lws_placement.cluster.api.client import Api
from lws_placement.cluster.api.events import Say
from lws_placement.controller.informer_cache import Observed
from lws_placement.engine.model.groups import GroupId


class Nodes(Protocol):
    def label_of(self, node: str, key: str) -> str | None:
        """The node's value of the label; None if it is not known."""

    def topology_key_known(self, key: str) -> bool | None:
        """True if any node carries this label; None: not known."""

    def is_planned(self, group: GroupId, node: str) -> bool:
        """True if the group's reservation assigns this node to one of its members."""


@dataclass(frozen=True, slots=True)
class World:
    api: Api
    observed: Observed
    nodes: Nodes
    say: Say
