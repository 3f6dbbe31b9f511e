"""What our account may do, and the code that needs each right: the whole list."""

from itertools import product

import yaml

from lws_placement.localcluster.install import MANIFESTS

CLUSTER, CONTROLLER, NAMESPACE = "cluster", "controller", "namespace"
_GROUPS = {
    "admission": "admissionregistration.k8s.io",
    "lws": "leaderworkerset.x-k8s.io",
    "resource": "resource.k8s.io",
    "storage": "storage.k8s.io",
}
_ROLES = {
    ("ClusterRole", "lws-placement"): CLUSTER,
    ("ClusterRole", "lws-placement-controller"): CONTROLLER,
    ("Role", "lws-placement"): NAMESPACE,
}
_FILES = ("base/rbac.yaml", "standalone/controller-rbac.yaml")

# role | API group | resources | verbs | names | code (below lws_placement/ or the repository)
_NEEDED = """
cluster | | nodes | list watch | | cluster/cache/informers.py
cluster | | pods | get | | cluster/adapters/extender_world.py
cluster | | pods | list watch | | cluster/cache/informers.py
cluster | | pods | patch | | planner/executor.py
cluster | | pods | delete | | planner/executor.py
cluster | | pods/eviction | create | | cluster/api/eviction.py
cluster | | pods/binding | create | | cluster/adapters/extender_world.py
cluster | | namespaces | list watch | | cluster/cache/informers.py
cluster | | persistentvolumes persistentvolumeclaims | list watch | | cluster/cache/storage.py
cluster | | limitranges | list watch | | cluster/cache/informers.py
cluster | apps | statefulsets | get | | cluster/adapters/owners.py
cluster | apps | statefulsets | list watch | | cluster/cache/informers.py
cluster | apps | daemonsets | list watch | | cluster/cache/informers.py
cluster | apps | controllerrevisions | list watch | | cluster/cache/informers.py
cluster | apps | replicasets | get | | cluster/adapters/owners.py
cluster | apps | deployments | get | | cluster/adapters/owners.py
cluster | batch | jobs | get | | cluster/adapters/owners.py
cluster | lws | leaderworkersets | get | | cluster/adapters/owners.py
cluster | lws | leaderworkersets | list watch | | cluster/cache/informers.py
cluster | policy | poddisruptionbudgets | list watch | | cluster/cache/informers.py
cluster | storage | storageclasses | list watch | | cluster/cache/storage.py
cluster | storage | csidrivers | list watch | | cluster/cache/storage.py
cluster | storage | csinodes | list watch | | cluster/cache/storage.py
cluster | storage | csistoragecapacities | list watch | | cluster/cache/storage.py
cluster | storage | volumeattachments | list watch | | cluster/cache/storage.py
cluster | resource | deviceclasses | list watch | | cluster/cache/devices/device_index.py
cluster | resource | devicetaintrules | list watch | | cluster/cache/devices/device_index.py
cluster | resource | resourceslices | list watch | | cluster/cache/devices/device_index.py
cluster | resource | resourceclaims | list watch | | cluster/cache/devices/device_index.py
cluster | resource | resourceclaimtemplates | list watch | | cluster/cache/devices/device_index.py
cluster | node.k8s.io | runtimeclasses | list watch | | cluster/cache/informers.py
cluster | events.k8s.io | events | create | | cluster/api/events.py
cluster | admission | mutatingwebhookconfigurations | get patch | ours | certs/inject.py
cluster | admission | validatingwebhookconfigurations | get patch | ours | certs/inject.py
controller | apps | statefulsets | create | | controller/pod_reconciler.py
controller | apps | statefulsets | patch | | controller/lws_reconciler.py
controller | apps | statefulsets | delete | | asked: owner references
controller | apps | controllerrevisions | create delete | | controller/revisions.py
controller | | nodes | get | | controller/pod_reconciler.py
controller | | services | list watch | | controller/informer_cache.py
controller | | services | create | | controller/lws_reconciler.py
controller | lws | leaderworkersets/status | update | | controller/lws_reconciler.py
controller | lws | leaderworkersets/finalizers | update | | asked: owner references
controller | | pods/finalizers | update | | asked: owner references
namespace | coordination.k8s.io | leases | list watch | | cluster/cache/informers.py
namespace | coordination.k8s.io | leases | get create update | | cluster/api/leader_election.py
namespace | coordination.k8s.io | leases | delete | | cluster/stores/hold_store.py
namespace | | secrets | create | | certs/store.py
namespace | | secrets | get update | certs | certs/store.py
"""
_NAMES = {
    "": frozenset[str](),
    "ours": frozenset({"lws-placement-mutating", "lws-placement-validating", "lws-placement-lws"}),
    "certs": frozenset({"lws-placement-certs", "lws-placement-scheduler-client"}),
}
ASKED = "asked: "
"""No call: the API server asks for the right (its plugin OwnerReferencesPermissionEnforcement)."""


def needed():
    """(role, API group, resource, verb, names) -> the code that needs it."""
    found = {}
    for line in _NEEDED.strip().splitlines():
        role, group, resources, verbs, names, code = (part.strip() for part in line.split("|"))
        for resource, verb in product(resources.split(), verbs.split()):
            found[role, _GROUPS.get(group, group), resource, verb, _NAMES[names]] = code
    return found


def granted():
    """The same keys, as the manifests have them; a right that is granted twice is there twice."""
    found = []
    for file in _FILES:
        for obj in yaml.safe_load_all((MANIFESTS / file).read_text()):
            role = _ROLES.get((obj["kind"], obj["metadata"]["name"]))
            if role is None:
                continue
            for rule in obj["rules"]:
                assert rule.keys() <= {"apiGroups", "resources", "verbs", "resourceNames"}
                names = frozenset(rule.get("resourceNames", ()))
                found += [
                    (role, group, resource, verb, names)
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for verb in rule["verbs"]
                ]
    return found
