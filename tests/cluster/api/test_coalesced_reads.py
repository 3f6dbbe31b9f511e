"""Reads are shared by those who ask at the same time, and by nobody else."""

import asyncio

import pytest

from lws_placement.cluster.api.coalesced_reads import CoalescedReads
from lws_placement.errors import ApiError


class Store:
    """Each read shows the value as it was when the read began."""

    def __init__(self):
        self.value = "old"
        self.reads = 0
        self.answer = asyncio.Event()

    async def read(self, key):
        self.reads += 1
        value = self.value
        await self.answer.wait()
        if isinstance(value, Exception):
            raise value
        return value


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_while_a_read_is_under_way_gets_the_next_one():
    store = Store()
    reads = CoalescedReads(store.read, gather_s=0)
    early = [asyncio.create_task(reads.fetch("a")) for _ in range(2)]
    await turns()
    store.value = "new"
    late = [asyncio.create_task(reads.fetch("a")) for _ in range(3)]
    await turns()
    store.answer.set()
    assert await asyncio.gather(*early) == ["old", "old"]
    assert await asyncio.gather(*late) == ["new", "new", "new"]
    assert store.reads == 2


async def test_other_keys_do_not_wait():
    store = Store()
    reads = CoalescedReads(store.read, gather_s=0)
    tasks = [asyncio.create_task(reads.fetch(key)) for key in "ab"]
    await turns()
    assert store.reads == 2
    store.answer.set()
    await asyncio.gather(*tasks)


async def test_a_failure_is_told_to_all_and_the_next_one_reads_again():
    store = Store()
    store.value = ApiError("away")
    store.answer.set()
    reads = CoalescedReads(store.read, gather_s=0)
    failed = await asyncio.gather(*(reads.fetch("a") for _ in range(2)), return_exceptions=True)
    assert [type(e) for e in failed] == [ApiError, ApiError]
    store.value = "back"
    assert await reads.fetch("a") == "back"


async def test_one_who_gives_up_takes_the_answer_from_nobody():
    store = Store()
    reads = CoalescedReads(store.read, gather_s=0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await reads.fetch("a")
    other = asyncio.create_task(reads.fetch("a"))
    await turns()
    store.answer.set()
    assert await other == "old"
