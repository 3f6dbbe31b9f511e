"""/metrics as Prometheus reads it."""

import asyncio

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from lws_placement.http_server.health import health_app
from lws_placement.loops import Heartbeat


async def scrape():
    app = health_app(lambda: "", heartbeat=Heartbeat(stall_s=1e9), main=asyncio.get_running_loop())
    async with TestClient(TestServer(app)) as client:
        return samples(await (await client.get("/metrics")).text())


def samples(text):
    """(sample name, label values in order of label names) -> value; ours alone."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("lws_placement_")
    }


def moved(before, after):
    """Samples that changed, and by how much; without the buckets of histograms."""
    return {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if value != before.get(name, 0) and not name[0].endswith("_bucket")
    }
