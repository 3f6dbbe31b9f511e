"""What pods that were admitted show of how the API server makes pods, for members that do not exist
yet.

Whether admission plugin ExtendedResourceToleration is on is shown by each pod that carries our
marker (`engine/fit/extended_resources.py`). A group's own pods are believed before all others, and
it is gated, so there is one, before it is planned. What the pods of others say counts only for a
group that is planned ahead of its pods: of the few namespaces that had a marked pod last the newest
pod each, and only if all agree. So a user who writes such a toleration into a template deceives
that set alone; at worst a group of somebody else is planned ahead once in vain, since its leader,
as soon as it is there, is the one that is believed.

How much members ask for beyond their templates is shown by the members of the same set that were
admitted before (`admitted_requests.py`).
"""

from collections.abc import Iterable
from heapq import nlargest

from lws_placement.cluster.cache.admitted_requests import Asked
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.fit.extended_resources import shows_plugin, tolerating
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.workload import Templates
from lws_placement.engine.reconcile.admitted_demand import as_admitted

_WITNESSES = 3
_REMEMBERED = 1000


class Admissions:
    """`adds_tolerations`: what is known of the plugin; None: the pods show it."""

    def __init__(self, *, adds_tolerations: bool | None = None) -> None:
        self._known = adds_tolerations
        self.asked = Asked()
        self._shown: LruCache[str, tuple[float, bool]] = LruCache(_REMEMBERED)
        """Namespace -> creation of its newest marked pod, and what that shows."""
        self._agreed: bool | None = None
        """What the newest agree on; None: to be asked anew."""

    def put(self, pod: Pod, group: GroupId | None) -> None:
        """A pod that was not known before, or not to be of this group."""
        if group is not None:
            self.asked.put(group, pod)
        shows = shows_plugin([pod])
        if shows is None:
            return
        last = self._shown.get(pod.namespace)
        if last is not None and last[0] > pod.created_s:
            return
        self._agreed = None
        self._shown.put(pod.namespace, (pod.created_s, shows))

    def adds_tolerations(self, pods: Iterable[Pod] = ()) -> bool:
        """Does the API server add tolerations for extended resources? `pods`: of the group that is
        asked for.
        """
        if self._known is not None:
            return self._known
        own = shows_plugin(pods)
        if own is not None:
            return own
        if self._agreed is None:
            newest = nlargest(_WITNESSES, self._shown.values(), key=lambda shown: shown[0])
            self._agreed = bool(newest) and all(shows for _, shows in newest)
        return self._agreed

    def expected(
        self, templates: Templates, group: GroupId, revision: str, *, pods: Iterable[Pod] = ()
    ) -> Templates:
        """What members of the group will ask for, which are made from these templates of its set.
        `pods`: those that it has.
        """
        templates = as_admitted(templates, self.asked.of(group, revision))
        return tolerating(templates) if self.adds_tolerations(pods) else templates
