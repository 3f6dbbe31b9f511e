"""Random parts of pods that look at other pods: labels, required affinity terms, spread."""

NAMESPACES = ("red", "blue", "green")
TOPOLOGIES = ("zone", "rack", "pool", "kubernetes.io/hostname")
_LABELS = {
    "app": ("web", "db", "cache", "batch", "lone"),
    "role": ("leader", "worker"),
    "tier": ("front", "back"),
    "hash": ("1", "2"),
}
_OFTEN = {"app": 0.8, "role": 0.5, "tier": 0.4, "hash": 0.4}


def some(rng, members, share):
    """This share of them, at random."""
    return {key: value for key, value in members.items() if rng.random() < share}


def pod_labels(rng, *, asks):
    """Only a pod that asks is app `lone`: then it is the first of its kind."""
    labels = {k: rng.choice(v) for k, v in _LABELS.items() if rng.random() < _OFTEN[k]}
    if not asks and labels.get("app") == "lone":
        labels["app"] = "web"
    return labels


def an_affinity(rng, *, labels, most=1, wide=False):
    """Required terms, and at times preferred ones; `labels`: of the pod that has them. `wide`
    terms select more pods.
    """
    found = {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            _term(rng, labels, wide=wide) for _ in range(rng.randint(1, most))
        ]
    }
    if rng.random() < 0.2:
        preferred = [{"weight": 50, "podAffinityTerm": _term(rng, labels)}]
        found["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return found


def _term(rng, labels, *, wide=False):
    term = {"topologyKey": _topology(rng)}
    if wide and rng.random() < 0.5:
        selector = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
        return term | {"labelSelector": selector, "namespaceSelector": {}}
    selector = _selector(rng, labels)
    if selector is not None:
        term["labelSelector"] = selector
        _add_label_keys(rng, term, ("matchLabelKeys", "mismatchLabelKeys"))
    match rng.random():
        case x if x < 0.2:
            term["namespaces"] = rng.sample(NAMESPACES, rng.randint(1, 2))
        case x if x < 0.35:
            term["namespaceSelector"] = {}
        case x if x < 0.5:
            term["namespaceSelector"] = _namespace_selector(rng)
        case x if x < 0.6:
            term["namespaces"] = [rng.choice(NAMESPACES)]
            term["namespaceSelector"] = _namespace_selector(rng)
    return term


def a_spread(rng, *, labels):
    """One or two constraints, and at times one that must not matter."""
    found = [_constraint(rng, key, labels) for key in rng.sample(TOPOLOGIES, rng.choice((1, 1, 2)))]
    if rng.random() < 0.1:
        found.append(_constraint(rng, "absent", labels))
    if rng.random() < 0.2:
        soft = _constraint(rng, _topology(rng), labels) | {"whenUnsatisfiable": "ScheduleAnyway"}
        soft.pop("minDomains", None)
        found.append(soft)
    return found


def _constraint(rng, key, labels):
    constraint = {
        "topologyKey": key,
        "maxSkew": rng.choice((1, 1, 2, 3)),
        "whenUnsatisfiable": "DoNotSchedule",
    }
    more = {
        "minDomains": rng.randint(1, 5),
        "nodeAffinityPolicy": rng.choice(("Honor", "Ignore")),
        "nodeTaintsPolicy": rng.choice(("Honor", "Ignore")),
    }
    constraint |= some(rng, more, 0.4)
    selector = _selector(rng, labels)
    if selector is not None:
        constraint["labelSelector"] = selector
        _add_label_keys(rng, constraint, ("matchLabelKeys",))
    return constraint


def _topology(rng):
    return "absent" if rng.random() < 0.05 else rng.choice(TOPOLOGIES)


def _add_label_keys(rng, term, members):
    """Each key in one member alone, and in no other part of the selector."""
    keys = list({*_LABELS, "unknown"} - _keys_in(term["labelSelector"]))
    keys = rng.sample(sorted(keys), len(keys))
    for member in members:
        if keys and rng.random() < 0.2:
            term[member] = [keys.pop()]


def _keys_in(selector):
    expressions = selector.get("matchExpressions", ())
    return {*selector.get("matchLabels", ()), *(e["key"] for e in expressions)}


def _selector(rng, labels):
    """Often of the pod's own labels; None selects nothing, and `{}` everything."""
    match rng.random():
        case x if x < 0.04:
            return None
        case x if x < 0.08:
            return {}
        case x if x < 0.4 and labels:
            key = rng.choice(sorted(labels))
            return {"matchLabels": {key: labels[key]}}
        case x if x < 0.6:
            return {"matchLabels": {"app": rng.choice(_LABELS["app"])}}
        case x if x < 0.7:
            key = rng.choice(("role", "tier"))
            found = {"app": rng.choice(_LABELS["app"]), key: rng.choice(_LABELS[key])}
            return {"matchLabels": found}
    expressions = [_expression(rng) for _ in range(rng.choice((1, 1, 2)))]
    selector = {"matchExpressions": expressions}
    if rng.random() < 0.2:
        selector["matchLabels"] = {"role": rng.choice(_LABELS["role"])}
    return selector


def _expression(rng):
    key, operator = rng.choice(list(_LABELS)), rng.choice(("In", "In", "NotIn", "Exists", "Absent"))
    if operator == "Absent":
        return {"key": key, "operator": "DoesNotExist"}
    expression = {"key": key, "operator": operator}
    if operator != "Exists":
        expression["values"] = rng.sample(_LABELS[key], rng.randint(1, 2))
    return expression


def _namespace_selector(rng):
    match rng.random():
        case x if x < 0.4:
            return {"matchLabels": {"team": rng.choice(("red", "blue"))}}
        case x if x < 0.6:
            return {"matchLabels": {"kubernetes.io/metadata.name": rng.choice(NAMESPACES)}}
    operator = rng.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    expression = {"key": rng.choice(("team", "stage")), "operator": operator}
    if operator in ("In", "NotIn"):
        expression["values"] = [rng.choice(("red", "blue", "prod"))]
    return {"matchExpressions": [expression]}
