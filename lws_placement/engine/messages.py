"""Turns verdicts into the words that users read, in events and everywhere else.

A text changes only when the verdict does: no ages, ids or counters, since a changed text writes the
event again. Counts of domains and the room left in them change with every pod that comes or goes;
`gist` leaves them out, to tell whether a group has anything new to hear.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeGuard

from lws_placement.engine.fit.node_filters import amount_in_words
from lws_placement.engine.fit.refusals import classes_of
from lws_placement.engine.model.groups import GroupId
from lws_placement.engine.model.pods import Demand, Pod, Rank
from lws_placement.engine.model.verdicts import NoFit, Reason, Shortfall, Why
from lws_placement.engine.objects.nodes import NodeName
from lws_placement.engine.preemption.search import NoPreemption, Preemption, WhyNoPreemption
from lws_placement.engine.preemption.victims import Victim

_MOST = 900  # an Event's note holds 1024 characters
_CLASSES = 6


def waiting_note(
    verdict: NoFit, *, size: int, nobody: NoPreemption | None = None, besides: Sequence[str] = ()
) -> str:
    """Why a group of `size` pods waits: one clause per class of domains, the nearest miss first. It
    adds the budget that alone prevents preemption (`nobody`), and what else there is to know.
    """
    end = f"; {preemption_note(nobody)}" if _is_kept_by_budget(nobody) else ""
    end += "".join(f"; {words}" for words in besides)
    if not verdict.reasons:
        lacks = (
            f"no node carries the label {verdict.topology_key}, which the group's annotations "
            "ask for; see kubectl get nodes --show-labels"
        )
        return _cut(lacks, end)
    pods = "1 pod" if size == 1 else f"{size} pods"
    return _cut(f"waits for {_wanted(verdict)} for {pods}: {summarise(verdict)}", end)


def _wanted(verdict: NoFit) -> str:
    if not verdict.topology_key:
        return "room"
    if verdict.wanted > 1:
        return f"{verdict.wanted} domains of {verdict.topology_key}, one for each subgroup,"
    return f"a whole domain of {verdict.topology_key}"


def gist(verdict: NoFit, nobody: NoPreemption | None = None) -> str:
    """What a waiting group lacks, without numbers of domains and amounts: equal for verdicts that
    tell a person the same.
    """
    found = {(r.why.value, *_lacked(r.shortfall)) for r in classes_of(verdict.reasons)}
    lacks = [" ".join(part for part in parts if part) for parts in sorted(found)]
    return "; ".join([*lacks, nobody.why.value] if _is_kept_by_budget(nobody) else lacks)


def _is_kept_by_budget(nobody: NoPreemption | None) -> TypeGuard[NoPreemption]:
    return nobody is not None and nobody.why is WhyNoPreemption.BUDGET


def preemption_note(
    answer: Preemption | NoPreemption, name_of: Callable[[GroupId], str] = str
) -> str:
    """What preemption would cost, or why it is impossible: "would preempt group ns/llm:0 (priority
    0, 4 pods) in slice=a".
    """
    match answer:
        case Preemption(domain=domain, victims=victims):
            return _cut(f"would preempt {victims_in_words(victims, name_of)} in {domain}")
        case NoPreemption(why=why, domain=domain, detail=detail):
            facts = ": ".join(str(fact) for fact in (domain, detail) if fact)
            return _cut(f"preempts nobody: {why}{f' ({facts})' if facts else ''}")


def victims_in_words(victims: Sequence[Victim], name_of: Callable[[GroupId], str] = str) -> str:
    """For example "group ns/llm:0 (priority 0, 4 pods), pod ns/batch (priority 10)"."""
    parts = [_victim_in_words(victim, name_of) for victim in victims[:_CLASSES]]
    if len(victims) > _CLASSES:
        parts.append(f"{len(victims) - _CLASSES} more")
    return ", ".join(parts)


def _victim_in_words(victim: Victim, name_of: Callable[[GroupId], str]) -> str:
    if victim.group is None:
        return f"pod {victim.name} (priority {victim.priority})"
    pods = "1 pod" if len(victim.pods) == 1 else f"{len(victim.pods)} pods"
    return f"group {name_of(victim.group)} (priority {victim.priority}, {pods})"


def summarise(verdict: NoFit) -> str:
    """For example "3 domains have 3 of 4 nodes that fit (worker 3: cordoned), 12 domains held by
    other groups".
    """
    counts: Counter[tuple[str, str]] = Counter()
    nearest: dict[tuple[str, str], tuple[float, ...]] = {}
    for reason, number in classes_of(verdict.reasons).items():
        words = _in_words(reason)
        counts[words] += number
        nearest[words] = min(nearness(reason), nearest.get(words, nearness(reason)))
    ordered = sorted(counts, key=lambda words: (nearest[words], -counts[words], words))
    if not verdict.topology_key:
        return "; ".join(words[1].removeprefix("have ") for words in ordered)
    parts = [_counted(counts[words], words) for words in ordered[:_CLASSES]]
    more = sum(counts[words] for words in ordered[_CLASSES:])
    if more:
        parts.append(f"{more} more do not fit either")
    return ", ".join(parts)


def domain_in_words(reason: Reason, name_of: Callable[[GroupId], str]) -> str:
    """Why one domain refuses a group: "worker 2 needs 8 nvidia.com/gpu, largest free node has 4 (1
    of 3 nodes fits)". `name_of`: a group's name for people.
    """
    if reason.holder is not None:
        others = {
            Why.HELD: "held by",
            Why.OVERLAPS: "shares nodes with the domain of",
            Why.OCCUPIED: "has running pods of",
            Why.AWAITED: "kept for an earlier group,",
        }
        return f"{others[reason.why]} {name_of(reason.holder)}"
    if reason.why is Why.TOO_LARGE:
        return reason.why.value.replace("too many nodes", _nodes(reason.nodes))
    if reason.shortfall is None or reason.why is Why.TOO_FEW_DOMAINS:
        return _in_words(reason)[0]
    lacks = _shortfall_in_words(reason, reason.shortfall)
    if reason.why is Why.NO_MATCHING:
        return f"{lacks} once the others have their room"
    verb = "fits" if reason.fit == 1 else "fit"
    return f"{lacks} ({reason.fit} of {_nodes(reason.nodes)} {verb})"


def member_in_words(rank: Rank) -> str:
    return "leader" if rank == 0 else f"worker {rank}"


def nearness(reason: Reason) -> tuple[float, ...]:
    """Smaller is nearer to a fit: room that lacks little, then room that must become free."""
    match reason.why:
        case Why.ONE_SUBGROUP:
            return (-1,)
        case Why.NO_MATCHING | Why.NOT_PROVEN | Why.TOO_FEW_DOMAINS:
            return 0, -_share(reason.shortfall)
        case Why.TOO_FEW_NODES if reason.fit:
            return 1, -reason.fit / max(reason.nodes, 1), -_share(reason.shortfall)
        case Why.HELD | Why.OVERLAPS | Why.OCCUPIED | Why.AWAITED:
            return (2,)
        case _:
            return 3, -_share(reason.shortfall)


def _share(shortfall: Shortfall | None) -> float:
    """The available share of the requested amount."""
    if shortfall is None or not shortfall.resource:
        return 0.0
    return shortfall.largest_free / shortfall.asked


def _in_words(reason: Reason) -> tuple[str, str]:
    """(after "1 domain", after "n domains")."""
    shortfall = reason.shortfall
    if shortfall is not None:  # one class for many domains
        shortfall = replace(shortfall, rule=shortfall.lasting_rule)
    lacks = f" ({_shortfall_in_words(reason, shortfall)})" if shortfall is not None else ""
    has = ""
    if reason.why is Why.TOO_FEW_DOMAINS:
        has = f"room for {reason.fit} of {reason.nodes} subgroups"
    elif reason.why is Why.TOO_FEW_NODES and reason.shortfall is None:
        has = f"only {_nodes(reason.nodes)}, each for one member"
    elif reason.why is Why.TOO_FEW_NODES:
        has = f"{reason.fit} of {_nodes(reason.nodes)} that fit{lacks}"
    if has:
        return f"has {has}", f"have {has}"
    plural = {
        Why.HELD: "held by other groups",
        Why.OVERLAPS: "share nodes with other groups' domains",
        Why.OCCUPIED: "have running pods of other groups",
        Why.AWAITED: "kept for groups that wait longer",
        Why.TOO_LARGE: Why.TOO_LARGE.value.replace("has", "have", 1),
        Why.FULL: "are shared by as many groups as their Leases can list",
        Why.REFUSED: "were refused by kube-scheduler lately",
        Why.ONE_SUBGROUP: "have room for one subgroup each",
        Why.NO_MATCHING: "have room for each member alone but not for all at once",
    }
    return f"{reason.why.value}{lacks}", f"{plural.get(reason.why, reason.why.value)}{lacks}"


def _shortfall_in_words(reason: Reason, shortfall: Shortfall) -> str:
    who, others = member_in_words(shortfall.rank), reason.fit > 0
    if not shortfall.resource:
        return f"no {'other ' if others else ''}node for {who}: {shortfall.rule}"
    if shortfall.resource == "pods":
        return f"no {'other ' if others else ''}node for {who}: all pod slots are taken"
    needs = amount_in_words(shortfall.resource, shortfall.asked)
    has = amount_in_words(shortfall.resource, shortfall.largest_free).partition(" ")[0]
    return f"{who} needs {needs}, largest free node {'left ' if others else ''}has {has}"


def _lacked(shortfall: Shortfall | None) -> tuple[str, str]:
    return ("", "") if shortfall is None else (shortfall.resource, shortfall.lasting_rule)


def _counted(number: int, words: tuple[str, str]) -> str:
    return f"1 domain {words[0]}" if number == 1 else f"{number} domains {words[1]}"


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number} nodes"


def unserved_note(pod: str, scheduler: str) -> str:
    return (
        f"no scheduler named {scheduler} has looked at {pod}, so the group holds no room; start "
        "it, with our extender in its configuration, or leave schedulerName out"
    )


def missing_note(ranks: Sequence[Rank], size: int) -> str:
    """`ranks`: members of a group of `size` that do not exist."""
    which = f"workers {ranks[0]} to {ranks[-1]}" if ranks[1:] else f"worker {ranks[0]}"
    return (
        f"{len(ranks)} of {size} pods do not exist ({which}), so the group gives its room up to "
        "others that wait for it; a quota or a policy may forbid them"
    )


def stuck_note(pod: Pod) -> str:
    """What a person can do for a group that waits for a pod on a dead node."""
    return (
        f"pod {pod.name} is Terminating on node {pod.node}, which is not ready, and nobody knows "
        "whether it still runs, so its group cannot come back. If the machine is off, say so: "
        f"kubectl taint node {pod.node} "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute, or delete the Node"
    )


def unlike_note(pods: Sequence[str]) -> str:
    return (
        f"pods of the group are not alike: {_named(pods)} {'waits' if len(pods) == 1 else 'wait'}, "
        "unlike the first pod in annotation lws-placement.dev/group-size, topology, gang, scope, "
        "within-topology or prefer-topology; delete the pods that are not as you want them"
    )


def _named(pods: Sequence[str]) -> str:
    more = f" and {len(pods) - _CLASSES} more" if len(pods) > _CLASSES else ""
    return ", ".join(sorted(pods)[:_CLASSES]) + more


def surplus_note(pods: Sequence[str], size: int) -> str:
    return (
        f"the group has its {size} pods, so {_named(pods)} {'waits' if len(pods) == 1 else 'wait'} "
        "for nothing: delete what is too much, or raise lws-placement.dev/group-size on all pods"
    )


def larger_note(parts: Sequence[str]) -> str:
    return f"pods ask for more than their template: {', '.join(parts)}"


def more_in_words(who: str, asked: Demand, given: Demand) -> str:
    """For example "worker 1 for 8 cpu instead of 4 cpu"."""
    had = dict(given.resources)
    parts = [
        f"{amount_in_words(name, amount)} instead of {amount_in_words(name, had.get(name, 0))}"
        for name, amount in asked.resources
        if amount > had.get(name, 0)
    ]
    parts += [f"host port {p.port}" for p in asked.host_ports if p not in given.host_ports]
    return f"{who} for {' and '.join(parts[:_CLASSES])}"


def unlabelled_note(nodes: int, key: str) -> str:
    which = "1 node that fits has" if nodes == 1 else f"{nodes} nodes that fit have"
    return f"{which} no label {key}"


def chosen_in_words(asked: Demand, given: Demand) -> str:
    """For example "nodes with disk=ssd"; empty if it may use the same nodes."""
    added = [f"{key}={value}" for key, value in sorted({*asked.selector} - {*given.selector})]
    parts = [f"nodes with {' and '.join(added[:_CLASSES])}"] if added else []
    parts += ["another node affinity"] if asked.required != given.required else []
    return " and ".join(parts)


def gate_note(gate: str, pod: Pod) -> str:
    return f"waits for scheduling gate {gate} of others on pod {pod.name} to be removed"


def forbidden_note(rank: Rank, why: str) -> str:
    return f"the API server would refuse its {member_in_words(rank)}: {why}"


def outside_note(nodes: Sequence[NodeName], where: str) -> str:
    which = f"node {nodes[0]} is" if len(nodes) == 1 else f"nodes {', '.join(nodes)} are"
    return (
        f"{which} not in {where} any more, by the label; the group's running pods are left "
        "alone and it is planned anew when it restarts"
    )


def _cut(text: str, end: str = "") -> str:
    """`end` is never cut."""
    most = _MOST - len(end)
    return text + end if len(text) <= most else f"{text[: most - 1]}…{end}"
