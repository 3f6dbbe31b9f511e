"""Requests are counted by what they are about, never by whom."""

import pytest
from kubernetes.aio.client.configuration import Configuration

from lws_placement.cluster.api.client import Api, resource_of
from lws_placement.errors import ApiError, NotLeaderError


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/nodes", "nodes"),
        ("/api/v1/nodes/n0", "nodes"),
        ("/api/v1/namespaces/ns/pods/llm-0", "pods"),
        ("/api/v1/namespaces/ns/pods/llm-0/binding", "pods/binding"),
        ("/api/v1/namespaces/ns", "namespaces"),
        ("/apis/apps/v1/namespaces/ns/statefulsets", "statefulsets"),
        (
            "/apis/leaderworkerset.x-k8s.io/v1/namespaces/ns/leaderworkersets/llm/status",
            "leaderworkersets/status",
        ),
        ("/version", "other"),
    ],
)
def test_what_a_request_is_about(path, resource):
    assert resource_of(path) == resource


@pytest.mark.parametrize(
    ("status", "message", "refused"),
    [
        (403, "may not", True),
        (422, "Invalid value", True),
        (409, "the object has been modified", False),
        (429, "too many requests", False),
        (500, "etcdserver: request timed out", False),
        (0, "Cannot connect", False),
        # As kube-apiserver answers to an apply, 1.34 to 1.37.
        (
            500,
            "failed to create typed patch object (ns/llm; apps/v1, Kind=StatefulSet): "
            ".spec.template.spec.evictionResponders: field not declared in schema",
            True,
        ),
    ],
)
def test_a_refusal_is_what_would_be_answered_again(status, message, refused):
    assert ApiError(message, status=status).is_refusal is refused


async def test_who_does_not_lead_reads_and_writes_nothing():
    def deposed():
        raise NotLeaderError("leadership has lapsed")

    api = Api(Configuration(host="http://127.0.0.1:1"), timeout_s=1.0)
    guarded = api.where(deposed)
    path = "/api/v1/namespaces/ns/pods/llm-0"
    for write in (
        guarded.create(path, {}),
        guarded.replace(path, {}),
        guarded.patch(path, {}),
        guarded.delete(path),
    ):
        with pytest.raises(NotLeaderError):
            await write
    for call in (guarded.get(path), api.delete(path)):
        with pytest.raises(ApiError):  # sent, and not answered
            await call
    await api.close()
