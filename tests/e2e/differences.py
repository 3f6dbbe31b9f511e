"""Counts where our answers and kube-scheduler's agree, and tells where they do not."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field

_MOST_TOLD = 4
_METADATA = ("namespace", "name", "labels", "deletionTimestamp")
_SPEC = (
    "nodeName",
    "containers",
    "initContainers",
    "resources",
    "hostNetwork",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
    "resourceClaims",
)
_STATUS = ("phase", "conditions", "containerStatuses")
_CONTAINER = ("name", "restartPolicy", "resources", "ports")


@dataclass(frozen=True)
class Verdicts:
    """Of one pod on one node."""

    node: dict
    fits: bool
    """kube-scheduler's."""
    ours: str | None
    """Why not; None if it may."""

    @property
    def wrong(self):
        """In words that are equal for equal causes; empty if both say the same."""
        if self.fits == (self.ours is None):
            return ""
        return f"WRONG NO: {without_values(self.ours)}" if self.fits else "WRONG YES"

    def __str__(self):
        meta, spec = self.node["metadata"], self.node.get("spec", {})
        theirs = "yes" if self.fits else "no"
        facts = {"labels": meta.get("labels")} | spec
        wrong = f" {self.wrong.partition(':')[0]}" if self.wrong else ""
        ours = "yes" if self.ours is None else f"no, {self.ours}"
        return (
            f"  {meta['name']}:{wrong} ours: {ours}; kube-scheduler: {theirs}; {json.dumps(facts)}"
        )


@dataclass(frozen=True)
class Difference:
    """A pod with wrong answers."""

    seed: int
    pod: dict
    message: str
    """The scheduler's, if no node passed."""
    verdicts: list
    others: list
    """Namespaces and pods in the cluster."""

    def __str__(self):
        return "\n".join(
            (
                f"SEED={self.seed} PAIRS=1 GROUPS=0, pod {shown(self.pod)}",
                *map(str, self.verdicts),
                *([f"  kube-scheduler: {self.message}"] if self.message else []),
                *(f"  there: {shown(obj)}" for obj in self.others),
            )
        )


@dataclass
class Tally:
    """`expected`: start of a reason of ours -> why we say no where kube-scheduler says yes."""

    expected: dict
    pairs: int = 0
    wrong: Counter = field(default_factory=Counter)
    _told: list = field(default_factory=list)
    _counts: dict = field(default_factory=dict)
    _known: Counter = field(default_factory=Counter)

    def add(self, asking, pod, answer, ours, *, seed, nodes, others):
        """One pod's answers; `nodes` and `others`: as the API server has them."""
        assert ours.keys() == {n["metadata"]["name"] for n in nodes}
        found = [
            Verdicts(node, node["metadata"]["name"] in answer.nodes, ours[node["metadata"]["name"]])
            for node in nodes
        ]
        self.pairs += len(found)
        for feature in asking.features or ("none",):
            counts = self._counts.setdefault(feature, Counter())
            for one in found:
                counts.update(pairs=1, yes=one.fits, no=not one.fits, differ=bool(one.wrong))
        wrong = [one for one in found if one.wrong and not self._is_expected(one)]
        self.wrong.update(one.wrong for one in wrong)
        if wrong and len(self._told) < _MOST_TOLD:
            self._told.append(Difference(seed, pod, answer.message, found, others))

    def _is_expected(self, one):
        for start, why in self.expected.items():
            if one.ours is not None and one.ours.startswith(start):
                self._known[why] += 1
                return True
        return False

    def table(self):
        """Per feature that pods used: pairs and kube-scheduler's answers."""
        lines = [f"{'feature':<14} {'pairs':>6} {'yes':>6} {'no':>6} {'differ':>6}"]
        for feature, counts in self._counts.items():
            numbers = (counts["pairs"], counts["yes"], counts["no"], counts["differ"])
            lines.append(f"{feature:<14} " + " ".join(f"{n:>6}" for n in numbers))
        lines += [f"expected, {number}: {why}" for why, number in self._known.items()]
        return "\n".join(lines)

    def story(self):
        """All kinds of wrong answers with their number, and some pods in full."""
        lines = [f"{number} x {kind}" for kind, number in self.wrong.most_common()]
        return "\n".join((*lines, *map(str, self._told)))


def shown(obj):
    """As text, without what the API server adds to every pod."""
    if obj["kind"] not in ("Pod", "Namespace"):
        return json.dumps(obj)
    spec = {key: obj["spec"][key] for key in _SPEC if obj["spec"].get(key)}
    for kind in ("containers", "initContainers"):
        if kind in spec:
            spec[kind] = [{k: c[k] for k in _CONTAINER if c.get(k)} for c in spec[kind]]
    if "tolerations" in spec:
        spec["tolerations"] = [t for t in spec["tolerations"] if "tolerationSeconds" not in t]
    meta = {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]}
    status = {k: v for k, v in obj.get("status", {}).items() if k in _STATUS}
    return json.dumps(meta | spec | status)


def without_values(reason):
    """In words that are equal for equal causes."""
    return re.sub(r"[\w./-]*\d[\w./:-]*|=\S*", "#", reason)
