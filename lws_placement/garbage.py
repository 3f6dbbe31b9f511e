"""How often the cyclic garbage collector looks: rarely.

Almost all that we make are trees without cycles: decoded JSON, frozen values. They go when the last
reference goes. The collector's default is to look after every 700 containers made, and a page of a
list, or kube-scheduler's call with 15 000 names, makes a hundred thousand: it then spends three
times as long on looking in vain as the parser does on parsing.
"""

import gc


def collect_rarely() -> None:
    """For the whole process."""
    gc.set_threshold(100_000, 50, 50)
