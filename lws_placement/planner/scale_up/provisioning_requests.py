"""The ProvisioningRequests of our namespace, with their PodTemplates: one for each group that has
placeholder pods which consume it.

A request exists only while such placeholders do, so nothing is remembered here that a new planner
would not find.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress

from lws_placement.cluster.api.client import Api, object_path
from lws_placement.cluster.codec.provisioning_requests import (
    API_VERSION,
    NAME,
    decode_answer,
    encode_request,
)
from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw, RawList
from lws_placement.engine.model.scale_up import Answer, Provisioning
from lws_placement.errors import AlreadyExistsError, NotFoundError


class ProvisioningRequests:
    """All calls raise ApiError. `class_name`: who makes the nodes, and how."""

    def __init__(self, api: Api, *, namespace: str, class_name: str) -> None:
        self._api = api
        self._namespace = namespace
        self.class_name = class_name
        self._requests = f"/apis/{API_VERSION}/namespaces/{namespace}/provisioningrequests"
        self._templates = f"/api/v1/namespaces/{namespace}/podtemplates"
        self._answers: dict[str, Answer] = {}
        self._may_be_left = True

    def answer(self, request: str) -> Answer:
        """As of the last `look`."""
        return self._answers.get(request, Answer(Provisioning.UNSEEN))

    def lacks(self, request: str) -> bool:
        return request not in self._answers

    async def look(self, wanted: Collection[str]) -> None:
        """Reads the requests, and deletes those that are not wanted. `wanted`: their ids. Two lists
        as long as there are any.
        """
        if not (wanted or self._may_be_left):
            return
        requests = await self._delete_but(self._requests, wanted)
        self._answers = {_id(raw): decode_answer(raw) for raw in requests}
        await self._delete_but(self._templates, wanted)
        self._may_be_left = bool(wanted)

    async def make(self, request: str, placeholders: Sequence[Raw]) -> None:
        """Does nothing if it is there. Its PodTemplates come first: it would fail without them."""
        if not self.lacks(request):
            return
        self._may_be_left = True
        templates, body = encode_request(
            request, placeholders, namespace=self._namespace, class_name=self.class_name
        )
        for path, new in (*((self._templates, t) for t in templates), (self._requests, body)):
            with suppress(AlreadyExistsError):
                await self._api.create(path, new)
        self._answers[request] = Answer(Provisioning.UNSEEN)

    async def _delete_but(self, path: str, wanted: Collection[str]) -> RawList:
        """Those that stay."""
        try:
            found, _ = await self._api.list_all(path, labelSelector=keys.SCALE_UP)
        except NotFoundError:
            return []  # the cluster does not serve it
        for raw in found:
            if _id(raw) not in wanted:
                with suppress(NotFoundError):
                    await self._api.delete(object_path(path, raw["metadata"]["name"]))
        return [raw for raw in found if _id(raw) in wanted]


def name_of(request: str) -> str:
    return NAME + request


def _id(raw: Raw) -> str:
    return str(raw["metadata"]["labels"][keys.SCALE_UP])
