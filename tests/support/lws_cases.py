"""The cases that LeaderWorkerSet's own tests cover, in our words, and which test of ours stands for
each.

A test names its cases in the brackets that open its docstring (`[ctl-1, ctl-2]: ...`) or in the id
of a parameter (`id="wh-lws-12"`). `python -m tests.support.lws_cases` writes the table from these
names to `lws_cases.md`; `test_lws_cases.py` fails when a case has no test or the table is old.
"""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parents[1]
TABLE = FOLDER / "lws_cases.md"

CASES = {
    "e2e-1": "replicas 4, size 5, policy None: available; STS and pods carry the expected keys",
    "e2e-2": "size 1 with surge 1: no worker STS; update passes through 5 replicas and back to 4",
    "e2e-3": "foreground delete of an LWS removes it",
    "e2e-4": "worker template change: rolling update completes",
    "e2e-5": "rolling update, replicas 4, surge 4: leader STS seen at 7, then 4",
    "e2e-6": "rolling update, surge 1, unavailable 0: seen at 5, then 4",
    "e2e-7": "update succeeds although the old pods never became ready (bad image)",
    "e2e-8": "subgroup size 2 of 4 with TPU requests: labels, annotations, TPU variables",
    "e2e-9": "rolling update with subgroups and surge 4: seen at 7",
    "e2e-10": "TPU variables on every pod",
    "e2e-11": "two TPU containers per pod: host list, ids, ports",
    "e2e-12": "size 2 → 3: pods recreated with new count and size annotation",
    "e2e-13": "subdomainPolicy Shared → UniquePerReplica → Shared changes the TPU host names",
    "e2e-14": "per-replica Services follow the surge: 4, 7, 4",
    "e2e-15": "no TPU variables without TPU requests",
    "e2e-16": "deleting one worker replaces every pod of the group (new UIDs)",
    "ctl-1": "replicas up",
    "ctl-2": "replicas down",
    "ctl-3": "replicas to 0",
    "ctl-4": "replicas from 0",
    "ctl-5": "size 1: no worker STS",
    "ctl-6": "created with 0 replicas",
    "ctl-7": "2 groups of 4: both kinds of STS valid",
    "ctl-8": "deleted worker STS comes back",
    "ctl-9": "shared Service exists",
    "ctl-10": "deleted Service comes back",
    "ctl-11": "UniquePerReplica: one Service per replica",
    "ctl-12": "deleted leader STS comes back",
    "ctl-13": "scale subresource readable, selector text exact",
    "ctl-14": "scale write changes replicas",
    "ctl-15": "becomes Available",
    "ctl-16": "Progressing → Available → Progressing",
    "ctl-17": "exclusive placement: annotations present, no worker STS before the leader is bound",
    "ctl-18": "policy None: worker delete leaves the leader",
    "ctl-19": "OnPodRestart: worker delete marks the leader deleted, event",
    "ctl-20": "OnPodRestart + experimental annotation, a pod Pending: no recreation",
    "ctl-21": "AfterStart, a pod Pending: no recreation",
    "ctl-22": "AfterStart, none Pending: recreation and event",
    "ctl-23": "Progressing message and event",
    "ctl-24": "no UpdateInProgress while first starting",
    "ctl-25": "emptied conditions are filled again",
    "ctl-26": "Available event text",
    "ctl-27": "leader template change, partition 3, 2, …, never back, event texts",
    "ctl-28": "unavailable 2: starts at partition 2",
    "ctl-29": "unavailable greater than replicas",
    "ctl-30": "template and replicas changed together",
    "ctl-31": "replicas raised during an update",
    "ctl-32": "replicas lowered during an update",
    "ctl-33": "unavailable 0, surge 1: partition 4,3,2,1,0; surge kept to the end",
    "ctl-34": "unavailable 1, surge 1: surge given back with one group left",
    "ctl-35": "surge and unavailable together",
    "ctl-36": "update with scale-up and surge",
    "ctl-37": "update with scale-down and surge",
    "ctl-38": "surge greater than replicas",
    "ctl-39": "scaling up and down mid-update with surge",
    "ctl-40": "several updates in a row, revisions counted and truncated",
    "ctl-41": "unupdated group restarted mid-update is rebuilt with the old worker template",
    "ctl-42": "the same for the old size (after the v0.10.0 tag)",
    "ctl-43": "OnPodRestart leader restarts once only during an update",
    "ctl-44": "STS label without a revision: one is made with that key, no rollout",
    "ctl-45": "LeaderReady: worker STS only for ready leaders",
    "ctl-46": "LeaderCreated: worker STS at once",
    "ctl-47": "unhealthy group below the partition holds the partition back",
    "ctl-48": "update starts with no group ready",
    "ctl-49": "resize: worker replicas and size annotation change",
    "ctl-50": "partition 4 of 6, then 2: stops, Available, revisions kept",
    "ctl-51": "partition 2 with surge 1: surge kept until partition 0",
    "wh-lws-1": "default replicas",
    "wh-lws-2": "default size",
    "wh-lws-3": "set values are kept",
    "wh-lws-4": "default restartPolicy",
    "wh-lws-5": "given restartPolicy kept",
    "wh-lws-6": "Default becomes None",
    "wh-lws-7": "default startupPolicy",
    "wh-lws-8": "given startupPolicy kept",
    "wh-lws-9": "default subdomainPolicy",
    "wh-lws-10": "default rollout strategy",
    "wh-lws-11": "given rollout strategy kept",
    "wh-lws-12": "bad name",
    "wh-lws-13": "replicas·size too large",
    "wh-lws-14": "bad size",
    "wh-lws-15": "negative replicas",
    "wh-lws-16": "replicas over 1000000",
    "wh-lws-17": "bad startupPolicy",
    "wh-lws-18": "subGroupSize −1",
    "wh-lws-19": "subGroupSize over size",
    "wh-lws-20": "LeaderExcluded, size−1 not divisible",
    "wh-lws-21": "size may change",
    "wh-lws-22": "update: replicas too large for int32 product",
    "wh-lws-23": "update: negative replicas",
    "wh-lws-24": "update: bad startupPolicy",
    "wh-lws-25": "update: subGroupSize changed",
    "wh-lws-26": "update: subGroupPolicy added",
    "wh-lws-27": "update: subGroupPolicy removed",
    "wh-lws-28": "update: replicas",
    "wh-lws-29": "update: replicas over 1000000",
    "wh-lws-30": "update: templates",
    "wh-lws-31": "update: UniquePerReplica to Shared",
    "wh-lws-32": "update: Shared to UniquePerReplica",
    "wh-lws-33": "update: from nil to UniquePerReplica",
    "wh-lws-34": "update: policy to null accepted (defaulted)",
    "wh-lws-35": "restartPolicy set",
    "wh-lws-36": "restartPolicy invalid",
    "wh-lws-37": "rollout type invalid",
    "wh-lws-38": "unavailable over replicas allowed",
    "wh-lws-39": "unavailable over 100%",
    "wh-lws-40": "unavailable negative",
    "wh-lws-41": "surge over replicas allowed",
    "wh-lws-42": "surge over 100%",
    "wh-lws-43": "surge negative",
    "wh-lws-44": "both 0",
    "wh-lws-45": "unavailable 0 with surge",
    "wh-lws-46": "replicas 0 allows both 0",
    "wh-lws-47": "25% of 2 with surge 0 rejected",
    "wh-lws-48": "partition negative",
    "wh-lws-49": "partition over replicas allowed",
    "wh-lws-50": "partition equal replicas allowed",
    "wh-lws-51": "partition 0",
    "wh-lws-52": "update partition",
    "wh-lws-53": "update partition negative",
    "wh-lws-54": "update partition over replicas",
    "wh-lws-55": "update partition equal",
    "wh-lws-56": "update partition 0",
    "wh-pod-1": "foreign pod untouched",
    "wh-pod-2": "worker-index from worker name",
    "wh-pod-3": "leader labels: group-index, group-key",
    "wh-pod-4": "subgroup labels on a TPU leader (4 of 5)",
    "wh-pod-5": "subgroup index of worker 3 (2 of 4)",
    "wh-pod-6": "subgroup index when the leader has no TPU",
    "wh-pod-7": "foreign TPU pod gets no variables",
    "wh-pod-8": "no TPU variables, leader",
    "wh-pod-9": "no TPU variables, worker",
    "wh-pod-10": "TPU, size 5, leader",
    "wh-pod-11": "UniquePerReplica sets the leader's subdomain and host names",
    "wh-pod-12": "TPU with subgroup 5, leader",
    "wh-pod-13": "TPU worker, leader too",
    "wh-pod-14": "TPU worker with subgroups, leader too",
    "wh-pod-15": "TPU worker, leader not",
    "wh-pod-16": "TPU worker with subgroups, leader not",
    "wh-pod-17": "TPU, size 2, worker",
    "wh-pod-18": "TPU, size 1, leader",
    "wh-pod-19": "only the TPU container of several gets variables",
    "wh-pod-20": "leader gets both exclusive terms",
    "wh-pod-21": "leader gets group and subgroup terms",
    "wh-pod-22": "worker gets subgroup terms only",
    "wh-pod-23": "no annotation, no terms",
    "wh-pod-24": "terms are not added twice",
    "wh-pod-25": "existing terms are kept",
    "wh-pod-26": "LWS variables present, leader address first",
    "wh-pod-27": "foreign pod passes validation on create and update",
}

