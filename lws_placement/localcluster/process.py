"""A program as a child process with its own log file and session, which is never left behind.
`run_whole` is for a program that starts others, such as a compiler.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lws_placement.errors import LocalClusterError

_GRACE_S = 10.0
_PR_SET_PDEATHSIG = 1
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Process:
    """Started at once. `stop()` may be called again.

    Its own session keeps the terminal's Ctrl-C from it, so that we decide the order of stopping. On
    Linux the kernel ends it when the thread that started it dies, so even kill -9 of us leaves
    nothing behind, unless it is to `outlive` us.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        outlive: bool = False,
    ) -> None:
        self.command = tuple(command)
        self.name = Path(command[0]).name
        self.log = log
        self._env = os.environ | dict(env or {})
        self._before = _unblock if outlive else _in_child
        self.start()

    def start(self) -> None:
        """Starts it again after its end."""
        with self.log.open("ab") as out, uninterrupted():
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=self._env,
                preexec_fn=self._before,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def check(self) -> None:
        """Raises LocalClusterError with the end of its log if it has ended."""
        if not self.running:
            code = self._popen.returncode
            raise LocalClusterError(f"{self.name} ended with {code}; {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal (SIGSTOP, SIGCONT, SIGKILL) for tests of failures."""
        if self.running:
            self._popen.send_signal(number)

    def stop(self) -> None:
        """SIGTERM, wait, then SIGKILL."""
        if not self.running:
            return
        self._popen.send_signal(signal.SIGCONT)
        self._popen.terminate()
        try:
            self._popen.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.running:
            self._popen.kill()
            self._popen.wait()


def run_whole(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; both outputs are in `stdout`. If we are interrupted, its whole
    session is killed: the command and all that it has started.
    """
    child: subprocess.Popen[str] | None = None
    try:
        with uninterrupted():
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                preexec_fn=_in_child,
            )
        words, _ = child.communicate()
    except BaseException:
        if child is not None:
            _end_session(child)
        raise
    return subprocess.CompletedProcess(command, child.returncode, words)


def _end_session(leader: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader.pid, signal.SIGKILL)
    # The pipe ends when the last of them is gone, not only the leader.
    with suppress(subprocess.TimeoutExpired):
        leader.communicate(timeout=_GRACE_S)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defers Ctrl-C, such as until a child is known to us: Python's at-fork hooks lose an exception
    in the middle of a fork, or it leaves a child that nobody stops.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)


def _in_child() -> None:
    _unblock()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
