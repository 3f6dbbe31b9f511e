"""Revisions are written, and named, as LeaderWorkerSet has it."""

import json

import pytest
from support.lws_objects import an_lws
from support.random_objects import seeded

from lws_placement.engine.lws.revision import (
    canonical_bytes,
    revision_data,
    revision_key,
    same_content,
)
from lws_placement.engine.lws.validation import why_not_made


def test_the_revision_key_is_upstreams():
    assert revision_key(revision_data(an_lws())) == "66c987c45d"


def test_written_by_go_or_by_kubectl_means_the_same():
    go = an_lws()
    pod = go["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    pod["metadata"] = {}
    pod["spec"]["containers"][0]["resources"] = {}
    pod["spec"]["hostNetwork"] = False
    assert same_content(revision_data(go), revision_data(an_lws()))


def test_bytes_are_escaped_as_go_does():
    assert canonical_bytes({"b": "<&>", "a": "\u2028"}) == (
        b'{"a":"\\u2028","b":"\\u003c\\u0026\\u003e"}'
    )


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1000m", "1"),
        ("0.5Gi", "512Mi"),
        ("1024Mi", "1Gi"),
        ("1.5", "1500m"),
        ("0.1Ki", "102400m"),
        ("100u", "100u"),
        ("0.0015", "1500u"),
        ("1e-9", "1n"),
        ("0.1n", "1n"),
        ("-1500u", "-1500u"),
        ("0", "0"),
    ],
)
def test_quantities_are_canonical(given, canonical):
    lws = an_lws()
    container = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": given}}
    assert f'"cpu":"{canonical}"'.encode() in canonical_bytes(revision_data(lws))


def test_the_stored_revision_of_any_template_is_that_of_the_template():
    """Else each look would store another one."""
    objects = seeded(1)
    for _ in range(200):
        lws = objects.make("LeaderWorkerSet", "llm", namespace="ns")
        if why_not_made(lws) is None:
            data = revision_data(lws)
            assert same_content(json.loads(canonical_bytes(data)), data)


def test_claim_templates_and_pointers_are_written_as_go_does():
    claim = {
        "metadata": {"name": "data"},
        "spec": {"storageClassName": "", "accessModes": ["ReadWriteOnce"]},
    }
    reference = {"resource": "limits.cpu"}
    lws = an_lws(template={"volumeClaimTemplates": [claim]})
    pod = lws["spec"]["leaderWorkerTemplate"]["workerTemplate"]["spec"]
    pod["containers"][0]["env"] = [{"name": "A", "valueFrom": {"resourceFieldRef": reference}}]
    pod["volumes"] = [{"name": "v", "emptyDir": {"sizeLimit": "1024Mi"}}]
    made = canonical_bytes(revision_data(lws))
    assert (
        b'"volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{"accessModes":'
        b'["ReadWriteOnce"],"resources":{},"storageClassName":""},"status":{}}]'
    ) in made
    assert b'"divisor":"0"' in made
    assert b'"sizeLimit":"1Gi"' in made