_NAME = re.compile(r"\b(?:e2e|ctl|wh-lws|wh-pod)-\d+\b")
_BRACKETS = re.compile(r"\[([^\]]*)\]")


def find_tests():
    """case -> `file::test`, sorted; also of cases that nobody knows."""
    found = {}
    for path in sorted((FOLDER / "e2e").glob("test_lws_*.py")):
        for function in ast.parse(path.read_text()).body:
            if isinstance(function, ast.FunctionDef) and function.name.startswith("test_"):
                for case in _cases_of(function):
                    found.setdefault(case, set()).add(f"{path.name}::{function.name}")
    return {case: sorted(tests) for case, tests in found.items()}


def _cases_of(function):
    opening = _BRACKETS.match(ast.get_docstring(function) or "")
    cases = _NAME.findall(opening.group(1)) if opening else []
    ids = [
        keyword.value.value
        for decorator in function.decorator_list
        for node in ast.walk(decorator)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "id" and isinstance(keyword.value, ast.Constant)
    ]
    return [*cases, *(case for text in ids for case in _NAME.findall(text))]


def table():
    """The text of `lws_cases.md`."""
    found = find_tests()
    lines = [
        "# LeaderWorkerSet's own test cases, and ours",
        "",
        "Written by `python -m tests.support.lws_cases`. e2e: whole cluster; ctl: controller;",
        "wh: admission. All run against a real API server (`tests/e2e`).",
        "",
        "| case | what | tests |",
        "|---|---|---|",
    ]
    for case, what in CASES.items():
        tests = ", ".join(f"`{test}`" for test in found.get(case, ())) or "none"
        lines.append(f"| {case} | {what} | {tests} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
