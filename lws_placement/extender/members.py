"""The entry for members of groups: the last check before a Binding, and no preemption.

`bind` trusts no stale state: it reads live the hold, and what is bound to the node. Room that is
gone is refused, whoever took it: another scheduler may have done so a moment ago, and a kubelet
would reject the pod. A pod that was released, or that is in no group, is foreign: it is bound only
outside of other groups' holds, and to room that is promised to nobody. Every other pod must carry
the marker, be a member that the hold names, have the hold's revision and size, request no more than
the hold reserves for its rank, and go to the node that the hold gives that rank. `bind` refuses all
else with an `Error`. kube-scheduler then retries after its error back-off; meanwhile the planner
replaces a pod whose pin is no longer valid.

Binds of one group are checked one by one and do not wait for each other. The hold reserves room for
all members before the first one is ungated, so delaying binds would not make a group any more
whole. It would keep their room assumed in a scheduler that may die with them, and would stall all
of them for the extender's timeout whenever a member is deleted or a replica of ours ends midway.
Independent binds have no such states: what a killed replica did not bind, another replica binds on
the next attempt.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from lws_placement import metrics
from lws_placement.engine.base.quantities import Resources, first_lack, minus, total
from lws_placement.engine.model.exclusivity import Claim, opponents
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.hold_states import HoldState
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.reservation import Hold, place_of, promised_on
from lws_placement.engine.objects.nodes import DomainName, Node
from lws_placement.engine.objects.placement_request import Scope
from lws_placement.engine.reconcile.placement import own_place
from lws_placement.errors import ApiError, ConflictError, InvalidObjectError, NotFoundError
from lws_placement.extender.wire import BindArgs, BindResult, PreemptArgs, PreemptResult
from lws_placement.metrics import Bind

log = logging.getLogger(__name__)

_DEADLINE_S = 25.0  # below the extender's httpTimeout of 30 s, so that our answer arrives
_SEEN_S = 2.0  # how far our watch may lag behind the scheduler's
_RETRY_S = 0.25
_NOBODY: Mapping[GroupId, Resources] = {}


class World(Protocol):
    """The view of the cluster that `bind` needs."""

    def ready(self) -> bool: ...
    def pod(self, uid: str) -> Pod | None: ...
    async def pod_comes(self, uid: str) -> None: ...
    async def fetch_pod(self, namespace: str, name: str) -> Pod | None: ...
    def group_of(self, pod: Pod) -> GroupId | None: ...
    def node(self, name: str) -> Node | None: ...
    def holds_on(self, node: str) -> Sequence[Hold]: ...
    def topology_keys(self) -> Sequence[str]: ...
    async def fetch_holds(self, domain: DomainName) -> Sequence[Hold]: ...
    async def fetch_pods_on(self, node: str) -> Sequence[Pod]: ...
    async def bind(self, namespace: str, name: str, *, uid: str, node: str) -> None: ...


class Members:
    def __init__(self, world: World) -> None:
        self._world = world

    async def bind(self, args: BindArgs) -> BindResult:
        """Binds the pod, or says why not. No error if it is bound to that node already."""
        try:
            with metrics.BIND_SECONDS.time():
                async with asyncio.timeout(_DEADLINE_S):
                    error = await self._bind(args)
            outcome = Bind.REFUSED if error else Bind.BOUND
        except TimeoutError:
            error, outcome = f"not done within {_DEADLINE_S:.0f} s", Bind.FAILED
        except (ApiError, InvalidObjectError) as e:
            error, outcome = str(e), Bind.FAILED
        metrics.BINDS.labels(outcome).inc()
        if error:
            where = f"{args.pod_namespace}/{args.pod_name}"
            log.info("bind refused", extra={"pod": where, "node": args.node, "why": error})
        return BindResult(error=error)

    def preempt(self, _: PreemptArgs) -> PreemptResult:
        """No node: a member never preempts alone, as one node does not make room for its group."""
        return PreemptResult(victims={})

    async def _bind(self, args: BindArgs) -> str:
        if not self._world.ready():
            return "the extender's caches have not synced yet"
        pod = await self._seen(args.pod_uid)
        if pod is None:
            return f"pod {args.pod_namespace}/{args.pod_name} (UID {args.pod_uid}) is not known"
        if pod.node is not None:
            return _bound_already(pod, args.node)
        why = await self._why_not(pod, args.node)
        return why or await self._create_binding(args)

    async def _seen(self, uid: str) -> Pod | None:
        """The pod; waits up to `_SEEN_S` for our watch to catch up with kube-scheduler's."""
        if self._world.pod(uid) is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SEEN_S):
                    await self._world.pod_comes(uid)
        return self._world.pod(uid)

    async def _why_not(self, pod: Pod, name: str) -> str:
        group, node = self._world.group_of(pod), self._world.node(name)
        if not pod.marked:
            return f"pod {pod.key} is no member of a group that is placed"
        if node is None:
            return f"node {name} is not known"
        if pod.released or pod.member is None or group is None:
            return await self._why_not_alone(pod, group, node)
        domain = own_place(pod.member.request, pod.member.rank, node.labels)
        if domain is None:
            keys = " or ".join(pod.member.request.keys)
            return f"node {name} has no label {keys}"
        if domain.anywhere:
            domain = place_of(group)
        holds, there = await asyncio.gather(
            self._world.fetch_holds(domain), self._world.fetch_pods_on(name)
        )
        why = why_not_bound(pod, group, holds=holds, domain=domain, node=name)
        return why or why_no_room(pod, node, there)

    async def _why_not_alone(self, pod: Pod, group: GroupId | None, node: Node) -> str:
        """For a released pod, or one of no group: it may bind like a foreign pod, but not to a node
        that is held against it, nor to room that is promised to members to come.
        """
        if group is not None and pod.member is not None:
            claim = Claim(group, pod.member.request.claims)
        else:
            own = GroupId.of_pod(pod.namespace, pod.name, pod.uid)
            claim = Claim(own, Scope.NOBODY)
        keys = [key for key in self._world.topology_keys() if key in node.labels]
        live = await asyncio.gather(
            *(self._world.fetch_holds(DomainName(key, node.labels[key])) for key in keys)
        )
        there = await self._world.fetch_pods_on(node.name)
        anywhere = [h for h in self._world.holds_on(node.name) if h.domain.key not in keys]
        holds = [*anywhere, *(hold for some in live for hold in some)]
        others = opponents(claim, (h.claim for h in holds))
        if others:
            return f"node {node.name} is held for {min(others)}"
        members = {(self._world.group_of(p), p.member.rank) for p in there if p.member is not None}
        promised = promised_on(node.name, (h for h in holds if h.group != group), members)
        return why_no_room(pod, node, there, promised=promised)

    async def _create_binding(self, args: BindArgs) -> str:
        """Retries transient errors; the caller sets the deadline."""
        while True:
            try:
                await self._world.bind(
                    args.pod_namespace, args.pod_name, uid=args.pod_uid, node=args.node
                )
                return ""
            except NotFoundError:
                return f"pod {args.pod_namespace}/{args.pod_name} is gone"
            except ConflictError as e:
                pod = await self._world.fetch_pod(args.pod_namespace, args.pod_name)
                if pod is None or pod.uid != args.pod_uid:
                    return f"pod {args.pod_namespace}/{args.pod_name} has been replaced"
                return _bound_already(pod, args.node) if pod.node else str(e)
            except ApiError as e:
                if e.status not in (0, 429) and e.status < 500:
                    return str(e)
                log.debug("binding not answered, trying again", extra={"error": str(e)})
                await asyncio.sleep(_RETRY_S)


