"""What our two accounts may do, and the code that needs each right: the whole list."""

from itertools import product

import yaml

from lws_placement.localcluster.install import MANIFESTS

BOTH, GATE, BRAIN, CONTROLLER = "both", "gate", "brain", "controller"
ACCOUNTS = {
    "lws-placement": {BOTH, GATE},
    "lws-placement-brain": {BOTH, BRAIN, CONTROLLER},
}
"""Whose rights are those of which roles."""
_GROUPS = {
    "admission": "admissionregistration.k8s.io",
    "coordination": "coordination.k8s.io",
    "kueue": "kueue.x-k8s.io",
    "lws": "leaderworkerset.x-k8s.io",
    "ours": "lws-placement.dev",
    "resource": "resource.k8s.io",
    "scale-up": "autoscaling.x-k8s.io",
    "storage": "storage.k8s.io",
}
_ROLES = {
    "lws-placement-reads": BOTH,
    "lws-placement": GATE,
    "lws-placement-brain": BRAIN,
    "lws-placement-controller": CONTROLLER,
}
"""ClusterRoles and Roles; a test holds their bindings against this."""
_FILES = ("base/rbac.yaml", "standalone/controller-rbac.yaml")

# role | API group | resources | verbs | names | code (below lws_placement/ or the repository)
_NEEDED = """
both | | nodes pods namespaces limitranges | list watch | | cluster/cache/intake.py
both | | persistentvolumes persistentvolumeclaims | list watch | | cluster/cache/storage.py
both | apps | statefulsets daemonsets | list watch | | cluster/cache/intake.py
both | apps | controllerrevisions | list watch | | cluster/cache/intake.py
both | lws | leaderworkersets | list watch | | cluster/cache/intake.py
both | policy | poddisruptionbudgets | list watch | | cluster/cache/intake.py
both | storage | storageclasses csidrivers csinodes | list watch | | cluster/cache/storage.py
both | storage | csistoragecapacities volumeattachments | list watch | | cluster/cache/storage.py
both | resource | deviceclasses | list watch | | cluster/cache/devices/device_index.py
both | resource | devicetaintrules | list watch | | cluster/cache/devices/device_index.py
both | resource | resourceslices | list watch | | cluster/cache/devices/device_index.py
both | resource | resourceclaims | list watch | | cluster/cache/devices/device_index.py
both | resource | resourceclaimtemplates | list watch | | cluster/cache/devices/device_index.py
both | node.k8s.io | runtimeclasses | list watch | | cluster/cache/intake.py
both | events.k8s.io | events | create | | cluster/api/events.py
both | kueue | workloads admissionchecks resourceflavors | list watch | | cluster/cache/intake.py
gate | | pods | get | | cluster/adapters/extender_world.py
gate | | pods/binding | create | | cluster/adapters/extender_world.py
gate | apps | statefulsets replicasets deployments | get | | cluster/adapters/owners.py
gate | batch | jobs | get | | cluster/adapters/owners.py
gate | lws | leaderworkersets | get | | cluster/adapters/owners.py
gate | admission | validatingwebhookconfigurations | get | found | cluster/api/discovery.py
gate | coordination | leases | list watch | | cluster/cache/intake.py
gate | coordination | leases | get | | cluster/stores/hold_store.py
gate | | secrets | get | serving | certs/store.py
brain | | pods | patch delete | | planner/executor.py
brain | events.k8s.io | events | list | | cluster/api/reported_events.py
brain | | pods | create | | planner/scale_up/placeholder_pods.py
brain | | podtemplates | list create delete | | planner/scale_up/provisioning_requests.py
brain | scale-up | provisioningrequests | list create | | planner/scale_up/provisioning_requests.py
brain | scale-up | provisioningrequests | delete | | planner/scale_up/provisioning_requests.py
brain | kueue | workloads/status | patch | | planner/admission_checks.py
brain | kueue | admissionchecks/status | patch | | planner/admission_checks.py
brain | | nodes | patch | | planner/scale_up/kept_nodes.py
brain | | pods/eviction | create | | cluster/api/eviction.py
brain | ours | pods | release | | asked: our policy
brain | admission | mutatingwebhookconfigurations | get patch | ours | certs/inject.py
brain | admission | validatingwebhookconfigurations | get patch | ours | certs/inject.py
brain | coordination | leases | list watch | | cluster/cache/intake.py
brain | coordination | leases | get create update | | cluster/api/leader_election.py
brain | coordination | leases | delete | | cluster/stores/hold_store.py
brain | | secrets | create | | certs/store.py
brain | | secrets | get update | certs | certs/store.py
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
"""
_NAMES = {
    "": frozenset[str](),
    "ours": frozenset({"lws-placement-mutating", "lws-placement-validating", "lws-placement-lws"}),
    "found": frozenset({"lws-placement-lws"}),
    "serving": frozenset({"lws-placement-certs"}),
    "certs": frozenset(
        {"lws-placement-ca", "lws-placement-certs", "lws-placement-scheduler-client"}
    ),
}
ASKED = "asked: "
"""No call: the API server asks for the right (its plugin OwnerReferencesPermissionEnforcement, or a
policy of ours)."""


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
            role = _ROLES.get(obj["metadata"]["name"])
            if role is None or not obj["kind"].endswith("Role"):
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


def bound():
    """Account -> its roles, as the manifests bind them."""
    found = {}
    for file in _FILES:
        for obj in yaml.safe_load_all((MANIFESTS / file).read_text()):
            if obj["kind"].endswith("RoleBinding"):
                for subject in obj["subjects"]:
                    assert subject["kind"] == "ServiceAccount"
                    found.setdefault(subject["name"], set()).add(_ROLES[obj["roleRef"]["name"]])
    return found
