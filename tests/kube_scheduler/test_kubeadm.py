"""The change to kubeadm's static pod: put in, taken out, refused with words."""

import json
from difflib import ndiff

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lws_placement.cli.main import cli
from lws_placement.errors import SettingsError
from lws_placement.kube_scheduler.kubeadm import FOLDER, as_patch, put_in, take_out

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  labels:
    component: kube-scheduler
    tier: control-plane
  name: kube-scheduler
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-scheduler
    - --authentication-kubeconfig=/etc/kubernetes/scheduler.conf
    - --authorization-kubeconfig=/etc/kubernetes/scheduler.conf
    - --bind-address=127.0.0.1
    - --kubeconfig=/etc/kubernetes/scheduler.conf
    - --leader-elect=true
    image: registry.k8s.io/kube-scheduler:v1.37.2
    imagePullPolicy: IfNotPresent
    name: kube-scheduler
    resources:
      requests:
        cpu: 100m
    volumeMounts:
    - mountPath: /etc/kubernetes/scheduler.conf
      name: kubeconfig
      readOnly: true
  hostNetwork: true
  priorityClassName: system-node-critical
  volumes:
  - hostPath:
      path: /etc/kubernetes/scheduler.conf
      type: FileOrCreate
    name: kubeconfig
status: {}
"""
"""As kubeadm writes it; `tests/e2e/test_kubeadm.py` asks the real one."""

ADDED = """\
    - --config=/etc/kubernetes/lws-placement/scheduler-config.yaml
    - mountPath: /etc/kubernetes/lws-placement
      name: lws-placement
      readOnly: true
  - hostPath:
      path: /etc/kubernetes/lws-placement
      type: Directory
    name: lws-placement
"""
BY_HAND = """\
# ours, since the spring
kind: "Pod"   # a static one
apiVersion: v1
spec:
    containers:
      - name: sidecar
        command: ["/bin/sidecar"]
      -   name: 'kube-scheduler'

          args:   # no command: the image has one
            - >-
              --leader-elect=true

            - "--v=2"   # loud
          env: []
      # nothing follows
    # nothing at all"""
"""Other indentations, orders, quotes and comments; no volumes; no line end at the end."""


def test_only_the_flag_and_the_volume_are_put_in():
    lines = list(ndiff(MANIFEST.splitlines(), put_in(MANIFEST).splitlines()))
    assert [line[2:] for line in lines if line.startswith("+ ")] == ADDED.splitlines()
    assert not [line for line in lines if line.startswith("- ")]
    pod = yaml.safe_load(put_in(MANIFEST))
    (container,) = pod["spec"]["containers"]
    assert container["command"][-1] == f"--config={FOLDER}/scheduler-config.yaml"
    assert container["volumeMounts"][-1] == {
        "name": "lws-placement",
        "mountPath": FOLDER,
        "readOnly": True,
    }
    assert pod["spec"]["volumes"][-1] == {
        "name": "lws-placement",
        "hostPath": {"path": FOLDER, "type": "Directory"},
    }


@pytest.mark.parametrize("folder", [FOLDER, "/srv/k8s", "/srv/a folder: #1"])
@pytest.mark.parametrize("text", [MANIFEST, BY_HAND, MANIFEST.rstrip()])
def test_taken_out_it_is_what_it_was_to_the_byte(text, folder):
    there = put_in(text, folder)
    flags = [
        flag
        for container in yaml.safe_load(there)["spec"]["containers"]
        for flag in [*container.get("command", []), *container.get("args", [])]
    ]
    assert f"--config={folder}/scheduler-config.yaml" in flags
    assert put_in(there, folder) == there
    assert take_out(there) == text
    assert take_out(text) == text


def test_what_the_patch_makes_of_kubeadms_manifest_can_be_taken_out_as_well():
    patch, pod = yaml.safe_load(as_patch()), yaml.safe_load(MANIFEST)
    (new,), (container,) = patch["spec"]["containers"], pod["spec"]["containers"]
    container["args"] = new["args"]
    container["volumeMounts"] += new["volumeMounts"]
    pod["spec"]["volumes"] += patch["spec"]["volumes"]
    text = yaml.safe_dump(pod)
    assert "  - args:" in text, "our list is the first of the container's"
    assert put_in(text) == text, "it is in already"
    assert yaml.safe_load(take_out(text)) == yaml.safe_load(MANIFEST)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "    - --leader-elect=true\n",
            "    - --leader-elect=true\n    - --config=/etc/mine.yaml\n",
            r"kube-scheduler has --config=/etc/mine\.yaml already: add the extenders",
        ),
        (
            "    - --leader-elect=true\n",
            "    - --config\n    - /etc/mine.yaml\n",
            r"kube-scheduler has --config=/etc/mine\.yaml already",
        ),
        (
            "    image:",
            "    args:\n    - --config=/etc/mine.yaml\n    image:",
            r"kube-scheduler has --config=/etc/mine\.yaml already",
        ),
        (
            "    name: kubeconfig\nstatus",
            "    name: lws-placement\nstatus",
            r"a volume lws-placement already.*--undo",
        ),
        ("kind: Pod", "kind: Deployment", r"no static pod: .*kind 'Deployment'"),
        ("apiVersion: v1\n", "", r"no static pod: apiVersion None"),
        ("    name: kube-scheduler\n    res", "    name: other\n    res", "has 0 containers named"),
        ("  containers:\n", "  containers: {}\n  x:\n", "containers is not a list of objects"),
        ("  containers:\n", "  containers:\n  - 7\n", "containers is not a list of objects"),
        ("    - --leader-elect=true\n", "    - {a: b}\n", "command is not a list of strings"),
        ("  volumes:\n", "  volumes: ~\n  x:\n", "volumes is not a list of objects"),
        ("  volumes:\n", "  volumes: []\n  x:\n", "volumes is not written as a list"),
        ("spec:\n", "spec: 7\nx:\n", "spec is not an object"),
        ("  containers:\n  - command:", "  containers:\n  - x:", "has neither command nor args"),
        ("status: {}\n", "---\nkind: Pod\n", r"is not one YAML document: .*\(line \d+\)"),
        ("status: {}\n", "status: {\n", "is not one YAML document"),
        ("status: {}\n", "? {a: b}\n: c\n", "is not one YAML document"),
        ("status: {}\n", "status: " + "[" * 30000, "is nested deeper than 50 levels"),
        ("status: {}\n", "a: &a [x]\nb: *a\n", r"has YAML aliases"),
        ("status: {}\n", "x: " + "y" * 70000, "is larger than 65536 bytes"),
        ("status: {}\n", "x: \x00", "is not one YAML document"),
        (MANIFEST, "", "is not an object"),
        (MANIFEST, "- a", "is not an object"),
        (MANIFEST, json.dumps(yaml.safe_load(MANIFEST)), "command is not written as a list"),
    ],
)
def test_what_is_in_the_way_is_said(old, new, words):
    assert old in MANIFEST
    with pytest.raises(SettingsError, match=words):
        put_in(MANIFEST.replace(old, new))


