"""Writes the chart's templates and values.schema.json: `make chart`.

The kustomize manifests are the one truth. Their objects are taken file by file; what a value can
change is replaced by an expression of Helm's, and the namespace by the release's. A file that is
new in an overlay is in the chart with the next `make chart`; a test holds what Helm renders against
what kustomize does.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from lws_placement.engine.base.raw import Raw
from lws_placement.settings import Settings

MANIFESTS = Path(__file__).parents[1]
CHART = Path(__file__).parent / "lws-placement"
NAMESPACE = "lws-placement-system"

_OVERLAYS = {
    "base": "",
    "standalone": ".Values.controller.enabled",
    "beside-upstream": "not .Values.controller.enabled",
    "scheduler-files": ".Values.schedulerFiles.enabled",
    "second-scheduler/component": ".Values.secondScheduler.enabled",
    "tenants": ".Values.tenantPolicy.enabled",
}
"""Folder -> the condition under which its objects are rendered; empty for always."""
SET_BY_THE_CHART = {
    "roles",
    "namespace",
    "kubeconfig",
    "identity",
    "bind_address",
    "webhook_port",
    "webhook_client_ca",
    "extender_port",
    "health_port",
    "ports_file",
    "service_names",
    "extender_configured",
    "member_scheduler",
}
_TOKEN = re.compile(r"^(?P<indent> *)(?P<head>.*?)(?P<token>HELM\d+)(?P<tail>.*)$")


class Expressions:
    """Stands tokens into objects, and what Helm is to read into their text."""

    def __init__(self) -> None:
        self._of: dict[str, Callable[[str, str, str], str]] = {}

    def _token(self, write: Callable[[str, str, str], str]) -> str:
        token = f"HELM{len(self._of)}"
        self._of[token] = write
        return token

    def inline(self, expression: str) -> str:
        """A scalar, or a part of one."""
        return self._token(lambda indent, head, tail: f"{indent}{head}{{{{ {expression} }}}}{tail}")

    def block(self, expression: str) -> str:
        """A mapping or list as the value of a key."""

        def write(indent: str, head: str, _: str) -> str:
            return f"{indent}{head}{{{{- toYaml {expression} | nindent {len(indent) + 2} }}}}"

        return self._token(write)

    def optional(self, expression: str) -> str:
        """The same; the key is left out where there is nothing."""
        return self._token(
            lambda indent, head, _: _with(
                expression, indent, f"{head}{{{{- toYaml . | nindent {len(indent) + 2} }}}}"
            )
        )

    def optional_text(self, expression: str) -> str:
        """A scalar; the key is left out where it is empty."""
        return self._token(
            lambda indent, head, _: _with(expression, indent, f"{head}{{{{ . | quote }}}}")
        )

    def items(self, expression: str) -> str:
        """More items of a list, perhaps none."""
        return self._token(
            lambda indent, _, __: _with(expression, indent, f"{{{{- . | nindent {len(indent)} }}}}")
        )

    def written(self, text: str) -> str:
        return "\n".join(map(self._line, text.split("\n")))

    def _line(self, line: str) -> str:
        match = _TOKEN.match(line)
        if match is None:
            return line
        return self._of[match["token"]](match["indent"], match["head"], match["tail"])


def _with(expression: str, indent: str, line: str) -> str:
    """The line with what the expression gives as its dot; nothing where that is empty."""
    opening, closing = f"{{{{- with {expression} }}}}", "{{- end }}"
    return "\n".join(f"{indent}{text}" for text in (opening, line, closing))


def templates() -> dict[str, str]:
    """File name -> text, of all that is made of the kustomize manifests."""
    found = {}
    for folder, condition in _OVERLAYS.items():
        for path, objects in _sources(MANIFESTS / folder):
            name = f"{folder.partition('/')[0]}-{path.name}"
            if objects:
                found[name] = _template(objects, condition, path)
    return found


def _sources(folder: Path) -> Iterator[tuple[Path, list[Raw]]]:
    """The files of a kustomization, without those of another overlay and without the namespace
    that a release is installed in.
    """
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        path = (folder / name).resolve()
        if path.is_dir():
            if path.relative_to(MANIFESTS).as_posix() not in _OVERLAYS:
                yield from _sources(path)
            continue
        text = path.read_text()
        assert "{{" not in text, f"{path}: Helm would read it"
        yield path, [o for o in yaml.safe_load_all(text) if o and not _of_the_release(o)]


def _of_the_release(obj: Raw) -> bool:
    return bool(obj["kind"] == "Namespace" and obj["metadata"]["name"] == NAMESPACE)


def _template(objects: list[Raw], condition: str, path: Path) -> str:
    expressions = Expressions()
    for obj in objects:
        change = _CHANGES.get((obj["kind"], obj["metadata"]["name"]))
        if change is not None:
            change(obj, expressions)
    source = path.relative_to(MANIFESTS.parent)
    header = f"{{{{- /* Made by `make chart` from {source}: change that, and make it anew. */}}}}\n"
    text = "---\n".join(yaml.dump(o, Dumper=_Dumper, sort_keys=False, width=1000) for o in objects)
    text = expressions.written(text).replace(NAMESPACE, "{{ .Release.Namespace }}")
    return (
        f"{header}{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n" if condition else header + text
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Texts of several lines as such."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


# -- what values change ---------------------------------------------------------------------------


def _pods(spec: Raw, at: Expressions) -> None:
    """What all of our Deployments' pods have in common."""
    spec["priorityClassName"] = at.inline(".Values.priorityClassName")
    spec["imagePullSecrets"] = at.optional(".Values.image.pullSecrets")
    for key in ("nodeSelector", "tolerations", "affinity"):
        spec[key] = at.optional(f".Values.{key}")


