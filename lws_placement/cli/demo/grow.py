"""The demo's story `grow`: a cluster without an accelerator node becomes three busy slices, and
shrinks again.
"""

from collections.abc import Callable, Sequence

from lws_placement.cli.demo.domain_map import Seen
from lws_placement.cli.demo.stage import SLICE, Stage
from lws_placement.localcluster.autoscaler import Autoscaler

_EMPTY_S = 8.0
"""More than the planner needs to keep a node that a group is about to come to."""
_NODES_EACH = 4


def tell_of_growth(stage: Stage) -> None:
    stage.start_ours("--scale-up=pods", "--scale-up-after-seconds=0.5")
    autoscaler = Autoscaler(stage.cluster, stage.pools(SLICE), empty_s=_EMPTY_S)
    stage.meanwhile = autoscaler.look
    grow(stage, autoscaler)
    shrink(stage)
    vanish(stage)


def grow(stage: Stage, autoscaler: Autoscaler) -> None:
    stage.say("Act 1: no node has an accelerator; three groups of four pods ask for a slice each")
    stage.apply("grow.yaml")
    done = stage.until("a whole slice is made for each group", _slices(3), keys=(SLICE,))
    in_vain = autoscaler.made - 3 * _NODES_EACH
    text = f"{autoscaler.made} nodes were made, {in_vain or 'none'} in vain"
    stage.results.append(("from nothing to three busy slices", done and not in_vain, text))


def shrink(stage: Stage) -> None:
    stage.say("Act 2: two groups are enough: the third slice is given back")
    stage.cluster.kubectl("scale", "lws", "grow", "--replicas=2")
    done = stage.until("giving a slice back", _slices(2), keys=(SLICE,))
    stage.results.append(("shrunk", done, "two slices are left, with a whole group each"))


def vanish(stage: Stage) -> None:
    stage.say("Act 3: the set is deleted, and no accelerator node is left")
    stage.cluster.kubectl("delete", "lws", "grow", "--wait=false")
    done = stage.until("giving all slices back", _slices(0), keys=(SLICE,))
    stage.results.append(("back to nothing", done, "no node is left"))


def _slices(number: int) -> Callable[[Sequence[Seen]], bool]:
    """That there are so many whole slices, each with a whole group, and no other node or group."""

    def done(seen: Sequence[Seen]) -> bool:
        slices, groups = seen[0].cells.values(), seen[0].groups
        whole = all(len(cells) == _NODES_EACH and all(cells) for cells in slices)
        return len(slices) == len(groups) == number and whole and all(g.whole for g in groups)

    return done
