"""What the servers have follows the Secret, and what cannot be used changes nothing."""

import asyncio
import math
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from support.secrets_api import Secrets

from certs.authority import Names, make
from certs.expiry import ENDS_LEASE
from certs.store import CA_SECRET, CLIENT_SECRET, SECRET
from lws_placement import certificates, retried
from lws_placement.backoff import Backoff
from lws_placement.certificates import Certificates
from lws_placement.cluster.api.events import EventRecorder
from lws_placement.errors import InvalidObjectError, NotFoundError
from lws_placement.settings import Settings


class ASecretsApi(Secrets):
    """Events are kept apart."""

    def __init__(self):
        super().__init__()
        self.events = []

    async def get(self, path):
        if "webhookconfigurations" in path:
            raise NotFoundError("no", status=404)
        return await super().get(path)

    async def create(self, path, body):
        if body["kind"] == "Event":
            self.events.append(body)
            return body
        return await super().create(path, body)


class AServer:
    def __init__(self):
        self.loaded = []
        self.client_certificate_ends = math.inf

    def load(self, *, cert, key, client_ca):
        if client_ca == b"refuse":
            raise InvalidObjectError("cannot be used")
        self.loaded.append((cert, key, client_ca))


class World:
    def __init__(self, **settings):
        self.api = ASecretsApi()
        self.webhook, self.extender = AServer(), AServer()
        self.certificates = Certificates(
            self.api,
            Settings(namespace="ns", **settings),
            servers={"webhook": self.webhook, "extender": self.extender},
            recorder=EventRecorder(self.api, instance="test"),
        )
        self.waits_for = []

    async def start(self):
        """The one who leads makes the Secrets; all others read."""
        if SECRET not in self.api.by_name:
            await while_running(self.certificates.keep(), lambda: ENDS_LEASE in self.api.by_name)
        await self.certificates.load_first(told=self.waits_for.append)

    @property
    def data(self):
        return self.api.by_name[SECRET]["data"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(certificates, "_EVERY_S", 0)
    monkeypatch.setattr(retried, "BACKOFF", Backoff(first_s=0, most_s=0))


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def while_running(work, condition):
    task = asyncio.create_task(work)
    try:
        await until(lambda: condition() or task.done())
        assert not task.done(), task
    finally:
        task.cancel()


async def test_a_garbled_secret_changes_nothing_and_says_so_until_it_is_mended(caplog):
    world = World()
    await world.start()
    del world.data["tls.key"]
    task = asyncio.create_task(world.certificates.follow())
    await until(lambda: world.api.events)
    await until(lambda: caplog.text.count("will retry") > 3)
    (event,) = world.api.events
    assert event["reason"] == "CertificatesUnusable"
    assert event["regarding"]["name"] == SECRET
    assert "data.tls.key is missing" in event["note"]
    assert "the earlier certificates stay in use" in event["note"]
    assert len(world.extender.loaded) == 1
    another = World()
    await another.start()
    world.data.update(another.data)
    await until(lambda: len(world.extender.loaded) == 2)
    assert world.extender.loaded[1] == another.extender.loaded[0]
    assert not task.done()
    task.cancel()


async def test_a_garbled_ca_changes_nothing_and_says_so_until_it_is_mended():
    world = World()
    await world.start()
    before, ca = dict(world.data), world.api.by_name[CA_SECRET]["data"]
    key = ca.pop("ca.key")
    del world.api.by_name[ENDS_LEASE]
    task = asyncio.create_task(world.certificates.keep())
    await until(lambda: world.api.events)
    (event,) = world.api.events
    assert event["regarding"]["name"] == CA_SECRET
    assert "data.ca.key is missing" in event["note"]
    assert world.data == before
    ca["ca.key"] = key
    await until(lambda: ENDS_LEASE in world.api.by_name)
    assert world.data == before
    assert not task.done()
    task.cancel()


async def test_it_waits_for_a_secret_that_can_be_used():
    world = World()
    await world.start()
    broken = World()
    broken.api.by_name = world.api.by_name
    kept = world.data.pop("ca.crt")
    starting = asyncio.create_task(broken.start())
    await until(lambda: broken.waits_for)
    assert "data.ca.crt is missing" in broken.waits_for[0]
    world.data["ca.crt"] = kept
    await starting
    assert len(broken.webhook.loaded) == 1


async def test_who_may_call_the_webhook_is_read_from_a_file_that_may_change(tmp_path, caplog):
    first, second = (make(Names(("x",)), now=datetime.now(UTC)).ca for _ in range(2))
    path = tmp_path / "ca.crt"
    world = World(webhook_client_ca=path)
    starting = asyncio.create_task(world.start())
    await until(lambda: world.waits_for)
    assert f"--webhook-client-ca {path}: " in world.waits_for[0]
    path.write_bytes(first)
    await starting
    assert world.webhook.loaded[-1][2] == first
    assert world.extender.loaded[-1][2] != first
    path.write_bytes(b"half of it")
    await while_running(
        world.certificates.follow(),
        lambda: "the earlier client CA stays in use" in caplog.text,
    )
    assert len(world.webhook.loaded) == 1
    path.write_bytes(second)
    await while_running(world.certificates.follow(), lambda: len(world.webhook.loaded) == 2)
    assert world.webhook.loaded[-1][2] == second


def figure(certificate):
    name = "lws_placement_certificate_expiration_timestamp_seconds"
    return REGISTRY.get_sample_value(name, {"certificate": certificate})


async def test_until_when_certificates_are_valid_is_a_metric():
    await World().start()
    now = datetime.now(UTC).timestamp()
    days = {name: (figure(name) - now) / 86400 for name in ("ca", "serving", "client")}
    assert 3649 < days["ca"] < 3651
    assert 364 < days["serving"] < 366
    assert 364 < days["client"] < 366


@pytest.mark.parametrize(("days", "said"), [(30, ["CertificateEnds"]), (90, [])])
async def test_a_certificate_that_kube_scheduler_should_have_replaced_is_told(days, said):
    world = World()
    await world.start()
    ends = datetime.now(UTC) + timedelta(days=days)
    await while_running(world.certificates.follow(), lambda: True)
    assert world.api.events == []
    world.extender.client_certificate_ends = ends.timestamp()
    await while_running(
        world.certificates.follow(), lambda: figure("presented") == ends.timestamp()
    )
    assert [e["reason"] for e in world.api.events] == said
    for event in world.api.events:
        assert event["regarding"]["name"] == CLIENT_SECRET
        assert f"ends on {ends:%Y-%m-%d}" in event["note"]
