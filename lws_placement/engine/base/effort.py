"""How much one decision may compute.

Users choose the shapes of groups, and some shapes cost a search that is exponential. The planner
decides on the event loop, so a decision counts what it looks at, and gives up at a bound: the
answer is then "not proven", never a wrong yes. Work is counted, not timed, so that equal inputs
give equal answers.
"""

PLAN_EFFORT = 100_000
"""Looks of one plan: members against nodes, some 2 microseconds each. A group of two unlike members
takes 60 000 on 15 000 nodes, once."""
VICTIMS_EFFORT = 1_000_000
"""Looks for the victims of a group that needs several domains; 15 000 nodes take 400 000."""
WORDS_EFFORT = 60_000
"""Looks for the words of a refusal in all domains."""


class Effort:
    """What is left. Callers spend it before the work, and give up if it is spent."""

    __slots__ = ("left",)

    def __init__(self, most: int = PLAN_EFFORT) -> None:
        self.left = most

    def spend(self, looks: int) -> bool:
        """False if that is more than is left; then all is spent."""
        self.left -= looks
        return self.left >= 0

    @property
    def is_spent(self) -> bool:
        return self.left < 0
