"""Bodies that kube-apiserver never sends: each is a 4xx, or a review that is answered in JSON; none
is a 5xx, and none ends the process.
"""

import base64
import json
from collections import Counter

import pytest
from aiohttp.test_utils import TestClient, TestServer
from support.admission import Lookup, P, a_pod, a_review
from support.hostile_json import hostile_variants, strictly_read

from webhook.app import build_app

TERM = {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}
    }
}
POD = a_pod(tpu=True, tolerations=[{"key": "a"}], affinity=AFFINITY)
CONTAINER = {"name": "c", "resources": {"requests": {"cpu": "1"}}}
LWS = {
    "metadata": {"name": "l", "namespace": "d", "annotations": {f"{P}/exclusive-topology": "rack"}},
    "spec": {
        "replicas": 1,
        "leaderWorkerTemplate": {
            "size": 2,
            "workerTemplate": {"spec": {"containers": [CONTAINER]}},
            "subGroupPolicy": {"subGroupSize": 1},
        },
        "rolloutStrategy": {"rollingUpdateConfiguration": {"maxSurge": 1}},
    },
}
REVIEWS = {
    "/mutate-pods": a_review(POD),
    "/mutate-lws": a_review(LWS),
    "/validate-lws": a_review(LWS, old=LWS, operation="UPDATE"),
    "/validate-placement": a_review(LWS, old=LWS, operation="UPDATE"),
}
_MOST_OF_HOSTS = 3 * 2**20
"""The host names of a group, in base64."""


@pytest.mark.parametrize("path", REVIEWS)
async def test_whatever_is_in_place_of_a_value(path):
    whole = REVIEWS[path]
    seen = Counter()
    async with TestClient(TestServer(build_app(Lookup(), keep_affinity=True))) as client:
        for name, body in hostile_variants(whole).items():
            answer = await client.post(path, data=body)
            text = await answer.text()
            assert answer.status in (200, 400), (name, answer.status, text[:300])
            assert len(text) < 4 * len(body) + 10_000 + _MOST_OF_HOSTS, name
            if answer.status == 200:
                response = strictly_read(text)["response"]
                patch = base64.b64decode(response.get("patch", "bnVsbA=="))
                strictly_read(patch)
            seen[answer.status] += 1
    assert seen[200] > 50
    assert seen[400] > 50


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/yaml; charset=utf-7", "x", "", "a/b/c"]
)
async def test_only_the_body_counts_whatever_it_says_it_is(kind):
    async with TestClient(TestServer(build_app(Lookup(), keep_affinity=True))) as client:
        headers = {"Content-Type": kind}
        body = json.dumps(REVIEWS["/mutate-pods"]).encode()
        assert (await client.post("/mutate-pods", data=body, headers=headers)).status == 200
        answer = await client.post("/mutate-pods", data=body.decode().encode("utf-16"))
        assert answer.status == 400
