"""Every label, annotation, gate, resource and field-manager name we read or write.

`LWS_*` names are LeaderWorkerSet's (API `leaderworkerset.x-k8s.io/v1`); the rest are ours.
"""

LWS_PREFIX = "leaderworkerset.sigs.k8s.io/"
OUR_PREFIX = "lws-placement.dev/"

LWS_NAME = LWS_PREFIX + "name"
"""Label: name of the LeaderWorkerSet; on StatefulSets, pods, Services, ControllerRevisions."""
LWS_REVISION = LWS_PREFIX + "template-revision-hash"
"""Label: revision key of the template the object was made from."""
LWS_WORKER_INDEX = LWS_PREFIX + "worker-index"
"""Label: rank of a pod in its group; "0" is the leader."""
LWS_GROUP_INDEX = LWS_PREFIX + "group-index"
"""Label: which group; an opaque string (a number today)."""
LWS_GROUP_KEY = LWS_PREFIX + "group-key"
"""Label: lower-hex SHA-1 of `<namespace>/<leader pod name>`; on every LWS pod."""
LWS_SUBGROUP_INDEX = LWS_PREFIX + "subgroup-index"
"""Label: which subgroup of the group."""
LWS_SUBGROUP_KEY = LWS_PREFIX + "subgroup-key"
"""Label: SHA-1 of `<leader pod name>/<subgroup-index>`."""
LWS_SIZE = LWS_PREFIX + "size"
"""Pod annotation: pods in the group, leader included."""
LWS_REPLICAS = LWS_PREFIX + "replicas"
"""Annotation of the leader StatefulSet: `spec.replicas` at the last apply."""
LWS_LEADER_NAME = LWS_PREFIX + "leader-name"
"""Annotation of worker pods: name of their leader pod."""
LWS_LEADER_ADDRESS = LWS_PREFIX + "leader-address"
"""Annotation of worker pods of groups without ordinals: DNS name of their leader."""
LWS_EXCLUSIVE_TOPOLOGY = LWS_PREFIX + "exclusive-topology"
"""Annotation: node label key; one group per value of it, whole."""
LWS_SUBGROUP_EXCLUSIVE_TOPOLOGY = LWS_PREFIX + "subgroup-exclusive-topology"
"""Annotation: node label key; one subgroup per value of it."""
LWS_SUBGROUP_SIZE = LWS_PREFIX + "subgroup-size"
"""Annotation of pods of an LWS with a subGroupPolicy."""
LWS_SUBGROUP_POLICY_TYPE = LWS_PREFIX + "subgroup-policy-type"
"""Annotation: `LeaderWorker` or `LeaderExcluded`."""
LWS_SUBDOMAIN_POLICY = LWS_PREFIX + "subdomainPolicy"
"""Annotation of leader pods, only with `UniquePerReplica`."""
LWS_LEADER_REQUESTS_TPUS = LWS_PREFIX + "leader-requests-tpus"
"""Annotation of worker pods: "true" if their leader asks for TPUs."""
LWS_RECREATE_AFTER_START = LWS_PREFIX + "experimental-recreate-group-after-start"
"""Annotation of the LWS: presence alone delays group restarts until all pods have started."""

NAMESPACE_NODE_SELECTOR = "scheduler.alpha.kubernetes.io/node-selector"
"""Annotation of a namespace, for the admission plugin PodNodeSelector: `key=value,...`."""

GATE = OUR_PREFIX + "unplanned"
"""Scheduling gate on a member until the planner has room for its whole group."""
MEMBER_MARKER = OUR_PREFIX + "member"
"""Extended resource of quantity 0 on a managed member: kube-scheduler sends marked pods to us."""
GUEST_MARKER = OUR_PREFIX + "guest"
"""Extended resource of quantity 0 on an LWS pod that asks for no placement: guarded as foreign."""
LWS_UID = OUR_PREFIX + "lws-uid"
"""Pod annotation written at admission: UID of the LeaderWorkerSet. It outlives the owner chain."""
ADMITTED = OUR_PREFIX + "admitted"
"""Pod annotation written at admission: the webhook's decision, `gated`, `pinned` or FOREIGN."""
FOREIGN = "foreign"
"""Its value on a pod that has LeaderWorkerSet's labels and is no member of a group."""
PINNED_NODE = OUR_PREFIX + "pinned-node"
"""Pod annotation: the node that the hold assigns to this member."""
PLAN = OUR_PREFIX + "plan"
"""Pod annotation and hold field: id of the plan that released a member."""
SCOPE = OUR_PREFIX + "scope"
"""Annotation of a LeaderWorkerSet, or of the pods of another group: scope of its exclusivity
(`Cluster`, `Namespace`, `LeaderWorkerSet`)."""
WITHIN_TOPOLOGY = OUR_PREFIX + "within-topology"
"""Annotation, same objects: node label key of a region that must hold all members."""
PREFER_TOPOLOGY = OUR_PREFIX + "prefer-topology"
"""Annotation, same objects: node label key of a region that should hold all members."""
GANG = OUR_PREFIX + "gang"
"""Annotation, same objects: "true" without an exclusive topology is all or nothing, anywhere."""
MANAGED = OUR_PREFIX + "managed"
"""Annotation, same objects: "false" leaves the object alone."""
GROUP = OUR_PREFIX + "group"
"""Label of the pods of a group that is no LeaderWorkerSet's: the group's name."""
GROUP_SIZE = OUR_PREFIX + "group-size"
"""Annotation of such pods: size of the group."""
GROUP_TOPOLOGY = OUR_PREFIX + "topology"
"""Annotation of such pods: node label key of their exclusive domain."""
OWNER_UID = OUR_PREFIX + "owner-uid"
"""Annotation of such pods, written at admission: UID of their topmost controller."""
SLOT = OUR_PREFIX + "slot"
"""Annotation of such pods, written with the pin: their place in the group."""
RELEASED = OUR_PREFIX + "released"
"""Pod annotation: its gate was removed on purpose, without a plan; the extender lets it pass."""
HOSTNAME = "kubernetes.io/hostname"
"""Label of a node: usually its name."""
NODE_NAME_FIELD = "metadata.name"
"""`matchFields` key of the node-name pin."""
RESTART_BUDGET = OUR_PREFIX + "restart-budget"
"""Annotation of the LWS: restarts in a row, with back-off in between, that a group gets before it
is left alone. Absent: unlimited and without delay, as in LeaderWorkerSet.
"""
RESTART_BACKOFF_SECONDS = OUR_PREFIX + "restart-backoff-seconds"
"""Annotation of the LWS: delay before a group's second restart in a row; doubles with each more."""
RESTARTS = OUR_PREFIX + "restarts"
"""Annotation of the leader StatefulSet: the restarts that count against each group's budget."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl's record of what was applied to an object; valid for no other object."""

