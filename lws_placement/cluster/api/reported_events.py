"""What other controllers say about an object in Events: why no pods are created, why no nodes are
made.
"""

import logging
from collections.abc import Mapping

from lws_placement.cluster.api.client import Api
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import ApiError

log = logging.getLogger(__name__)

_MOST_EVENTS = "50"
_MOST_WORDS = 300
_REFUSED = {"NotTriggerScaleUp": "cluster-autoscaler", "FailedScheduling": "karpenter"}
"""Reason -> who says so. kube-scheduler's FailedScheduling is in the pod's condition as well."""
_MAKING = {"TriggeredScaleUp": "cluster-autoscaler", "Nominated": "karpenter"}
"""The same of nodes that are being made."""


async def why_not_created(api: Api, namespace: str, name: str) -> str:
    """The latest note of reason FailedCreate about the objects of this name; empty if there is
    none, or if it cannot be read: telling never stops placing.
    """
    return (await _latest(api, namespace, name, "FailedCreate"))[1]


async def why_no_node(api: Api, namespace: str, pod: str) -> str:
    """The latest refusal of a cluster autoscaler to make a node for a pod; empty as above."""
    return (await _latest_of(api, namespace, pod, _REFUSED))[1]


async def autoscalers_answer(api: Api, namespace: str, pod: str) -> str:
    """The latest words of a cluster autoscaler about an unschedulable pod; empty as above."""
    return (await _latest_of(api, namespace, pod, _REFUSED | _MAKING))[1]


async def _latest_of(
    api: Api, namespace: str, name: str, reasons: Mapping[str, str]
) -> tuple[str, str]:
    found = [await _latest(api, namespace, name, why, by=who) for why, who in reasons.items()]
    return max(found)


async def _latest(
    api: Api, namespace: str, name: str, reason: str, *, by: str = ""
) -> tuple[str, str]:
    """When it was said, and what."""
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    query = f"reason={reason},regarding.name={name}"
    try:
        page = await api.list(path, fieldSelector=query, limit=_MOST_EVENTS)
    except ApiError as e:
        log.info("events not read", extra={"namespace": namespace, "error": str(e)})
        return "", ""
    found = [e for e in page.get("items") or [] if by in ("", _reporter(e))]
    latest = max(found, key=_time_of, default=None)
    return (_time_of(latest), bounded(str(latest.get("note") or ""))) if latest else ("", "")


def bounded(words: str) -> str:
    """The words of others, for Events and annotations of ours."""
    return words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}..."


def _reporter(event: Raw) -> str:
    source = event.get("deprecatedSource") or {}
    return str(event.get("reportingController") or source.get("component") or "")


def _time_of(event: Raw) -> str:
    """An Event that is repeated keeps its creation time."""
    repeated = event.get("series") or {}
    times = (
        repeated.get("lastObservedTime"),
        event.get("deprecatedLastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    return str(next(filter(None, times), ""))