def _deployment(obj: Raw, at: Expressions) -> None:
    obj["spec"]["replicas"] = at.inline(".Values.replicas")
    template = obj["spec"]["template"]
    template["metadata"]["annotations"] = at.optional(".Values.podAnnotations")
    spec = template["spec"]
    _pods(spec, at)
    for container in spec["containers"]:
        name = container["name"]
        _own_image(container, at)
        container["resources"] = at.block(f".Values.{name}.resources")
        more = f'include "lws-placement.env" (dict "root" . "container" "{name}") | trim'
        container["env"] = [*container["env"], at.items(more)]


def _gate(obj: Raw, at: Expressions) -> None:
    _deployment(obj, at)
    spec = obj["spec"]["template"]["spec"]
    (gate,) = spec["containers"]
    gate["volumeMounts"].append(at.items('include "lws-placement.clientCAMount" . | trim'))
    spec["volumes"].append(at.items('include "lws-placement.clientCA" . | trim'))


def _brain(obj: Raw, at: Expressions) -> None:
    _deployment(obj, at)
    (brain,) = obj["spec"]["template"]["spec"]["containers"]
    roles = at.inline('ternary "brain" "planner,certificates" .Values.controller.enabled')
    assert brain["args"][1] == "--roles=planner,certificates", brain["args"]
    brain["args"][1] = f"--roles={roles}"


def _own_image(container: Raw, at: Expressions) -> None:
    container["image"] = at.inline('include "lws-placement.image" .')
    policy = container.pop("imagePullPolicy", None)
    assert policy is None, policy
    container["imagePullPolicy"] = at.optional_text(".Values.image.pullPolicy")


def _extender_service(obj: Raw, at: Expressions) -> None:
    obj["spec"]["clusterIP"] = at.optional_text(".Values.extender.clusterIP")


def _daemon_set(obj: Raw, at: Expressions) -> None:
    spec = obj["spec"]["template"]["spec"]
    spec["imagePullSecrets"] = at.optional(".Values.image.pullSecrets")
    (container,) = spec["containers"]
    _own_image(container, at)
    container["env"] = at.optional('(include "lws-placement.namespaceEnv" . | fromYamlArray)')
    container["resources"] = at.block(".Values.schedulerFiles.resources")
    spec["nodeSelector"] = at.block(".Values.schedulerFiles.nodeSelector")


def _second_scheduler(obj: Raw, at: Expressions) -> None:
    obj["spec"]["replicas"] = at.inline(".Values.secondScheduler.replicas")
    spec = obj["spec"]["template"]["spec"]
    _pods(spec, at)
    (container,) = spec["containers"]
    container["image"] = at.inline('include "lws-placement.schedulerImage" .')
    container["resources"] = at.block(".Values.secondScheduler.resources")


_CHANGES: dict[tuple[str, str], Callable[[Raw, Expressions], None]] = {
    ("Deployment", "lws-placement"): _gate,
    ("Deployment", "lws-placement-brain"): _brain,
    ("Service", "lws-placement-extender"): _extender_service,
    ("DaemonSet", "lws-placement-scheduler-files"): _daemon_set,
    ("Deployment", "lws-placement-scheduler"): _second_scheduler,
}


# -- values.schema.json ---------------------------------------------------------------------------


def schema() -> str:
    """`values.schema.in.json`, with our settings in it, so that a wrong one is refused by Helm."""
    found: Raw = json.loads((Path(__file__).parent / "values.schema.in.json").read_text())
    own = Settings.model_json_schema(mode="validation")
    found["properties"]["settings"]["properties"] = {
        name: _knob(field, own.get("$defs", {}))
        for name, field in own["properties"].items()
        if name not in SET_BY_THE_CHART
    }
    return json.dumps(found, indent=2) + "\n"


def _knob(field: Raw, definitions: Raw) -> Raw:
    """Without the default: that is the program's. A list may be given as one text with commas."""
    kept = {k: v for k, v in field.items() if k not in ("default", "title")}
    if "$ref" in kept:
        kept = definitions[kept.pop("$ref").rpartition("/")[2]] | kept
        kept.pop("title")
    if kept.get("type") == "array":
        kept["type"] = ["array", "string"]
    return kept


def made() -> dict[Path, str]:
    """All files that are made, with what is to be in them."""
    files = {CHART / "templates" / name: text for name, text in templates().items()}
    return files | {CHART / "values.schema.json": schema()}


def main() -> None:
    for path, text in made().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
