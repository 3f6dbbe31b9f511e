"""Lists come in pages, watches go on from there, and nothing that happened in a gap is missed."""

import asyncio

from lws_placement.backoff import Backoff
from lws_placement.cluster.api.watch import Watcher
from lws_placement.errors import ApiError, ExpiredError, NotFoundError


def an_object(name, *, uid="", version=1):
    meta = {"name": name, "namespace": "ns", "uid": uid or f"uid-{name}"}
    return {"metadata": {**meta, "resourceVersion": str(version)}}


class Server:
    """Answers each list with the next of `lists`: pages, an error in place of one ends it; and each
    watch with the next of `cut_after`: events, then the connection breaks.
    """

    def __init__(self, *lists, cut_after=()):
        self._lists = list(lists)
        self._cut_after = list(cut_after)
        self.asked = []
        self.watched_from = []
        self.waiting = asyncio.Event()

    async def pages(self, path, **params):
        self.asked.append(params)
        for page in self._lists.pop(0):
            if isinstance(page, Exception):
                raise page
            yield page, "50"

    async def watch(self, path, **params):
        self.watched_from.append(params["resourceVersion"])
        if self._cut_after:
            for event in self._cut_after.pop(0):
                yield event
            raise ApiError("cut")
        if not self._lists:
            self.waiting.set()
            await asyncio.Event().wait()
        raise ExpiredError("too old", status=410)


async def told(server):
    """What a Watcher tells until it has nothing more to read."""
    events = []

    def on_event(kind, raw):
        events.append((kind, raw["metadata"]["name"], raw["metadata"]["uid"]))

    watcher = Watcher(server, "/x", on_event=on_event)
    task = asyncio.create_task(watcher.run())
    await asyncio.wait_for(server.waiting.wait(), 10)
    task.cancel()
    return events


async def test_a_list_is_told_page_by_page_and_watched_from_its_version():
    server = Server([[an_object("a"), an_object("b")], [an_object("c")]])
    assert [name for _, name, _ in await told(server)] == ["a", "b", "c"]
    assert server.watched_from == ["50"]


async def test_what_a_later_list_no_longer_shows_is_gone():
    server = Server([[an_object("a"), an_object("b")]], [[an_object("b", version=2)]])
    events = await told(server)
    assert events[-2:] == [("MODIFIED", "b", "uid-b"), ("DELETED", "a", "uid-a")]


async def test_what_has_another_ones_name_comes_after_the_other_has_gone():
    server = Server([[an_object("a", uid="old")]], [[an_object("a", uid="new", version=2)]])
    events = await told(server)
    assert events[-2:] == [("DELETED", "a", "old"), ("MODIFIED", "a", "new")]


async def test_pages_that_expire_end_in_one_list_without_pages():
    expired = ExpiredError("the continue token is too old", status=410)
    server = Server([[an_object("a")], expired], [[an_object("a"), an_object("b")]], [[]])
    events = await told(server)
    assert [params.get("limit") for params in server.asked] == [None, "0", None]
    assert {name for kind, name, _ in events if kind == "DELETED"} == {"a", "b"}


async def test_a_list_that_breaks_off_forgets_nothing(monkeypatch):
    monkeypatch.setattr("lws_placement.cluster.api.watch._BACKOFF", Backoff(0, 0))
    server = Server(
        [[an_object("a"), an_object("b")]],
        [[an_object("a")], ApiError("connection reset")],
        [[an_object("a"), an_object("b")]],
    )
    assert "DELETED" not in {kind for kind, _, _ in await told(server)}


async def test_a_watch_that_is_cut_goes_on_where_it_was_and_soon(monkeypatch):
    naps = []

    async def nap(delay_s):
        naps.append(delay_s)

    monkeypatch.setattr("lws_placement.cluster.api.watch.asyncio.sleep", nap)
    changes = [[{"type": "MODIFIED", "object": an_object("a", version=n)}] for n in (60, 70)]
    server = Server([[an_object("a")]], cut_after=[changes[0], [], [], changes[1]])
    await told(server)
    assert server.watched_from == ["50", "60", "60", "60", "70"]
    assert naps[1] < naps[2]
    assert max(naps[0], naps[3]) <= 0.2 < naps[2], "it went well again"


async def test_what_is_to_be_listed_again_is_told_once_more_without_a_pause():
    server = Server([[an_object("a")]])
    events = []
    watcher = Watcher(
        server, "/x", on_event=lambda kind, raw: events.append(raw["metadata"]["name"])
    )
    task = asyncio.create_task(watcher.run())
    await asyncio.wait_for(server.waiting.wait(), 10)
    server.waiting.clear()
    server._lists.append([[an_object("a"), an_object("b")]])
    watcher.list_again()
    await asyncio.wait_for(server.waiting.wait(), 10)
    assert events == ["a", "a", "b"]
    assert len(server.watched_from) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


async def test_what_is_to_be_listed_again_while_it_is_listed_is_listed_twice():
    server = Server([[an_object("a")]], [[an_object("a")]])
    watcher = Watcher(
        server, "/x", on_event=lambda kind, raw: len(server.asked) == 1 and watcher.list_again()
    )
    task = asyncio.create_task(watcher.run())
    await asyncio.wait_for(server.waiting.wait(), 10)
    assert len(server.asked) == 2
    assert len(server.watched_from) == 1
    task.cancel()


async def test_a_kind_that_is_not_served_counts_as_listed_until_it_is(monkeypatch):
    monkeypatch.setattr("lws_placement.cluster.api.watch._UNSERVED_S", 0.0)
    gone = NotFoundError("no such kind", status=404)
    server = Server([[an_object("a")]], [gone], [[an_object("b")]])
    events = []
    watcher = Watcher(
        server,
        "/x",
        on_event=lambda *e: events.append((e[0], e[1]["metadata"]["name"])),
        optional=True,
    )
    task = asyncio.create_task(watcher.run())
    await asyncio.wait_for(server.waiting.wait(), 10)
    task.cancel()
    assert events == [("MODIFIED", "a"), ("DELETED", "a"), ("MODIFIED", "b")]
    assert watcher.synced.is_set()
