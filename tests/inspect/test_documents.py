"""Files of objects, and what is said of those that cannot be read (`inspect/documents.py`)."""

import json

import pytest
from click.testing import CliRunner

from lws_placement.cli.main import cli
from lws_placement.errors import InvalidObjectError
from lws_placement.inspect.documents import as_stored, load_text

SET = """
kind: LeaderWorkerSet
metadata:
  name: llm
  annotations: {leaderworkerset.sigs.k8s.io/exclusive-topology: example.com/slice}
spec:
  replicas: 2
  leaderWorkerTemplate:
    size: 2
    workerTemplate:
      spec: {containers: [{name: model, resources: {limits: {google.com/tpu: 4}}}]}
"""
POOL = (
    "{kind: NodePool, name: s01, key: example.com/slice, count: 2, "
    "allocatable: {google.com/tpu: 4}}"
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not YAML"),
        ("[1]", "document 1: is no object with a kind"),
        ("kind: Node", "Node has no metadata.name"),
        ("kind: NodePool", "NodePool has no name"),
        ("{kind: NodePool, name: a, size: 3}", "NodePool has no field size"),
        ("{kind: NodePool, name: a, count: many}", "count is not a number"),
        ("{kind: NodePool, name: a, count: 1000000000}", "count is not a number up to 100000"),
        ("{kind: NodePool, name: s01..20}", "s01..20: name is not a range like s01..s20"),
        ("{kind: NodePool, name: s2..s1}", "name is not a range"),
        ("{kind: NodePool, name: s1..s9999999999}", "name is not a range"),
        (
            "{kind: NodePool, name: s1..s50000, count: 3}",
            "count is not a number up to 100000 in all",
        ),
        ("{kind: NodePool, name: a, labels: b}", "NodePool a: labels is not a mapping"),
        ("{kind: NodePool, name: a, allocatable: [4]}", "allocatable is not a mapping"),
        ("{kind: NodePool, name: a, taints: {key: b}}", "taints is not a list"),
        ("{kind: NodePool, name: a, key: [b]}", "key is not a text"),
        ("kind: NodeGroup", "NodeGroup has no name"),
        ("{kind: NodeGroup, name: a, size: 3}", "NodeGroup has no field size"),
        ("{kind: NodeGroup, name: a, most: many}", "NodeGroup a: most is not a number"),
        ("{kind: NodeGroup, name: a, most: 400, count: 400}", "not a number up to 100000 in all"),
        ("{kind: NodeGroup, name: a, labels: b}", "labels is not a mapping"),
        (f"{POOL}\n---\nkind: Node", "document 2: Node has no metadata.name"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(text, says):
    with pytest.raises(InvalidObjectError, match=says):
        load_text(text, where="nodes.yaml")


def test_a_pool_stands_for_its_nodes():
    nodes = load_text(POOL, where="nodes.yaml")
    assert [n["metadata"]["name"] for n in nodes] == ["s01-0", "s01-1"]
    assert {n["metadata"]["labels"]["example.com/slice"] for n in nodes} == {"s01"}


def test_a_range_of_names_stands_for_that_many_pools():
    text = "{kind: NodePool, name: s09..s10, key: example.com/slice, count: '2'}"
    nodes = load_text(text, where="nodes.yaml")
    labels = [n["metadata"]["labels"] for n in nodes]
    assert [one["example.com/slice"] for one in labels] == ["s09", "s09", "s10", "s10"]
    names = [n["metadata"]["name"] for n in nodes]
    assert names == ["s09-0", "s09-1", "s10-0", "s10-1"]
    assert [one["kubernetes.io/hostname"] for one in labels] == names


def test_typed_lists_count_as_their_items():
    text = "{kind: NodeList, items: [{metadata: {name: a}}, {metadata: {name: b}}]}"
    assert [n["kind"] for n in load_text(text, where="nodes.yaml")] == ["Node", "Node"]


def test_what_the_api_server_would_add_is_added():
    node = as_stored({"kind": "Node", "metadata": {"name": "a"}}, number=7)
    assert node["status"]["allocatable"] == {"pods": "110"}
    pod = as_stored({"kind": "Pod", "metadata": {"name": "a"}}, number=8)
    assert (pod["metadata"]["namespace"], pod["metadata"]["uid"]) == ("default", "file-8")


def simulate(tmp_path, text, *args):
    file = tmp_path / "model.yaml"
    file.write_text(text)
    return CliRunner().invoke(cli, ["simulate", "-f", str(file), *args])


def test_json_has_the_facts_and_the_sentences(tmp_path):
    done = simulate(tmp_path, f"{POOL}\n---{SET}", "-o", "json")
    found = json.loads(done.stdout)
    assert found["topologyKeys"] == [{"key": "example.com/slice", "domains": 1, "nodes": 2}]
    placed, waits = found["leaderWorkerSets"][0]["groups"]
    assert placed["standing"] == "coming"
    where = {"topologyKey": "example.com/slice", "name": "s01"}
    assert placed["domains"] == [{**where, "nodes": {"0": "s01-0", "1": "s01-1"}}]
    assert waits["standing"] == "waits"
    assert waits["queue"] == {"place": 1, "of": 1}
    assert waits["misses"] == [
        {
            "name": "s01",
            "why": "HELD",
            "message": "held by default/llm-0",
            "nodes": 2,
            "nodesThatFit": 0,
            "fitsOnceEnded": {"groups": ["default/llm-0"], "pods": []},
        }
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POOL, "no LeaderWorkerSet in"),
        (f"{SET}---\nkind: Pod\nmetadata: {{name: a}}\nspec: {{containers: 3}}", "Pod a: cannot"),
        (f"{SET}---\nkind: PriorityClass\nmetadata: {{name: a}}", "PriorityClass a: cannot"),
    ],
)
def test_a_wrong_object_is_named(tmp_path, text, says):
    done = simulate(tmp_path, text)
    assert done.exit_code == 1
    assert says in str(done.exception)


