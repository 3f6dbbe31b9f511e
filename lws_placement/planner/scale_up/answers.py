"""What cluster autoscalers say about the requests for nodes: in Events on placeholder pods, or in
the conditions of a ProvisioningRequest.

The latest answer is written on a group's first placeholder, where `explain` and `status` find it.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress

from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.cluster.api.reported_events import autoscalers_answer, bounded, why_no_node
from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.scale_up import Answer, Placeholder, Provisioning
from lws_placement.errors import NotFoundError
from lws_placement.planner.scale_up.provisioning_requests import ProvisioningRequests

_READ_EVERY_S = 30.0
_ACCEPTED_WITHIN_S = 180.0
"""A Cluster Autoscaler that looks at ProvisioningRequests accepts one in its next loop."""
_ASKED = 3
"""Pods whose Events are read: of equal pods an autoscaler says the same."""


class Answers:
    """`gives_up_after_s`: how long a request may take. `clock`: seconds since the epoch."""

    def __init__(
        self,
        api: Api,
        cache: ClusterCache,
        provisioning: ProvisioningRequests,
        *,
        gives_up_after_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._cache = cache
        self._provisioning = provisioning
        self._gives_up_after_s = gives_up_after_s
        self._clock = clock
        self._read_at: dict[GroupId, float] = {}
        """When the Events of a group's placeholders were read last."""

    async def why_over(self, id_: GroupId) -> str:
        """Why the group's request is given up now, in words; empty if it is not."""
        pods = self._cache.placeholders_of(id_)
        lacking = [pod for pod in pods if pod.node is None]
        came = f"{len(pods) - len(lacking)} of {len(pods)} nodes came"
        answer = self._conditions(id_)
        if answer.stage is Provisioning.FAILED:
            return f"{came}: the ProvisioningRequest failed: {bounded(answer.words)}"
        if answer.stage is Provisioning.OVER and lacking:
            return f"{came}: the ProvisioningRequest is over: {bounded(answer.words)}"
        if self.age_s(id_) <= self._gives_up_after_s:
            return ""
        words = self._consumes(id_) and (bounded(answer.words) or self._nobody(answer))
        words = words or await self._why_none(lacking)
        came = f"{came} in {self._gives_up_after_s:g} s"
        return f"{came}: {words}" if words else came

    async def note(self, id_: GroupId) -> None:
        """Writes the latest answer down if it is news."""
        pods = sorted(self._cache.placeholders_of(id_), key=lambda pod: pod.name)
        if not pods:
            return
        if self._consumes(id_):
            words = bounded(self._conditions(id_).words)
        else:
            now_s = self._clock()
            if now_s - self._read_at.get(id_, 0.0) < _READ_EVERY_S:
                return
            self._read_at[id_] = now_s
            lacking = next((pod for pod in pods if pod.node is None), pods[0])
            words = await autoscalers_answer(self._api, lacking.namespace, lacking.name)
        known = self._cache.placeholders.get(pods[0].uid)
        if words and known is not None and known.answer != words:
            body = {"metadata": {"annotations": {keys.SCALE_UP_ANSWER: words}}}
            with suppress(NotFoundError):
                path = pod_path(pods[0].namespace, pods[0].name)
                self._cache.put_written_pod(await self._api.patch(path, body))

    def nobody_accepts(self, groups: Iterable[GroupId]) -> str:
        """Why no ProvisioningRequest will be answered, in words; empty if one was, or may be."""
        consuming = [id_ for id_ in groups if self._consumes(id_)]
        answers = [self._conditions(id_) for id_ in consuming]
        late = any(self.age_s(id_) > _ACCEPTED_WITHIN_S for id_ in consuming)
        if late and all(answer.stage is Provisioning.UNSEEN for answer in answers):
            return self._nobody(answers[0])
        return ""

    def age_s(self, id_: GroupId) -> float:
        """Of its oldest placeholder; 0 if there is none any more: others may delete them, too."""
        now_s = self._clock()
        created_s = (pod.created_s for pod in self._cache.placeholders_of(id_))
        return now_s - min(created_s, default=now_s)

    def forget(self, id_: GroupId) -> None:
        self._read_at.pop(id_, None)

    def _consumes(self, id_: GroupId) -> str:
        return max((p.consumes for p in self._placeholders(id_)), default="")

    def _conditions(self, id_: GroupId) -> Answer:
        requests = {p.request for p in self._placeholders(id_) if p.consumes}
        found = [self._provisioning.answer(request) for request in sorted(requests)]
        return found[0] if found else Answer(Provisioning.UNSEEN)

    def _placeholders(self, id_: GroupId) -> Collection[Placeholder]:
        return self._cache.placeholders.of_group(id_).values()

    def _nobody(self, answer: Answer) -> str:
        if answer.stage is not Provisioning.UNSEEN:
            return ""
        return (
            "no cluster autoscaler has accepted the ProvisioningRequest: does one run with "
            "--enable-provisioning-requests, and does it know class "
            f"{self._provisioning.class_name}?"
        )

    async def _why_none(self, pods: Sequence[Pod]) -> str:
        """Why no node came for these: an autoscaler's words, else kube-scheduler's."""
        for pod in pods[:_ASKED]:
            if said := await why_no_node(self._api, pod.namespace, pod.name):
                return said
        return next((pod.unschedulable for pod in pods if pod.unschedulable), "")
