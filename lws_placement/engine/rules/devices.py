"""What the device claims and extended resources of a group's members mean for its plan, in one
state of the cluster (kube-scheduler's plugin DynamicResources, 1.37).

A member gets a `DeviceNeeds`, a rule about nodes; members that may compete get the rule
`DevicesTogether`. A claim to come is judged by its template.
"""

from collections import Counter
from typing import Protocol

from lws_placement.engine.model.devices.needs import DeviceNeeds, needs_of
from lws_placement.engine.model.devices.source import Devices
from lws_placement.engine.model.groups import Group
from lws_placement.engine.model.joint.devices import DevicesTogether
from lws_placement.engine.model.joint.rules import JointRule
from lws_placement.engine.model.placed_pods import Gone
from lws_placement.engine.model.pods import Demand, Rank
from lws_placement.engine.objects.devices.claims import MOST_RESERVED

_NO_PODS = frozenset[str]()


class Cluster(Protocol):
    @property
    def devices(self) -> Devices: ...


def may_need_devices(demand: Demand, devices: Devices) -> bool:
    """Whether it has a claim, or a class serves one of its resources."""
    return bool(demand.device_claims) or any(
        devices.class_of(name) is not None for name, _ in demand.resources
    )


def device_rules(group: Group, cluster: Cluster) -> tuple[dict[Rank, DeviceNeeds], list[JointRule]]:
    """For members without a node: what each needs, and what they compete for."""
    devices = cluster.devices
    if not any(may_need_devices(m.demand, devices) for m in group.members):
        return {}, []
    devices = devices.without(Gone(_NO_PODS, frozenset({group.id})))
    found: dict[Rank, DeviceNeeds] = {}
    for member in group.members:
        demand = member.demand
        if member.fixed is None and may_need_devices(demand, devices):
            needs = needs_of(
                group.id.namespace,
                group.identity_of(member.rank),
                demand.device_claims,
                demand.resources,
                devices,
            )
            if needs is not None:
                found[member.rank] = needs
    users = Counter(c.key for needs in found.values() for c in needs.claims if c.key is not None)
    for (namespace, name), number in users.items():
        claim = devices.claim(namespace, name)
        if claim is not None and len(claim.reserved) + number > MOST_RESERVED:
            why = f"resource claim {name} would serve more than {MOST_RESERVED} pods"
            return {rank: DeviceNeeds(devices, nowhere=why) for rank in found}, []
    if len(found) < 2 or any(needs.nowhere for needs in found.values()):
        return found, []
    return found, [DevicesTogether(tuple(sorted(found.items(), key=lambda f: f[0])))]
