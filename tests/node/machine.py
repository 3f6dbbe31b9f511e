"""A node as a tree of processes: its own cgroups, mounts, network, host name and process ids.

`start()` makes child cgroups of ours, then `init.sh` as process 1 of new namespaces. Nothing of the
machine is changed: writes below /etc, /var and /usr/libexec go to the node's folder, its network
has no way out, and SIGKILL to process 1 ends everything. `start()` on the same folder again is a
reboot.

Blocking code for Linux with cgroup v1 and root. Commands run inside by `run()`, by nsenter.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.process import Process, uninterrupted

ADDRESS = "10.10.0.2"
_INIT = Path(__file__).parent / "init.sh"
_CGROUPS = Path("/sys/fs/cgroup")
_PREFIX = "node-"
_CLONE_NEWNET = 0x40000000
_START_S = 60.0
_END_S = 30.0


class Machine:
    """One node called `name`, in `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self._starter: Process | None = None
        self._pid = 0
        self._cgroups: list[Path] = []

    def start(self, *, outlive: bool = False) -> None:
        """Raises LocalClusterError with its log. `outlive`: it stays when we end; else the kernel
        kills it even if we are killed. The empty cgroups that then stay go with the next start.
        """
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        _remove_cgroups(_abandoned_cgroups())
        with uninterrupted():
            self._cgroups = _make_cgroups(f"{_PREFIX}{self.name}-{os.getpid()}")
            join = "".join(f"echo $$ >{group}/cgroup.procs; " for group in self._cgroups)
            unshare = "unshare -C -m -n -u -p -f --mount-proc"
            kill = "" if outlive else " --kill-child=KILL"
            script = f"set -e; {join}exec {unshare}{kill} sh {_INIT} {self.folder} {self.name}"
            log = self.folder / "logs" / "init.log"
            self._starter = Process(["sh", "-c", script], log=log, outlive=outlive)
        self._wait_up()

    def _wait_up(self) -> None:
        assert self._starter is not None
        until = time.monotonic() + _START_S
        while time.monotonic() < until and self._starter.running:
            self._pid = _child_of(self._starter.pid)
            if self._pid and self.run("test", "-e", "/run/up", check=False).returncode == 0:
                return
            time.sleep(0.05)
        log = self._starter.tail()
        self.stop()
        raise LocalClusterError(f"the node {self.name} did not start:\n{log}")

    @property
    def cgroups(self) -> Sequence[Path]:
        """Those that were made for it."""
        return self._cgroups

    @property
    def pid(self) -> int:
        """Process 1 of the node, as the machine numbers it."""
        return self._pid

    def command(self, *args: str) -> list[str]:
        """`args` as a command that runs inside."""
        path = f"PATH={self.folder / 'bin'}:{os.environ['PATH']}"
        return ["nsenter", "-C", "-m", "-n", "-u", "-p", "-t", str(self._pid), "env", path, *args]

    def run(
        self, *args: str, check: bool = True, stdin: str | None = None, timeout_s: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Raises LocalClusterError with its words if it fails."""
        done = subprocess.run(
            self.command(*args),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip())[-4000:]
            raise LocalClusterError(f"on the node: {' '.join(args)}: {words}")
        return done

    def stop(self) -> None:
        """SIGKILL to process 1 takes all that runs there; then its cgroups go. Safe to repeat."""
        if self._starter is not None:
            pid, until = _child_of(self._starter.pid), time.monotonic() + _END_S
            if pid:
                os.kill(pid, signal.SIGKILL)
            while pid and self._starter.running and time.monotonic() < until:
                time.sleep(0.05)
            self._starter.kill()
        self._pid, self._starter = 0, None
        _remove_cgroups(self._cgroups)
        self._cgroups = []


def why_no_node() -> str:
    """What keeps a node from running here; empty if nothing does."""
    if os.geteuid() != 0:
        return "a node needs root: it makes namespaces and cgroups"
    if not (_CGROUPS / "memory").is_dir():
        return "a node needs the hierarchies of cgroup v1 under /sys/fs/cgroup"
    missing = [tool for tool in ("unshare", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"a node needs {' and '.join(missing)} (Debian's package util-linux)"
    probe = ["unshare", "-C", "-m", "-n", "-u", "-p", "-f", "--mount-proc", "true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"a node needs new namespaces, which this machine refuses: {done.stderr.strip()}"
    return ""


def enter_network(namespace: int) -> None:
    """The calling thread, and what it starts, are in this network from now on: an open file
    descriptor of `/proc/PID/ns/net`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise LocalClusterError(f"setns: {os.strerror(ctypes.get_errno())}")


def _child_of(pid: int) -> int:
    """0 if it has none."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    except (OSError, LookupError):
        return 0


def _own_cgroups() -> dict[str, Path]:
    """Mount point name -> our cgroup, of each hierarchy of version 1."""
    found = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        name = controllers.removeprefix("name=")
        if name and (_CGROUPS / name).is_dir():
            found[name] = _CGROUPS / name / path.lstrip("/")
    return found


def _make_cgroups(name: str) -> list[Path]:
    made = []
    for controller, own in _own_cgroups().items():
        group = own / name
        group.mkdir(exist_ok=True)
        if controller == "cpuset":  # a new one has none, and takes no process then
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((own / file).read_text())
        made.append(group)
    return made


def _abandoned_cgroups() -> list[Path]:
    """Of nodes whose tests were killed before they could remove them: no process is in them."""
    return [
        group
        for own in _own_cgroups().values()
        for group in own.glob(f"{_PREFIX}*")
        if not Path("/proc", group.name.rpartition("-")[2]).exists()
        and not any(procs.read_text() for procs in group.rglob("cgroup.procs"))
    ]


def _remove_cgroups(groups: Sequence[Path]) -> None:
    """Depth first; one that still has a dying process is tried again for a while."""
    until = time.monotonic() + _END_S
    for top in groups:
        while top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    Path(folder).rmdir()
            if time.monotonic() > until:
                raise LocalClusterError(f"cgroup {top} cannot be removed")
            if top.is_dir():
                time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(why_no_node() or None)
