"""What a `ClusterCache` takes in: each kind of object that placement needs, and how it changes the
cache.

No object ends a watch, whatever it contains. An object that cannot be decoded is logged, once per
error, and skipped: its last readable state stays. There are two exceptions: an unreadable hold
keeps its domain shut (its Lease refuses every create, and the domain counts as held), and a pod
whose node is readable takes room there (`decode_pod`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from lws_placement.cluster.cache.cluster_cache import ClusterCache
from lws_placement.cluster.cache.disruption_budgets import decode_budget
from lws_placement.cluster.cache.storage import StorageKind
from lws_placement.cluster.codec.hold_lease import decode_holds
from lws_placement.cluster.codec.kueue import API_VERSION as KUEUE_API
from lws_placement.cluster.codec.objects import (
    UNREADABLE,
    checked_text,
    checked_texts,
    decode_node,
)
from lws_placement.cluster.codec.workloads import decode_daemon_set, decode_lws, decode_revision
from lws_placement.cluster.stores.hold_store import SELECTOR
from lws_placement.engine.admission.pod_defaults import PodDefaults
from lws_placement.engine.base import keys
from lws_placement.engine.base.lru import LruCache
from lws_placement.engine.base.raw import Raw
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.workload import DaemonSetInfo
from lws_placement.engine.objects.nodes import DomainName
from lws_placement.errors import InvalidObjectError

log = logging.getLogger(__name__)

LWS_PATH = "/apis/leaderworkerset.x-k8s.io/v1/leaderworkersets"
PODS_PATH = "/api/v1/pods"
SETS_PATH = "/apis/apps/v1/statefulsets"
REVISIONS_PATH = "/apis/apps/v1/controllerrevisions"
LIMIT_RANGES_PATH = "/api/v1/limitranges"
RUNTIME_CLASSES_PATH = "/apis/node.k8s.io/v1/runtimeclasses"
NAMESPACES_PATH = "/api/v1/namespaces"
BUDGETS_PATH = "/apis/policy/v1/poddisruptionbudgets"

_MOST_TOLD = 4096
_AGAIN_S = 2.0
"""Changes within this time are handled together."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the objects of one kind, selected by `params`, change the cache."""

    path: str
    put: Callable[[Raw], None]
    """Raises one of UNREADABLE."""
    drop: Callable[[Raw], None]
    params: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    """A cluster may lack it."""

    _told: LruCache[str, str] = field(
        default_factory=lambda: LruCache(_MOST_TOLD), compare=False, repr=False
    )
    """UID -> the object's last logged error."""

    def on_event(self, event: str, raw: Raw) -> None:
        uid = raw["metadata"]["uid"]
        try:
            (self.drop if event == "DELETED" else self.put)(raw)
        except UNREADABLE as e:
            self._tell(raw["metadata"], uid, repr(e))
        else:
            self._told.drop(uid)

    def _tell(self, meta: Raw, uid: str, error: str) -> None:
        if self._told.get(uid) == error:
            return
        self._told.put(uid, error)
        where = f"{meta.get('namespace', '')}/{meta.get('name')}"
        log.error("skipped", extra={"path": self.path, "object": where, "error": error[:1000]})


