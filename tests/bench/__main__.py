"""`make bench`: what placement costs. `make bench ARGS="engine extender"` chooses parts.

stall      how long the worst shapes of groups keep the event loop; --only chooses; no
           control plane
engine     planning one group, and room for one while a thousand wait; no control plane
extender   kube-scheduler's calls to us over HTTP; no control plane
answers    `explain` and `status` on a large cluster; no control plane
start      `serve` from nothing on a large cluster: time and memory
line       the same groups as plain pods and as placed groups through the real control plane
life       a LeaderWorkerSet of 1 000 groups created, updated and deleted by the built-in controller

CPU figures stand on their own; times of `line` mean something only as ratios within one run, since
control plane, scheduler and we share the machine.
"""

import argparse
import importlib
from pathlib import Path

from rich.console import Console

from lws_placement.garbage import collect_rarely

from .figures import show, write

PARTS = ("engine", "stall", "extender", "answers", "start", "line", "life")


def main():
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--nodes", help="comma-separated; default 15000, for line 5000,15000")
    parser.add_argument("--groups", type=int, help="of 4 pods; default 200 for line, 1000 for life")
    parser.add_argument("--only", default="", help="comma-separated contenders of line")
    parser.add_argument("--json", type=Path, default=Path("bench.json"))
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    collect_rarely()  # as `serve` does
    console = Console()
    figures = []
    for part in args.parts or PARTS:
        module = importlib.import_module(f".{part}", __package__)
        measured = module.measure(args, console)
        show(measured, console)
        figures += measured
    write(figures, args.json)
    console.print(f"written to {args.json}")


if __name__ == "__main__":
    main()
