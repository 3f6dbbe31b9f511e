"""Our rules and the real kube-scheduler say the same of random pods on random clusters.

`make differ PAIRS=10000 SEED=1` asks about as many pairs of pod and node. Cluster number n has seed
SEED + n - 1, so `PAIRS=1` with the seed of a report makes that cluster again.
"""

import os

import pytest
from e2e.differ_cluster import DifferCluster
from e2e.differences import Tally
from e2e.resources import path_of
from e2e.scheduler_answers import ask
from support.our_verdicts import read_cache, verdicts
from support.random_clusters import features_named, random_cluster, seed_named

MODELLED = "all"
"""The features that our rules know."""
EXPECTED = {
    "too few volumes there for the members' claims": "claims of one pod that want different "
    "volumes of one class are judged by the worst order in which kube-scheduler may serve them"
}
"""Start of a reason of ours -> why it may say no where kube-scheduler says yes."""

PAIRS = int(os.environ.get("LWS_PLACEMENT_DIFFER_PAIRS", "300"))
SEED = seed_named(os.environ.get("LWS_PLACEMENT_DIFFER_SEED", ""))
FEATURES = features_named(os.environ.get("LWS_PLACEMENT_DIFFER_FEATURES", "") or MODELLED)
PODS = 20


def test_our_rules_say_what_kube_scheduler_says(bare, extender):
    print(f"seed {SEED}, {PAIRS} pairs of {', '.join(FEATURES)}")
    there, tally, seed = DifferCluster(bare, extender), Tally(EXPECTED), SEED
    while tally.pairs < PAIRS:
        _compare(bare, there, extender, tally, seed)
        seed += 1
    print(f"{tally.pairs} pairs in {seed - SEED} clusters\n{tally.table()}")
    if tally.wrong:
        pytest.fail(tally.story(), pytrace=False)


def _compare(bare, there, extender, tally, seed):
    wanted = random_cluster(seed, FEATURES, pods=PODS)
    there.put(wanted)
    cache = read_cache(bare.api.items)
    nodes = bare.api.items(path_of("nodes", ""))
    others = [
        *bare.api.items("/api/v1/namespaces"),
        *bare.api.items(path_of("pods", "")),
        *wanted.storage.objects,
        *wanted.devices.objects,
        *(claim for claim, _ in wanted.devices.allocated),
    ]
    answered = ask(bare, extender, [asking.raw for asking in wanted.asking])
    for asking, (pod, answer) in zip(wanted.asking, answered, strict=True):
        if answer.failed:
            continue  # members are pinned, so kube-scheduler looks at one node for them
        ours = verdicts(cache, pod)
        tally.add(asking, pod, answer, ours, seed=seed, nodes=nodes, others=others)
    assert extender.changed == [], f"seed {seed}: a second call said something else"
