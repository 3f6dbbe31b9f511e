"""How long to wait before the next attempt, for everything that repeats a failed request.

The delay doubles with each failure in a row up to a maximum, and is shortened by up to a half at
random, so that what failed together does not come back together. An API server that says when to
come back (`Retry-After`) is asked no earlier.
"""

import random
from dataclasses import dataclass

_DOUBLINGS = 30
"""More than from any first delay to any maximum; 2**1100 would overflow a float."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds."""

    first_s: float
    most_s: float

    def delay_s(self, failures: int, *, at_least_s: float = 0.0) -> float:
        """The delay after `failures` earlier ones in a row. `at_least_s`: what the API server asks
        for (`ApiError.retry_after_s`).
        """
        longest: float = min(self.first_s * 2 ** min(failures, _DOUBLINGS), self.most_s)
        return max(longest * random.uniform(0.5, 1.0), at_least_s * random.uniform(1.0, 1.5))
