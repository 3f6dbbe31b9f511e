"""An overview as text and as JSON."""

from collections.abc import Iterator

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.fit.fragmentation import DomainState
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.inspect.overview import DomainLine, Holder, KeyOverview, Overview

_HEAD = ("DOMAIN", "STATE", "NODES", "FREE", "HELD BY")


def overview_text(found: Overview, *, most: int) -> list[str]:
    """At most `most` domains of each key."""
    lines: list[str] = []
    for one in found.keys:
        lines += [*_key(one, most=most), ""]
    if not found.keys:
        lines += ["no group asks for a topology", ""]
    if found.anywhere:
        lines += ["in no domain of their own:", *(f"  {_holder(h)}" for h in found.anywhere), ""]
    lines.append(f"waiting: {found.queue or 'nobody'}")
    lines += [f"  {answer.place:>3}  {answer.name}: {answer.note}" for answer in found.waiting]
    if found.queue > len(found.waiting):
        lines.append(f"       and {found.queue - len(found.waiting)} more")
    return lines


def overview_json(found: Overview) -> Raw:
    return {
        "topologyKeys": [
            {"key": one.key, "domains": [_domain_json(domain) for domain in one.domains]}
            for one in found.keys
        ],
        "anywhere": [_holder_json(holder) for holder in found.anywhere],
        "waiting": [
            {"group": a.name, "place": a.place, "priority": a.priority, "message": a.note}
            for a in found.waiting
        ],
        "waitingGroups": found.queue,
    }


def _key(one: KeyOverview, *, most: int) -> Iterator[str]:
    counts = ", ".join(f"{one.count(state)} {state.value}" for state in DomainState)
    yield f"{one.key}: {len(one.domains)} domains: {counts}"
    rows = [_HEAD, *(_row(domain) for domain in one.domains[:most])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()
    if len(one.domains) > most:
        yield f"  and {len(one.domains) - most} more (--most)"


def _row(domain: DomainLine) -> tuple[str, ...]:
    room = ", ".join(f"{free}/{of} {name}" for name, (free, of) in sorted(domain.room.items()))
    nodes = f"{domain.usable}/{domain.nodes}" if domain.usable < domain.nodes else f"{domain.nodes}"
    return domain.name, domain.state.value, nodes, room, ", ".join(map(_holder, domain.holders))


def _holder(holder: Holder) -> str:
    state = "" if holder.state is HoldState.ACTIVE else f", {holder.state.value}"
    return f"{holder.name} ({holder.bound} of {holder.size} pods bound{state})"


def _domain_json(domain: DomainLine) -> Raw:
    return {
        "name": domain.name,
        "state": domain.state.value,
        "nodes": domain.nodes,
        "usableNodes": domain.usable,
        "room": {name: {"free": free, "of": of} for name, (free, of) in domain.room.items()},
        "holders": [_holder_json(holder) for holder in domain.holders],
    }


def _holder_json(holder: Holder) -> Raw:
    return {
        "group": holder.name,
        "hold": holder.state.value,
        "bound": holder.bound,
        "size": holder.size,
    }
