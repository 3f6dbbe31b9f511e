"""By which means nodes are requested: what the setting says, or what the cluster serves."""

from dataclasses import dataclass

from lws_placement.cluster.api.discovery import Found
from lws_placement.settings import ScaleUpMode


@dataclass(frozen=True, slots=True)
class Means:
    """`requests`: whether nodes are requested at all. `provisioning`: by ProvisioningRequests, else
    by the placeholder pods themselves. `falls_back`: to the pods, where no cluster autoscaler
    accepts a ProvisioningRequest. `words`: for people.
    """

    requests: bool
    provisioning: bool
    falls_back: bool
    words: str


def means_of(mode: ScaleUpMode, found: Found, *, class_name: str) -> Means:
    """Karpenter acts on pods alone, Cluster Autoscaler on ProvisioningRequests if told to."""
    auto = mode is ScaleUpMode.AUTO
    served = found.provisioning_requests and found.autoscaler != "Karpenter"
    by_requests = f"by ProvisioningRequests of class {class_name}"
    if mode is ScaleUpMode.PROVISIONING_REQUEST:
        warning = "" if found.provisioning_requests else ", whose API is not served"
        return Means(True, True, False, by_requests + warning)
    if auto and served:
        return Means(True, True, True, by_requests)
    if mode is ScaleUpMode.PODS or (auto and found.autoscaler):
        return by_pods(found.autoscaler)
    off = "off" if mode is ScaleUpMode.OFF else "off, as the API of no cluster autoscaler is served"
    return Means(False, False, False, off)


def by_pods(autoscaler: str = "") -> Means:
    words = f"by placeholder pods, for {autoscaler or 'any cluster autoscaler'}"
    return Means(True, False, False, words)
