"""Why a controller creates no pods, in its own words: its latest event `FailedCreate`."""

import logging

from lws_placement.cluster.api.client import Api
from lws_placement.errors import ApiError

log = logging.getLogger(__name__)

_MOST_EVENTS = "50"
_MOST_WORDS = 400


async def why_not_created(api: Api, namespace: str, name: str) -> str:
    """The note of the latest such event about the objects of this name; empty if there is none, or
    if it cannot be read: telling never stops placing.
    """
    query = f"reason=FailedCreate,regarding.name={name}"
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    try:
        page = await api.list(path, fieldSelector=query, limit=_MOST_EVENTS)
    except ApiError as e:
        log.info("events not read", extra={"namespace": namespace, "error": str(e)})
        return ""
    latest = max(
        page.get("items") or [],
        key=lambda event: str(event["metadata"].get("creationTimestamp")),
        default=None,
    )
    note = str((latest or {}).get("note") or "")
    return note if len(note) <= _MOST_WORDS else f"{note[:_MOST_WORDS]}..."
