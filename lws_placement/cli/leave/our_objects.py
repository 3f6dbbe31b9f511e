"""The names of all objects that an installation has, however it was made.

By name: users may change labels, and all overlays and the chart use the same names. A test compares
this list with the manifests. The CustomResourceDefinition is not in it: LeaderWorkerSets belong to
their users and would be deleted with it.
"""

from collections.abc import Sequence

from certs.expiry import ENDS_LEASE
from certs.inject import CONFIGURATIONS, FOLDER
from lws_placement.cluster.api.leader_election import LEADER_LEASE
from lws_placement.engine.base import keys

NAMESPACE = "lws-placement-system"
FILES_NAMESPACE = "lws-placement-scheduler-files"
"""Of the DaemonSet that keeps kube-scheduler's files; nothing else is ever in it."""
SECOND_SCHEDULER = keys.SECOND_SCHEDULER
OURS = ("lws-placement", "lws-placement-brain")
"""Our accounts and Deployments: the gate's and the brain's."""
DEPLOYMENTS = (*OURS, SECOND_SCHEDULER)
OUR_PODS = f"app.kubernetes.io/name in ({','.join(DEPLOYMENTS)})"
OTHER_PODS = f"app.kubernetes.io/name notin ({','.join(DEPLOYMENTS)}),!{keys.SCALE_UP}"
"""Those without the name, too, but for placeholders."""
NODE_REQUESTS = {
    "pods": "/api/v1",
    "provisioningrequests": "/apis/autoscaling.x-k8s.io/v1",
    "podtemplates": "/api/v1",
}
"""Kinds of objects that request nodes from a cluster autoscaler, in our namespace, with the label
`keys.SCALE_UP`, and their APIs.
"""
HOLDS = keys.HOLD_LABEL
"""Selects the Leases that we write, but for the leader's."""
CRD = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
    "leaderworkersets.leaderworkerset.x-k8s.io"
)

WEBHOOKS = tuple(f"{FOLDER}/{configuration}" for configuration in CONFIGURATIONS)
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
BUILT_IN_CONTROLLER = f"{_RBAC}/clusterroles/lws-placement-controller"
"""Exists where the built-in controller runs."""
BINDING = f"{_RBAC}/clusterrolebindings/lws-placement"
"""Names our ServiceAccount, and so our namespace."""

_IN_NAMESPACE = {
    "/api/v1": (
        ("services", ("lws-placement-webhook", "lws-placement-extender", "lws-placement-metrics")),
        ("secrets", ("lws-placement-ca", "lws-placement-certs", "lws-placement-scheduler-client")),
        ("configmaps", (SECOND_SCHEDULER, "lws-placement-dashboard")),
        ("serviceaccounts", DEPLOYMENTS),
    ),
    _RBAC: (
        ("rolebindings", (*DEPLOYMENTS, FILES_NAMESPACE)),
        ("roles", (*DEPLOYMENTS, FILES_NAMESPACE)),
    ),
    "/apis/networking.k8s.io/v1": (("networkpolicies", ("lws-placement",)),),
    "/apis/monitoring.coreos.com/v1": tuple(
        (kind, ("lws-placement",)) for kind in ("servicemonitors", "podmonitors", "prometheusrules")
    ),
    "/apis/coordination.k8s.io/v1": (("leases", (LEADER_LEASE, ENDS_LEASE, SECOND_SCHEDULER)),),
    "/apis/policy/v1": (("poddisruptionbudgets", DEPLOYMENTS),),
    # Last: what they are set to is read from them if an uninstall was broken off.
    "/apis/apps/v1": (("deployments", DEPLOYMENTS),),
}


def all_but_webhooks(namespace: str) -> Sequence[str]:
    """Paths of the objects besides holds and namespaces, in the order of their deletion.
    `namespace`: where lws-placement runs.
    """
    return (
        f"{FOLDER}/validatingadmissionpolicybindings/lws-placement-fence",
        f"{FOLDER}/validatingadmissionpolicies/lws-placement-fence",
        f"{FOLDER}/validatingadmissionpolicybindings/lws-placement-pods",
        f"{FOLDER}/validatingadmissionpolicies/lws-placement-pods",
        f"{FOLDER}/validatingadmissionpolicybindings/lws-placement-tenants",
        f"{FOLDER}/validatingadmissionpolicies/lws-placement-tenants",
        f"{_RBAC}/clusterrolebindings/lws-placement-binds",
        f"{_RBAC}/clusterroles/lws-placement-binds",
        "/apis/scheduling.k8s.io/v1/priorityclasses/lws-placement-scale-up",
        f"{_RBAC}/clusterrolebindings/lws-placement-controller",
        f"{_RBAC}/clusterrolebindings/lws-placement-scheduler",
        f"{_RBAC}/clusterrolebindings/lws-placement-scheduler-volumes",
        *(f"{_RBAC}/clusterrolebindings/lws-placement-{which}" for which in ("reads", "brain")),
        *(f"{_RBAC}/clusterroles/{name}" for name in (*OURS, "lws-placement-reads")),
        f"{_RBAC}/clusterroles/lws-placement-view",
        f"{_RBAC}/namespaces/kube-system/rolebindings/lws-placement-scheduler-authentication",
        *(
            f"{api}/namespaces/{namespace}/{plural}/{name}"
            for api, kinds in _IN_NAMESPACE.items()
            for plural, names in kinds
            for name in names
        ),
        BUILT_IN_CONTROLLER,
        BINDING,
    )
