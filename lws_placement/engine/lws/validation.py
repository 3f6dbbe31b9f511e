"""Validation of a LeaderWorkerSet: upstream's rules, in its words, and rules of our own.

Ours: the values of the exclusive-topology annotations must be label keys; our own annotations
(`placement_request.py`) must be valid; the name must leave room for the suffixes of StatefulSets;
claim templates are immutable, as no StatefulSet accepts changes of them; a restart budget is a
number. They apply on creation and when the fields concerned change, so that an object stored before
us stays editable. All problems are returned, none is raised.
"""

import re
from typing import Any

from lws_placement.engine.base import keys
from lws_placement.engine.base.field_error import FieldError
from lws_placement.engine.base.label_keys import why_not_label_key
from lws_placement.engine.base.quantities import parse_quantity
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import (
    DEFAULT_MOST_SIZE,
    INT32,
    MOST_REPLICAS,
    MOST_SIZE,
    whole_number,
)
from lws_placement.engine.lws.unsupported_fields import why_nothing_is_made
from lws_placement.engine.objects.placement_request import problems_of_request
from lws_placement.engine.objects.topology_policy import ANY_TOPOLOGY, TopologyPolicy
from lws_placement.errors import InvalidObjectError

_LABEL_VALUE = 63
_REVISION_HASH = len("-4294967295")
"""Longest suffix of a StatefulSet's name in its pods' revision label."""
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_PERCENT = re.compile(r"[0-9]{1,10}%")

_REPLICAS = "spec.replicas"
_SIZE = "spec.leaderWorkerTemplate.size"
_CLAIMS = "spec.leaderWorkerTemplate.volumeClaimTemplates"
_SUBGROUP = "spec.leaderWorkerTemplate.SubGroupPolicy.subGroupSize"
_ROLLING = "spec.rolloutStrategy.rollingUpdateConfiguration"


def problems_of(
    lws: Raw,
    old: Raw | None = None,
    *,
    most_size: int = DEFAULT_MOST_SIZE,
    topology: TopologyPolicy = ANY_TOPOLOGY,
) -> list[FieldError]:
    """All errors of `lws`, or of changing `old` into it. `most_size`: limit of pods per group.
    `topology`: the topology keys that groups may name.
    """
    spec = _object(lws.get("spec"))
    errors = [
        *_name(lws),
        *_sizes(spec),
        *_rollout(spec),
        *_claim_names(spec),
        *_subgroups(lws, spec),
        *_room_in_names(lws, old),
        *_budget(lws),
        *problems_of_placement(lws, old, most_size=most_size, topology=topology),
    ]
    if old is not None:
        before = _object(old.get("spec"))
        errors += [*_subgroup_changes(spec, before), *_claim_changes(spec, before)]
    return errors


def problems_of_placement(
    lws: Raw,
    old: Raw | None = None,
    *,
    most_size: int = DEFAULT_MOST_SIZE,
    topology: TopologyPolicy = ANY_TOPOLOGY,
) -> list[FieldError]:
    """Errors that prevent placement, whichever controller creates the groups: our only checks
    beside another LeaderWorkerSet controller.
    """
    return [
        *_largest(_object(lws.get("spec")), old, most_size=most_size),
        *_topology_keys(lws, old, topology),
        *_placement(lws, old),
    ]


def _name(lws: Raw) -> list[FieldError]:
    name = str(_object(lws.get("metadata")).get("name") or "")
    if len(name) <= 63 and _DNS_1035.fullmatch(name):
        return []
    if not name and _object(lws.get("metadata")).get("generateName"):
        return []
    return [
        FieldError(
            "metadata.name",
            name,
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
            "with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name', "
            "or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
        )
    ]


def _sizes(spec: Raw) -> list[FieldError]:
    replicas, size = spec.get("replicas", 1), _template(spec).get("size", 1)
    given = {_REPLICAS: replicas, _SIZE: size}
    errors = [FieldError(p, v, "must be an integer") for p, v in given.items() if not _is_int(v)]
    if errors:
        return errors
    found = []
    if replicas < 0:
        found.append((_REPLICAS, "replicas must be equal or greater than 0"))
    if replicas > MOST_REPLICAS:
        found.append((_REPLICAS, f"replicas must be equal or less than {MOST_REPLICAS}"))
    if size < 1:
        found.append((_SIZE, "size must be equal or greater than 1"))
    if replicas * size > INT32:
        detail = f"the product of replicas and worker replicas must not exceed {INT32}"
        found.append((_REPLICAS, detail))
    return [FieldError(path, given[path], detail) for path, detail in found]


def _largest(spec: Raw, old: Raw | None, *, most_size: int) -> list[FieldError]:
    size = _template(spec).get("size", 1)
    before = _template(_object((old or {}).get("spec"))).get("size", 1)
    if not _is_int(size) or size <= most_size or (old is not None and size == before):
        return []
    detail = f"size must be equal or less than {most_size} (setting max_group_size)"
    return [FieldError(_SIZE, size, detail)]


