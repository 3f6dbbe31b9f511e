"""ProvisioningRequests as they are created and read."""

import pytest

from lws_placement.cluster.codec.provisioning_requests import decode_answer, encode_request
from lws_placement.engine.base import keys
from lws_placement.engine.model.scale_up import Answer, Provisioning


def a_pod(name, cpu, **labels):
    labels = {keys.SCALE_UP: "0a1b", **labels}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"cpu": cpu}}


def test_each_kind_of_pod_has_a_template_and_is_counted():
    pods = [a_pod("a", 1), a_pod("b", 2), a_pod("c", 1), a_pod("d", 1, subgroup="1")]
    templates, request = encode_request("0a1b", pods, namespace="ns", class_name="best")
    names = [template["metadata"]["name"] for template in templates]
    assert names == ["scale-up-0a1b-0", "scale-up-0a1b-1", "scale-up-0a1b-2"]
    assert [t["template"]["spec"]["cpu"] for t in templates] == [1, 2, 1]
    assert templates[2]["template"]["metadata"]["labels"]["subgroup"] == "1"
    counts = [(one["podTemplateRef"]["name"], one["count"]) for one in request["spec"]["podSets"]]
    assert counts == list(zip(names, (2, 1, 1), strict=True))
    assert request["spec"]["provisioningClassName"] == "best"
    for raw in (*templates, request):
        assert raw["metadata"]["namespace"] == "ns"
        assert raw["metadata"]["labels"][keys.SCALE_UP] == "0a1b"


def said(*conditions):
    names = ("type", "status", "message")
    found = [dict(zip(names, condition, strict=True)) for condition in conditions]
    return {"status": {"conditions": found}}


ACCEPTED = ("Accepted", "True", "accepted")
MADE = ("Provisioned", "True", "made")


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        ({}, Answer(Provisioning.UNSEEN)),
        (said(ACCEPTED), Answer(Provisioning.PENDING, "accepted")),
        (
            said(ACCEPTED, ("Provisioned", "False", "not found")),
            Answer(Provisioning.PENDING, "not found"),
        ),
        (said(ACCEPTED, MADE), Answer(Provisioning.PROVISIONED, "made")),
        (said(ACCEPTED, MADE, ("BookingExpired", "True", "x")), Answer(Provisioning.OVER, "x")),
        (said(MADE, ("CapacityRevoked", "True", "gone")), Answer(Provisioning.FAILED, "gone")),
        (said(("Failed", "True", "no"), ACCEPTED), Answer(Provisioning.FAILED, "no")),
        (
            said(("Accepted", "False", "unknown class")),
            Answer(Provisioning.UNSEEN, "unknown class"),
        ),
        ({"status": {"conditions": [1]}}, Answer(Provisioning.UNSEEN)),
        ({"status": {"conditions": 7}}, Answer(Provisioning.UNSEEN)),
    ],
)
def test_the_last_condition_counts(raw, answer):
    assert decode_answer(raw) == answer
