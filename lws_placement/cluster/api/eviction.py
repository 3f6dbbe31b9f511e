"""Evictions (`policy/v1`): of exactly this pod, within its PodDisruptionBudgets, first as a dry
run.

A dry run covers one pod; `engine/preemption/disruption_budgets.py` computes beforehand whether
several may go together. A refusal is an answer, not a failure: the caller reports it to users and
retries later.
"""

from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import ApiError, NotFoundError

_REFUSALS = (429, 500)  # 429: a budget is used up; 500: more than one covers the pod
_OF_A_BUDGET = "disruption"  # tells a budget's 429 from an overloaded server's


class Evictions:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def evict(self, pod: Pod, *, dry_run: bool = False) -> str:
        """The refusal's text; empty if the pod is being evicted, or is gone. Raises ConflictError
        if the name now belongs to another pod.
        """
        params = {"dryRun": "All"} if dry_run else {}
        body: Raw = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }
        path = f"{pod_path(pod.namespace, pod.name)}/eviction"
        try:
            await self._api.create(path, body, params=params)
        except NotFoundError:
            return ""
        except ApiError as e:
            if e.status in _REFUSALS and _OF_A_BUDGET in str(e).lower():
                return str(e)
            raise
        return ""
