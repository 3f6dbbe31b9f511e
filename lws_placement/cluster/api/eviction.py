"""Evictions (`policy/v1`): of this very pod, with its PodDisruptionBudgets kept, at first as a
dry run.

A dry run asks about one pod alone; that all of several may go is reckoned before
(`engine/preemption/disruption_budgets.py`). A refusal is an answer, not a failure: the caller says
it to users and asks again later.
"""

from lws_placement.cluster.api.client import Api, pod_path
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.pods import Pod
from lws_placement.errors import ApiError, NotFoundError

_REFUSALS = (429, 500)  # a budget is used up; the pod has more than one
_OF_A_BUDGET = "disruption"  # in the message, which tells it from an overloaded server's 429


class Evictions:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def why_refused(self, pod: Pod) -> str:
        """A dry run; empty if the pod would be evicted, or is gone."""
        return await self._post(pod, params={"dryRun": "All"})

    async def evict(self, pod: Pod) -> str:
        """Why not; empty if it is going now, or is gone. Raises ConflictError where the name stands
        for another pod.
        """
        return await self._post(pod, params={})

    async def _post(self, pod: Pod, *, params: dict[str, str]) -> str:
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
