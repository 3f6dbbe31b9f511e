"""Validates the pods of groups that belong to no LeaderWorkerSet.

Such pods declare their group themselves: label `lws-placement.dev/group`, annotations `group-size`
and `topology` (or `gang`), identical in one group. A refusal names the field and what to write
instead.
"""

from lws_placement.engine.base import keys
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.base.whole_numbers import DEFAULT_MOST_SIZE, whole_number
from lws_placement.engine.lws.pod_identity import Denied
from lws_placement.engine.objects.placement_request import placement_request_of, problems_of_request
from lws_placement.engine.objects.topology_policy import ANY_TOPOLOGY, TopologyPolicy

_SHOWN = 20


def problem_of_group_pod(
    pod: Raw, *, most_size: int = DEFAULT_MOST_SIZE, topology: TopologyPolicy = ANY_TOPOLOGY
) -> Denied | None:
    """Return all problems of the pod in one text. `most_size`: maximum pods per group. `topology`:
    the topology keys that groups may name.
    """
    meta = pod["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    problems = [
        f"metadata.annotations[{key}]: {why}"
        for key, why in (*problems_of_request(annotations), *topology.problems(annotations))
    ]
    if labels.get(keys.LWS_NAME):
        problems.append(
            f"metadata.labels[{keys.GROUP}]: the pod is a LeaderWorkerSet's already; "
            "annotate the LeaderWorkerSet instead"
        )
    size = annotations.get(keys.GROUP_SIZE)
    if whole_number(size, least=1, most=most_size) is None:
        found = "is missing" if size is None else f"is {size[:_SHOWN]!r}"
        problems.append(
            f"metadata.annotations[{keys.GROUP_SIZE}] {found}; say how many pods there are, "
            f"1 to {most_size}"
        )
    request = placement_request_of(annotations)
    if request.managed and not request.places:
        problems.append(
            f"metadata.annotations: {keys.GROUP_TOPOLOGY} (a node label key) is missing, or "
            f'{keys.GANG}: "true" for all or nothing anywhere; {keys.MANAGED}: "false" leaves '
            "the pod alone"
        )
    if not problems:
        return None
    name = meta.get("name") or meta.get("generateName", "")
    return Denied(f"pod {name}: " + "; ".join(problems))
