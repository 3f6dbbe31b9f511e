"""Which devices claims have, and what shares of devices take of their capacity."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from lws_placement.engine.objects.devices.claims import GivenDevice
from lws_placement.engine.objects.devices.devices import DeviceId


class Usage(Protocol):
    """Devices that claims have."""

    def has(self, device: DeviceId) -> bool:
        """Whether a claim has it for itself."""

    def shares(self, device: DeviceId) -> Mapping[str, Fraction] | None:
        """What shares of it take of its capacity; None: there is no share."""


class UsageWith:
    """Also with devices that are given on top."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._given: set[DeviceId] = set()
        self._shares: dict[DeviceId, dict[str, Fraction]] = {}

    def give(self, devices: Iterable[GivenDevice]) -> None:
        """Access for administrators takes nothing."""
        for given in devices:
            if given.shared and not given.admin:
                shares = self._shares.setdefault(given.id, {})
                for name, amount in given.consumed:
                    shares[name] = shares.get(name, Fraction(0)) + amount
            elif not given.admin:
                self._given.add(given.id)

    def has(self, device: DeviceId) -> bool:
        return device in self._given or self._usage.has(device)

    def shares(self, device: DeviceId) -> Mapping[str, Fraction] | None:
        found = (self._shares.get(device), self._usage.shares(device))
        shares = [share for share in found if share is not None]
        return in_all(shares) if shares else None


def in_all(parts: Sequence[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = found.get(name, Fraction(0)) + amount
    return found
