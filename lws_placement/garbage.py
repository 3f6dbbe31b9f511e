"""Makes the cyclic garbage collector run rarely.

Almost all that we allocate is trees without cycles, decoded JSON and frozen values, which reference
counts free. By default the collector runs after every 700 containers; a page of a list, or a call
of kube-scheduler with 15 000 names, makes a hundred thousand. It then takes three times as long as
the parser, and finds nothing.
"""

import gc


def collect_rarely() -> None:
    """For the whole process."""
    gc.set_threshold(100_000, 50, 50)
