"""/metrics as Prometheus reads it."""

from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from lws_placement.http_server.server import health_app


async def scrape():
    async with TestClient(TestServer(health_app(lambda: ""))) as client:
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
