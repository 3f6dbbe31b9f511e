"""kube-scheduler's extender messages (k8s.io/kube-scheduler/extender/v1), as 1.37 sends them.

The Go structs carry no JSON tags, so outer names are PascalCase; lists and maps that are absent
arrive as `null`. Reads only what a `nodeCacheCapable` extender gets: node names, never nodes.
"""

import json
from typing import Annotated

from pydantic import BeforeValidator, Field, SkipValidation

from lws_placement.engine.base.raw import Raw
from lws_placement.http_server.wire import Wire

_NullAsEmptyList = BeforeValidator(lambda value: [] if value is None else value)
_NullAsEmptyMap = BeforeValidator(lambda value: {} if value is None else value)


class FilterArgs(Wire):
    pod: Raw = Field(alias="Pod")
    node_names: Annotated[list[str], _NullAsEmptyList] = Field(alias="NodeNames")


class FilterResult(Wire):
    """`NodeNames` is never null: kube-scheduler reads null as "no node is left". It refuses a node
    that is neither listed nor in a verdict map, and does not preempt there.
    """

    node_names: list[str] = Field(alias="NodeNames")
    failed_and_unresolvable_nodes: dict[str, str] = Field(
        default_factory=dict, alias="FailedAndUnresolvableNodes"
    )
    error: str = Field(default="", alias="Error")
    """A fault of the extender, never "does not fit"."""


class Priorities(Wire):
    """Node -> score, 0 to 10; sent as a bare array. An omitted node counts as 0.

    The JSON is built by hand, as there may be many thousands, unless a name needs escapes. No
    node's name does.
    """

    scores: SkipValidation[dict[str, int]]

    def to_json(self) -> str:
        names = "".join(self.scores)
        if not names.isprintable() or '"' in names or "\\" in names:
            return json.dumps([{"Host": n, "Score": s} for n, s in self.scores.items()])
        each = [f'{{"Host":"{node}","Score":{score}}}' for node, score in self.scores.items()]
        return f"[{','.join(each)}]"


class BindArgs(Wire):
    pod_name: str = Field(alias="PodName", min_length=1)
    pod_namespace: str = Field(alias="PodNamespace", min_length=1)
    pod_uid: str = Field(alias="PodUID", min_length=1)
    node: str = Field(alias="Node", min_length=1)


class BindResult(Wire):
    error: str = Field(default="", alias="Error")


class MetaPod(Wire):
    uid: str = Field(alias="UID")


class MetaVictims(Wire):
    """Has at least one pod: a null or empty node entry crashes kube-scheduler."""

    pods: list[MetaPod] = Field(alias="Pods", min_length=1)
    num_pdb_violations: int = Field(default=0, alias="NumPDBViolations")


class PreemptArgs(Wire):
    pod: Raw = Field(alias="Pod")
    victims: Annotated[dict[str, MetaVictims], _NullAsEmptyMap] = Field(
        alias="NodeNameToMetaVictims"
    )


class PreemptResult(Wire):
    victims: dict[str, MetaVictims] = Field(alias="NodeNameToMetaVictims")
