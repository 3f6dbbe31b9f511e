"""Objects of Kueue, as the API server has them."""

from lws_placement.engine.base import keys
from lws_placement.engine.base.group_names import group_key
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Toleration
from lws_placement.engine.reconcile.quota import Flavor

GROUP = GroupId("ns", "llm", "lws-uid", group_key("ns", "llm-1"))
TPU = Flavor((("pool", "tpu"),), (Toleration("tpu", "Exists"),))


def a_workload(*true, uid="w", checks=(), flavors=None, index="1", owner="LeaderWorkerSet"):
    conditions = [
        {"type": one, "status": "True", "lastTransitionTime": "1970-01-01T00:01:00Z"}
        for one in true
    ]
    sets = [
        {"name": name, "flavors": {"cpu": flavor, "google.com/tpu": flavor}}
        for name, flavor in (flavors or {}).items()
    ]
    return {
        "metadata": {
            "name": "leaderworkerset-llm-1",
            "namespace": "ns",
            "uid": uid,
            "resourceVersion": "7",
            "annotations": {"kueue.x-k8s.io/component-workload-index": index},
            "ownerReferences": [{"kind": owner, "name": "llm", "uid": "lws-uid"}],
        },
        "status": {
            "conditions": conditions,
            "admissionChecks": [{"name": n, "state": s, "message": ""} for n, s in checks],
            "admission": {"podSetAssignments": sets},
        },
    }


def a_check(name="room", controller=keys.ADMISSION_CHECK, **more):
    return {"metadata": {"name": name}, "spec": {"controllerName": controller}, **more}


def a_flavor(name="tpu"):
    tolerations = [{"key": "tpu", "operator": "Exists"}]
    spec = {"nodeLabels": {"pool": "tpu"}, "tolerations": tolerations}
    return {"metadata": {"name": name}, "spec": spec}


ASKED = a_workload("QuotaReserved", checks=[("room", "Pending")], flavors={"main": "tpu"})
