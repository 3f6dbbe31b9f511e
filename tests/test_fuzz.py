"""Whatever the API server stores or asks: nothing of ours ends, fails or fills up.

`make fuzz N=100000 SEED=7` sends many more bodies. A report names the seed of a round: the same
with `N=1` makes that round again.
"""

import asyncio
import json
import os
import random
from collections import Counter

from support.fuzzing import fuzzed, held_by
from support.virtual_time import run

BODIES = int(os.environ.get("LWS_PLACEMENT_FUZZ_BODIES", "300"))
SEED = os.environ.get("LWS_PLACEMENT_FUZZ_SEED", "1")
CHANGES, BODIES_EACH = 60, 100
"""Of one round."""
QUIET_S = 400.0
"""Longer than any back-off or verdict that is to be refreshed."""
_MOST_OF_HOSTS = 3 * 2**20
"""Each TPU container gets the names of all hosts of its group: at most 2 MiB (`pod_identity.py`),
in base64.
"""
ANSWERED = {200, 400, 413}


def test_every_body_is_answered():
    first = random.SystemRandom().randrange(10**6) if SEED == "random" else int(SEED)
    rounds = -(-BODIES // BODIES_EACH)
    print(f"seed {first}, {rounds} rounds of {BODIES_EACH} bodies for each of the two servers")
    seen = Counter()
    for seed in range(first, first + rounds):
        try:
            run(_ask(seed, seen))
        except Exception as e:
            raise AssertionError(f"a fault of ours: make fuzz SEED={seed} N=1") from e
    print(*sorted(map(str, seen.items())), sep="\n")
    assert seen["/mutate-pods", 200] > seen["/mutate-pods", 400], "most can be read"
    assert seen["placed"], "something was placed meanwhile"


async def _ask(seed, seen):
    async with fuzzed(seed) as world:
        world.begin()
        await world.change_some(CHANGES)
        seen["placed"] += len(world.brain.cache.holds())
        for _ in range(BODIES_EACH):
            path, body, status, size = await world.review()
            seen[path, status] += 1
            assert status in ANSWERED, (path, status, body)
            hosts = _MOST_OF_HOSTS if b"google.com/tpu" in body else 0
            assert size < 4 * len(body) + 100_000 + hosts, (path, size, body)
            path, body, answer = await world.call()
            seen[path, "malformed" in answer] += 1
            assert len(answer) < 2 * len(body) + 2_000, (path, answer, body)
            json.loads(answer)


def test_nothing_is_kept_of_what_is_gone_and_nothing_goes_on_for_ever():
    async def story():
        async with fuzzed(3) as world:
            kept, written = [], []
            for _ in range(3):
                world.begin()
                await world.change_some(CHANGES)
                await asyncio.sleep(QUIET_S)
                before = len(world.brain.api.writes)
                await asyncio.sleep(QUIET_S)
                written.append(len(world.brain.api.writes) - before)
                for _ in range(2):  # ours makes some more on the way out
                    world.delete_all()
                    await asyncio.sleep(QUIET_S)
                kept.append(world.held())
            return kept, written

    (first, *later), written = run(story())
    assert [kept - first for kept in later] == [Counter()] * 2
    assert max(written) < QUIET_S / 10


def test_the_count_of_what_is_kept_sees_a_leak():
    async def story():
        async with fuzzed(3) as world:
            before = world.held()
            world.brain.planner._pace._moved["a group"] = 1.0
            return world.held() - before

    assert sum(run(story()).values()) == 1


def test_held_by_counts_entries_wherever_they_are():
    assert sum(held_by(a={"x": [1, 2], "y": {3}}).values()) == 5
