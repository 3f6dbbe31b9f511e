"""`lws-placement` whose main loop hangs on SIGUSR1, until somebody writes to a FIFO: `FIFO`. A file
beside it says that it hangs.
"""

import signal
import sys
from pathlib import Path

from lws_placement.cli.main import main

FIFO = Path(sys.argv.pop(1))


def hang(number, frame):
    """On the main thread, between two steps of whatever runs there."""
    hangs = FIFO.with_suffix(".hangs")
    hangs.touch()
    FIFO.read_text()
    hangs.unlink()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, hang)
    main()
