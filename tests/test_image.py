"""The image has what the program needs and no more, without a container engine to build it."""

import ast
import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from support import image_env

from lws_placement.cli.main import _VERBS

IMAGE_LOCK = image_env.IMAGE / "requirements.lock"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return image_env.make(tmp_path_factory.mktemp("image"))


def run(program, *args):
    command = [sys.executable, "-I", "-S", str(program), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_its_packages_are_those_of_the_tests_with_the_same_hashes():
    ours = image_env.locked(IMAGE_LOCK)
    everywhere = image_env.locked(image_env.ROOT / "requirements.lock")
    assert {name: everywhere.get(name) for name in ours} == ours


def test_its_packages_are_those_that_the_program_needs():
    wanted, new = set(), {"lws-placement"}
    while new:
        wanted |= new
        named = [Requirement(r) for name in new for r in requires(name) or ()]
        needed = {_plain(r.name) for r in named if not r.marker or r.marker.evaluate({"extra": ""})}
        new = needed - wanted
    have = {_plain(name) for name in image_env.locked(IMAGE_LOCK)}
    assert have - image_env.BUILD_TOOLS == wanted - {"lws-placement"}


def _plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_of_the_kubernetes_client_nothing_that_is_pruned_is_imported():
    found = set()
    for package in ("lws_placement", "webhook", "certs"):
        for path in (image_env.ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {a.name for a in node.names if a.name.startswith("kubernetes")}
                elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kube"):
                    found.add(node.module)
    modules = {"config", "client.configuration", "client.rest"}
    assert found == {f"kubernetes.aio.{module}" for module in modules}


def test_it_is_pruned(program):
    client = program.parent / "packages" / "kubernetes"
    assert sum(f.stat().st_size for f in client.rglob("*") if f.is_file()) < 4 * 2**20


def test_it_says_its_version(program):
    done = run(program, "version")
    assert done.returncode == 0, done.stderr
    assert "lws-placement 0" in done.stdout


@pytest.mark.parametrize("verb", _VERBS)
def test_every_verb_is_there(program, verb):
    done = run(program, verb, "--help")
    assert done.returncode == 0, done.stderr


def test_it_serves_nothing_else_than_settings_when_asked_for_them(program):
    done = run(program, "serve", "--roles=gate", "--print-config")
    assert done.returncode == 0, done.stderr
    assert "- webhook\n- extender\n" in done.stdout


def test_the_dockerfile_takes_these_files():
    """Those that the tests above are about."""
    text = (image_env.IMAGE / "Dockerfile").read_text()
    assert "COPY manifests/image/requirements.lock manifests/image/prune.py ./" in text
    assert "--require-hashes -r requirements.lock" in text
    assert "python prune.py /opt/lws-placement" in text


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("release", "base", "builds"),
    [
        ("", "docker.io/library/python:3.11-slim", True),
        ("yes", f"docker.io/library/python:3.11-slim@{DIGEST}", True),
        ("yes", f"mirror.example.com:5000/python@{DIGEST}", True),
        ("yes", "docker.io/library/python:3.11-slim", False),
        ("yes", "", False),
        ("yes", f"python@{DIGEST[:-1]}", False),
        ("yes", f"python@{DIGEST}:3.11-slim", False),
        ("yes", f"@{DIGEST}", False),
    ],
)
def test_a_release_is_not_built_on_a_base_image_without_a_digest(release, base, builds):
    text = (image_env.IMAGE / "Dockerfile").read_text()
    (check,) = re.findall(r'^RUN (\[ -z "\$RELEASE" \](?:.*\\\n)*.*)$', text, re.MULTILINE)
    env = {"RELEASE": release, "BASE": base, "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", check], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == builds, done.stderr
    assert builds == ("BASE=NAME@sha256:" not in done.stderr)


def test_every_stage_is_on_that_base_image():
    text = (image_env.IMAGE / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}", "${BASE}"]
    makefile = (image_env.ROOT / "Makefile").read_text()
    assert "--build-arg RELEASE=yes --build-arg BASE=$(BASE)" in makefile


# -- make audit -----------------------------------------------------------------------------------

CLEAN = {"name": "attrs", "version": "1.0", "vulns": []}
HOLED = {"name": "jinja2", "version": "2.10"}
HOLED |= {"vulns": [{"id": "PYSEC-1", "fix_versions": ["2.11"], "aliases": [], "description": ""}]}
PASSED_OVER = {"name": "yarl", "skip_reason": "Dependency not found on PyPI"}


def audit(tmp_path, prints):
    """What our program makes of what pip-audit prints."""
    program = tmp_path / "pip-audit"
    (tmp_path / "printed").write_text(prints)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/printed\necho no route >&2\nexit 1\n")
    program.chmod(0o700)
    command = [sys.executable, str(image_env.IMAGE / "audit.py"), str(program), "a.lock"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([CLEAN], 0, "no known vulnerabilities in 1 packages"),
        ([CLEAN, HOLED], 1, "jinja2 2.10: PYSEC-1, mended in 2.11"),
        ([CLEAN, PASSED_OVER], 2, "nothing is said about 1 of 2 packages (yarl)"),
        ([PASSED_OVER, HOLED], 1, "PYSEC-1"),
    ],
)
def test_what_an_audit_says(tmp_path, packages, code, words):
    ended, said = audit(tmp_path, json.dumps({"dependencies": packages, "fixes": []}))
    assert ended == code
    assert words in said


@pytest.mark.parametrize("prints", ["", "{}", "[]", '{"dependencies": 1}'])
def test_an_audit_that_fails_is_no_clean_bill(tmp_path, prints):
    ended, said = audit(tmp_path, prints)
    assert ended == 2
    assert "not known" in said
    assert "no route" in said
