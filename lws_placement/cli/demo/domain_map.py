"""The map that the demo draws: domains as tiles, nodes as cells, one letter per group.

Drawn from the nodes and pods on the API server, not from our own cache or plans.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Group as Stack
from rich.console import RenderableType
from rich.panel import Panel
from rich.text import Text

from lws_placement.engine.base.keys import LWS_GROUP_INDEX, LWS_NAME, LWS_SIZE
from lws_placement.engine.base.raw import Raw

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_red", "bright_green", "white")


@dataclass(frozen=True, slots=True)
class Place:
    """One group as it is now."""

    lws: str
    index: str
    bound: int
    size: int
    domains: tuple[str, ...]

    @property
    def whole(self) -> bool:
        return self.bound == self.size and len(self.domains) == 1


@dataclass(frozen=True, slots=True)
class Seen:
    """The nodes, by domain, and the groups of one topology key."""

    key: str
    title: str
    cells: Mapping[str, Sequence[str]]
    """Domain -> for each node the groups' letters on it, `x` for a foreign pod, `` if free."""
    groups: tuple[Place, ...]

    def broken(self) -> list[str]:
        """Promises that do not hold at this instant, in words."""
        found = [
            f"group {g.index} of {g.lws} is split over {', '.join(g.domains)}"
            for g in self.groups
            if len(g.domains) > 1
        ]
        for domain in self.cells:
            there = [f"{g.lws}-{g.index}" for g in self.groups if domain in g.domains]
            if len(there) > 1:
                found.append(f"{domain} has {' and '.join(there)}")
        return found


def look(key: str, title: str, *, nodes: Sequence[Raw], pods: Sequence[Raw]) -> Seen:
    domain_of = {
        n["metadata"]["name"]: n["metadata"]["labels"][key]
        for n in nodes
        if key in n["metadata"]["labels"]
    }
    letters: dict[str, str] = dict.fromkeys(sorted(domain_of), "")
    bound: dict[tuple[str, str], list[str]] = {}
    sizes: dict[tuple[str, str], int] = {}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        node = pod["spec"].get("nodeName")
        if LWS_NAME not in labels:
            if node in domain_of:
                letters[node] += "x"
            continue
        if not _asks_for(pod, key):
            continue
        group = (labels[LWS_NAME], labels.get(LWS_GROUP_INDEX, "0"))
        sizes[group] = int(pod["metadata"]["annotations"][LWS_SIZE])
        bound.setdefault(group, [])
        if node in domain_of:
            bound[group].append(domain_of[node])
            letters[node] += chr(ord("A") + int(group[1]) % 26)
    cells: dict[str, list[str]] = {}
    for node, text in letters.items():
        cells.setdefault(domain_of[node], []).append(text)
    groups = [
        Place(lws, index, len(where), sizes[lws, index], tuple(sorted(set(where))))
        for (lws, index), where in sorted(bound.items(), key=lambda g: (g[0][0], int(g[0][1])))
    ]
    return Seen(key, title, dict(sorted(cells.items())), tuple(groups))


def draw(seen: Sequence[Seen], *, headline: str, waiting: Sequence[str]) -> RenderableType:
    parts: list[RenderableType] = [Text(headline, style="bold")]
    parts += [_panel(one) for one in seen]
    parts += [Text(f"waits: {note}", style="yellow") for note in waiting]
    parts.append(Text("A group has one letter; x: a foreign pod; ·: a free node", style="dim"))
    return Stack(*parts)


def _panel(seen: Seen) -> Panel:
    tiles = []
    for domain, cells in seen.cells.items():
        tile = Text(f"{domain} ", style="dim", no_wrap=True)
        for cell in cells:
            tile.append(cell or "·", style=_style(cell))
            tile.append(" ")
        tiles.append(tile)
    whole = sum(g.whole for g in seen.groups)
    title = (
        f"{seen.title}: {whole} of {len(seen.groups)} groups whole" if seen.groups else seen.title
    )
    return Panel(Columns(tiles, padding=(0, 2)), title=title, title_align="left")


def _style(cell: str) -> str:
    if not cell or cell == "x":
        return "dim"
    return f"bold {_COLOURS[(ord(cell[0]) - ord('A')) % len(_COLOURS)]}"


def _asks_for(pod: Raw, key: str) -> bool:
    return key in (pod["metadata"].get("annotations") or {}).values()
