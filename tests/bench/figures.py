"""What a bench measured: one figure a row, as a table for people and as JSON for machines."""

import json
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """`baseline`: what the same run measured for `against`; `goal`: what we want to stay under."""

    part: str
    where: str
    what: str
    value: float
    unit: str
    against: str = ""
    baseline: float | None = None
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    def as_json(self):
        return {**asdict(self), "ratio": self.ratio}


def percentile(values, share):
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def show(figures, console: Console):
    table = Table("part", "where", "what", "figure", "ratio", "goal", box=None, pad_edge=False)
    for f in figures:
        ratio = f"x{_short(f.ratio)} of {f.against}" if f.ratio is not None else ""
        goal = f"< {_short(f.goal)} {f.unit}" if f.goal is not None else ""
        table.add_row(f.part, f.where, f.what, f"{_short(f.value)} {f.unit}", ratio, goal)
    console.print(table)


def write(figures, path):
    path.write_text(json.dumps([f.as_json() for f in figures], indent=1) + "\n")


def _short(value):
    """Three digits that count; thousands apart."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"
