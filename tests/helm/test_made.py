"""The chart is made of the kustomize manifests, and its defaults are theirs."""

import json
import re
import tomllib

import pytest
import yaml
from support.manifest_scripts import load

from lws_placement.localcluster.install import MANIFESTS
from lws_placement.settings import Settings

CHART = MANIFESTS / "helm" / "lws-placement"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture(scope="module")
def make_chart():
    return load("helm/make_chart.py")


def test_what_is_made_is_up_to_date(make_chart):
    for path, text in make_chart.made().items():
        assert path.is_file(), f"make chart: {path.name} is missing"
        assert path.read_text() == text, f"make chart: {path.name} is not what it would be"


def test_nothing_is_left_of_a_manifest_that_is_gone(make_chart):
    by_hand = {"_helpers.tpl", "NOTES.txt", "checks.yaml", "servicemonitor.yaml"}
    there = {path.name for path in (CHART / "templates").iterdir()}
    assert there == by_hand | set(make_chart.templates())


def in_base(kind, name, *, folder="base"):
    for path in (MANIFESTS / folder).glob("*.yaml"):
        for obj in yaml.safe_load_all(path.read_text()):
            if obj and obj["kind"] == kind and obj.get("metadata", {}).get("name") == name:
                return obj
    raise AssertionError(f"{kind} {name} is nowhere in {folder}")


@pytest.mark.parametrize("name", ["lws-placement", "lws-placement-brain"])
def test_values_start_as_the_manifests_have_it(name):
    deployment = in_base("Deployment", name)
    spec = deployment["spec"]["template"]["spec"]
    assert VALUES["replicas"] == deployment["spec"]["replicas"]
    assert VALUES["priorityClassName"] == spec["priorityClassName"]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    for container in spec["containers"]:
        assert VALUES[container["name"]]["resources"] == container["resources"]
        assert container["image"] == f"{VALUES['image']['repository']}:{version}"


def test_values_of_the_other_overlays_start_as_they_have_it():
    daemon_set = in_base("DaemonSet", "lws-placement-scheduler-files", folder="scheduler-files")
    spec = daemon_set["spec"]["template"]["spec"]
    assert VALUES["schedulerFiles"]["nodeSelector"] == spec["nodeSelector"]
    assert VALUES["schedulerFiles"]["resources"] == spec["containers"][0]["resources"]
    name, folder = "lws-placement-scheduler", "second-scheduler/component"
    second = in_base("Deployment", name, folder=folder)
    (container,) = second["spec"]["template"]["spec"]["containers"]
    assert VALUES["secondScheduler"]["replicas"] == second["spec"]["replicas"]
    assert VALUES["secondScheduler"]["resources"] == container["resources"]
    assert VALUES["secondScheduler"]["image"]["repository"] == container["image"]


def test_the_chart_is_of_the_programs_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((MANIFESTS.parent / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_every_value_is_in_the_schema_and_every_setting_is_the_programs_or_the_charts(make_chart):
    schema = json.loads((CHART / "values.schema.json").read_text())

    def covers(schema_of, values, at):
        schema_of = schema["$defs"].get(schema_of.get("$ref", "").rpartition("/")[2], schema_of)
        if schema_of.get("additionalProperties", True) is not False:
            return
        for name, value in values.items():
            assert name in schema_of["properties"], f"{at}.{name}"
            if isinstance(value, dict):
                covers(schema_of["properties"][name], value, f"{at}.{name}")

    covers(schema, VALUES, "values")
    settings = schema["properties"]["settings"]["properties"]
    assert settings.keys() | make_chart.SET_BY_THE_CHART == Settings.model_fields.keys()
    assert not settings.keys() & make_chart.SET_BY_THE_CHART


def test_the_crd_is_the_one_of_the_manifests():
    (path,) = (CHART / "crds").iterdir()
    assert path.read_text() == (MANIFESTS / "crd" / "crd.yaml").read_text()


def test_only_the_namespace_of_the_release_is_named_in_what_is_made(make_chart):
    for name, text in make_chart.templates().items():
        assert "lws-placement-system" not in text, name
        assert not re.search(r"HELM\d", text), name
