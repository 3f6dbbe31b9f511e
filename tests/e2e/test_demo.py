"""`lws-placement demo` as a user runs it: Ctrl-C leaves nothing behind, the end is exit code 0."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "lws_placement.cli.main", "demo"]


def children_of(pid):
    """Programs that have the demo's process as parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = stat.read_text().rsplit(")", 1)
        except OSError:
            continue
        if fields.split()[1] == str(pid):
            found.append((int(name.split()[0]), name.split("(")[1]))
    return found


def lives(pid):
    """A zombie does not: it has ended, and waits for whoever adopted it to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_leaves_no_process_behind(binaries):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(COMMAND, **pipes) as demo:
        for line in demo.stdout:
            if "Act 1" in line:
                break
        started = children_of(demo.pid)
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    assert {name for _, name in started} >= {"etcd", "kube-apiserver", "kwok"}
    assert demo.returncode == 130
    assert "interrupted; everything is stopped" in rest
    assert [name for pid, name in started if lives(pid)] == []


def test_the_whole_story_ends_well(binaries):
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "10 of 10 whole" in done.stdout
    assert "FAILED" not in done.stdout


@pytest.mark.parametrize("story", ["life", "grow"])
def test_another_story_ends_well(binaries, story):
    command = [*COMMAND, f"--story={story}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "FAILED" not in done.stdout
