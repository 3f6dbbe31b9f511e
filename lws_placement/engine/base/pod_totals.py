"""What a pod's containers take together, of amounts that each of them states: the larger of "all
containers and sidecars" and "each init container with the sidecars started before it"
(`PodRequests` in component-helpers 1.37; KEP-753 for sidecars).
"""

from collections.abc import Callable

from lws_placement.engine.base.quantities import Resources, greatest, total
from lws_placement.engine.base.raw import Raw


def total_of_containers(spec: Raw, of: Callable[[Raw], Resources]) -> Resources:
    """`of`: the amounts of one container."""
    running: Resources = total(of(c) for c in spec.get("containers", ()))
    sidecars: Resources = {}
    starting: Resources = {}
    for container in spec.get("initContainers") or ():
        needs = of(container)
        if container.get("restartPolicy") == "Always":
            sidecars = total((sidecars, needs))
            starting = greatest(starting, sidecars)
        else:
            starting = greatest(starting, total((sidecars, needs)))
    return greatest(total((running, sidecars)), starting)
