"""Building the control plane, with a stand-in for Go: all or nothing, and nothing left behind."""

import os
import select
import signal
import sys

import pytest

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.binaries import PROGRAMS, find_or_build

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

    def run(body):
        bin_ = tmp_path / "path"
        bin_.mkdir()
        script = GO.replace("{python}", sys.executable).replace("{body}", body)
        (bin_ / "go").write_text(script)
        (bin_ / "go").chmod(0o755)
        monkeypatch.setenv("PATH", str(bin_))
        monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
        monkeypatch.setenv("LWS_PLACEMENT_CACHE", str(tmp_path / "cache"))
        return find_or_build(lambda line: None)

    return run


def made(tmp_path):
    (folder,) = (tmp_path / "cache").glob("*/bin")
    return {path.name for path in folder.iterdir()} - {".lock"}


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


def test_every_program_appears_once_it_is_complete(build, tmp_path):
    found = build("")
    assert made(tmp_path) == set(PROGRAMS) == set(found.paths)


def test_another_version_can_be_asked_for_but_not_built(build, monkeypatch):
    monkeypatch.setenv("LWS_PLACEMENT_KUBERNETES_VERSION", "1.2.3")
    with pytest.raises(LocalClusterError, match=r"Kubernetes 1\.2\.3 cannot be built .*ASSETS"):
        build("")
