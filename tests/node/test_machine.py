"""A node leaves nothing on the machine, however the tests end that started it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from node.machine import Machine, why_no_node

PROGRAM = """
import signal, sys
from pathlib import Path
from node.machine import Machine

signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs us may ignore it
machine = Machine(Path(sys.argv[1]), "trace")
try:
    machine.start()
    machine.run("sh", "-c", "sleep infinity >&- 2>&- & sleep infinity >&- 2>&- &")
    print(machine.pid, flush=True)
    signal.pause()
finally:
    machine.stop()
"""
NAMESPACES = ("mnt", "net", "pid", "uts", "cgroup")


@pytest.fixture(autouse=True)
def can():
    if why_not := why_no_node():
        pytest.exit(why_not, returncode=2)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_a_node_whose_tests_are_ended(tmp_path, end):
    shutil.copy(Path(__file__).parent / "cni.conflist", tmp_path)
    before = interfaces_and_mounts()
    tests = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = tests.stdout.readline().strip()
    spaces = namespaces(pid)
    assert len(processes_in(spaces)) >= 3, "it was there"
    assert cgroups_of(tests.pid), "so were they"
    tests.send_signal(end)
    tests.communicate()
    # One that ends shows no namespace any more and is still in its cgroup.
    wait_for(lambda: not processes_in(spaces) and not members_of(cgroups_of(tests.pid)))
    assert interfaces_and_mounts() == before
    if end != signal.SIGINT:  # nobody was left to remove what is empty now
        later = Machine(tmp_path, "later")
        later.start()
        later.stop()
    assert not cgroups_of(tests.pid)


def cgroups_of(tests):
    return list(Path("/sys/fs/cgroup").rglob(f"node-trace-{tests}"))


def members_of(cgroups):
    return [
        line
        for group in cgroups
        for procs in group.rglob("cgroup.procs")
        for line in lines_of(procs)
    ]


def lines_of(path):
    try:
        return path.read_text().split()
    except OSError:  # the cgroup has gone
        return []


def namespaces(pid):
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in NAMESPACES}
    its = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES}
    assert not own.items() & its.items(), "all are its own"
    return set(its.values())


def processes_in(spaces):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            its = {os.readlink(process / "ns" / kind) for kind in NAMESPACES}
        except OSError:  # it has ended
            continue
        if its & spaces:
            found.append(process.name)
    return found


def interfaces_and_mounts():
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return os.listdir("/sys/class/net"), [line for line in mounts if "lws-placement" not in line]


def wait_for(condition):
    """For as long as the test may take: the kernel ends what it was told to."""
    while not condition():
        os.sched_yield()
