"""Makes the cyclic garbage collector run rarely.

Almost all our objects are trees without cycles (decoded JSON, frozen values), which reference
counting frees. By default the collector runs after every 700 containers. A page of a list, or a
kube-scheduler call with 15 000 names, allocates a hundred thousand. The collector then takes three
times as long as the parser and finds nothing.
"""

import gc


def collect_rarely() -> None:
    """Sets the thresholds for the whole process."""
    gc.set_threshold(100_000, 50, 50)
