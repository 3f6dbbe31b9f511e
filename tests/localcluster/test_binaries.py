"""Building the control plane, with a stand-in for Go: all or nothing, and nothing left behind."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.binaries import (
    KUBERNETES_VERSION,
    PROGRAMS,
    find_or_build,
    known_versions,
    kubernetes_programs,
)
from lws_placement.localcluster.go_build import module_version

ROOT = Path(__file__).parents[2]

GO = """#!{python}
import os, signal, subprocess, sys
from pathlib import Path

if sys.argv[1] == "version":
    print("go version go1.99.0 linux/amd64")
    sys.exit()
target = Path(sys.argv[sys.argv.index("-o") + 1])
target.write_text("#!/bin/sh")
target.chmod(0o755)
(Path(os.environ["GOTMPDIR"]) / "draft").write_text("half")
{body}
"""

COMPILES_UNTIL_INTERRUPTED = """
compiler = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
Path(os.environ["PIDS"]).write_text(f"{os.getpid()} {compiler.pid}")
os.kill(os.getppid(), signal.%s)
compiler.wait()
"""


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Calls find_or_build with an empty cache and a `go` that does `body`."""
    for name in ("KUBEBUILDER_ASSETS", "LWS_PLACEMENT_KUBERNETES_VERSION"):
        monkeypatch.delenv(name, raising=False)

    said = []

    def run(body="", version=""):
        bin_ = tmp_path / "path"
        bin_.mkdir(exist_ok=True)
        script = GO.replace("{python}", sys.executable).replace("{body}", body)
        (bin_ / "go").write_text(script)
        (bin_ / "go").chmod(0o755)
        monkeypatch.setenv("PATH", str(bin_))
        monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
        monkeypatch.setenv("LWS_PLACEMENT_CACHE", str(tmp_path / "cache"))
        return find_or_build(said.append, version=version)

    run.said = said
    return run


def made(tmp_path):
    return {path.name for path in (tmp_path / "cache").glob("*/bin/*")} - {".lock"}


def wait_gone(pid):
    """Until the process has ended; fails if it lives on."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([descriptor], [], [], 20)
        assert ended, f"process {pid} lives on"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("interrupt", ["SIGINT", "SIGTERM"])
def test_an_interrupted_build_leaves_no_process_and_no_file_behind(build, tmp_path, interrupt):
    def interrupted(_number, _frame):
        raise KeyboardInterrupt

    number = signal.Signals[interrupt]
    before = signal.signal(number, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            build(COMPILES_UNTIL_INTERRUPTED % interrupt)
    finally:
        signal.signal(number, before)
    for pid in (tmp_path / "pids").read_text().split():
        wait_gone(int(pid))
    assert made(tmp_path) == set()


def test_a_failed_build_says_what_the_compiler_said_and_leaves_no_file(build, tmp_path):
    with pytest.raises(LocalClusterError, match=r"building .* failed: no such package"):
        build('sys.exit("no such package")')
    assert made(tmp_path) == set()


UNREACHABLE = 'print("go: m: dial tcp: lookup proxy: i/o timeout"); sys.exit(1)'
UNREACHABLE_ONCE = f"""
tried = Path(__file__).parent / "tried"
if not tried.exists():
    tried.touch()
    {UNREACHABLE}
"""


def test_a_download_that_breaks_off_is_tried_again(build):
    build(UNREACHABLE_ONCE)
    assert sum("a download broke off, trying again" in line for line in build.said) == 1


def test_downloads_that_always_break_off_end_with_gos_words(build):
    with pytest.raises(LocalClusterError, match="i/o timeout"):
        build(UNREACHABLE)
    assert sum("trying again" in line for line in build.said) == 2


def test_every_program_appears_once_it_is_complete(build, tmp_path):
    found = build("")
    assert made(tmp_path) == set(PROGRAMS) == set(found.paths)


def test_programs_that_are_of_no_version_of_kubernetes_are_built_once_for_all(build):
    newest, oldest = build(version=KUBERNETES_VERSION), build(version="1.34.4")
    shared = {name for name in PROGRAMS if newest[name] == oldest[name]}
    assert shared == {"etcd", "kwok"}
    assert sum(line.startswith("building") for line in build.said) == 4


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("Kubernetes v1.38.0-beta.0", "1.38.0-beta.0"),
        ("Kubernetes v1.38.0", "1.38.0"),
        ("Kubernetes v1.38.0-gke.1100", "1.38.0"),
        ("Kubernetes v1.38.0+k3s1", "1.38.0"),
        ("Client Version: v1.38.0-rc.1\nKustomize Version: v5.8.1", "1.38.0-rc.1"),
    ],
)
def test_given_programs_are_taken_if_they_are_of_the_wanted_version(
    build, tmp_path, monkeypatch, printed, version
):
    given = tmp_path / "given"
    given.mkdir()
    for name in PROGRAMS:
        (given / name).write_text(f"#!/bin/sh\necho '{printed}'\n")
        (given / name).chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given))
    assert set(build(version=version).paths.values()) == {given / name for name in PROGRAMS}
    for other in {"1.38.0", "1.38.0-beta.0", "1.38.0-rc.1"} - {version}:
        with pytest.raises(LocalClusterError, match=f"Kubernetes {re.escape(other)} cannot be"):
            build(version=other)


@pytest.mark.parametrize("version", known_versions())
def test_module_files_of_a_version_are_of_it_alone(version):
    for program in kubernetes_programs(version, ("kubelet",)):
        assert module_version(program) == version
        assert f"gitVersion=v{version} " in program.ldflags
    (manifest,) = {program.module / "go.mod" for program in kubernetes_programs(version)}
    staging = re.findall(r"\tk8s\.io/\S+ v0\.(\d+\.\S+)$", manifest.read_text(), re.MULTILINE)
    assert len(staging) > 25
    assert set(staging) == {version.removeprefix("1.")}


def test_make_hands_the_version_on():
    given = [f"BIN={Path(sys.executable).parent}", "KUBERNETES=1.2.3"]
    done = subprocess.run(
        ["make", "--old-file=venv", *given, "control-plane"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert re.match(r"Kubernetes 1\.2\.3 cannot be built here \(.*1\.37\.2\)", done.stderr)


def test_another_version_can_be_asked_for_but_not_built(build, monkeypatch):
    monkeypatch.setenv("LWS_PLACEMENT_KUBERNETES_VERSION", "1.2.3")
    with pytest.raises(LocalClusterError, match=r"Kubernetes 1\.2\.3 cannot be built .*ASSETS"):
        build("")
