"""Writes our CA bundle into our webhook configurations where it differs; changes nothing else."""

import base64
from collections.abc import Sequence

from lws_placement.cluster.api.client import JSON_PATCH, Api
from lws_placement.engine.base.raw import Raw
from lws_placement.errors import NotFoundError

FOLDER = "/apis/admissionregistration.k8s.io/v1"
CONFIGURATIONS = (
    "mutatingwebhookconfigurations/lws-placement-mutating",
    "mutatingwebhookconfigurations/lws-placement-lws",
    "validatingwebhookconfigurations/lws-placement-lws",
    "validatingwebhookconfigurations/lws-placement-validating",
)


async def inject(api: Api, paths: Sequence[str], *, ca: bytes) -> int:
    """Returns the number of changed configurations. Skips configurations that do not exist.

    `paths`: `mutatingwebhookconfigurations/<name>` or `validatingwebhookconfigurations/<name>`.
    Raises ConflictError if a configuration changed meanwhile; call again.
    """
    changed = 0
    for path in paths:
        operations = await _operations(api, path, ca)
        if operations:
            await api.patch(f"{FOLDER}/{path}", operations, content_type=JSON_PATCH)
            changed += 1
    return changed


async def not_injected(api: Api, paths: Sequence[str], *, ca: bytes) -> list[str]:
    """Existing configurations without that bundle; requests that they match are refused."""
    return [path for path in paths if await _operations(api, path, ca)]


async def _operations(api: Api, path: str, ca: bytes) -> list[Raw]:
    """The JSON patch; empty if the configuration is up to date or does not exist."""
    try:
        raw = await api.get(f"{FOLDER}/{path}")
    except NotFoundError:
        return []
    wanted = base64.b64encode(ca).decode()
    operations: list[Raw] = []
    for i, webhook in enumerate(raw.get("webhooks") or ()):
        if webhook["clientConfig"].get("caBundle") != wanted:
            at = f"/webhooks/{i}"
            # An index is valid only while it has the name that we read.
            operations.append({"op": "test", "path": f"{at}/name", "value": webhook["name"]})
            operations.append({"op": "add", "path": f"{at}/clientConfig/caBundle", "value": wanted})
    return operations