class Intake:
    """All kinds of objects that placement needs, for one cache."""

    def __init__(self, cache: ClusterCache, *, namespace: str) -> None:
        self._cache = cache
        self.on_defaults_changed: Callable[[], None] = lambda: None
        """Called when the meaning of known templates has changed."""
        self._daemon_sets: dict[str, DaemonSetInfo] = {}
        self._hold_domains: dict[str, DomainName] = {}
        self._revision_names: dict[str, tuple[str, str, str]] = {}
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        owned = {"labelSelector": keys.LWS_NAME}
        defaults = cache.pod_defaults
        self.limit_ranges = Kind(
            LIMIT_RANGES_PATH,
            lambda raw: self._defaults_put(defaults.put_limit_range(raw)),
            lambda raw: self._defaults_put(defaults.drop_limit_range(raw)),
        )
        self.runtime_classes = Kind(
            RUNTIME_CLASSES_PATH,
            lambda raw: self._defaults_put(defaults.put_runtime_class(raw)),
            lambda raw: self._defaults_put(defaults.drop_runtime_class(raw)),
        )
        self.namespaces = Kind(NAMESPACES_PATH, self._put_namespace, self._drop_namespace)
        self.nodes = Kind("/api/v1/nodes", self._put_node, self._drop_node)
        self.holds = Kind(leases, self._put_hold, self._drop_hold, {"labelSelector": SELECTOR})
        self.lws = Kind(LWS_PATH, self._put_lws, self._drop_lws)
        self.revisions = Kind(REVISIONS_PATH, self._put_revision, self._drop_revision, owned)
        self.stateful_sets = Kind(
            SETS_PATH, cache.workloads.put_stateful_set, self._drop_stateful_set, owned
        )
        self.daemon_sets = Kind(
            "/apis/apps/v1/daemonsets", self._put_daemon_set, self._drop_daemon_set
        )
        self.budgets = Kind(BUDGETS_PATH, self._put_budget, self._drop_budget)
        self.storage = {k.name: self._told(k, cache.storage_changed) for k in cache.storage.kinds}
        self.devices = {
            k.name: replace(self._told(k, cache.devices_changed), optional=True)
            for k in cache.devices.kinds
        }
        quotas = cache.quotas
        self.quotas = (
            self._of_kueue("resourceflavors", quotas.put_flavor, quotas.drop_flavor),
            self._of_kueue("admissionchecks", quotas.put_check, quotas.drop_check),
            self._of_kueue("workloads", quotas.put_workload, quotas.drop_workload),
        )
        self.pods = Kind(PODS_PATH, self._put_pod, self._drop_pod)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Referenced kinds come first."""
        return (
            *self.pod_defaults,
            self.namespaces,
            self.nodes,
            self.holds,
            self.lws,
            self.revisions,
            self.stateful_sets,
            self.daemon_sets,
            self.budgets,
            *self.storage.values(),
            *self.devices.values(),
            *self.quotas,
            self.pods,
        )

    @property
    def pod_defaults(self) -> tuple[Kind, Kind]:
        """Kinds that determine how templates are read."""
        return self.limit_ranges, self.runtime_classes

    @property
    def with_templates(self) -> tuple[Kind, Kind, Kind]:
        return self.lws, self.revisions, self.daemon_sets

    def _defaults_for(self, raw: Raw) -> PodDefaults:
        return self._cache.pod_defaults.of(checked_text(raw["metadata"]["namespace"]))

    def _defaults_put(self, news: bool) -> None:
        if news:
            self.on_defaults_changed()

    def _told(self, kind: StorageKind, tell: Callable[[], None]) -> Kind:
        def told(change: Callable[[Raw], bool], raw: Raw) -> None:
            if change(raw):
                tell()

        return Kind(kind.path, partial(told, kind.put), partial(told, kind.drop))

    def _of_kueue(
        self,
        plural: str,
        put: Callable[[Raw], Sequence[GroupId]],
        drop: Callable[[Raw], Sequence[GroupId]],
    ) -> Kind:
        return Kind(
            f"/apis/{KUEUE_API}/{plural}",
            lambda raw: self._cache.quotas_changed(put(raw)),
            lambda raw: self._cache.quotas_changed(drop(raw)),
            optional=True,
        )

    def _put_namespace(self, raw: Raw) -> None:
        meta = raw["metadata"]
        name, labels = checked_text(meta["name"]), checked_texts(meta.get("labels"))
        annotations = checked_texts(meta.get("annotations"))
        news = self._cache.placed_pods.put_namespace(name, labels) and self._cache.placed_pods.asked
        if self._cache.admissions.put_namespace(name, annotations) or news:
            self._cache.namespace_changed()

    def _drop_namespace(self, raw: Raw) -> None:
        self._cache.placed_pods.drop_namespace(raw["metadata"]["name"])
        self._cache.admissions.drop_namespace(raw["metadata"]["name"])

    def _put_node(self, raw: Raw) -> None:
        node = decode_node(raw)
        known = self._cache.domains.node(node.name)
        if known == node:
            return  # a heartbeat
        self._cache.domains.put_node(node)
        relabelled = known is not None and known.labels != node.labels
        self._cache.node_changed(node.name if relabelled else "")

    def _drop_node(self, raw: Raw) -> None:
        self._cache.domains.drop_node(raw["metadata"]["name"])
        self._cache.node_changed()

    def _put_hold(self, raw: Raw) -> None:
        name = checked_text(raw["metadata"]["name"])
        try:
            holds = decode_holds(raw)
        except UNREADABLE:
            self._cache.shut(name)
            raise
        self._cache.open(name)
        domain = holds[0].domain
        self._hold_domains[raw["metadata"]["uid"]] = domain
        self._cache.put_holds(domain, holds)

    def _drop_hold(self, raw: Raw) -> None:
        self._cache.open(raw["metadata"]["name"])
        uid = raw["metadata"]["uid"]
        domain = self._hold_domains.pop(uid, None)
        for hold in self._cache.holds_in(domain) if domain is not None else ():
            if hold.uid == uid:
                self._cache.drop_hold(hold.domain, hold.group)

    def _put_lws(self, raw: Raw) -> None:
        self._cache.put_lws(decode_lws(raw, self._defaults_for(raw)))

    def _drop_lws(self, raw: Raw) -> None:
        meta = raw["metadata"]
        known = self._cache.workloads.lws.get((meta["namespace"], meta["name"]))
        if known is not None and known.uid == meta["uid"]:
            self._cache.drop_lws(meta["namespace"], meta["name"])

    def _put_revision(self, raw: Raw) -> None:
        decoded = decode_revision(raw, self._defaults_for(raw))
        if decoded is not None:
            name, templates = decoded
            self._revision_names[raw["metadata"]["uid"]] = name
            self._cache.put_revision(name, templates)

    def _drop_revision(self, raw: Raw) -> None:
        name = self._revision_names.pop(raw["metadata"]["uid"], None)
        if name is not None and name not in self._revision_names.values():
            self._cache.drop_revision(name)

    def _drop_stateful_set(self, raw: Raw) -> None:
        self._cache.workloads.stateful_sets.pop(raw["metadata"]["uid"], None)

    def _put_daemon_set(self, raw: Raw) -> None:
        daemon = decode_daemon_set(raw, self._defaults_for(raw))
        if self._daemon_sets.get(daemon.uid) != daemon:
            self._daemon_sets[daemon.uid] = daemon
            self._daemon_sets_changed()

    def _drop_daemon_set(self, raw: Raw) -> None:
        self._daemon_sets.pop(raw["metadata"]["uid"], None)
        self._daemon_sets_changed()

    def _daemon_sets_changed(self) -> None:
        self._cache.domains.set_daemon_sets(self._daemon_sets.values())
        self._cache.node_changed()

    def _put_budget(self, raw: Raw) -> None:
        if self._cache.budgets.put(decode_budget(raw)):
            self._cache.budget_changed()

    def _drop_budget(self, raw: Raw) -> None:
        meta = raw["metadata"]
        self._cache.budgets.drop(meta["namespace"], meta["name"])
        self._cache.budget_changed()

    def _put_pod(self, raw: Raw) -> None:
        self._cache.put_pod(raw)
        pod = self._cache.pod(raw["metadata"]["uid"])
        if pod is not None and pod.unread:
            raise InvalidObjectError(f"counts on its node only in part: {pod.unread}")

    def _drop_pod(self, raw: Raw) -> None:
        meta = raw["metadata"]
        self._cache.drop_pod(meta["uid"], version=int(meta.get("resourceVersion") or 0))
