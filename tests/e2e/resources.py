"""Where the API server keeps the kinds that tests make and look at."""

LWS_API = "leaderworkerset.x-k8s.io/v1"

_API_OF = {
    "nodes": "v1",
    "pods": "v1",
    "podtemplates": "v1",
    "services": "v1",
    "serviceaccounts": "v1",
    "events": "v1",
    "events.events.k8s.io": "events.k8s.io/v1",
    "persistentvolumeclaims": "v1",
    "resourcequotas": "v1",
    "persistentvolumes": "v1",
    "storageclasses": "storage.k8s.io/v1",
    "csidrivers": "storage.k8s.io/v1",
    "csinodes": "storage.k8s.io/v1",
    "csistoragecapacities": "storage.k8s.io/v1",
    "volumeattachments": "storage.k8s.io/v1",
    "deviceclasses": "resource.k8s.io/v1",
    "devicetaintrules": "resource.k8s.io/v1",
    "resourceslices": "resource.k8s.io/v1",
    "resourceclaims": "resource.k8s.io/v1",
    "resourceclaimtemplates": "resource.k8s.io/v1",
    "statefulsets": "apps/v1",
    "controllerrevisions": "apps/v1",
    "leases": "coordination.k8s.io/v1",
    "poddisruptionbudgets": "policy/v1",
    "leaderworkersets": LWS_API,
    "provisioningrequests": "autoscaling.x-k8s.io/v1",
}
_SHORT = {"lws": "leaderworkersets", "pdb": "poddisruptionbudgets", "sts": "statefulsets"}
_WITHOUT_NAMESPACE = {
    "namespaces",
    "nodes",
    "persistentvolumes",
    "priorityclasses",
    "storageclasses",
    "csidrivers",
    "csinodes",
    "volumeattachments",
    "resourceslices",
    "deviceclasses",
    "devicetaintrules",
}


def path_of(resource, namespace, name=""):
    """Of one of the resources above, by its plural, singular, kind or short name; without a
    namespace those of all.
    """
    plural = resource.lower()
    plural = _SHORT.get(plural, plural)
    if plural not in _API_OF:
        plural = _plural(plural)
    return _path(_API_OF[plural], plural.partition(".")[0], namespace, name)


def path_to_make(obj, namespace):
    """Where this object is created; `namespace`: if it names none."""
    namespace = obj["metadata"].get("namespace") or namespace
    return _path(obj["apiVersion"], _plural(obj["kind"].lower()), namespace)


def _path(api, plural, namespace, name=""):
    parts = ["", "apis" if "/" in api else "api", api]
    if namespace and plural not in _WITHOUT_NAMESPACE:
        parts += ["namespaces", namespace]
    return "/".join([*parts, plural, *([name] if name else [])])


def _plural(kind):
    if kind.endswith("y"):
        return f"{kind[:-1]}ies"
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"
