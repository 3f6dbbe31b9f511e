"""Learns from admitted pods how the API server admits pods, for members that do not exist yet.

Each pod with our marker shows whether admission plugin ExtendedResourceToleration is on
(`engine/fit/extended_resources.py`). A group's own pods decide first; a gated group has such a pod
before it is planned. Pods of other groups count only for a group that is planned ahead of its pods:
the newest marked pod of each of the few namespaces that had one last, and only if all agree. So a
user who writes such a toleration into a template misleads the plan of that set alone. At worst
another user's group is planned ahead once in vain, as its own leader decides once it exists.

Earlier members of the same set show how much members request beyond their templates
(`admitted_requests.py`).
"""

from collections.abc import Iterable, Mapping
from heapq import nlargest

from lws_placement.cluster.cache.admission.admitted_requests import AdmittedRequests
from lws_placement.engine.admission.namespace_selector import node_selector_of
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.fit.extended_resources import shows_plugin, tolerating
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Pod
from lws_placement.engine.model.workload import Templates
from lws_placement.engine.reconcile.admitted_demand import Selector, as_admitted

_WITNESSES = 3
_REMEMBERED = 1000


class Admissions:
    """`adds_tolerations`: whether the plugin is on; None: the pods show it."""

    def __init__(self, *, adds_tolerations: bool | None = None) -> None:
        self._known = adds_tolerations
        self.requests = AdmittedRequests()
        self._shown: LruCache[str, tuple[float, bool]] = LruCache(_REMEMBERED)
        """Namespace -> creation of its newest marked pod, and what that pod shows."""
        self._selectors: dict[str, Selector] = {}
        """Namespace -> the node selector that its annotation names."""
        self._agreed: bool | None = None
        """The answer that the newest pods agree on; None: not computed."""

    def put(self, pod: Pod, group: GroupId | None) -> None:
        """Takes a pod that is new, or whose group has changed."""
        if group is not None:
            self.requests.put(group, pod)
        shows = shows_plugin([pod])
        if shows is None:
            return
        last = self._shown.get(pod.namespace)
        if last is not None and last[0] > pod.created_s:
            return
        self._agreed = None
        self._shown.put(pod.namespace, (pod.created_s, shows))

    def put_namespace(self, name: str, annotations: Mapping[str, str]) -> bool:
        """True if what it says of its pods is new."""
        found = node_selector_of(annotations)
        known = self._selectors.pop(name, ())
        if found:
            self._selectors[name] = found
        return found != known

    def drop_namespace(self, name: str) -> None:
        self._selectors.pop(name, None)

    def adds_tolerations(self, pods: Iterable[Pod] = ()) -> bool:
        """True if the API server adds tolerations for extended resources. `pods`: those of the
        group in question.
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
        """The expected demands of members made from these templates of the group's set. `pods`: the
        group's existing ones.
        """
        selector = self._selectors.get(group.namespace, ())
        templates = as_admitted(templates, self.requests.of(group, revision), selector)
        return tolerating(templates) if self.adds_tolerations(pods) else templates