FIELD_MANAGER = "lws-placement"
"""Server-side-apply and Event field manager of all our writes."""

HOLD = OUR_PREFIX + "hold"
"""Lease annotation: the hold itself, as versioned JSON (`cluster/codec/hold_lease.py`)."""

SECOND_SCHEDULER = "lws-placement-scheduler"
"""`schedulerName` of manifests/second-scheduler."""
HOLD_LABEL = OUR_PREFIX + "kind"
"""Lease label that our watches select: value `hold` or `troubles`."""

TROUBLES = OUR_PREFIX + "troubles"
"""Lease annotation: a group's recent failures, as versioned JSON
(`cluster/stores/failure_store.py`)."""

HISTORY_OF = OUR_PREFIX + "history-of"
"""Label of a ControllerRevision that is kept for rollbacks: name of its LeaderWorkerSet."""

NO_ROOM = OUR_PREFIX + "no-room"
"""Pod annotation on the gated leader of a surge group: why it waits for a domain. The controller
that asked for the group reads it, as it can do without the group."""

CONDITION = OUR_PREFIX + "condition"
"""Pod annotation on a gated leader: why its group waits, as JSON in the form of a condition."""

UNDISTURBED = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""Pod annotations that keep cluster autoscalers from emptying its node: one pod of a group that is
evicted restarts all. A pod template that says otherwise is heeded."""

KEEPS_NODE = {
    "cluster-autoscaler.kubernetes.io/scale-down-disabled": "true",
    "karpenter.sh/do-not-disrupt": "true",
}
"""Node annotations that keep cluster autoscalers from taking the node away as empty."""

KEPT = OUR_PREFIX + "kept"
"""Annotation of a node that has `KEEPS_NODE` from us: what it had before, as JSON."""

SCALE_UP = OUR_PREFIX + "scale-up"
"""Label of a placeholder pod: which request for new nodes it belongs to."""

SCALE_UP_SUBGROUP = OUR_PREFIX + "scale-up-subgroup"
"""Label of a placeholder pod of a group with subgroups: the subgroup's number."""

SCALE_UP_MODE = OUR_PREFIX + "scale-up-mode"
"""Annotation of the leader Lease: how nodes are requested, in words."""

ADMISSION_CHECK = OUR_PREFIX + "placement"
"""`controllerName` of the AdmissionChecks of Kueue that we answer."""

KUEUE_GATE = "kueue.x-k8s.io/admission"
"""Scheduling gate that Kueue keeps on a pod until its Workload is admitted."""

KUEUE_GATES = (KUEUE_GATE, "kueue.x-k8s.io/topology")
"""With the one that it keeps until it has assigned a topology of its own, or knows that it needs
none."""

SCALE_UP_ANSWER = OUR_PREFIX + "scale-up-answer"
"""Annotation of a group's first placeholder pod: the last words of the cluster autoscaler."""

CONSUMES_REQUEST = "autoscaling.x-k8s.io/consume-provisioning-request"
PROVISIONING_CLASS = "autoscaling.x-k8s.io/provisioning-class-name"
"""Annotations of pods that nodes are made for by a ProvisioningRequest: its name and its class.
Cluster Autoscaler makes no other nodes for such pods."""

STANDS_FOR = OUR_PREFIX + "stands-for"
"""Annotation of a placeholder pod: the member that it stands for, as versioned JSON
(`cluster/codec/placeholders.py`)."""

WOKEN = OUR_PREFIX + "woken"
"""Pod annotation on a foreign pod that we kept off held room, written when room became free: no
object that kube-scheduler watches shows that a hold ended."""