def why_not_made(lws: Raw) -> FieldError | None:
    """The error for which the controller creates nothing; admission would have refused it."""
    foreign = why_nothing_is_made(lws)
    if foreign is not None:
        return foreign
    spec = _object(lws.get("spec"))
    size = _template(spec).get("size", 1)
    for path, value, least, most in (
        (_REPLICAS, spec.get("replicas", 1), 0, MOST_REPLICAS),
        (_SIZE, size, 1, MOST_SIZE),
    ):
        if not _is_int(value) or whole_number(value, least=least, most=most) is None:
            return FieldError(path, value, f"must be an integer from {least} to {most}")
    if not isinstance(spec.get("leaderWorkerTemplate"), dict):
        return FieldError("spec.leaderWorkerTemplate", None, "must be an object")
    return next(iter([*_rollout_numbers(spec), *_claim_names(spec)]), None)


def _rollout(spec: Raw) -> list[FieldError]:
    rolling = _object(spec.get("rolloutStrategy")).get("rollingUpdateConfiguration")
    replicas, errors = spec.get("replicas", 1), _rollout_numbers(spec)
    if not isinstance(rolling, dict) or errors or not _is_int(replicas) or replicas <= 0:
        return errors
    unavailable = scaled(rolling.get("maxUnavailable", 0), replicas, round_up=False)
    surge = scaled(rolling.get("maxSurge", 0), replicas, round_up=True)
    if unavailable == 0 and surge == 0:
        given, detail = rolling.get("maxUnavailable", 0), "must not be 0 when `maxSurge` is 0"
        errors.append(FieldError(f"{_ROLLING}.maxUnavailable", given, detail))
    return errors


def _rollout_numbers(spec: Raw) -> list[FieldError]:
    rolling = _rolling(spec)
    errors = []
    for name in ("maxUnavailable", "maxSurge"):
        errors += _int_or_percent(f"{_ROLLING}.{name}", rolling.get(name, 0))
    partition = rolling.get("partition", 0)
    if not _is_int(partition) or whole_number(partition) is None:
        errors.append(_no_count(f"{_ROLLING}.partition", partition))
    return errors


def _no_count(path: str, value: Any) -> FieldError:
    if _is_int(value) and value > INT32:
        return FieldError(path, value, f"must be equal or less than {INT32}")
    return FieldError(path, value, "must be greater than or equal to 0")


def _int_or_percent(path: str, value: object) -> list[FieldError]:
    if _is_int(value):
        return [] if whole_number(value) is not None else [_no_count(path, value)]
    if not isinstance(value, str) or not _PERCENT.fullmatch(value):
        return [
            FieldError(
                path,
                value,
                "a valid percent string must be a numeric string followed by an ending '%' "
                "(e.g. '1%', or '93%', regex used for validation is '[0-9]+%')",
            )
        ]
    if int(value[:-1]) > 100:
        return [FieldError(path, value, "must not be greater than 100%")]
    return []


def _subgroups(lws: Raw, spec: Raw) -> list[FieldError]:
    template = _template(spec)
    policy = template.get("subGroupPolicy")
    annotations = _annotations(lws)
    if not isinstance(policy, dict):
        topology = annotations.get(keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY)
        if topology is None:
            return []
        path = f"metadata.annotations.{keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY}"
        detail = "cannot have subgroup-exclusive-topology without subGroupSize set"
        return [FieldError(path, topology, detail)]
    size: Any = template.get("size", 1)
    sub: Any = policy.get("subGroupSize")
    if not _is_int(sub) or sub < 1:
        return [FieldError(_SUBGROUP, sub, "subGroupSize must be equal or greater than 1")]
    if not _is_int(size) or size < 1:
        return []
    found = []
    if size % sub and (size - 1) % sub:
        found.append("size or size - 1 must be divisible by subGroupSize")
    if size < sub:
        found.append("subGroupSize cannot be larger than size")
    if policy.get("subGroupPolicyType") == "LeaderExcluded" and (size - 1) % sub:
        found.append("size-1 must be divisible by subGroupSize when using LeaderExcluded")
    return [FieldError(_SUBGROUP, sub, detail) for detail in found]


def why_name_is_too_long(lws: Raw) -> str | None:
    """Labels of worker pods contain `<name>-<group>-<hash>` of their StatefulSet."""
    name = str(_object(lws.get("metadata")).get("name") or "")
    spec = _object(lws.get("spec"))
    replicas, size = spec.get("replicas", 1), _template(spec).get("size")
    size = 1 if size is None else size
    if not _is_int(replicas) or not _is_int(size) or max(replicas, size) > INT32:
        return None
    group = len(f"-{max(replicas + _surge(spec, replicas), 1) - 1}")
    worker = len(f"-{max(size, 1) - 1}") if size > 1 else 0
    longest = max(_REVISION_HASH, group + worker, group + _REVISION_HASH if size > 1 else 0)
    if len(name) + longest <= _LABEL_VALUE:
        return None
    return (
        f"must be no more than {_LABEL_VALUE - longest} characters with these replicas, as pods "
        f"and labels are named after it and end at {_LABEL_VALUE}"
    )


def _surge(spec: Raw, replicas: int) -> int:
    rolling = _rolling(spec)
    surge = rolling.get("maxSurge", 0)
    if _int_or_percent("", surge):
        return 0
    return min(scaled(surge, replicas, round_up=True), replicas)


