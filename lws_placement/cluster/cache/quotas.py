"""Kueue's Workloads of groups, by group, with what decides about them."""

from collections.abc import Iterable

from lws_placement.cluster.codec.kueue import (
    CheckState,
    Workload,
    decode_flavor,
    decode_workload,
    is_active,
    is_ours,
)
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.reconcile.quota import Flavor, Quota, QuotaState


class QuotaIndex:
    """The methods that change it return the groups whose quota may be another one now."""

    def __init__(self) -> None:
        self._of: dict[GroupId, Workload] = {}
        self._groups: dict[str, GroupId] = {}
        """By the Workload's UID."""
        self._flavors: dict[str, Flavor] = {}
        self._checks: dict[str, bool] = {}
        """Our AdmissionChecks: name -> whether it says that we answer it."""

    def put_workload(self, raw: Raw) -> list[GroupId]:
        found = decode_workload(raw)
        if found is None:
            return []
        before = self.of(found.group)
        self._of[found.group] = found
        self._groups[found.uid] = found.group
        return [found.group] if self.of(found.group) != before else []

    def drop_workload(self, raw: Raw) -> list[GroupId]:
        group = self._groups.pop(raw["metadata"]["uid"], None)
        known = self._of.get(group) if group is not None else None
        if group is None or known is None or known.uid != raw["metadata"]["uid"]:
            return []
        del self._of[group]
        return [group]

    def put_flavor(self, raw: Raw) -> list[GroupId]:
        name, found = raw["metadata"]["name"], decode_flavor(raw)
        if self._flavors.get(name) == found:
            return []
        self._flavors[name] = found
        return self._of_flavor(name)

    def drop_flavor(self, raw: Raw) -> list[GroupId]:
        self._flavors.pop(raw["metadata"]["name"], None)
        return self._of_flavor(raw["metadata"]["name"])

    def put_check(self, raw: Raw) -> list[GroupId]:
        name = raw["metadata"]["name"]
        known = name in self._checks
        if is_ours(raw):
            self._checks[name] = is_active(raw)
        return [] if known else [workload.group for workload in self.asked()]

    def drop_check(self, raw: Raw) -> list[GroupId]:
        before = [workload.group for workload in self.asked()]
        self._checks.pop(raw["metadata"]["name"], None)
        return before

    def of(self, group: GroupId) -> Quota | None:
        """None if Kueue has no Workload for the group."""
        workload = self._of.get(group)
        if workload is None:
            return None
        if not workload.reserved:
            return Quota(QuotaState.LACKING)
        plans = self._is_asked(workload) and not workload.has_topology
        state = QuotaState.CHECKING if plans else QuotaState.GRANTED
        leader, worker = workload.leader_flavors, workload.worker_flavors
        return Quota(state, self._together(leader), self._together(worker))

    def ours(self, workload: Workload) -> list[CheckState]:
        """The entries that we answer."""
        return [check for check in workload.checks if check.name in self._checks]

    def asked(self) -> list[Workload]:
        """Those whose admission we are asked about."""
        if not self._checks:
            return []
        return [workload for workload in self._of.values() if self._is_asked(workload)]

    def not_active(self) -> list[str]:
        """Names of our checks that do not say yet that we answer them."""
        return sorted(name for name, active in self._checks.items() if not active)

    def _is_asked(self, workload: Workload) -> bool:
        return workload.reserved and not workload.admitted and bool(self.ours(workload))

    def _of_flavor(self, name: str) -> list[GroupId]:
        return [
            group
            for group, workload in self._of.items()
            if name in workload.leader_flavors or name in workload.worker_flavors
        ]

    def _together(self, names: Iterable[str]) -> Flavor:
        found = [self._flavors.get(name, Flavor()) for name in names]
        selector = {key: value for flavor in found for key, value in flavor.selector}
        tolerations = {t for flavor in found for t in flavor.tolerations}
        return Flavor(tuple(sorted(selector.items())), tuple(sorted(tolerations)))
