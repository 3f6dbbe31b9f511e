"""Finds the control plane's programs: given, cached, on PATH, or built here once.

They are built from their public Go modules (`go_build.py`): `modules/kubernetes/<version>` for each
version of Kubernetes that we are tested with, `modules/etcd` and `modules/kwok` for all of them. A
build takes about 9 minutes on 2 cores. The result is cached outside the tree, per version.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lws_placement.errors import LocalClusterError
from lws_placement.localcluster.go_build import (
    GoProgram,
    Progress,
    build_missing,
    cache_folder,
    module_version,
)

KUBERNETES_VERSION = "1.37.2"

_MODULES = Path(__file__).parent / "modules"
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_TOOLS = {
    "etcd": GoProgram("etcd", _MODULES / "etcd", "go.etcd.io/etcd/server/v3"),
    "kwok": GoProgram("kwok", _MODULES / "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
}
PROGRAMS = (*_KUBERNETES, *_TOOLS)

_VERSION = re.compile(r"v(\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?)")
"""A vendor's own suffix (`-gke.1`, `+k3s1`) is no part of the version."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Paths of the six programs, by name."""

    paths: dict[str, Path]

    def __getitem__(self, name: str) -> str:
        return str(self.paths[name])


def wanted_version() -> str:
    """`$LWS_PLACEMENT_KUBERNETES_VERSION`, else the newest that we are tested with."""
    return os.environ.get("LWS_PLACEMENT_KUBERNETES_VERSION") or KUBERNETES_VERSION


def known_versions() -> list[str]:
    """Versions of Kubernetes that can be built here, oldest first."""
    names = [path.name for path in (_MODULES / "kubernetes").iterdir()]
    return sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def find_or_build(progress: Progress, *, version: str = "") -> Binaries:
    """All programs of `version` (default: `wanted_version`). Raises LocalClusterError, which says
    what is missing and what to do.
    """
    version = version or wanted_version()
    folders = dict.fromkeys(_KUBERNETES, cache_folder() / f"kubernetes-{version}" / "bin")
    for name, tool in _TOOLS.items():
        folders[name] = cache_folder() / f"{name}-{module_version(tool)}" / "bin"
    found: dict[str, Path] = {}
    for program in PROGRAMS:
        path = _find(program, folders[program], version)
        if path is not None:
            found[program] = path
    missing = [_program(name, version) for name in PROGRAMS if name not in found]
    for folder in dict.fromkeys(folders[program.name] for program in missing):
        here = [program for program in missing if folders[program.name] == folder]
        names = ", ".join(program.name for program in here)
        took = "about 7 minutes" if len(here) > 1 else "a minute or two"
        what = f"{names} of {folder.parent.name} ({took} on 2 cores)"
        build_missing(here, folder, what=what, progress=progress)
        found |= {program.name: folder / program.name for program in here}
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
    """The version of a Kubernetes program; empty if it does not print one."""
    args = ["version", "--client"] if program.name == "kubectl" else ["--version"]
    try:
        out = subprocess.run(
            [str(program), *args], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(out.stdout)
    return match.group(1) if match else ""


def _program(name: str, version: str) -> GoProgram:
    if name in _TOOLS:
        return _TOOLS[name]
    return next(p for p in kubernetes_programs(version) if p.name == name)


def kubernetes_programs(version: str, extra: tuple[str, ...] = ()) -> list[GoProgram]:
    """How to build the commands of Kubernetes in PROGRAMS, and those in `extra`.

    Raises LocalClusterError for a version without module manifests.
    """
    source = _MODULES / "kubernetes" / version
    if not source.is_dir():
        raise LocalClusterError(
            f"Kubernetes {version} cannot be built here (module files exist for "
            f"{', '.join(known_versions())}); set KUBEBUILDER_ASSETS to a folder with its programs"
        )
    major, minor, _ = version.split(".", 2)
    base = "k8s.io/component-base/version"
    stamp = (
        f"-s -w -X {base}.gitVersion=v{version} -X {base}.gitMajor={major} "
        f"-X {base}.gitMinor={minor}"
    )
    return [
        GoProgram(name, source, f"k8s.io/kubernetes/cmd/{name}", stamp)
        for name in (*_KUBERNETES, *extra)
    ]


if __name__ == "__main__":
    try:
        find_or_build(print)
    except LocalClusterError as error:
        sys.exit(str(error))
