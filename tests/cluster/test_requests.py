"""Requests are counted by what they are about, never by whom."""

import pytest

from lws_placement.cluster.client import resource_of


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
