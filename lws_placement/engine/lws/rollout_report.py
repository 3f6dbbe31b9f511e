"""The progress of a rollout, from a LeaderWorkerSet's own status, in one line for a user."""

from dataclasses import dataclass

from lws_placement.engine.base.raw import Raw
from lws_placement.engine.lws.rollout import strategy_of
from lws_placement.engine.lws.status import AVAILABLE, PROGRESSING, UPDATING


@dataclass(frozen=True, slots=True)
class Report:
    done: bool
    text: str


def report_of(lws: Raw) -> Report:
    """Done when every group from the partition on is updated, and all groups are ready."""
    meta, status = lws["metadata"], lws.get("status") or {}
    name, strategy = meta["name"], strategy_of(lws)
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        return Report(False, f'waiting for the change of "{name}" to be seen')
    updated, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
    there, wanted = status.get("replicas", 0), strategy.replicas
    true = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
    if AVAILABLE in true and there == wanted and not strategy.partition:
        return Report(True, f'"{name}" is rolled out: {_groups(wanted)} updated and ready')
    if AVAILABLE in true and strategy.partition:
        return Report(
            True,
            f'"{name}" is rolled out down to its partition {strategy.partition}: '
            f"{updated} of {_groups(wanted)} updated, all ready",
        )
    surge = f", {there - wanted} of them surge" if there > wanted else ""
    text = (
        f'"{name}": {updated} of {_groups(max(there, wanted))} updated, {ready} ready{surge}'
        f"{''.join(_others(true))}"
    )
    return Report(False, text)


def _others(true: dict[str, Raw]) -> list[str]:
    """The conditions that describe obstacles."""
    usual = (AVAILABLE, PROGRESSING, UPDATING)
    return [f"; {c['reason']}: {c['message']}" for kind, c in true.items() if kind not in usual]


def _groups(number: int) -> str:
    return "1 group" if number == 1 else f"{number} groups"
