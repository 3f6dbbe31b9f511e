"""By which means nodes are requested."""

import pytest

from lws_placement.cluster.api.discovery import Found, LwsController
from lws_placement.planner.scale_up.means import means_of
from lws_placement.settings import ScaleUpMode

KARPENTER, CA = "Karpenter", "Cluster Autoscaler"


def found(autoscaler, *, requests):
    return Found("v1.37.2", (), (), LwsController.UNKNOWN, (), autoscaler, requests)


@pytest.mark.parametrize(
    ("mode", "autoscaler", "served", "words"),
    [
        ("auto", "", False, "off, as the API of no cluster autoscaler is served"),
        ("auto", KARPENTER, True, "by placeholder pods, for Karpenter"),
        ("auto", CA, False, "by placeholder pods, for Cluster Autoscaler"),
        ("auto", CA, True, "by ProvisioningRequests of class best"),
        ("pods", CA, True, "by placeholder pods, for Cluster Autoscaler"),
        ("pods", "", False, "by placeholder pods, for any cluster autoscaler"),
        ("provisioning-request", KARPENTER, True, "by ProvisioningRequests of class best"),
        (
            "provisioning-request",
            "",
            False,
            "by ProvisioningRequests of class best, whose API is not served",
        ),
        ("off", CA, True, "off"),
    ],
)
def test_the_setting_counts_else_what_the_cluster_serves(mode, autoscaler, served, words):
    means = means_of(ScaleUpMode(mode), found(autoscaler, requests=served), class_name="best")
    assert means.words == words
    assert means.requests == (not words.startswith("off"))
    assert means.provisioning == ("ProvisioningRequests" in words)
    assert means.falls_back == (mode == "auto" and means.provisioning)
