"""Groups that wait, and an API server in memory that takes what requests nodes for them."""

import asyncio

from lws_placement.cluster.api.timestamps import encode_time
from lws_placement.engine.base import keys
from lws_placement.engine.model.groups import Group, GroupId, Member
from lws_placement.engine.model.pods import Demand
from lws_placement.engine.objects.placement_request import TopologyRequest
from lws_placement.errors import AlreadyExistsError, ApiError
from lws_placement.planner.scale_up.answers import Answers
from lws_placement.planner.scale_up.means import by_pods
from lws_placement.planner.scale_up.placeholder_pods import PlaceholderPods
from lws_placement.planner.scale_up.provisioning_requests import ProvisioningRequests

OURS = "lws-placement-system"


PODS = f"/api/v1/namespaces/{OURS}/pods"
REQUESTS = f"/apis/autoscaling.x-k8s.io/v1/namespaces/{OURS}/provisioningrequests"
TEMPLATES = f"/api/v1/namespaces/{OURS}/podtemplates"
CLASS = "some-class"


class Api:
    """`objects`: by their path, but for pods. `refused`: a path that no object is created at."""

    def __init__(self):
        self.made, self.deleted, self.events, self.patched = [], [], [], []
        self.objects = {}
        self.refused = ""
        self.meanwhile = lambda: None

    async def create(self, path, body):
        name = body["metadata"]["name"]
        if path == self.refused:
            raise ApiError("no", status=422)
        if path != PODS:
            if f"{path}/{name}" in self.objects:
                raise AlreadyExistsError("there", status=409)
            self.objects[f"{path}/{name}"] = body
            return body
        self.made.append(name)
        self.meanwhile()
        meta = body["metadata"] | {"uid": f"uid-{len(self.made)}", "resourceVersion": "1"}
        now_s = asyncio.get_running_loop().time()
        meta["creationTimestamp"] = encode_time(now_s)
        return body | {"metadata": meta}

    async def delete(self, path, options=None):
        if path.startswith(PODS):
            self.deleted.append(path.rsplit("/", 1)[1])
        else:
            del self.objects[path]

    async def patch(self, path, body):
        self.patched.append((path.rsplit("/", 1)[1], body["metadata"]["annotations"]))
        return {"metadata": {"uid": "gone"}}

    async def list_all(self, path, **params):
        return [o for p, o in self.objects.items() if p.startswith(f"{path}/")], "1"

    async def list(self, path, *, fieldSelector, limit):
        reason, name = (part.partition("=")[2] for part in fieldSelector.split(","))
        return {"items": [e for e in self.events if (e["reason"], e["name"]) == (reason, name)]}


def a_leader(cache, name):
    """Gated, so that its group waits; returns the group's id."""
    labels = {
        keys.LWS_NAME: name,
        keys.LWS_GROUP_KEY: f"key-{name}",
        keys.LWS_WORKER_INDEX: "0",
        keys.LWS_GROUP_INDEX: "0",
    }
    annotations = {
        keys.LWS_SIZE: "2",
        keys.LWS_UID: f"uid-{name}",
        keys.LWS_EXCLUSIVE_TOPOLOGY: "slice",
    }
    owner = {"kind": "StatefulSet", "name": name, "uid": "owner", "controller": True}
    meta = {
        "name": f"{name}-0",
        "namespace": "ns",
        "uid": f"leader-{name}",
        "resourceVersion": "1",
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    spec = {"schedulingGates": [{"name": keys.GATE}], "containers": []}
    cache.put_pod({"metadata": meta, "spec": spec})
    (found,) = (group for group in cache.groups() if group.lws == name)
    return found


def a_group(id_: GroupId):
    demand = Demand((("cpu", 1000),))
    members = (Member(0, demand), Member(1, demand))
    return Group(id=id_, request=TopologyRequest(outer="slice"), members=members)


def started(api, cache, candidates, reporter, means=None, *, on_means=lambda means: None):
    """The task of its passes."""
    provisioning = ProvisioningRequests(api, namespace=OURS, class_name=CLASS)
    now = asyncio.get_running_loop().time
    answers = Answers(api, cache, provisioning, gives_up_after_s=600.0, clock=now)
    pods = PlaceholderPods(
        api,
        cache,
        candidates,
        provisioning=provisioning,
        answers=answers,
        reporter=reporter,
        namespace=OURS,
    )
    return asyncio.create_task(pods.run(means or by_pods(), on_means=on_means))
