"""One pod's claims get devices on one node, exactly as kube-scheduler would choose them
(allocateOne, 1.37): claim after claim, request after request, the first devices in order with which
all that follows can be had.

The search is kube-scheduler's, so its answer is too. It ends with `NotProvenError` when its effort
is spent, where kube-scheduler goes on for 10 s.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from lws_placement.engine.base.effort import Effort
from lws_placement.engine.model.devices.capacity import AllocationError, take_capacity
from lws_placement.engine.model.devices.pools import Pool
from lws_placement.engine.model.devices.usage import Usage, in_all
from lws_placement.engine.objects.devices.claims import (
    MOST_DEVICES,
    Allocation,
    Constraint,
    DeviceClaimSpec,
    GivenDevice,
    Request,
    RequestList,
)
from lws_placement.engine.objects.devices.devices import (
    Device,
    DeviceClass,
    DeviceId,
    PoolId,
    Value,
)
from lws_placement.engine.objects.nodes import Node, NodeTerm, Operator, Requirement

_MOST_DEPTH = 128
"""Devices, requests and claims of one pod. Python's stack ends well beyond."""
_NAME = "metadata.name"


class NotProvenError(Exception):
    """It is not known here what kube-scheduler would do; the text says why."""


class _TooManyError(Exception):
    """More devices than a claim can have."""


class Selecting(Protocol):
    def matches(self, expression: str, device: Device) -> bool:
        """Raises AllocationError or NotProvenError."""


def allocate(
    specs: Sequence[DeviceClaimSpec],
    node: Node,
    pools: Sequence[Pool],
    *,
    classes: Mapping[str, DeviceClass],
    usage: Usage,
    selecting: Selecting,
    effort: Effort,
) -> list[Allocation] | None:
    """What each claim gets; None: not all can have what they want. Each device that is tried takes
    one of the effort. Raises AllocationError and NotProvenError.
    """
    return _Search(specs, node, pools, classes, usage, selecting, effort).run()


_Key = tuple[int, int, int]
"""Claim, request and option, by position."""


@dataclass(slots=True)
class _Wanted:
    """One request, or option of one. `all`: the devices, if it asks for all."""

    request: Request
    within: str
    """The name of the list that it is an option of; else empty."""
    number: int
    all: Sequence[Device] | None = None
    capacity: Mapping[str, Fraction] = field(default_factory=dict)