@pytest.mark.parametrize("replicas", [1_000_000, 10_001])
def test_more_groups_than_can_be_simulated_are_refused_in_words(tmp_path, replicas):
    file = tmp_path / "model.yaml"
    file.write_text(SET.replace("replicas: 2", f"replicas: {replicas}"))
    nodes = tmp_path / "nodes.yaml"
    nodes.write_text(POOL)
    done = CliRunner().invoke(cli, ["simulate", "-f", str(file), "--nodes", str(nodes)])
    assert "not simulated: with the sets before it, more than 10000 groups" in done.output


GROUP = "{kind: NodeGroup, name: v5e, key: example.com/slice, count: 2, most: 5, allocatable: {%s}}"


def test_node_groups_may_come_in_a_file_of_their_own(tmp_path):
    (tmp_path / "sets.yaml").write_text(SET)
    (tmp_path / "groups.yaml").write_text(GROUP % "google.com/tpu: 4")
    flags = ["-f", str(tmp_path / "sets.yaml"), "--node-group", str(tmp_path / "groups.yaml")]
    done = CliRunner().invoke(cli, ["simulate", *flags, "-o", "json"])
    assert done.exit_code == 0, done.output
    (grown,) = json.loads(done.stdout)["nodeGroups"]
    assert (grown["name"], grown["most"]) == ("v5e", 5)
    assert grown["made"] == [
        {"domain": "v5e-1", "nodes": 2, "group": "default/llm-0"},
        {"domain": "v5e-2", "nodes": 2, "group": "default/llm-1"},
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GROUP % "google.com/tpu: four", "NodeGroup v5e: cannot be understood: 'four'"),
        ("\n---\n".join([GROUP % ""] * 2), "NodeGroup v5e: there are two of this name"),
    ],
)
def test_a_node_group_that_cannot_be_used_is_told_in_one_line(text, says, tmp_path):
    (tmp_path / "all.yaml").write_text(f"{SET}\n---\n{text}")
    done = CliRunner().invoke(cli, ["simulate", "-f", str(tmp_path / "all.yaml")])
    assert done.exit_code == 1
    assert says in str(done.exception)
