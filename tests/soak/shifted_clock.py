"""`lws-placement` whose wall clock differs from the machine's: `FILE`, then its own arguments.

FILE has the difference in seconds and may change at any time. The monotonic clock stays as it is,
as on a machine whose time is corrected.
"""

import sys
import time
from datetime import datetime
from pathlib import Path

from lws_placement.cli.main import main

_OURS = ("lws_placement", "webhook", "certs")


def shift_clocks(path):
    """`time.time` for all, and `datetime.now` in our modules: libraries insist on the real type."""
    real_time = time.time

    def now_s():
        try:
            return real_time() + float(path.read_text())
        except (OSError, ValueError):
            return real_time()

    class Shifted(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.fromtimestamp(now_s(), tz)

    time.time = now_s
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _OURS and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted


if __name__ == "__main__":
    shift_clocks(Path(sys.argv.pop(1)))
    main()