class _Search:
    def __init__(
        self,
        specs: Sequence[DeviceClaimSpec],
        node: Node,
        pools: Sequence[Pool],
        classes: Mapping[str, DeviceClass],
        usage: Usage,
        selecting: Selecting,
        effort: Effort,
    ) -> None:
        self._specs = specs
        self._node = node
        self._pools = pools
        self._pool_of = {device.id: pool for pool in pools for device in pool.devices}
        self._devices = [d for pool in pools if pool.usable for d in pool.devices]
        self._classes = classes
        self._usage = usage
        self._selecting = selecting
        self._matched: dict[tuple[DeviceId, _Key], bool] = {}
        self._wanted: dict[_Key, _Wanted] = {}
        self._given: list[list[GivenDevice]] = [[] for _ in specs]
        self._seen: list[list[list[Value]]] = [[[] for _ in s.constraints] for s in specs]
        """Values of the attribute of each constraint."""
        self._taken: dict[DeviceId, list[int]] = {}
        """Devices that are not shared, and by which claims."""
        self._shared: dict[DeviceId, list[Mapping[str, Fraction]]] = {}
        self._counters: dict[PoolId, dict[tuple[str, str], Fraction]] = {}
        """What is left of the counters of a pool."""
        self._effort = effort

    def run(self) -> list[Allocation] | None:
        depth = 0
        for c, spec in enumerate(self._specs):
            if spec.unmodelled:
                raise NotProvenError(f"{spec.unmodelled} is not known here")
            least = sum(self._prepare(c, r, request) for r, request in enumerate(spec.requests))
            if least > MOST_DEVICES:
                raise AllocationError(f"a claim asks for more than {MOST_DEVICES} devices")
            depth += 1 + sum(self._most(c, r) + 1 for r in range(len(spec.requests)))
        if depth > _MOST_DEPTH:
            raise NotProvenError("too many devices for one pod")
        try:
            done = self._claim(0)
        except _TooManyError:
            raise AllocationError(f"a claim asks for more than {MOST_DEVICES} devices") from None
        return [self._allocation(given) for given in self._given] if done else None

    def _most(self, c: int, r: int) -> int:
        """How many devices the request takes at most."""
        options = range(len(self._specs[c].requests[r].options))
        return min(max(self._wanted[c, r, o].number for o in options), MOST_DEVICES)

    def _prepare(self, c: int, r: int, request: RequestList) -> int:
        """Returns how many devices the request takes at least."""
        least = []
        for o, option in enumerate(request.options):
            key = (c, r, o)
            wanted = self._wanted[key] = _Wanted(
                option,
                request.name if request.is_list else "",
                option.count or 0,
                capacity=dict(option.capacity),
            )
            if option.count is None:
                wanted.all = list(self._all_that_match(key, wanted))
                wanted.number = len(wanted.all)
            least.append(wanted.number)
        return min(least, default=0)

    def _all_that_match(self, key: _Key, wanted: _Wanted) -> Iterator[Device]:
        for pool in self._pools:
            if not pool.usable:
                raise AllocationError(f"pool {'/'.join(pool.id)} of devices is being updated")
            for device in pool.devices:
                matches = self._matches(key, wanted, device)
                if matches and take_capacity(wanted.capacity, device, {}).fits:
                    yield device

    # -- the search ------------------------------------------------------------------------------

    def _claim(self, c: int) -> bool:
        return c == len(self._specs) or self._request(c, 0)

    def _request(self, c: int, r: int) -> bool:
        requests = self._specs[c].requests
        if r == len(requests):
            try:
                return self._claim(c + 1)
            except _TooManyError:
                return False
        if not requests[r].is_list:
            return self._option((c, r, 0))
        too_many = True
        for o in range(len(requests[r].options)):
            try:
                if self._option((c, r, o)):
                    return True
                too_many = False
            except _TooManyError:
                continue
        if too_many:
            raise _TooManyError
        return False

    def _option(self, key: _Key) -> bool:
        wanted = self._wanted[key]
        return wanted.all != [] and self._device(key, wanted, 0, 0)

    def _device(self, key: _Key, wanted: _Wanted, number: int, start: int) -> bool:
        """Gives it the `number`-th device and all that follows; `start`: where to look first."""
        c, r, _ = key
        if number == wanted.number:
            return self._request(c, r + 1)
        if wanted.number - number > MOST_DEVICES - len(self._given[c]):
            raise _TooManyError
        if wanted.all is not None:
            return self._try(key, wanted, wanted.all[number], number, 0)
        for index in range(start, len(self._devices)):
            device = self._devices[index]
            if (
                not self._is_in_use(c, wanted.request, device)
                and self._matches(key, wanted, device)
                and self._try(key, wanted, device, number, index + 1)
            ):
                return True
        return False

    def _try(self, key: _Key, wanted: _Wanted, device: Device, number: int, start: int) -> bool:
        """Gives it this device and all that follows, or gives the device back."""
        if not self._effort.spend(1):
            raise NotProvenError("too many ways to choose its devices")
        marks = self._take(key, wanted, device)
        if marks is None:
            return False
        done = False
        try:
            done = self._device(key, wanted, number + 1, start)
        finally:
            if not done:
                self._give_back(key[0], device, *marks)
        return done

    def _is_in_use(self, c: int, request: Request, device: Device) -> bool:
        owners = self._taken.get(device.id, ())
        if request.admin:
            return c in owners
        return bool(owners) or self._usage.has(device.id)

    def _matches(self, key: _Key, wanted: _Wanted, device: Device) -> bool:
        known = self._matched.get((device.id, key))
        if known is None:
            known = self._matched[device.id, key] = self._is_selected(wanted.request, device)
        return known

    def _is_selected(self, request: Request, device: Device) -> bool:
        of_class = self._classes[request.device_class]
        if of_class.unmodelled:
            raise NotProvenError(f"{of_class.unmodelled} of its class is not known here")
        for expression in (*of_class.selectors, *request.selectors):
            if not self._selecting.matches(expression, device):
                return False
        if device.nodes is not None and not device.nodes.includes(self._node):
            return False
        if device.unmodelled:
            raise NotProvenError(f"{device.unmodelled} of device {device.id[2]} is not known here")
        return True

    def _take(self, key: _Key, wanted: _Wanted, device: Device) -> tuple[list[int], bool] | None:
        """The constraints that count it, and whether it uses counters. None: it cannot be had."""
        c, request = key[0], wanted.request
        if self._is_in_use(c, request, device):
            return None
        shares = [*self._shared.get(device.id, ())]
        before = self._usage.shares(device.id) if device.shareable else None
        used = in_all([*shares, *((before,) if before is not None else ())])
        taken = take_capacity(wanted.capacity, device, used)
        if not taken.fits or _is_tainted(device, request):
            return None
        is_first = not shares and before is None
        uses = bool(device.uses) and (not device.shareable or is_first)
        if uses and not self._have_counters(device):
            return None
        counted = self._constrain(key, wanted, device)
        if counted is None:
            if wanted.all is not None:
                raise AllocationError("a constraint keeps a claim from having all devices")
            return None
        if uses:
            self._use_counters(device, 1)
        if device.shareable:
            self._shared.setdefault(device.id, []).append(taken.amounts)
        else:
            self._taken.setdefault(device.id, []).append(c)
        self._given[c].append(
            GivenDevice(
                device.id,
                request.admin,
                device.shareable,
                tuple(taken.amounts.items()) if device.shareable else (),
            )
        )
        return counted, uses

    def _give_back(self, c: int, device: Device, counted: list[int], uses: bool) -> None:
        self._given[c].pop()
        if device.shareable:
            self._shared[device.id].pop()
        else:
            self._taken[device.id].pop()
        for index in counted:
            self._seen[c][index].pop()
        if uses:
            self._use_counters(device, -1)

    def _constrain(self, key: _Key, wanted: _Wanted, device: Device) -> list[int] | None:
        c, r, _ = key
        name = self._specs[c].requests[r].name
        option = wanted.request.name if wanted.within else ""
        counted: list[int] = []
        for index, constraint in enumerate(self._specs[c].constraints):
            if not constraint.covers(name, option):
                continue
            value = device.attribute(constraint.attribute)
            if value is None or not _keeps(constraint, value, self._seen[c][index]):
                for before in counted:
                    self._seen[c][before].pop()
                return None
            self._seen[c][index].append(value)
            counted.append(index)
        return counted

    # -- counters --------------------------------------------------------------------------------

    def _have_counters(self, device: Device) -> bool:
        """Every counter of the pool counts, as for kube-scheduler."""
        pool = self._pool_of[device.id]
        left = self._counters.get(pool.id)
        if left is None:
            left = self._counters[pool.id] = self._counters_left(pool)
        mine = {
            (name, counter): amount
            for name, amounts in (device.uses or {}).items()
            for counter, amount in amounts.items()
        }
        return all(amount >= mine.get(counter, 0) for counter, amount in left.items())

    def _counters_left(self, pool: Pool) -> dict[tuple[str, str], Fraction]:
        left = {
            (name, counter): amount
            for name, amounts in (pool.counters or {}).items()
            for counter, amount in amounts.items()
        }
        for device in (*pool.devices, *pool.others):
            usage = self._usage
            if device.uses and (usage.has(device.id) or usage.shares(device.id) is not None):
                for name, amounts in device.uses.items():
                    for counter, amount in amounts.items():
                        left[name, counter] -= amount
        return left

    def _use_counters(self, device: Device, times: int) -> None:
        left = self._counters[self._pool_of[device.id].id]
        for name, amounts in (device.uses or {}).items():
            for counter, amount in amounts.items():
                left[name, counter] -= times * amount

    # -- the result ------------------------------------------------------------------------------

    def _allocation(self, given: Sequence[GivenDevice]) -> Allocation:
        return Allocation(tuple(given), self._required(given))

    def _required(self, given: Sequence[GivenDevice]) -> tuple[NodeTerm, ...] | None:
        """Where the devices can be reached (createNodeSelector)."""
        expressions: dict[Requirement, None] = {}
        fields: dict[Requirement, None] = {}
        for one in given:
            pool = self._pool_of[one.id]
            device = next(d for d in pool.devices if d.id == one.id)
            nodes = device.nodes
            if nodes is None and pool.slice_of is not None:
                nodes = pool.slice_of[one.id[2]].nodes
            if device.stays_local or (nodes is not None and nodes.name):
                here = Requirement(_NAME, Operator.IN, (self._node.name,))
                return (NodeTerm((), (here,)),)
            for term in (nodes.terms or ()) if nodes is not None else ():
                expressions.update(dict.fromkeys(term.expressions))
                fields.update(dict.fromkeys(term.fields))
        if not expressions and not fields:
            return None
        return (NodeTerm(tuple(expressions), tuple(fields)),)


def _is_tainted(device: Device, request: Request) -> bool:
    return any(
        not any(toleration.tolerates(taint) for toleration in request.tolerations)
        for taint in device.taints
    )


def _keeps(constraint: Constraint, value: Value, others: Sequence[Value]) -> bool:
    """Values of unlike kinds are different ones. Lists are compared by an optional feature."""
    if not constraint.distinct:
        return not others or (value[0] in _PLAIN and value == others[0])
    return value[0] in _PLAIN and value not in others


_PLAIN = ("int", "bool", "string", "version")
