"""Writes crd.yaml beside this file: `make manifests`. It asks a real API server for its schemas."""

import json
import sys
import tempfile
from pathlib import Path

import yaml

from lws_placement.controller.crd import custom_resource_definition
from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster

HEADER = (
    "# Made by `make manifests` from lws_placement/controller/crd.py and the schemas of a "
    "Kubernetes API server.\n"
    "# Apply it server-side (kubectl apply --server-side): it is too large for the annotation of a "
    "client-side apply.\n"
)


def generate(cluster: LocalCluster) -> str:
    """The text of crd.yaml."""
    published = json.loads(cluster.kubectl("get", "--raw", "/openapi/v3/apis/apps/v1"))
    crd = custom_resource_definition(published["components"]["schemas"])
    return HEADER + yaml.safe_dump(crd, sort_keys=False, width=120)


def main() -> None:
    binaries = find_or_build(lambda line: print(line, file=sys.stderr))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(Path(folder) / "cluster", binaries) as cluster,
    ):
        (Path(__file__).parent / "crd.yaml").write_text(generate(cluster))


if __name__ == "__main__":
    main()
