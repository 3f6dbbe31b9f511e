"""Until when our certificates are valid, in a Lease: people with the role `view` may read that, and
not the Secrets.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from lws_placement.cluster.api.client import Api
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import ApiError, NotFoundError

ENDS_LEASE = "lws-placement-certificates"

_ANNOTATION = "lws-placement.dev/certificates"
_WORDS = {"ca": "CA", "serving": "servers", "client": "kube-scheduler"}


async def write_ends(api: Api, ends: Mapping[str, datetime], *, namespace: str) -> None:
    """Writes it if it has changed. `ends`: `certs.authority.ends_of`. Raises ApiError."""
    text = json.dumps({name: end.isoformat(timespec="seconds") for name, end in ends.items()})
    meta: Raw = {"name": ENDS_LEASE, "annotations": {_ANNOTATION: text}}
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
    try:
        there = (await api.get(f"{_folder(namespace)}/{ENDS_LEASE}"))["metadata"]
    except NotFoundError:
        await api.create(_folder(namespace), body)
        return
    if (there.get("annotations") or {}).get(_ANNOTATION) != text:
        meta["resourceVersion"] = there["resourceVersion"]
        await api.replace(f"{_folder(namespace)}/{ENDS_LEASE}", body)


async def ends_line(api: Api, *, namespace: str, now: datetime) -> str:
    """In words, for `status`; empty if nobody has written it, or if we may not read it."""
    try:
        lease = await api.get(f"{_folder(namespace)}/{ENDS_LEASE}")
        found = json.loads(lease["metadata"]["annotations"][_ANNOTATION])
        ends = {_WORDS[name]: datetime.fromisoformat(end) for name, end in found.items()}
        parts = [
            f"{who} {'until' if end > now else 'ENDED'} {end:%Y-%m-%d}" for who, end in ends.items()
        ]
    except (ApiError, KeyError, TypeError, ValueError, AttributeError):
        return ""
    return f"certificates: {', '.join(parts)}"


def _folder(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
