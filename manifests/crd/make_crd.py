"""Makes crd.yaml beside this file: `make manifests`.

crd.yaml.in has our types. The API server's own schemas of pods and claims go into it, so that it
refuses a misspelt field in a template, as with upstream's CRD. Enumerations of core types are left
out, so that a newer Kubernetes' values pass.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster

FOLDER = Path(__file__).parent
HEADER = (
    "# Made by `make manifests` from crd.yaml.in and the schemas of a Kubernetes API server.\n"
    "# Apply it server-side (kubectl apply --server-side): it is too large for the annotation of a "
    "client-side apply.\n"
)

_INT_OR_STRING = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": _INT_OR_STRING,
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": {"type": "string", "format": "date-time"},
}
_DROPPED = {
    "default",
    "enum",
    "x-kubernetes-group-version-kind",
    "x-kubernetes-unions",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
}
_DEFAULTS = {("ContainerPort", "protocol"): "TCP", ("LocalObjectReference", "name"): ""}
"""Optional keys of list maps need a default in a structural schema."""

Schema = dict[str, Any]


def generate(cluster: LocalCluster) -> str:
    """The text of crd.yaml."""
    published = json.loads(cluster.kubectl("get", "--raw", "/openapi/v3/apis/apps/v1"))
    crd = custom_resource_definition(published["components"]["schemas"])
    return HEADER + yaml.safe_dump(crd, sort_keys=False, width=120)


def custom_resource_definition(schemas: Mapping[str, Schema]) -> Schema:
    """`schemas`: `components.schemas` of the API server's OpenAPI v3 document of apps/v1."""
    types = yaml.safe_load((FOLDER / "crd.yaml.in").read_text())
    return _filled(types, schemas)


def _filled(part: Any, schemas: Mapping[str, Schema]) -> Any:
    if isinstance(part, list):
        return [_filled(item, schemas) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(part["$ref"], schemas)
    return {name: _filled(value, schemas) for name, value in part.items()}


def _inlined(name: str, schemas: Mapping[str, Schema]) -> Schema:
    """Published schemas refer to each other; a CRD must inline everything."""
    if name in _SPECIAL:
        return dict(_SPECIAL[name])
    return _plain(schemas[name], name.rsplit(".", 1)[-1], schemas)


def _plain(raw: Schema, owner: str, schemas: Mapping[str, Schema]) -> Schema:
    reference = raw.get("$ref") or next((a.get("$ref") for a in raw.get("allOf", ())), None)
    if reference:
        found = _inlined(reference.rsplit("/", 1)[-1], schemas)
        if raw.get("description"):
            found["description"] = _first_sentence(raw["description"])
        return found
    result = {k: v for k, v in raw.items() if k not in _DROPPED}
    if "description" in result:
        result["description"] = _first_sentence(result["description"])
    if "properties" in result:
        result["properties"] = {
            name: _property(owner, name, value, schemas)
            for name, value in sorted(result["properties"].items())
        }
    for inner in ("items", "additionalProperties"):
        if isinstance(result.get(inner), dict):
            result[inner] = _plain(result[inner], owner, schemas)
    return result


def _property(owner: str, name: str, raw: Schema, schemas: Mapping[str, Schema]) -> Schema:
    schema = _plain(raw, owner, schemas)
    default = _DEFAULTS.get((owner, name))
    return {**schema, "default": default} if default is not None else schema


def _first_sentence(text: str) -> str:
    sentence, dot, _ = text.partition(". ")
    return " ".join(f"{sentence}{dot}".split())


def main() -> None:
    binaries = find_or_build(lambda line: print(line, file=sys.stderr))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(Path(folder) / "cluster", binaries) as cluster,
    ):
        (FOLDER / "crd.yaml").write_text(generate(cluster))


if __name__ == "__main__":
    main()