def test_a_part_of_the_change_is_no_change_and_can_be_taken_out():
    part = put_in(MANIFEST).replace("      type: Directory\n", "")
    with pytest.raises(SettingsError, match="with a part of the change missing"):
        put_in(part)
    assert take_out(part) == MANIFEST


@settings(max_examples=50)
@given(st.lists(st.sampled_from(MANIFEST.splitlines(keepends=True)), max_size=30), st.data())
def test_lines_in_any_order_are_edited_rightly_or_refused(lines, data):
    """Never broken: what is taken has the change in it, and comes back as it was."""
    at = data.draw(st.integers(0, len(MANIFEST.splitlines())))
    own = MANIFEST.splitlines(keepends=True)
    text = "".join([*own[:at], *lines, *own[at:]])
    try:
        there = put_in(text)
    except SettingsError:
        return
    assert take_out(there) == text
    assert yaml.safe_load(there) != yaml.safe_load(text)


@settings(max_examples=50)
@given(
    st.text(alphabet="abc:-#&*!|>[]{}'\" \n\t\r%@?0", max_size=60), st.integers(0, len(MANIFEST))
)
def test_any_text_in_between_is_taken_or_refused(text, at):
    try:
        there = put_in(MANIFEST[:at] + text + MANIFEST[at:])
    except SettingsError:
        return
    assert take_out(there) == MANIFEST[:at] + text + MANIFEST[at:]


def run(*args):
    return CliRunner().invoke(cli, ["scheduler-config", *map(str, args)], catch_exceptions=True)


def test_the_verb_prints_the_edited_manifest_and_leaves_the_file(tmp_path):
    file = tmp_path / "kube-scheduler.yaml"
    file.write_text(MANIFEST)
    done = run("--kubeadm-manifest", file)
    assert (done.exit_code, done.stdout, done.stderr) == (0, put_in(MANIFEST), "")
    assert file.read_text() == MANIFEST


def test_the_verb_replaces_a_file_that_out_names_and_says_when_there_is_nothing_to_do(tmp_path):
    file = tmp_path / "kube-scheduler.yaml"
    file.write_text(MANIFEST)
    assert run("--kubeadm-manifest", file, "--out", file, "--files-at=/srv/x").exit_code == 0
    assert file.read_text() == put_in(MANIFEST, "/srv/x")
    again = run("--kubeadm-manifest", file, "--out", file, "--files-at=/srv/x")
    assert "has the change in it already" in again.stderr
    assert run("--kubeadm-manifest", file, "--out", file, "--undo").exit_code == 0
    assert file.read_text() == MANIFEST
    assert "has nothing of ours in it" in run("--kubeadm-manifest", file, "--undo").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["kube-scheduler.yaml"]


def test_the_verb_prints_the_patch():
    done = run("--kubeadm", "--files-at=/srv/x")
    assert (done.exit_code, done.stdout) == (0, as_patch("/srv/x"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "is not a text in UTF-8"),
        (b"kind: Deployment", "is no static pod"),
        (b"x" * 10**6, "is larger than"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path, content, words):
    file = tmp_path / "wrong.yaml"
    if content is not None:
        file.write_bytes(content)
    done = run("--kubeadm-manifest", file)
    assert done.exit_code == 1
    assert isinstance(done.exception, SettingsError)
    assert str(done.exception).startswith(f"{file}: ")
    assert words in str(done.exception)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "--out FOLDER is missing"),
        (["--undo", "--out=x"], "--undo goes with --kubeadm-manifest FILE"),
        (["--kubeadm", "--kubeadm-manifest=x"], "two forms of one change"),
        (["--kubeadm", "--address=1.2.3.4"], "for the folder, not for kubeadm's files"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(args, words):
    done = run(*args)
    assert done.exit_code == 2
    assert words in done.stderr
