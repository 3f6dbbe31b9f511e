"""The types of the kinds that we read, as a real API server publishes them (OpenAPI v3), in short:
`api_types.json`, which `make api-types` writes.

A type is the fields of an object; a field's name ends with `!` if it is required. A field's type is
the name of another type, `string`, `integer`, `number`, `boolean`, `date-time`, `bytes`,
`int-or-string`, `quantity` or `any`; `[X]` is a list of X, `{X}` a map to X, and `A|B` one of these
texts.
"""

import json
import sys
import tempfile
from pathlib import Path

from lws_placement.localcluster.binaries import find_or_build
from lws_placement.localcluster.cluster import LocalCluster
from lws_placement.localcluster.install import Installation

FILE = Path(__file__).with_suffix(".json")

KINDS = {
    "api/v1": ("Pod", "Node", "Namespace", "LimitRange", "Service"),
    "apis/apps/v1": ("StatefulSet", "DaemonSet", "ControllerRevision"),
    "apis/coordination.k8s.io/v1": ("Lease",),
    "apis/leaderworkerset.x-k8s.io/v1": ("LeaderWorkerSet",),
    "apis/node.k8s.io/v1": ("RuntimeClass",),
    "apis/policy/v1": ("PodDisruptionBudget",),
    "apis/resource.k8s.io/v1": (
        "ResourceSlice",
        "ResourceClaim",
        "ResourceClaimTemplate",
        "DeviceClass",
    ),
    "apis/storage.k8s.io/v1": (
        "StorageClass",
        "CSINode",
        "CSIDriver",
        "CSIStorageCapacity",
        "VolumeAttachment",
    ),
}
"""Where published -> those that a watch or a body brings us; also what these consist of."""
KINDS["api/v1"] += ("PersistentVolume", "PersistentVolumeClaim")

_TEMPLATE = "PodTemplateSpec"
_SCALARS = {
    ("string", "date-time"): "date-time",
    ("string", "byte"): "bytes",
    ("string", "int-or-string"): "int-or-string",
}


class Types:
    """Collects types by name: `add` one, and all that it consists of are there as well."""

    def __init__(self):
        self.known = {}
        self._schemas = {}

    def add(self, kind, schemas):
        """`kind`: the end of a name in `schemas`."""
        self._schemas = schemas
        (full,) = [name for name in schemas if _is_of(name, kind)]
        self._named(full)

    def _named(self, full):
        short = full.rsplit(".", 1)[-1]
        schema = self._schemas[full]
        if short == "Quantity":
            return "quantity"
        if "properties" not in schema:
            return self._type(schema)
        if short not in self.known:
            self.known[short] = {}  # a type may contain itself
            self.known[short] = self._fields(schema)
        return short

    def _fields(self, schema):
        required = set(schema.get("required", ()))
        return {
            name + "!" * (name in required): self._type(inner)
            for name, inner in sorted(schema["properties"].items())
            if name not in ("managedFields", "apiVersion", "kind") or name in required
        }

    def _type(self, schema):
        for wrapped in schema.get("allOf", ()):
            return self._type(wrapped)
        if "$ref" in schema:
            return self._named(schema["$ref"].rsplit("/", 1)[-1])
        if schema.get("x-kubernetes-int-or-string"):
            return "int-or-string"
        if "properties" in schema:
            return self._inline(schema)
        match schema.get("type"):
            case "array":
                return f"[{self._type(schema['items'])}]"
            case "object" if isinstance(schema.get("additionalProperties"), dict):
                return f"{{{self._type(schema['additionalProperties'])}}}"
            case "string" if schema.get("enum"):
                return "|".join(filter(None, schema["enum"]))
            case None | "object":
                return "int-or-string" if schema.get("oneOf") else "any"
            case scalar:
                return _SCALARS.get((scalar, schema.get("format")), scalar)

    def _inline(self, schema):
        """An object without a name, as custom resources have: by what it consists of. Pod templates
        are those of the built-in kinds.
        """
        if "containers" in schema["properties"].get("spec", {}).get("properties", {}):
            return _TEMPLATE
        fields = self._fields(schema)
        name = next((n for n, f in self.known.items() if f == fields), f"Inline{len(self.known)}")
        self.known[name] = fields
        return name


def _is_of(full, kind):
    return full.rsplit(".", 1)[-1] == kind and not full.startswith("io.k8s.api.events")


def published(read):
    """`read`: the schemas of a group and version."""
    types = Types()
    for path in sorted(KINDS):
        for kind in KINDS[path]:
            types.add(kind, read(path))
    return types.known


def main():
    binaries = find_or_build(lambda line: print(line, file=sys.stderr))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(Path(folder) / "cluster", binaries) as cluster,
    ):
        Installation(cluster).apply_crd()

        def read(path):
            text = cluster.kubectl("get", "--raw", f"/openapi/v3/{path}")
            return json.loads(text)["components"]["schemas"]

        lines = [f" {json.dumps(n)}: {json.dumps(f)}" for n, f in sorted(published(read).items())]
        FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
