"""The admission webhook's HTTP shell: decode, decide, encode.

Slow or down: the API server waits 5 s, then refuses the request (failurePolicy Fail). It sends only
group pods and LeaderWorkerSets, so no other object is affected. A pod that only carries
LeaderWorkerSet's labels is in no group and stays as it is. Unsure: a member is gated, which the
planner can always undo, and never pinned. A dry run gets the same edits except a pin, and causes
no write.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from lws_placement import metrics
from lws_placement.engine.admission.group_pods import problem_of_group_pod
from lws_placement.engine.admission.object_size import why_too_large
from lws_placement.engine.admission.pod_gating import (
    Owner,
    Pin,
    gate_or_pin,
    leave_alone,
    scheduler_of,
    stamp,
    strip,
    to_scheduler,
)
from lws_placement.engine.base.field_error import FieldError
from lws_placement.engine.base.json_copy import json_copy
from lws_placement.engine.base.keys import ADMITTED, GROUP, LWS_NAME
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import DEFAULT_MOST_SIZE
from lws_placement.engine.lws.defaults import with_defaults
from lws_placement.engine.lws.pod_identity import Denied, add_lws_identity
from lws_placement.engine.lws.unsupported_fields import (
    misplaced_annotations,
    not_carried_out,
    without_effect,
)
from lws_placement.engine.lws.validation import problems_of, problems_of_placement
from lws_placement.engine.model.pods import DEFAULT_SCHEDULER
from lws_placement.engine.objects.placement_request import (
    TOPOLOGY_ANNOTATIONS,
    placement_request_of,
)
from lws_placement.engine.objects.topology_policy import ANY_TOPOLOGY, TopologyPolicy
from lws_placement.errors import ApiError, InvalidObjectError
from lws_placement.metrics import Admission
from webhook.patch import json_patch
from webhook.wire import AdmissionRequest, allow, deny, parse_review

log = logging.getLogger(__name__)


_MOST_BYTES = 8 * 2**20
"""etcd stores objects of up to 1.5 MB; a review contains two of them, escaped."""


class Rules(Protocol):
    def __call__(
        self, lws: Raw, old: Raw | None, /, *, most_size: int, topology: TopologyPolicy
    ) -> list[FieldError]: ...


class Lookup(Protocol):
    """The view of the cluster that admission needs."""

    def topology_key_known(self, key: str) -> bool | None:
        """True if a node carries this label; None if that is unknown."""

    async def owner_of(self, pod: Raw, namespace: str) -> Owner | None:
        """The LeaderWorkerSet that the pod belongs to; None if there is none. Raises ApiError if
        it cannot be read.
        """

    async def owner_of_group_pod(self, pod: Raw, namespace: str) -> Owner:
        """The topmost controller of a pod of another kind of group. Raises ApiError."""

    async def pin_soon(self, pod: Raw, *, namespace: str) -> Pin | None:
        """The node that a hold reserves for the pod; waits a moment for the hold. None in doubt."""


def build_app(
    lookup: Lookup,
    *,
    keep_affinity: bool,
    placing: bool = True,
    max_group_size: int = DEFAULT_MOST_SIZE,
    member_scheduler: str = "",
    topology: TopologyPolicy = ANY_TOPOLOGY,
) -> web.Application:
    """`keep_affinity`: keeps upstream's exclusive terms on members that the planner handles.
    `placing`: gates or pins members; else pods get upstream's edits only. `max_group_size`: pods.
    `member_scheduler`: replaces the default scheduler for members, if not empty. `topology`: the
    topology keys that groups may name.
    """

    async def mutate_pod(request: AdmissionRequest) -> Raw:
        old = request.the_object()
        if request.operation != "CREATE":
            return allow(request)
        admitted = await _admit(old, request)
        outcome = _outcome(old, admitted) if placing and not request.dry_run else None
        if outcome is not None:
            metrics.ADMISSIONS.labels(outcome).inc()
        if isinstance(admitted, Denied):
            return deny(request, admitted.message)
        return allow(request, patch=json_patch(old, admitted))

    async def _admit(old: Raw, request: AdmissionRequest) -> Raw | Denied:
        namespace = old["metadata"].get("namespace") or request.namespace
        labels = old["metadata"].get("labels") or {}
        if not labels.get(LWS_NAME) and not labels.get(GROUP):
            return old
        if not old["spec"].get("containers"):
            raise InvalidObjectError("request.object.spec.containers is empty")
        pod: Raw = json_copy(old)
        strip(pod)
        denied = add_lws_identity(pod, namespace=namespace, most_size=max_group_size)
        if denied is not None or not placing:
            return denied or pod
        if labels.get(GROUP):
            denied = problem_of_group_pod(pod, most_size=max_group_size, topology=topology)
            if denied is not None:
                return denied
        try:
            owner = await _owner(pod, namespace)
            if owner is None:
                leave_alone(pod)
                return pod
            stamp(pod, owner)
        except ApiError as e:
            if (
                labels.get(GROUP)
                or not placement_request_of(pod["metadata"]["annotations"]).exclusive
            ):
                return Denied(f"what the pod's owner asks could not be read ({e}); try again")
            log.warning("owner of a pod not read", extra={"error": str(e)})  # gating is safe
        if placement_request_of(pod["metadata"]["annotations"]).places:
            denied = why_too_large(pod)
            if denied is not None:
                return denied
        # Whether another scheduler runs and calls our extender shows only once the pod is planned.
        pinned = scheduler_of(pod["spec"]) in (DEFAULT_SCHEDULER, member_scheduler)
        pin = None
        if pinned and not request.dry_run:
            pin = await lookup.pin_soon(pod, namespace=namespace)
        gate_or_pin(pod, pin=pin, keep_affinity=keep_affinity)
        to_scheduler(pod, member_scheduler)
        return pod

    async def _owner(pod: Raw, namespace: str) -> Owner | None:
        if pod["metadata"]["labels"].get(LWS_NAME):
            return await lookup.owner_of(pod, namespace)
        return await lookup.owner_of_group_pod(pod, namespace)

    async def mutate_lws(request: AdmissionRequest) -> Raw:
        old = request.the_object()
        return allow(request, patch=json_patch(old, with_defaults(old)))

    def validate(
        rules: Rules, unused: Callable[[Raw], list[str]]
    ) -> Callable[[AdmissionRequest], Awaitable[Raw]]:
        async def decide(request: AdmissionRequest) -> Raw:
            lws = request.the_object()
            before = request.old_object if request.operation == "UPDATE" else None
            problems = rules(lws, before, most_size=max_group_size, topology=topology)
            if problems:
                return deny(request, _joined(problems))
            warnings = [*unused(lws), *misplaced_annotations(lws), *_warnings(lws)]
            return allow(request, warnings=warnings)

        return decide

    def _warnings(lws: Raw) -> list[str]:
        annotations = lws["metadata"].get("annotations") or {}
        return [
            f"no node carries the label {annotations[key]} ({key}), so groups will wait; "
            "kubectl get nodes --show-labels shows what there is"
            for key in TOPOLOGY_ANNOTATIONS
            if annotations.get(key) and lookup.topology_key_known(annotations[key]) is False
        ]

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_post("/mutate-pods", _handler(mutate_pod))
    app.router.add_post("/mutate-lws", _handler(mutate_lws))
    app.router.add_post("/validate-lws", _handler(validate(_all_rules, _unused)))
    app.router.add_post(
        "/validate-placement", _handler(validate(problems_of_placement, lambda _: []))
    )
    return app


def _all_rules(
    lws: Raw, old: Raw | None, *, most_size: int, topology: TopologyPolicy
) -> list[FieldError]:
    """The rules where the built-in controller manages the sets."""
    problems = problems_of(lws, old, most_size=most_size, topology=topology)
    return [*problems, *not_carried_out(lws, old)]


def _unused(lws: Raw) -> list[str]:
    return [f"{path} is not carried out by this controller" for path in without_effect(lws)]


def _handler(
    decide: Callable[[AdmissionRequest], Awaitable[Raw]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers 400 to a body that breaks the contract, 413 to one that is too large, and 500 (with a
    logged traceback) on a fault of ours.
    """

    async def handle(request: web.Request) -> web.Response:
        try:
            review = parse_review(await request.read())
            answer = await decide(review)
        except InvalidObjectError as e:
            return web.Response(status=400, text=str(e))
        except (KeyError, TypeError, AttributeError, ValueError) as e:
            # A field of the object has another type than the API allows.
            log.info("malformed object", extra={"path": request.path, "error": repr(e)})
            return web.Response(status=400, text=f"request.object is malformed: {e!r}")
        return web.Response(text=json.dumps(answer), content_type="application/json")

    return handle


def _outcome(old: Raw, admitted: Raw | Denied) -> Admission | None:
    """The outcome of a pod's review; None if it changes nothing, as on reinvocation."""
    if isinstance(admitted, Denied):
        return Admission.DENIED
    if admitted == old:
        return None
    annotations = admitted["metadata"].get("annotations") or {}
    if ADMITTED not in annotations:
        return Admission.GUEST
    before = old["metadata"].get("annotations") or {}
    return None if ADMITTED in before else Admission(annotations[ADMITTED])


def _joined(problems: list[FieldError]) -> str:
    """The format of apimachinery's aggregate errors."""
    if len(problems) == 1:
        return str(problems[0])
    return f"[{', '.join(str(p) for p in problems)}]"