def _room_in_names(lws: Raw, old: Raw | None) -> list[FieldError]:
    why = why_name_is_too_long(lws)
    if why is None or (old is not None and why_name_is_too_long(old) is not None):
        return []
    return [FieldError("metadata.name", _object(lws.get("metadata")).get("name"), why)]


def _budget(lws: Raw) -> list[FieldError]:
    annotations = _annotations(lws)
    return [
        FieldError(f"metadata.annotations[{key}]", annotations[key], "must be a positive number")
        for key in (keys.RESTART_BUDGET, keys.RESTART_BACKOFF_SECONDS)
        if key in annotations and whole_number(annotations[key], least=1) is None
    ]


def _topology_keys(lws: Raw, old: Raw | None, topology: TopologyPolicy) -> list[FieldError]:
    annotations = _annotations(lws)
    before = _annotations(old or {})
    errors = topology.problems_of_lws(lws, old)
    for key in (keys.LWS_EXCLUSIVE_TOPOLOGY, keys.LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY):
        value = annotations.get(key)
        if value is None or (old is not None and before.get(key) == value):
            continue
        why = why_not_label_key(str(value))
        if why is not None:
            detail = (
                f"must be the key of a node label, such as cloud.google.com/gke-nodepool: {why}"
            )
            errors.append(FieldError(f"metadata.annotations[{key}]", value, detail))
    return errors


def _placement(lws: Raw, old: Raw | None) -> list[FieldError]:
    """Checks our own annotations: on creation, and when annotations change."""
    annotations = _annotations(lws)
    before = _annotations(old or {})
    if old is not None and annotations == before:
        return []
    return [
        FieldError(f"metadata.annotations[{key}]", annotations[key], detail)
        for key, detail in problems_of_request(annotations)
    ]


def _claim_changes(spec: Raw, old: Raw) -> list[FieldError]:
    new_claims, old_claims = (_template(s).get("volumeClaimTemplates") or [] for s in (spec, old))
    if [_claim(c) for c in new_claims] == [_claim(c) for c in old_claims]:
        return []
    names = ", ".join(str(_object(c.get("metadata")).get("name", "")) for c in new_claims)
    detail = (
        "cannot be changed, as StatefulSets do not take other claim templates: "
        "make a new LeaderWorkerSet"
    )
    return [FieldError(_CLAIMS, names, detail)]


def _claim_names(spec: Raw) -> list[FieldError]:
    """The schema of the claim templates requires none."""
    names = [
        _object(_object(claim).get("metadata")).get("name")
        for claim in _template(spec).get("volumeClaimTemplates") or ()
    ]
    return [
        FieldError(f"{_CLAIMS}[{i}].metadata.name", name, "must be given")
        for i, name in enumerate(names)
        if not name or not isinstance(name, str)
    ]


def _claim(claim: Raw) -> tuple[object, ...]:
    """The fields of a claim template that a StatefulSet gets."""
    spec = _object(claim.get("spec"))
    resources = {
        kind: {name: _amount(amount) for name, amount in _object(amounts).items()}
        for kind, amounts in _object(spec.get("resources")).items()
    }
    return (
        _object(claim.get("metadata")).get("name"),
        spec.get("accessModes") or [],
        spec.get("storageClassName"),
        spec.get("volumeMode") or "Filesystem",
        resources,
    )


def _amount(quantity: object) -> object:
    try:
        return parse_quantity(str(quantity))
    except InvalidObjectError:
        return quantity


def _subgroup_changes(spec: Raw, old: Raw) -> list[FieldError]:
    new_policy = _template(spec).get("subGroupPolicy")
    old_policy = _template(old).get("subGroupPolicy")
    if isinstance(new_policy, dict) and isinstance(old_policy, dict):
        new_size = new_policy.get("subGroupSize")
        if new_size != old_policy.get("subGroupSize"):
            return [FieldError(_SUBGROUP, new_size, "field is immutable")]
    elif isinstance(new_policy, dict):
        detail = "cannot enable subGroupSize after the lws is already created"
        return [FieldError(_SUBGROUP, new_policy.get("subGroupSize"), detail)]
    elif isinstance(old_policy, dict):
        return [FieldError(_SUBGROUP, None, "cannot remove subGroupSize after enabled")]
    return []


def scaled(value: int | str, replicas: int, *, round_up: bool) -> int:
    """An int-or-percent of `replicas`: maxUnavailable rounds down, maxSurge up."""
    if isinstance(value, int):
        return value
    product = int(value[:-1]) * replicas
    return -(-product // 100) if round_up else product // 100


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _annotations(lws: Raw) -> Raw:
    return _object(_object(lws.get("metadata")).get("annotations"))


def _template(spec: Raw) -> Raw:
    return _object(spec.get("leaderWorkerTemplate"))


def _rolling(spec: Raw) -> Raw:
    return _object(_object(spec.get("rolloutStrategy")).get("rollingUpdateConfiguration"))


def _object(value: object) -> Raw:
    return value if isinstance(value, dict) else {}
