"""What decisions found out lately, each answer as good as the state of the cluster behind it."""

from lws_placement.engine.planning.single_domain import PlanMemo
from lws_placement.engine.preemption.search import PreemptionMemo


class Memo(PlanMemo):
    """Of plans, and of who would have to be evicted for a group."""

    def __init__(self) -> None:
        super().__init__()
        self.preemption = PreemptionMemo()