def why_not_bound(
    pod: Pod, group: GroupId, *, holds: Sequence[Hold], domain: DomainName, node: str
) -> str:
    """Why the hold does not cover this bind; empty if it does."""
    member = pod.member
    if member is None:
        return f"pod {pod.key} is no member of a group"
    if not holds:
        return f"nobody holds {domain}; the planner will plan the group again"
    hold = next((h for h in holds if h.group == group), None)
    if hold is None:
        return f"{domain} is held for another group, {holds[0].owner}"
    if any(other.succeeds(hold) for other in holds):
        return f"{domain} is taken over by another group"
    if hold.state is HoldState.COMING:
        return f"{domain} is not free yet"
    if hold.state is not HoldState.ACTIVE:
        return f"the group is leaving {domain}"
    if (hold.revision, hold.size) != (member.revision, member.size):
        return f"{domain} is held for another revision or size of the group"
    if hold.nodes.get(member.rank) != node:
        return (
            f"{domain} is held, but member {member.rank} belongs on {hold.nodes.get(member.rank)}"
        )
    if not hold.covers(member.rank, pod.demand):
        return f"pod {pod.key} asks for more than was reserved for member {member.rank}"
    return ""


def why_no_room(
    pod: Pod, node: Node, there: Sequence[Pod], *, promised: Mapping[GroupId, Resources] = _NOBODY
) -> str:
    """Why the node has no room left for the pod beside the pods `there` and what is `promised`;
    empty if it has. A resource that the node itself does not offer is no matter of its room:
    kube-scheduler has found devices for it (DeviceClass `extendedResourceName`).
    """
    asked = {name: n for name, n in pod.demand.resources if node.allocatable.get(name)}
    others = [dict(p.demand.resources) for p in there if not p.finished and p.uid != pod.uid]
    free = minus(node.allocatable, total((*others, *promised.values())))
    lacking = first_lack(asked, free)
    if lacking is None:
        return ""
    whose = "promised to groups" if promised else "taken by other pods"
    return f"{lacking} of node {node.name} is {whose} meanwhile"


def _bound_already(pod: Pod, node: str) -> str:
    return "" if pod.node == node else f"pod {pod.key} is bound to {pod.node} already"
