"""Which devices the allocated ResourceClaims have."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction

from lws_placement.engine.base.nested import DictOfDicts
from lws_placement.engine.objects.devices.claims import DeviceClaim, GivenDevice
from lws_placement.engine.objects.devices.devices import DeviceId

_NOBODY: frozenset[str] = frozenset()


class UsageIndex:
    """Implements `Usage`."""

    def __init__(self) -> None:
        self._given = DictOfDicts[DeviceId, str, tuple[GivenDevice, ...]]()
        """Device -> UID of a claim -> its shares of it, or the device itself."""

    def add(self, claim: DeviceClaim) -> None:
        """Access for administrators takes nothing."""
        for given in claim.allocation.devices if claim.allocation is not None else ():
            if not given.admin:
                mine = self._given[given.id].get(claim.uid, ())
                self._given.put(given.id, claim.uid, (*mine, given))

    def remove(self, claim: DeviceClaim) -> None:
        for given in claim.allocation.devices if claim.allocation is not None else ():
            self._given.drop(given.id, claim.uid)

    def has(self, device: DeviceId, *, without: Set[str] = _NOBODY) -> bool:
        """`without`: UIDs of claims that do not count."""
        return device in self._given and any(
            not given.shared for given in self._of(device, without)
        )

    def shares(
        self, device: DeviceId, *, without: Set[str] = _NOBODY
    ) -> Mapping[str, Fraction] | None:
        shares = [given for given in self._of(device, without) if given.shared]
        if not shares:
            return None
        found: dict[str, Fraction] = {}
        for share in shares:
            for name, amount in share.consumed:
                found[name] = found.get(name, Fraction(0)) + amount
        return found

    def _of(self, device: DeviceId, without: Set[str]) -> Sequence[GivenDevice]:
        owners = self._given.get(device)
        if owners is None:
            return ()
        return [given for uid, some in owners.items() if uid not in without for given in some]


@dataclass(frozen=True, slots=True)
class UsageWithout:
    """Implements `Usage`: by all claims but these."""

    usage: UsageIndex
    freed: frozenset[str]

    def has(self, device: DeviceId) -> bool:
        return self.usage.has(device, without=self.freed)

    def shares(self, device: DeviceId) -> Mapping[str, Fraction] | None:
        return self.usage.shares(device, without=self.freed)
